"""Estimators of rates: the effect that feeds them, and the condition on what they say.

The kernel's estimator looks at its counters every 250 ms << n, from the rule's making on; this one does so in packet
time, from its first packet on, and catches up when it is asked.
"""
from libc.stdint cimport uint32_t, uint64_t

from fastct.rules.compiled cimport LIVES_PACKET, RULE_CONTINUE, State, condition, effect, op_t, rule_verdict, run_t

cdef enum:
    QUARTER_NS = 250000000
    FRACTION_BITS = 8
    LESS = 0
    GREATER = 1
    EQUAL = 2
    RELATION = 3
    ASKS_BYTES = 4
    ASKS_PACKETS = 8
    DELTA = 16
    COMPARED = 32            # with a second estimator

RELATION_NUMBERS = {"lt": LESS, "gt": GREATER, "eq": EQUAL}
FLAGS = {"bps": ASKS_BYTES, "pps": ASKS_PACKETS, "delta": DELTA, "name2": COMPARED}

cdef struct average_t:
    uint64_t total
    uint64_t before          # at the last look
    uint64_t rate            # per second, with FRACTION_BITS

cdef struct estimator_t:
    average_t bytes
    average_t packets
    uint64_t next            # look, ns; 0: no packet yet
    uint32_t interval_log
    uint32_t ewma_log


cdef class Estimator(State):
    """An estimator by its name; a rule that compares it may come before the one that feeds it."""
    cdef estimator_t e

    def __cinit__(self):
        self.at = &self.e

    def measure(self, int interval_log, int ewma_log):
        """Look every 250 ms << ``interval_log``; the newest weighs 1 / 2^``ewma_log``. The first who says so counts."""
        if not self.e.ewma_log:
            self.e.interval_log, self.e.ewma_log = interval_log, ewma_log


cdef struct compared_t:
    estimator_t* one
    estimator_t* other       # the same where a rule names no second


cdef class Comparison(State):
    """The estimators that a rule compares."""
    cdef compared_t c
    cdef tuple _estimators

    def __cinit__(self, Estimator one, Estimator other):
        self._estimators = one, other
        self.c.one, self.c.other = &one.e, &other.e
        self.at = &self.c


cdef inline void look(average_t* a, uint32_t interval_log, uint32_t ewma_log) noexcept nogil:
    cdef uint64_t rate = (a.total - a.before) << (10 - interval_log)
    a.before = a.total
    a.rate += (rate >> ewma_log) - (a.rate >> ewma_log)


cdef void catch_up(estimator_t* e, uint64_t now) noexcept nogil:
    """All looks until now. Once nothing changes any more, the rest is skipped."""
    cdef uint64_t period = <uint64_t>QUARTER_NS << e.interval_log
    cdef uint64_t rates
    if e.next == 0:
        e.next = now + period
    while e.next <= now:
        rates = e.bytes.rate | e.packets.rate
        look(&e.bytes, e.interval_log, e.ewma_log)
        look(&e.packets, e.interval_log, e.ewma_log)
        e.next += period
        if not (rates | e.bytes.rate | e.packets.rate) >> e.ewma_log and e.next <= now:
            e.next += (now - e.next) // period * period + period


cdef rule_verdict rateest_work(const op_t* op, run_t* run) noexcept nogil:
    cdef estimator_t* e = <estimator_t*>op.state
    catch_up(e, run.ct.now)
    e.bytes.total += run.p.len
    e.packets.total += 1
    return RULE_CONTINUE


cdef inline uint32_t value(const average_t* a, bint delta, uint64_t given) noexcept nogil:
    cdef uint64_t rate = a.rate >> FRACTION_BITS
    if delta:
        return <uint32_t>(given - rate) if given >= rate else 0
    return <uint32_t>rate


cdef inline bint related(int relation, uint32_t one, uint32_t other) noexcept nogil:
    if relation == LESS:
        return one < other
    return one > other if relation == GREATER else one == other


cdef bint rateest_test(const op_t* op, run_t* run) noexcept nogil:
    """a: RELATION and flags; the first and second of bytes per second, as halves; the same of packets"""
    cdef estimator_t* e = (<compared_t*>op.state).one
    cdef estimator_t* other = (<compared_t*>op.state).other
    cdef bint delta = op.a[0] & DELTA != 0
    cdef bint answer = True
    cdef uint32_t compared
    catch_up(e, run.ct.now)
    catch_up(other, run.ct.now)
    if op.a[0] & ASKS_BYTES:
        compared = <uint32_t>op.a[1]
        if op.a[0] & COMPARED:
            compared = value(&other.bytes, delta, compared)
        answer &= related(op.a[0] & RELATION, value(&e.bytes, delta, op.a[1] >> 32), compared)
    if op.a[0] & ASKS_PACKETS:
        compared = <uint32_t>op.a[2]
        if op.a[0] & COMPARED:
            compared = value(&other.packets, delta, compared)
        answer &= related(op.a[0] & RELATION, value(&e.packets, delta, op.a[2] >> 32), compared)
    return answer


OPS = {
    "rateest": condition(rateest_test, LIVES_PACKET),
    "feed_rateest": effect(rateest_work, LIVES_PACKET),
}
