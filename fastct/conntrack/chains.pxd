"""A hash table of what its owner allocates: a node begins with ``link_t``.

For tables of thousands that are asked rarely; connections have ``table``. It is as large as its owner says and
resized only by it.
"""
from libc.stdint cimport uint64_t

cdef struct link_t:
    link_t* next
    uint64_t hash

cdef struct chains_t:
    link_t** heads
    uint64_t mask          # number of chains - 1

cdef int chains_resize(chains_t* c, uint64_t wanted) except -1
cdef void chains_free(chains_t* c) noexcept
cdef void chains_remove(chains_t* c, link_t* link) noexcept nogil


cdef inline link_t* chains_first(const chains_t* c, uint64_t hash) noexcept nogil:
    """The first node that may have this hash; the others follow by ``next``."""
    return c.heads[hash & c.mask]


cdef inline void chains_add(chains_t* c, link_t* link, uint64_t hash) noexcept nogil:
    link.hash = hash
    link.next = c.heads[hash & c.mask]
    c.heads[hash & c.mask] = link
