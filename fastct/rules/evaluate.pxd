"""The way of a packet through the tables."""
from libc.stdint cimport uint16_t

from fastct.rules.compiled cimport path_t, run_t
from fastct.wire.packet cimport packet_t

cdef bint rules_sent_here(const run_t* run, const packet_t* p) noexcept nogil
cdef void rules_raw(run_t* run, uint16_t from_if) noexcept nogil
cdef void rules_walk(run_t* run, uint16_t from_if) noexcept nogil
cdef void rules_replay(run_t* run, const path_t* path, uint16_t from_if) noexcept nogil
