"""Conditions that keep state of their own: limits, quotas, every nth packet; and chance."""
from libc.stdint cimport uint32_t, uint64_t

from fastct.rules.compiled cimport LIVES_PACKET, condition, counters_t, op_t, random_u32, run_t

cdef enum:
    CREDIT_NS = 31250        # limit: 32000 credits come in per second, whatever the kernel's ticks are

CREDITS_PER_S = 1000000000 // CREDIT_NS

cdef struct limit_t:
    uint64_t last            # packet time in units of CREDIT_NS, 0: no packet yet
    uint32_t credit

cdef struct quota_t:
    uint64_t spent


cdef bint limit_test(const op_t* op, run_t* run) noexcept nogil:
    """a: credits that a packet costs, most credits. They are 32 bits, and so is what comes in at a time."""
    cdef limit_t* limit = <limit_t*>op.state
    cdef uint64_t now = run.ct.now // <uint64_t>CREDIT_NS
    if limit.last == 0:
        limit.credit = <uint32_t>op.a[1]
    else:
        limit.credit += <uint32_t>(now - limit.last)
        if limit.credit > op.a[1]:
            limit.credit = <uint32_t>op.a[1]
    limit.last = now
    if limit.credit < op.a[0]:
        return False
    limit.credit -= <uint32_t>op.a[0]
    return True


cdef bint quota_test(const op_t* op, run_t* run) noexcept nogil:
    """a: bytes. The first packet that is too large for the rest ends it for all."""
    cdef quota_t* q = <quota_t*>op.state
    if op.a[0] - q.spent < run.p.len:
        q.spent = op.a[0]
        return False
    q.spent += run.p.len
    return True


cdef bint nth_test(const op_t* op, run_t* run) noexcept nogil:
    """a: of how many packets one, and which"""
    cdef uint64_t* at = <uint64_t*>op.state
    cdef bint is_it = at[0] == op.a[1]
    at[0] = at[0] + 1 if at[0] + 1 < op.a[0] else 0
    return is_it


cdef bint random_test(const op_t* op, run_t* run) noexcept nogil:
    """a: probability in parts of 2^31"""
    return random_u32(run.program) >> 1 < op.a[0]


cdef bint nfacct_test(const op_t* op, run_t* run) noexcept nogil:
    """Counts; its state is known by the object's name."""
    cdef counters_t* counters = <counters_t*>op.state
    counters.packets += 1
    counters.bytes += run.p.len
    return True


OPS = {
    "limit": condition(limit_test, LIVES_PACKET, sizeof(limit_t)),
    "quota": condition(quota_test, LIVES_PACKET, sizeof(quota_t)),
    "nth": condition(nth_test, LIVES_PACKET, sizeof(uint64_t)),
    "random": condition(random_test, LIVES_PACKET),
    "nfacct": condition(nfacct_test, LIVES_PACKET, sizeof(counters_t)),
}
