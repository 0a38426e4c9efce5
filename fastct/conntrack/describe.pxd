"""Rows for people; see ``describe.pyx``."""
from libc.stdint cimport uint32_t, uint64_t

from fastct.conntrack.core cimport ct_event, ct_t
from fastct.conntrack.expect cimport expect_t
from fastct.conntrack.verdict cimport ct_end
from fastct.records cimport conn_row_t, event_row_t, expect_row_t

cdef void ct_row(const ct_t* ct, uint32_t slot, uint64_t now, conn_row_t* row) noexcept nogil
cdef void ct_expect_row(const ct_t* ct, const expect_t* e, uint64_t now, expect_row_t* row) noexcept nogil
cdef void ct_expect_event(void* owner, const expect_t* e, bint is_new) noexcept nogil
cdef event_row_t* log_event(ct_t* ct, uint32_t slot, ct_event type, uint64_t when, ct_end end) noexcept nogil
cdef void log_update(ct_t* ct, uint32_t slot, uint32_t events) noexcept nogil
