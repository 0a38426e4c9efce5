"""A log: rows written one behind the other without asking anyone for memory, drained once per batch."""
from libc.stdint cimport uint64_t

from fastct.conntrack.arena cimport arena_t, arena_grow

cdef struct log_t:
    arena_t mem
    size_t row_size
    uint64_t rows        # written since the last drain
    uint64_t lost        # for want of memory


cdef inline void* log_row(log_t* log) noexcept nogil:
    """Room for one more row, or NULL when there is no more memory."""
    if arena_grow(&log.mem, (log.rows + 1) * log.row_size):
        log.lost += 1
        return NULL
    log.rows += 1
    return log.mem.base + (log.rows - 1) * log.row_size
