"""Reading a fragment. The parser has recognised it (PACKET_FRAGMENT) and proven its headers.

    IPv4   | header, options | payload ...                      id, offset, flag in the header
    IPv6   | header, extensions | fragment header | payload ... the rest in the fragment header

IPv6 puts in the way: a first fragment must hold all headers up to the transport's, and jumbograms are never
fragments. What fails so is not dropped but goes on by itself, as on Linux. An atomic fragment, first and last in
one, is a fragment like any other.
"""
from libc.stdint cimport uint8_t, uint16_t, uint32_t

from fastct.wire.bytes cimport load_be16, load_be32
from fastct.wire.ip cimport IPV6_AUTH, IPV6_FRAGMENT, ip6_skip_extensions, ip6_transport, set_lengths
from fastct.wire.packet cimport PROTO_ICMPV6, PROTO_TCP, PROTO_UDP, SUM_UNKNOWN, packet_t, wire_opts_t
from fastct.wire.reason cimport Reason
from fastct.wire.transport cimport transport_parse


cdef fragment_kind refused(packet_t* p, Reason reason) noexcept nogil:
    p.reason = <uint8_t>reason
    return FRAGMENT_REFUSED


cdef fragment_kind read_ip4(packet_t* p, fragment_t* f) noexcept nogil:
    cdef const uint8_t* ip = p.data
    cdef uint16_t field = load_be16(ip + 6)
    if p.len > FRAGMENT_DATAGRAM_MAX:       # a length that the capture left out
        return refused(p, Reason.fragment_oversize)
    f.addresses = ip + 12
    f.id = load_be16(ip + 4)
    f.head_len = f.payload_off = (ip[0] & 15) * 4
    f.next_header = ip[9]
    f.next_at = 9
    f.more = field >> 13 & 1
    f.offset = (field & 0x1FFF) * 8
    f.end = f.offset + p.len - f.head_len
    f.ecn = <uint8_t>(1 << (ip[1] & 3))
    return FRAGMENT_PIECE


cdef bint headers_cut(const packet_t* p, uint32_t at) noexcept nogil:
    """Whether a first fragment, its fragment header at ``at``, ends before the transport header does.

    => One whose headers cannot be followed does not count as such.
    """
    cdef int proto = ip6_skip_extensions(p, &at, IPV6_FRAGMENT, True)
    if proto < 0:
        return False
    if proto == PROTO_TCP:
        at += 20
    elif proto == PROTO_UDP or proto == PROTO_ICMPV6:
        at += 8
    else:
        at += 1
    return at > p.len


cdef fragment_kind read_ip6(packet_t* p, fragment_t* f) noexcept nogil:
    cdef const uint8_t* ip = p.data
    cdef const uint8_t* header
    cdef uint32_t at = 40
    cdef uint8_t next_header = ip[6]
    f.next_at = 6
    while next_header != IPV6_FRAGMENT:
        header = ip + at
        f.next_at = at
        at += (header[1] + 2) * 4 if next_header == IPV6_AUTH else (header[1] + 1) * 8
        next_header = header[0]
    if load_be16(ip + 4) == 0 or headers_cut(p, at):
        return FRAGMENT_PASSES
    if at + 8 > p.len:
        return refused(p, Reason.fragment_header)
    header = ip + at
    f.addresses = ip + 8
    f.id = load_be32(header + 4)
    f.head_len = at
    f.payload_off = at + 8
    f.next_header = header[0]
    f.more = header[3] & 1
    f.offset = load_be16(header + 2) & 0xFFF8
    f.end = f.offset + p.len - f.payload_off
    f.ecn = <uint8_t>(1 << (ip[1] >> 4 & 3))
    return FRAGMENT_PIECE


cdef fragment_kind fragment_read(packet_t* p, fragment_t* f) noexcept nogil:
    """Fill ``f`` from a packet of kind PACKET_FRAGMENT.

    => ``f`` points into the packet, and is filled only for FRAGMENT_PIECE.
    """
    return read_ip4(p, f) if p.ip_version == 4 else read_ip6(p, f)


# ---- a datagram in one piece again

cdef void datagram_parse(packet_t* p, const uint8_t* ip, uint32_t cap_len, uint32_t length,
                         const wire_opts_t* opts) noexcept nogil:
    """Fill ``p`` again behind defragmentation: it was a fragment, and is now the packet at ``ip``.

    => The IP header has been checked, with the first fragment; its checksum no longer counts.
    => Headers are there in full, as far as the first fragment's were.
    """
    cdef int proto
    p.flags = p.kind = p.flip = p.self_inverse = 0
    p.reason = Reason.none
    p.sum = p.ip_sum = SUM_UNKNOWN
    p.hash = 0
    p.data = ip
    set_lengths(p, length, cap_len)
    if p.ip_version == 4:
        p.l4_off = (ip[0] & 15) * 4
        proto = ip[9]
    else:
        proto = ip6_transport(p, True)
    if proto >= 0:
        transport_parse(p, opts, <uint8_t>proto)
