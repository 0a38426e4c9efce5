"""Conditions that keep state: limits, quotas, every nth packet."""
from libc.stdint cimport uint64_t

from fastct.rules.compiled cimport LIVES_PACKET, condition, op_t, run_t

cdef struct limit_t:
    uint64_t credit          # ns
    uint64_t last_ns


cdef bint limit_test(const op_t* op, run_t* run) noexcept nogil:
    """a: ns that a packet costs, most credit"""
    cdef limit_t* l = <limit_t*>op.state
    cdef uint64_t now = run.ct.now
    if l.last_ns == 0:
        l.credit = op.a[1]
    else:
        l.credit += now - l.last_ns
        if l.credit > op.a[1]:
            l.credit = op.a[1]
    l.last_ns = now
    if l.credit < op.a[0]:
        return False
    l.credit -= op.a[0]
    return True


OPS = {
    "limit": condition(limit_test, LIVES_PACKET, sizeof(limit_t)),
}
