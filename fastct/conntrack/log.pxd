"""A log: rows written one behind the other without asking anyone for memory, drained once per batch."""
from libc.stdint cimport uint64_t

from fastct.conntrack.arena cimport arena_free, arena_grow, arena_init, arena_t

cdef struct log_t:
    arena_t mem
    size_t row_size
    uint64_t rows        # written since the last drain
    uint64_t drained     # rows before those
    uint64_t lost        # for want of memory


cdef inline int log_init(log_t* log, size_t row_size) except -1:
    """An empty log of rows of a size: address space, no memory yet."""
    log.row_size = row_size
    if arena_init(&log.mem, <size_t>1 << 36, 0, NULL):
        raise MemoryError("no address space for a log")
    return 0


cdef inline void log_free(log_t* log) noexcept:
    arena_free(&log.mem)


cdef inline void* log_row(log_t* log) noexcept nogil:
    """Room for one more row, or NULL when there is no more memory."""
    if arena_grow(&log.mem, (log.rows + 1) * log.row_size):
        log.lost += 1
        return NULL
    log.rows += 1
    return log.mem.base + (log.rows - 1) * log.row_size
