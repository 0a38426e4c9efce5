"""Interned paths and pairs of them: two hash tables that only grow, until all of it is forgotten at once."""
from libc.stdint cimport uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcmp, memset

from fastct.conntrack.conn cimport conn_t
from fastct.conntrack.core cimport ct_t
from fastct.rules.compiled cimport (
    MEMOS_MAX,
    NO_PATH,
    PATHS_MAX,
    counters_t,
    memo_t,
    memory_t,
    path_t,
    place_t,
    run_t,
    tail_t,
)

cdef int memory_init(memory_t* m) except -1:
    """=> ``m.base`` is to be set: beyond all memos that connections may still have."""
    m.paths = <path_t*>calloc(PATHS_MAX, sizeof(path_t))
    m.tails = <tail_t*>calloc(PATHS_MAX, sizeof(tail_t))
    m.memos = <memo_t*>calloc(MEMOS_MAX, sizeof(memo_t))
    m.path_index = <uint32_t*>calloc(2 * PATHS_MAX, sizeof(uint32_t))
    m.memo_index = <uint32_t*>calloc(2 * MEMOS_MAX, sizeof(uint32_t))
    if m.paths == NULL or m.tails == NULL or m.memos == NULL or m.path_index == NULL or m.memo_index == NULL:
        memory_free(m)
        raise MemoryError
    m.n_paths = m.n_memos = 1
    m.paths_max, m.memos_max = PATHS_MAX, MEMOS_MAX
    m.base = 1
    return 0


cdef void memory_free(memory_t* m) noexcept:
    free(m.paths)
    free(m.tails)
    free(m.memos)
    free(m.path_index)
    free(m.memo_index)
    memset(m, 0, sizeof(memory_t))


cdef void memory_fold(memory_t* m, counters_t* counters) noexcept nogil:
    """Add to the counters of rules and policies what paths have counted for them."""
    cdef uint32_t i, k
    cdef path_t* path
    cdef const tail_t* tail
    for i in range(1, m.n_paths):
        path = &m.paths[i]
        if not path.packets:
            continue
        tail = &m.tails[i]
        for k in range(path.trailed):
            counters[tail.trail[k]].packets += path.packets
            counters[tail.trail[k]].bytes += path.bytes
        path.packets = path.bytes = 0


cdef void memory_forget_all(ct_t* ct) noexcept nogil:
    """Have no connection remember anything: numbers may be used again after that."""
    cdef uint32_t slot
    for slot in range(ct.table.slots_used):
        ct.table.conns[slot].memo = 0


cdef void memory_forget(memory_t* m, counters_t* counters) noexcept nogil:
    """Forget all paths; what they have counted is added to the counters."""
    memory_fold(m, counters)
    m.base += m.n_memos
    m.n_paths = m.n_memos = 1
    memset(m.path_index, 0, 2 * m.paths_max * sizeof(uint32_t))
    memset(m.memo_index, 0, 2 * m.memos_max * sizeof(uint32_t))


cdef inline uint64_t mixed(uint64_t h, uint64_t word) noexcept nogil:
    h = (h ^ word) * <uint64_t>0x9E3779B97F4A7C15
    return h ^ h >> 29


cdef uint64_t path_hash(const path_t* path, const tail_t* tail) noexcept nogil:
    cdef uint64_t h = mixed(path.klass, path.flags_kept)
    cdef uint32_t i
    h = mixed(h, path.marks ^ path.mark)
    h = mixed(h, <uint64_t>path.decided << 32 | path.connmark_after)
    for i in range(path.trailed):
        h = mixed(h, tail.trail[i])
    return mixed(h, <uint64_t>tail.at.chain << 32 | tail.at.next)


cdef bint same_tail(const path_t* path, const tail_t* a, const tail_t* b) noexcept nogil:
    return (memcmp(a.trail, b.trail, path.trailed * sizeof(uint32_t)) == 0 and a.way == b.way and a.step == b.step
            and a.at.chain == b.at.chain and a.at.next == b.at.next and a.depth == b.depth
            and memcmp(a.callers, b.callers, a.depth * sizeof(place_t)) == 0)


cdef bint same_path(const path_t* a, const path_t* b) noexcept nogil:
    return (a.klass == b.klass and a.flags_kept == b.flags_kept and a.marks == b.marks
            and a.connmark_after == b.connmark_after and a.mark == b.mark and a.decided == b.decided
            and a.verdict == b.verdict and a.forwarded == b.forwarded and a.trailed == b.trailed)


cdef uint32_t path_number(memory_t* m, const path_t* path, const tail_t* tail) noexcept nogil:
    """The number of a path, which becomes known by that. NO_PATH: the memory is full."""
    cdef uint32_t slot = path_hash(path, tail) & (2 * m.paths_max - 1)
    cdef uint32_t at = m.path_index[slot]
    while at:
        if same_path(&m.paths[at], path) and same_tail(path, &m.tails[at], tail):
            return at
        slot = (slot + 1) & (2 * m.paths_max - 1)
        at = m.path_index[slot]
    if m.n_paths == m.paths_max:
        return NO_PATH
    at = m.path_index[slot] = m.n_paths
    m.n_paths += 1
    m.paths[at] = path[0]
    m.paths[at].packets = m.paths[at].bytes = 0
    m.paths[at].tail = at
    m.tails[at] = tail[0]
    return at


cdef uint32_t memo_number(memory_t* m, const memo_t* memo) noexcept nogil:
    """The same for a pair of paths."""
    cdef uint32_t slot = mixed(memo.path[0], memo.path[1]) & (2 * m.memos_max - 1)
    cdef uint32_t at = m.memo_index[slot]
    while at:
        if m.memos[at].path[0] == memo.path[0] and m.memos[at].path[1] == memo.path[1]:
            return at
        slot = (slot + 1) & (2 * m.memos_max - 1)
        at = m.memo_index[slot]
    if m.n_memos == m.memos_max:
        return NO_PATH
    at = m.memo_index[slot] = m.n_memos
    m.n_memos += 1
    m.memos[at] = memo[0]
    return at


cdef bint keep(memory_t* m, const run_t* run, conn_t* c, int direction) noexcept nogil:
    """Remember for a connection the path that ``run`` has recorded; False if there is no room for it."""
    cdef uint32_t at = c.memo - m.base
    cdef memo_t memo
    cdef uint32_t path = path_number(m, &run.path, &run.tail)
    if path == NO_PATH:
        return False
    memset(&memo, 0, sizeof(memo_t))
    if at < m.n_memos:
        memo = m.memos[at]
    memo.path[direction] = path
    at = memo_number(m, &memo)
    if at == NO_PATH:
        return False
    c.memo = m.base + at
    return True


cdef void memory_keep(run_t* run, conn_t* c, int direction) noexcept nogil:
    """Remember for a connection the path that ``run`` has recorded, or, when the memory is full, forget all paths."""
    cdef memory_t* m = &run.program.memory
    if not m.paths_max or keep(m, run, c, direction):
        return
    memory_forget(m, run.program.counters)
    m.forgotten += 1
    if m.base > MEMO_BASE_MAX:
        memory_forget_all(run.ct)
        m.base = 1
