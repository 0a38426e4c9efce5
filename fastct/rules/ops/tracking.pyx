"""Marks of packets and of connections."""
from libc.stdint cimport uint32_t

from fastct.rules.connmark cimport connmark, connmark_set
from fastct.rules.compiled cimport RULE_CONTINUE, condition, effect, op_t, rule_verdict, run_t


cdef bint mark_test(const op_t* op, run_t* run) noexcept nogil:
    """a: value, mask"""
    return (run.mark & op.a[1]) == op.a[0]


cdef bint connmark_test(const op_t* op, run_t* run) noexcept nogil:
    """a: value, mask"""
    if run.r.conn == NULL:
        return op.invert                 # no match either way
    return (connmark(run.ct, run.r.conn) & op.a[1]) == op.a[0]


cdef rule_verdict mark_work(const op_t* op, run_t* run) noexcept nogil:
    """a: value, mask"""
    run.mark = <uint32_t>((run.mark & ~op.a[1]) ^ op.a[0])
    return RULE_CONTINUE


cdef rule_verdict connmark_work(const op_t* op, run_t* run) noexcept nogil:
    """a: value, mask"""
    connmark_set(run.ct, run.r.conn, <uint32_t>((connmark(run.ct, run.r.conn) & ~op.a[1]) ^ op.a[0]))
    return RULE_CONTINUE


OPS = {
    "mark": condition(mark_test),
    "connmark": condition(connmark_test),
    "set_mark": effect(mark_work),
    "set_connmark": effect(connmark_work),
}
