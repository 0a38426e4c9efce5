"""Building what the host itself says to a packet, byte for byte as Linux does.

What is built waits in ``run.sent`` until the packet's own way has ended; then it is a packet that goes out through the
tables. Its link header is the packet's, the other way round: nothing else tells who is at the end of the wire.
"""
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

from fastct.rules.compiled cimport HOOK_INPUT, HOOK_PREROUTING, run_t, sent_t, SENT_MAX
from fastct.rules.memory cimport time_to_live
from fastct.rules.rewrite cimport link_length, output_room, put_ttl_at, store_be16, store_be32, store_u16
from fastct.rules.route cimport (
    ROUTE_BROADCAST,
    ROUTE_LOCAL,
    ROUTE_MULTICAST,
    address_t,
    packet_address,
    route_find,
    route_t,
    routes_t,
)
from fastct.wire.bytes cimport load_be32, store_u64, sum_bytes, sum_fold, swap16, swap64
from fastct.wire.link cimport LINKTYPE_ETHERNET
from fastct.wire.packet cimport (
    PACKET_INVALID,
    PROTO_GRE,
    PROTO_ICMP,
    PROTO_ICMPV6,
    PROTO_SCTP,
    PROTO_TCP,
    PROTO_UDP,
    PROTO_UDPLITE,
    SUM_BAD,
    SUM_UNKNOWN,
    TH_ACK,
    TH_FIN,
    TH_RST,
    packet_t,
)

cdef enum:
    HOPS = 64                # TTL of what the host sends
    IP4_ERROR_MAX = 576      # bytes of an error
    IP6_ERROR_MAX = 1280
    PREC_INTERNETCONTROL = 0xC0
    TOS_KEPT = 0x1E
    DONT_FRAGMENT = 0x40
    ICMP_TYPES = 19
    PROTO_ESP = 50
    PROTO_AH = 51
    BITS = 256               # more than an address has


# ---- what may be answered

cdef inline bint to_one_host(run_t* run) noexcept nogil:
    """Whether the packet was for one host only, as far as link and IP addresses tell."""
    if run.destination.type == ROUTE_BROADCAST or run.destination.type == ROUTE_MULTICAST:
        return False
    return run.frame.linktype != LINKTYPE_ETHERNET or not run.frame.data[0] & 1


cdef bint is_error(const packet_t* p) noexcept nogil:
    """ICMP that Linux takes for no query, or of which that cannot be said: errors are never answered with one."""
    cdef uint32_t queries = 1 << 0 | 1 << 8 | 1 << 13 | 1 << 14 | 1 << 15 | 1 << 16 | 1 << 17 | 1 << 18
    cdef uint8_t type
    if p.l4proto != (PROTO_ICMP if p.ip_version == 4 else PROTO_ICMPV6):
        return False
    if p.l4_off + 1 > p.cap_len:
        return True
    type = p.data[p.l4_off]
    if p.ip_version == 6:
        return not type & 0x80
    return type >= ICMP_TYPES or not queries >> type & 1


cdef bint sum_passes(const packet_t* p) noexcept nogil:
    """Whether REJECT finds the packet intact. What the capture cut passes. (Linux takes the sum of a protocol that it
    does not know as if it were over all of it, over IPv6 with the pseudo-header.)"""
    cdef uint64_t sum = 0xFFFF if p.ip_version == 4 else 0       # of its IP header
    cdef bint has_ports = p.l4proto == PROTO_TCP or p.l4proto == PROTO_UDP
    if p.ip_version == 6 and p.l4_off >= p.len:
        return False
    if p.ip_version == 6 or has_ports:
        sum += pseudo_sum(p.data, p.l4proto, p.len - p.l4_off)
    if p.l4proto in (PROTO_AH, PROTO_ESP, PROTO_SCTP, PROTO_UDPLITE, PROTO_GRE):
        return True
    if has_ports or p.l4proto == (PROTO_ICMP if p.ip_version == 4 else PROTO_ICMPV6):
        if p.kind != PACKET_INVALID or p.sum != SUM_UNKNOWN:
            return p.sum != SUM_BAD
    if p.cap_len != p.len:
        return True
    return sum_fold(sum_bytes(p.data + p.l4_off, p.len - p.l4_off, sum)) == 0xFFFF


# ---- putting it together

cdef inline uint64_t pseudo_sum(const uint8_t* ip, uint8_t proto, uint32_t length) noexcept nogil:
    cdef uint64_t sum = swap16(<uint16_t>length) + <uint64_t>swap16(proto)
    return sum_bytes(ip + 12, 8, sum) if ip[0] >> 4 == 4 else sum_bytes(ip + 8, 32, sum)


cdef void transport_sum(const uint8_t* ip, uint8_t proto, const uint8_t* l4, uint32_t length,
                        uint8_t* at) noexcept nogil:
    """Put the checksum of a transport header and what follows, with the pseudo-header, where there are zeros."""
    store_u16(at, <uint16_t>~sum_fold(sum_bytes(l4, length, pseudo_sum(ip, proto, length))))


cdef uint8_t* begin_packet(run_t* run, uint32_t length, bint back) noexcept nogil:
    """Room for an IP packet behind a link header; NULL when it cannot be sent."""
    cdef sent_t* sent
    cdef uint8_t* room
    cdef uint32_t link = link_length(run.frame)
    if run.n_sent == SENT_MAX:
        run.output.lost += 1
        return NULL
    room = output_room(run.output, link + length)
    if room == NULL:
        return NULL
    sent = &run.sent[run.n_sent]
    run.n_sent += 1
    memset(sent, 0, sizeof(sent_t))
    memcpy(room, run.frame.data, link)
    if back and run.frame.linktype == LINKTYPE_ETHERNET:
        memcpy(room, run.frame.data + 6, 6)
        memcpy(room + 6, run.frame.data, 6)
    sent.frame = run.frame[0]
    sent.frame.data = room
    sent.frame.cap_len = sent.frame.wire_len = link + length
    sent.answers, sent.duplicate = back, run.duplicate
    return room + link


cdef void put_address(uint8_t* at, uint8_t family, const address_t* address) noexcept nogil:
    if family == 4:
        store_be32(at, <uint32_t>address.lo)
    else:
        store_u64(at, swap64(address.hi))
        store_u64(at + 8, swap64(address.lo))


cdef void own_address(run_t* run, address_t* address) noexcept nogil:
    """The address with which the host speaks to the packet's sender: the packet's destination if it is the host's; the
    sender's if it is the host itself; else that of the interface behind which the sender is, and there of the network
    nearest to the sender's; the packet's destination if none is known. Of equals Linux takes the oldest of IPv4, the
    newest of IPv6."""
    cdef const routes_t* r = run.routes
    cdef const route_t* row
    cdef const route_t* found = NULL
    cdef address_t sender
    cdef uint32_t i, fits, best = 0
    packet_address(run.p, True, address)
    if run.destination.type == ROUTE_LOCAL:
        return
    packet_address(run.p, False, &sender)
    if run.source.type == ROUTE_LOCAL:
        address[0] = sender
        return
    for i in range(r.n):
        row = &r.rows[i]
        if row.type != ROUTE_LOCAL or row.family != run.p.ip_version or is_loopback(row):
            continue
        fits = same_bits(&sender, &row.network, row) + (BITS if row.interface == run.source.interface else 0)
        if found == NULL or fits > best or fits == best and row.family == 6:
            found, best = row, fits
    if found != NULL:
        address[0] = found.network


cdef uint32_t same_bits(const address_t* a, const address_t* b, const route_t* row) noexcept nogil:
    """Bits with which two addresses begin, as far as the network of one of them goes."""
    cdef uint32_t n = 0
    cdef uint64_t hi = a.hi ^ b.hi, lo = a.lo ^ b.lo
    if row.family == 4:
        hi, lo = lo << 32, 0
    while n < row.near and not (hi if n < 64 else lo) >> (63 - n % 64) & 1:
        n += 1
    return n


cdef inline bint is_loopback(const route_t* row) noexcept nogil:
    return row.network.lo >> 24 == 127 if row.family == 4 else row.network.hi == 0


cdef uint8_t* put_ip(run_t* run, uint8_t* ip, uint32_t length, uint8_t proto, uint8_t tos, bint fixed,
                     const address_t* source) noexcept nogil:
    """An IP header towards the packet's sender; returns where the transport header goes.

    => ``fixed``: it is not to be fragmented, and needs no identification.
    """
    cdef address_t destination
    packet_address(run.p, False, &destination)
    memset(ip, 0, 20)
    if run.p.ip_version == 6:
        ip[0] = 0x60
        store_be16(ip + 4, length - 40)
        ip[6], ip[7] = proto, HOPS
        put_address(ip + 8, 6, source)
        put_address(ip + 24, 6, &destination)
        return ip + 40
    ip[0], ip[1] = 0x45, tos
    store_be16(ip + 2, length)
    if fixed:
        ip[6] = DONT_FRAGMENT
    else:
        store_be16(ip + 4, <uint16_t>run.number)
    ip[8], ip[9] = HOPS, proto
    put_address(ip + 12, 4, source)
    put_address(ip + 16, 4, &destination)
    store_u16(ip + 10, <uint16_t>~sum_fold(sum_bytes(ip, 20, 0)))
    return ip + 20


# ---- answers

cdef void answer_error(run_t* run, uint8_t type, uint8_t code, bint verified) noexcept nogil:
    """An ICMP error about the packet. ``verified``: only if the packet's checksum is right."""
    cdef const packet_t* p = run.p
    cdef uint32_t head = 28 if p.ip_version == 4 else 48
    cdef uint32_t quoted = (IP4_ERROR_MAX if p.ip_version == 4 else IP6_ERROR_MAX) - head
    cdef uint8_t* ip
    cdef uint8_t* icmp
    cdef address_t source
    if not to_one_host(run) or is_error(p) or verified and not sum_passes(p):
        return
    if p.cap_len < quoted:
        quoted = p.cap_len
    ip = begin_packet(run, head + quoted, True)
    if ip == NULL:
        return
    own_address(run, &source)
    icmp = put_ip(run, ip, head + quoted, PROTO_ICMP if p.ip_version == 4 else PROTO_ICMPV6,
                  p.data[1] & TOS_KEPT | PREC_INTERNETCONTROL, False, &source)
    memset(icmp, 0, 8)
    icmp[0], icmp[1] = type, code
    memcpy(icmp + 8, p.data, quoted)
    if run.ttl != time_to_live(p):
        put_ttl_at(icmp + 8, run.ttl)
    if p.ip_version == 4:
        store_u16(icmp + 2, <uint16_t>~sum_fold(sum_bytes(icmp, 8 + quoted, 0)))
    else:
        transport_sum(ip, PROTO_ICMPV6, icmp, 8 + quoted, icmp + 2)


cdef void answer_expired(run_t* run) noexcept nogil:
    """The packet has come as far as its TTL allows."""
    if run.p.ip_version == 4:
        answer_error(run, ICMP_TIME_EXCEEDED, 0, False)
    else:
        answer_error(run, ICMPV6_TIME_EXCEEDED, 0, False)


cdef void answer_reset(run_t* run) noexcept nogil:
    """A TCP reset, as the host would send it that the packet was for."""
    cdef const packet_t* p = run.p
    cdef const uint8_t* th = p.data + p.l4_off
    cdef uint32_t head = 20 if p.ip_version == 4 else 40
    cdef uint32_t next_seq
    cdef uint8_t* ip
    cdef uint8_t* reset
    cdef address_t source
    if p.l4proto != PROTO_TCP or p.l4_off + 20 > p.cap_len or th[13] & TH_RST or p.sum == SUM_BAD:
        return
    if run.destination.type == ROUTE_BROADCAST or run.destination.type == ROUTE_MULTICAST:
        return
    ip = begin_packet(run, head + 20, True)
    if ip == NULL:
        return
    packet_address(p, True, &source)
    reset = put_ip(run, ip, head + 20, PROTO_TCP, 0, True, &source)
    memset(reset, 0, 20)
    memcpy(reset, th + 2, 2)
    memcpy(reset + 2, th, 2)
    reset[12], reset[13] = 0x50, TH_RST
    if th[13] & TH_ACK:
        memcpy(reset + 4, th + 8, 4)
    else:
        next_seq = load_be32(th + 4) + (th[13] >> 1 & 1) + (th[13] & TH_FIN)
        store_be32(reset + 8, next_seq + p.len - p.l4_off - (th[12] >> 4) * 4)
        reset[13] |= TH_ACK
    transport_sum(ip, PROTO_TCP, reset, 20, reset + 16)


# ---- copies

cdef void send_copy(run_t* run, const address_t* gateway) noexcept nogil:
    """A copy of the packet for another host of the network."""
    cdef const packet_t* p = run.p
    cdef uint8_t* ip
    cdef sent_t* sent
    if run.duplicate:                        # a copy is not copied, nor what it causes
        return
    ip = begin_packet(run, p.cap_len, False)
    if ip == NULL:
        return
    sent = &run.sent[run.n_sent - 1]
    sent.frame.wire_len += p.len - p.cap_len
    sent.duplicate, sent.mark, sent.traced = True, run.mark, run.traced
    sent.via = route_find(run.routes, p.ip_version, gateway)
    memcpy(ip, p.data, p.cap_len)
    if run.ttl != time_to_live(p):
        put_ttl_at(ip, run.ttl)
    if run.hook == HOOK_PREROUTING or run.hook == HOOK_INPUT:
        put_ttl_at(ip, run.ttl - 1)
    if p.ip_version == 4:
        ip[6] |= DONT_FRAGMENT
        ip[10] = ip[11] = 0
        store_u16(ip + 10, <uint16_t>~sum_fold(sum_bytes(ip, (ip[0] & 15) * 4, 0)))
