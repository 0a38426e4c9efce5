"""Conditions on the transport header."""
from libc.stdint cimport uint8_t, uint16_t, uint32_t

from fastct.rules.compiled cimport LIVES_FLAGS, LIVES_PACKET, condition, op_t, run_t
from fastct.wire.bytes cimport load_be16
from fastct.wire.packet cimport packet_t


cdef inline bint has(run_t* run, uint32_t size) noexcept nogil:
    """Whether the transport header has its first ``size`` bytes. A packet too short for them is dropped (hotdrop); one
    that the capture cut does not match."""
    cdef const packet_t* p = run.p
    if p.l4_off + size <= p.cap_len:
        return True
    run.hotdrop |= p.l4_off + size > p.len
    return False


cdef bint sport_test(const op_t* op, run_t* run) noexcept nogil:
    """a: lowest, highest"""
    cdef uint16_t port
    if not has(run, 4):
        return op.invert                 # no match either way
    port = load_be16(run.p.data + run.p.l4_off)
    return op.a[0] <= port <= op.a[1]


cdef bint dport_test(const op_t* op, run_t* run) noexcept nogil:
    """a: lowest, highest"""
    cdef uint16_t port
    if not has(run, 4):
        return op.invert
    port = load_be16(run.p.data + run.p.l4_off + 2)
    return op.a[0] <= port <= op.a[1]


cdef bint tcp_flags_test(const op_t* op, run_t* run) noexcept nogil:
    """a: mask, compared, the flags with which it holds bit by bit"""
    if not has(run, 20):
        return op.invert
    return (run.p.data[run.p.l4_off + 13] & op.a[0]) == op.a[1]


cdef bint header_test(const op_t* op, run_t* run) noexcept nogil:
    """a: bytes that there must be"""
    return has(run, <uint32_t>op.a[0])


cdef bint tcp_option_test(const op_t* op, run_t* run) noexcept nogil:
    """a: kind"""
    cdef const packet_t* p = run.p
    cdef uint32_t at = p.l4_off + 20, end
    if not has(run, 20):
        return op.invert
    end = p.l4_off + (p.data[p.l4_off + 12] >> 4) * 4
    if end < at or end > p.cap_len:
        run.hotdrop |= end < at or end > p.len
        return op.invert
    while at < end:
        if p.data[at] == op.a[0]:
            return True
        if p.data[at] < 2 or at + 1 >= end or p.data[at + 1] == 0:
            at += 1
        else:
            at += p.data[at + 1]
    return False


OPS = {
    "sport": condition(sport_test),
    "dport": condition(dport_test),
    "tcp_flags": condition(tcp_flags_test, LIVES_FLAGS),
    "tcp_option": condition(tcp_option_test, LIVES_PACKET, 0, True),
    "header": condition(header_test),
}
