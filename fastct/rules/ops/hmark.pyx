"""The effect that makes a mark of a hash of addresses, protocol and ports, so that both directions get the same."""
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memset

from fastct.conntrack.core cimport CT_STATE_NEW
from fastct.rules.compiled cimport LIVES_PACKET, RULE_CONTINUE, effect, op_t, rule_verdict, run_t
from fastct.rules.entry cimport entry_id, slot_address
from fastct.rules.jhash cimport jhash_3words
from fastct.rules.ops.reach cimport ip6_find
from fastct.rules.route cimport address_t, packet_address
from fastct.wire.bytes cimport load_be16, load_be32
from fastct.wire.ip cimport IPV6_AUTH, IPV6_FRAGMENT
from fastct.wire.packet cimport (
    PROTO_DCCP,
    PROTO_ICMP,
    PROTO_ICMPV6,
    PROTO_SCTP,
    PROTO_TCP,
    PROTO_UDP,
    PROTO_UDPLITE,
    packet_t,
)

cdef enum:
    PROTO_ESP = 50
    PROTO_AH = 51
    AH_SPI = 4               # where it is in the header
    ICMP_HEADER = 8
    IPV4_HEADER = 20
    IPV6_HEADER = 40
    ICMP_ERRORS = 1 << 3 | 1 << 4 | 1 << 5 | 1 << 11 | 1 << 12

cdef struct hashed_t:
    uint32_t source
    uint32_t destination
    uint32_t ports
    uint8_t protocol


cdef uint32_t folded(const address_t* address, uint8_t family, uint64_t bits) noexcept nogil:
    """The first bits of an address; those of IPv6 as one word."""
    cdef uint64_t hi = address.hi, lo = address.lo
    if family == 4:
        return <uint32_t>(lo >> (32 - bits) << (32 - bits)) if bits else 0
    hi = hi >> (64 - bits) << (64 - bits) if 0 < bits < 64 else hi if bits else 0
    lo = lo >> (128 - bits) << (128 - bits) if 64 < bits < 128 else lo if bits > 64 else 0
    return <uint32_t>(hi >> 32 ^ hi ^ lo >> 32 ^ lo)


cdef inline uint32_t sorted_ports(const op_t* op, uint32_t ports) noexcept nogil:
    """What counts of two ports, the higher one first."""
    cdef uint32_t kept = ports & <uint32_t>(op.a[1] >> 32) | <uint32_t>op.a[1]
    return kept << 16 | kept >> 16 if kept & 0xFFFF > kept >> 16 else kept


cdef void of_connection(const op_t* op, const run_t* run, hashed_t* h) noexcept nogil:
    """=> The packet has a connection."""
    cdef uint8_t family = run.p.ip_version
    cdef address_t address
    slot_address(run.ct, run.r.slot, family, 0, False, &address)
    h.source = folded(&address, family, op.a[0] & 0xFF)
    slot_address(run.ct, run.r.slot, family, 0, True, &address)
    h.destination = folded(&address, family, op.a[0] >> 8 & 0xFF)
    h.protocol = run.r.conn.key.l4proto
    if h.protocol != PROTO_ICMP:
        h.ports = sorted_ports(op, <uint32_t>entry_id(run.r.conn, family, 0, False) << 16
                               | entry_id(run.r.conn, family, 1, False))


cdef int transport_of(const packet_t* p, uint32_t* at, uint32_t* fragment) noexcept nogil:
    """The protocol of a packet, and where its header is; below 0 if there is none."""
    cdef uint32_t there = 0, offset = 0
    cdef int protocol
    if p.ip_version == 4:
        at[0], fragment[0] = (p.data[0] & 15) * 4, load_be16(p.data + 6) & 0x3FFF
        return p.data[9]
    protocol = ip6_find(p, IPV6_AUTH, at, fragment)
    if protocol != IPV6_AUTH:
        protocol = ip6_find(p, -1, at, fragment)
    fragment[0] |= ip6_find(p, IPV6_FRAGMENT, &there, &offset) == IPV6_FRAGMENT
    return protocol


cdef inline bint is_error(const packet_t* p, int protocol, uint32_t at) noexcept nogil:
    """Whether the packet quotes another, which counts instead."""
    if protocol != (PROTO_ICMP if p.ip_version == 4 else PROTO_ICMPV6) or at + ICMP_HEADER > p.cap_len:
        return False
    return (p.data[at] < 32 and <uint32_t>ICMP_ERRORS >> p.data[at] & 1) if p.ip_version == 4 else 0 < p.data[at] < 128


cdef inline bint has_ports(int protocol) noexcept nogil:
    """Whether a header begins with ports, or an SPI."""
    return protocol in (PROTO_TCP, PROTO_UDP, PROTO_DCCP, PROTO_ESP, PROTO_AH, PROTO_SCTP, PROTO_UDPLITE)


cdef bint of_packet(const op_t* op, const run_t* run, hashed_t* h) noexcept nogil:
    """False if nothing can be said of it."""
    cdef packet_t inner
    cdef const packet_t* p = run.p
    cdef address_t address
    cdef uint32_t at = 0, fragment = 0
    cdef int protocol = transport_of(p, &at, &fragment)
    if protocol < 0:
        return True
    if is_error(p, protocol, at):
        at += ICMP_HEADER
        if at + (IPV4_HEADER if p.ip_version == 4 else IPV6_HEADER) > p.cap_len:
            return False
        memset(&inner, 0, sizeof(packet_t))
        inner.data, inner.ip_version, inner.cap_len, inner.len = p.data + at, p.ip_version, p.cap_len - at, p.len - at
        p = &inner
        protocol = transport_of(p, &at, &fragment)
        if protocol < 0:
            return False
    packet_address(p, False, &address)
    h.source = folded(&address, p.ip_version, op.a[0] & 0xFF)
    packet_address(p, True, &address)
    h.destination = folded(&address, p.ip_version, op.a[0] >> 8 & 0xFF)
    h.protocol = <uint8_t>protocol
    at += AH_SPI if protocol == PROTO_AH else 0
    if not fragment and has_ports(protocol) and at + 4 <= p.cap_len:
        h.ports = sorted_ports(op, load_be32(p.data + at))
    return True


cdef rule_verdict hmark_work(const op_t* op, run_t* run) noexcept nogil:
    """a: bits of the source and of the destination, 8 each, then whether it is the connection's tuple, and in the upper
    half the mask of the protocol; mask of the ports (or the SPI) and what they are given; seed; modulus and offset"""
    cdef hashed_t h
    cdef uint32_t low, high
    memset(&h, 0, sizeof(h))
    if op.a[0] >> 16 & 1:
        if run.r.conn != NULL:
            of_connection(op, run, &h)
        elif run.r.state != CT_STATE_NEW:        # which a template makes it: that has a tuple of zeros
            return RULE_CONTINUE
    elif not of_packet(op, run, &h):
        return RULE_CONTINUE
    low, high = h.source, h.destination
    if high < low:
        low, high = high, low
    low = jhash_3words(low, high, h.ports, <uint32_t>op.a[2]) ^ (h.protocol & <uint32_t>(op.a[0] >> 32))
    run.mark = <uint32_t>(low * (op.a[3] >> 32) >> 32) + <uint32_t>op.a[3]
    return RULE_CONTINUE


OPS = {
    "hmark": effect(hmark_work, LIVES_PACKET),
}
