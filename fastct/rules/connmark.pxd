"""The mark of a connection, which few have."""
from libc.stdint cimport uint32_t

from fastct.conntrack.conn cimport conn_t
from fastct.conntrack.core cimport ct_t
from fastct.conntrack.extra cimport NO_EXTRA, extra_t, extras_of


cdef inline uint32_t connmark(const ct_t* ct, const conn_t* c) noexcept nogil:
    """The mark of a connection; 0 without one."""
    return ct.extras.items[c.extra].mark if c != NULL and c.extra != NO_EXTRA else 0


cdef inline void connmark_set(ct_t* ct, conn_t* c, uint32_t mark) noexcept nogil:
    """Give a connection a mark, if there is one."""
    cdef extra_t* x
    if c == NULL or mark == connmark(ct, c):
        return
    x = extras_of(&ct.extras, c)
    if x != NULL:
        x.mark = mark
