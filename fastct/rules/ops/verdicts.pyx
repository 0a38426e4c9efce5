"""Effects that decide what becomes of a packet, answer it, or send a copy of it."""
from libc.stdint cimport uint8_t

from fastct.rules.answers cimport answer_error, answer_reset, send_copy
from fastct.rules.compiled cimport (
    LIVES_PACKET,
    RULE_ACCEPT,
    RULE_CONTINUE,
    RULE_DROP,
    RULE_QUEUE,
    RULE_REJECT,
    RULE_STOLEN,
    effect,
    op_t,
    rule_verdict,
    run_t,
)
from fastct.rules.route cimport address_t
from fastct.wire.packet cimport SUM_BAD, TH_ACK, TH_FIN, TH_RST, TH_SYN, packet_t

cdef enum:
    TCP_HEADER = 20


cdef rule_verdict reject_work(const op_t* op, run_t* run) noexcept nogil:
    """a: type and code of an ICMP error"""
    answer_error(run, <uint8_t>op.a[0], <uint8_t>op.a[1], True)
    return RULE_REJECT


cdef rule_verdict reset_work(const op_t* op, run_t* run) noexcept nogil:
    answer_reset(run)
    return RULE_REJECT


cdef rule_verdict accept_work(const op_t* op, run_t* run) noexcept nogil:
    return RULE_ACCEPT


cdef rule_verdict drop_work(const op_t* op, run_t* run) noexcept nogil:
    return RULE_DROP


cdef rule_verdict bypass_work(const op_t* op, run_t* run) noexcept nogil:
    run.bypassed = True
    return RULE_ACCEPT


cdef rule_verdict queue_work(const op_t* op, run_t* run) noexcept nogil:
    return RULE_QUEUE


cdef rule_verdict tee_work(const op_t* op, run_t* run) noexcept nogil:
    """a: the gateway (high, low)"""
    cdef address_t gateway
    gateway.hi, gateway.lo = op.a[0], op.a[1]
    send_copy(run, &gateway)
    return RULE_CONTINUE


cdef rule_verdict synproxy_work(const op_t* op, run_t* run) noexcept nogil:
    """What a SYN asks is answered for the host it is for, and an ACK tells whether it answers that: nobody knows the
    secret here, so that none does."""
    cdef const packet_t* p = run.p
    cdef const uint8_t* th = p.data + p.l4_off
    cdef uint8_t flags
    if p.sum == SUM_BAD or p.l4_off + TCP_HEADER > p.cap_len or p.l4_off + (th[12] >> 4) * 4 > p.len:
        return RULE_DROP
    flags = th[13] & (TH_SYN | TH_ACK | TH_FIN | TH_RST)
    if flags == TH_SYN:
        return RULE_STOLEN
    return RULE_DROP if flags == TH_ACK else RULE_CONTINUE


OPS = {
    "reject": effect(reject_work, LIVES_PACKET),
    "reset": effect(reset_work, LIVES_PACKET),
    "accept": effect(accept_work),
    "drop": effect(drop_work),
    "bypass": effect(bypass_work),
    "queue": effect(queue_work),
    "synproxy": effect(synproxy_work, LIVES_PACKET),
    "tee": effect(tee_work, LIVES_PACKET),
}
