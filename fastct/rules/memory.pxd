"""Remembering paths; records are in ``program.pxd``."""
from libc.stdint cimport uint8_t, uint32_t, uint64_t

cimport cython

from fastct.conntrack.conn cimport conn_t
from fastct.rules.program cimport NO_PATH, counters_t, memory_t, path_t, run_t

cdef int memory_init(memory_t* m, uint32_t base) except -1
cdef void memory_free(memory_t* m) noexcept
cdef void memory_fold(memory_t* m, counters_t* counters) noexcept nogil
cdef void memory_keep(run_t* run, conn_t* c, int direction) noexcept nogil


cdef inline path_t* memory_path(memory_t* m, const conn_t* c, int direction) noexcept nogil:
    """The path that packets of a direction took before, or NULL."""
    cdef uint32_t at = c.memo - m.base
    if at >= m.n_memos or m.memos[at].path[direction] == NO_PATH:
        return NULL
    return &m.paths[m.memos[at].path[direction]]


cdef inline bint path_holds(const path_t* path, uint64_t klass, uint8_t flags, uint64_t marks) noexcept nogil:
    """Whether a packet of this class, with these TCP flags, takes it."""
    return path.klass == klass and path.flags_kept >> (flags & 63) & 1 and path.marks == marks
