"""IPv4 and IPv6: what the IP layer checks before any hook, and where the transport header starts.

The checks are those of Linux' receive path: a packet that fails them reaches no hook at all. Only bytes
that were captured are judged; the length that counts is the one on the wire. IPv4 is in ``ip.pxd``, in line.
"""
from libc.stdint cimport uint8_t, uint32_t

from fastct.wire.bytes cimport load_be16, load_be32
from fastct.wire.packet cimport (
    PACKET_FRAGMENT,
    PACKET_INVALID,
    PACKET_NONE,
    packet_refuse,
    packet_t,
    wire_opts_t,
)
from fastct.wire.reason cimport Reason

cdef enum:
    HOP_OPTIONS_MAX = 8     # Linux' default limit of options in a hop-by-hop header
    HOP_PADDING_MAX = 7     # more consecutive padding is refused


cdef void header_missing(packet_t* p, bint on_wire) noexcept nogil:
    """The header is not all there. If it was on the wire, the packet reached the hooks, and the capture does not say
    as what."""
    if on_wire:
        packet_refuse(p, PACKET_INVALID, Reason.ip_header_cut)
    else:
        packet_refuse(p, PACKET_NONE, Reason.ip_total_length)


cdef bint hop_option_passes(const uint8_t* option, uint32_t at, uint32_t wire_left) noexcept nogil:
    """An option that is not padding. ``at`` is its offset from the IP header, which aligns a jumbo length."""
    cdef uint32_t length
    if option[0] == 5:                                  # router alert
        return option[1] == 2
    if option[0] == 194:                                # jumbo payload
        if option[1] != 4 or (at & 3) != 2:
            return False
        length = load_be32(option + 2)
        return length > 65535 and length <= wire_left - 40
    if option[0] == 7:                                  # CALIPSO
        return option[1] >= 8
    return option[0] >> 6 == 0                          # unknown: the top bits say skip or drop


cdef bint ip6_hop_options_pass(const uint8_t* ip, uint32_t cap_left, uint32_t wire_left) noexcept nogil:
    """The hop-by-hop header right behind the IPv6 header, as the receive path reads it.

    => A header that the capture cut is not judged.
    """
    cdef uint32_t at = 42, end, size, i, padding = 0, options = 0
    if wire_left < 48:
        return False
    if cap_left < 48:
        return True
    end = 40 + (ip[41] + 1) * 8
    if end > wire_left:
        return False
    if end > cap_left:
        return True
    while at < end:
        if ip[at] == 0:                                 # Pad1
            padding += 1
            at += 1
            if padding > HOP_PADDING_MAX:
                return False
            continue
        if at + 2 > end:
            return False
        size = ip[at + 1] + 2
        if at + size > end:
            return False
        if ip[at] == 1:                                 # PadN
            padding += size
            if padding > HOP_PADDING_MAX:
                return False
            for i in range(2, size):
                if ip[at + i]:
                    return False
        else:
            options += 1
            if options > HOP_OPTIONS_MAX or not hop_option_passes(ip + at, at, wire_left):
                return False
            padding = 0
        at += size
    return True


cdef Reason ip6_address_fault(const uint8_t* ip) noexcept nogil:
    """Addresses that the receive path refuses whatever the interface."""
    cdef int i
    if ip[8] == 0xFF:
        return Reason.ip6_multicast_source
    if ip[24] == 0xFF and (ip[25] & 15) < 2:
        return Reason.ip6_multicast_scope
    if ip[18] == 0xFF and ip[19] == 0xFF:
        for i in range(8, 18):
            if ip[i]:
                return Reason.none
        return Reason.ip6_mapped_source
    return Reason.none


cdef int ip6_parse(packet_t* p, const wire_opts_t* opts, uint32_t cap_left, uint32_t wire_left) noexcept nogil:
    """Check an IPv6 header at ``p.data``; sets lengths and ``l4_off``.

    => Returns the transport protocol, or -1 after refusing the packet.
    """
    cdef const uint8_t* ip = p.data
    cdef uint32_t length
    cdef Reason fault
    if cap_left < 40:
        header_missing(p, wire_left >= 40)
        return -1
    if ip[0] >> 4 != 6:
        packet_refuse(p, PACKET_NONE, Reason.ip_version)
        return -1
    length = 40 + load_be16(ip + 4)
    if length == 40 and (ip[6] == IPV6_HOPOPTS or (opts.offload and ip[6] != IPV6_NONE)):
        length = wire_left                              # a jumbogram, or segmentation offload
    if length > wire_left:
        packet_refuse(p, PACKET_NONE, Reason.ip_total_length)
        return -1
    fault = ip6_address_fault(ip)
    if fault != Reason.none:
        packet_refuse(p, PACKET_NONE, fault)
        return -1
    set_lengths(p, length, cap_left)
    if ip[6] == IPV6_HOPOPTS and not ip6_hop_options_pass(ip, p.cap_len, length):
        packet_refuse(p, PACKET_NONE, Reason.ip6_hop_options)
        return -1
    return ip6_transport(p, False)


cdef int ip6_transport(packet_t* p, bint defragmented) noexcept nogil:
    """Set ``l4_off`` of a packet whose IPv6 header has passed.

    => Returns the transport protocol, or -1 after refusing the packet.
    """
    cdef int proto
    p.l4_off = 40
    proto = ip6_skip_extensions(p, &p.l4_off, p.data[6], defragmented)
    if proto == EXT_FRAGMENT and not defragmented:
        packet_refuse(p, PACKET_FRAGMENT, Reason.fragment)
    elif proto == EXT_FRAGMENT:
        packet_refuse(p, PACKET_INVALID, Reason.fragment_not_first)
    elif proto == EXT_CUT:
        packet_refuse(p, PACKET_INVALID, Reason.l4_header_cut)
    elif proto == EXT_BAD:
        packet_refuse(p, PACKET_INVALID, Reason.ip6_extension_headers)
    return proto if proto >= 0 else -1


cdef int ip6_skip_extensions(const packet_t* p, uint32_t* offset, uint8_t next_header,
                             bint defragmented) noexcept nogil:
    """Walk the extension headers from ``offset`` (of a packet, or of one quoted in it).

    Hop-by-hop, routing, destination options and authentication headers are passed over; mobility and ESP are not
    extension headers here, as in Linux. A fragment header is the end until datagrams are reassembled; behind that
    stage (and in a quoted packet, which never is) that of a first fragment is passed over too.

    => Returns the transport protocol and its ``offset``, or EXT_*.
    => The offset may lie beyond the packet: Linux looks at two bytes of a header.
    """
    cdef uint32_t need, at = offset[0]
    cdef const uint8_t* header
    while next_header in (IPV6_HOPOPTS, IPV6_ROUTING, IPV6_FRAGMENT, IPV6_AUTH, IPV6_NONE, IPV6_DSTOPTS):
        if next_header == IPV6_NONE:
            return EXT_BAD
        need = 2
        if next_header == IPV6_FRAGMENT:
            if not defragmented and at <= p.len and (at + 8 <= p.cap_len or at + 8 > p.len):
                return EXT_FRAGMENT
            need = 4 if defragmented else 8
        if at + need > p.cap_len:
            return EXT_BAD if at + need > p.len else EXT_CUT
        header = p.data + at
        if next_header == IPV6_FRAGMENT:
            if load_be16(header + 2) & 0xFFF8:
                return EXT_FRAGMENT
            at += 8
        elif next_header == IPV6_AUTH:
            at += (header[1] + 2) * 4
        else:
            at += (header[1] + 1) * 8
        next_header = header[0]
    offset[0] = at
    return next_header
