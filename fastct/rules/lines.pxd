"""Lines of the log: what LOG, NFLOG and TRACE say of packets."""
from libc.stdint cimport uint8_t, uint32_t

from fastct.rules.compiled cimport line_kind, line_t, output_t, run_t

cdef int lines_init(output_t* o) except -1
cdef void lines_free(output_t* o) noexcept
cdef line_t* line_add(run_t* run, line_kind kind, const uint8_t* prefix) noexcept nogil
cdef void trace_rule(run_t* run, uint32_t chain, uint32_t number, const char* word) noexcept nogil
