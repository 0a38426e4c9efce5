"""The way of a packet through the tables."""
from libc.stdint cimport uint8_t, uint16_t, uint64_t

from fastct.rules.program cimport run_t

cdef void rules_raw(run_t* run, uint16_t from_if) noexcept nogil
cdef void rules_walk(run_t* run, uint16_t in_if) noexcept nogil
