"""The slab of what few connections have; the record is in ``extra.pxd``."""
from libc.stdint cimport uint32_t, uint64_t
from libc.string cimport memset

from fastct.conntrack.arena cimport arena_free, arena_grow, arena_init
from fastct.conntrack.conn cimport conn_t


cdef int extras_init(extras_t* e, uint64_t most) except -1:
    """Room for ``most`` of them: address space, no memory yet."""
    if arena_init(&e.mem, (most + 1) * sizeof(extra_t), 0, NULL):
        raise MemoryError("no address space for marks and helpers")
    e.items = <extra_t*>e.mem.base
    e.used = 1
    return 0


cdef void extras_free(extras_t* e) noexcept:
    arena_free(&e.mem)


cdef extra_t* extras_of(extras_t* e, conn_t* c) noexcept nogil:
    """The extra of a connection, a fresh one if it has none; NULL when there is no more memory."""
    cdef uint32_t index = c.extra
    if index != NO_EXTRA:
        return &e.items[index]
    index = e.free
    if index != NO_EXTRA:
        e.free = e.items[index].free
    else:
        if arena_grow(&e.mem, (e.used + <size_t>1) * sizeof(extra_t)):
            return NULL
        index = e.used
        e.used += 1
    memset(&e.items[index], 0, sizeof(extra_t))
    c.extra = index
    return &e.items[index]


cdef void extras_release(extras_t* e, conn_t* c) noexcept nogil:
    """Forget the extra of a connection that has one."""
    e.items[c.extra].free = e.free
    e.free = c.extra
    c.extra = NO_EXTRA
