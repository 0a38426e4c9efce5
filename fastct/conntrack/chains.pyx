"""Hash chains; see ``chains.pxd``."""
from libc.stdint cimport uint64_t
from libc.stdlib cimport calloc, free

cdef enum:
    CHAINS_LEAST = 1024


cdef int chains_resize(chains_t* c, uint64_t wanted) except -1:
    """Have at least so many chains, and the nodes in them. => ``c`` is zeroed at first."""
    cdef chains_t made
    cdef link_t* link
    cdef link_t* following
    cdef uint64_t i
    made.mask = CHAINS_LEAST - 1
    while made.mask + 1 < wanted:
        made.mask = made.mask * 2 + 1
    if c.heads != NULL and made.mask == c.mask:
        return 0
    made.heads = <link_t**>calloc(made.mask + 1, sizeof(link_t*))
    if made.heads == NULL:
        raise MemoryError
    for i in range(c.mask + 1 if c.heads != NULL else 0):
        link = c.heads[i]
        while link != NULL:
            following = link.next
            chains_add(&made, link, link.hash)
            link = following
    free(c.heads)
    c[0] = made
    return 0


cdef void chains_free(chains_t* c) noexcept:
    """=> The nodes are their owner's."""
    free(c.heads)
    c.heads = NULL


cdef void chains_remove(chains_t* c, link_t* link) noexcept nogil:
    cdef link_t** at = &c.heads[link.hash & c.mask]
    while at[0] != link:
        at = &at[0].next
    at[0] = link.next
