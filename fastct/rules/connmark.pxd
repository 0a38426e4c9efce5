"""The mark of a connection, which few have."""
from libc.stdint cimport uint32_t

from fastct.conntrack.conn cimport conn_t
from fastct.conntrack.extra cimport NO_EXTRA, extra_t, extras_of
from fastct.rules.program cimport run_t


cdef inline uint32_t connmark(const run_t* run) noexcept nogil:
    """The mark of the packet's connection; 0 without one."""
    cdef const conn_t* c = run.r.conn
    return run.ct.extras.items[c.extra].mark if c != NULL and c.extra != NO_EXTRA else 0


cdef inline void connmark_set(run_t* run, uint32_t mark) noexcept nogil:
    """Give the packet's connection a mark, if it has a connection."""
    cdef extra_t* x
    if run.r.conn == NULL or mark == connmark(run):
        return
    x = extras_of(&run.ct.extras, run.r.conn)
    if x != NULL:
        x.mark = mark
