"""Remembering paths; records are in ``compiled.pxd``."""
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

cimport cython

from fastct.conntrack.conn cimport conn_t
from fastct.conntrack.core cimport ct_result_t, ct_t
from fastct.rules.connmark cimport connmark
from fastct.rules.compiled cimport counters_t, memory_t, path_t, program_t, run_t
from fastct.wire.packet cimport packet_t

cdef enum:
    MEMO_BASE_MAX = 0xFFC00000       # beyond it, numbers begin again: more than MEMOS_MAX are left

cdef int memory_init(memory_t* m) except -1
cdef void memory_free(memory_t* m) noexcept
cdef void memory_fold(memory_t* m, counters_t* counters) noexcept nogil
cdef void memory_forget_all(ct_t* ct) noexcept nogil
cdef void memory_forget(memory_t* m, counters_t* counters) noexcept nogil
cdef void memory_keep(run_t* run, conn_t* c, int direction) noexcept nogil


cdef inline uint8_t time_to_live(const packet_t* p) noexcept nogil:
    """TTL or hop limit of a packet."""
    return p.data[8 - (p.ip_version >> 1 & 1)]


cdef inline uint64_t path_class(const program_t* g, const ct_result_t* r, uint16_t from_if) noexcept nogil:
    """What must be the same for a path to be, besides marks and flags."""
    return r.state | <uint64_t>(r.conn.status & g.status_asked) << 16 | <uint64_t>from_if << 32


cdef inline uint32_t path_connmark(const program_t* g, const ct_t* ct, const conn_t* c) noexcept nogil:
    """The mark of a connection, as far as somebody looks at it."""
    return connmark(ct, c) if g.connmark_asked else 0


cdef inline uint64_t path_marks(const program_t* g, const ct_t* ct, const conn_t* c, uint32_t mark) noexcept nogil:
    """The marks of connection and packet, as far as somebody looks at them."""
    return <uint64_t>path_connmark(g, ct, c) << 32 | mark


cdef inline path_t* memory_path(program_t* g, const ct_t* ct, const packet_t* p, const ct_result_t* r, uint32_t mark,
                                uint16_t from_if) noexcept nogil:
    """The path that a packet of PACKET_TRACK takes, if that is known; NULL otherwise."""
    cdef path_t* path
    cdef uint32_t at
    if cython.unlikely(r.conn == NULL):
        return NULL
    at = r.conn.memo - g.memory.base
    if cython.unlikely(at >= g.memory.n_memos):
        return NULL
    path = &g.memory.paths[g.memory.memos[at].path[r.direction]]         # that of NO_PATH never holds
    if cython.likely(path.klass == path_class(g, r, from_if) and path.flags_kept >> (p.flags & 63) & 1
                     and path.marks == path_marks(g, ct, r.conn, mark)
                     and time_to_live(p) > path.forwarded):
        return path
    return NULL
