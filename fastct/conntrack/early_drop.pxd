"""Who goes when the table is full; the story is in ``early_drop.pyx``."""
from libc.stdint cimport uint32_t, uint64_t

from fastct.conntrack.arena cimport arena_t
from fastct.conntrack.table cimport table_t

cdef enum:
    PRESS_MOST = 8           # entries that one call of pressed_out reports at most

cdef struct candidate_t:
    uint32_t slot
    uint32_t number          # low half of the connection's: another one may have the slot by now

# New connections in order of creation: a ring of candidates for early drop.
cdef struct probation_t:
    arena_t mem
    candidate_t* ring
    uint64_t mask            # places of the ring, minus 1
    uint64_t head            # the oldest, and where the next goes; both only ever grow
    uint64_t tail

cdef int probation_init(probation_t* p, uint64_t slots_max) except -1
cdef void probation_free(probation_t* p) noexcept
cdef void probation_add(probation_t* p, const table_t* t, uint32_t slot) noexcept nogil
cdef uint32_t probation_take(probation_t* p, const table_t* t) noexcept nogil
cdef int pressed_out(const table_t* t, uint32_t line, uint32_t* slots) noexcept nogil
