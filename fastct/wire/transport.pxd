"""Transport headers; TCP and UDP are in line: nearly every packet is one of them."""
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

cimport cython

from fastct.wire.bytes cimport load_be16, load_be32, load_u16
from fastct.wire.packet cimport (
    PACKET_INVALID,
    PACKET_TRACK,
    PROTO_TCP,
    PROTO_UDP,
    TH_ACK,
    TH_FIN,
    TH_RST,
    TH_SYN,
    TH_URG,
    packet_refuse,
    packet_t,
    wire_opts_t,
)
from fastct.wire.reason cimport Reason
from fastct.wire.tuples cimport tuple_ports

cdef uint8_t check_sum(const packet_t* p, uint8_t proto, uint32_t covered, uint32_t sum_at) noexcept nogil
cdef void transport_other(packet_t* p, const wire_opts_t* opts, uint8_t proto) noexcept nogil


cdef inline bint header_present(packet_t* p, uint32_t need) noexcept nogil:
    """Prove ``need`` bytes at the transport offset, or refuse the packet."""
    if cython.likely(p.l4_off + need <= p.cap_len):
        return True
    packet_refuse(p, PACKET_INVALID,
                  Reason.l4_truncated if p.l4_off + need > p.len else Reason.l4_header_cut)
    return False


cdef inline bint tcp_flags_valid(uint8_t flags) noexcept nogil:
    """Whether stacks send these flags: a bit for each combination of FIN, SYN, RST, ACK and URG (PSH, ECE and CWR do
    not matter)."""
    cdef uint64_t valid = (<uint64_t>1 << TH_SYN | <uint64_t>1 << (TH_SYN | TH_URG) | <uint64_t>1 << (TH_SYN | TH_ACK)
                           | <uint64_t>1 << TH_RST | <uint64_t>1 << (TH_RST | TH_ACK)
                           | <uint64_t>1 << (TH_FIN | TH_ACK) | <uint64_t>1 << (TH_FIN | TH_ACK | TH_URG)
                           | <uint64_t>1 << TH_ACK | <uint64_t>1 << (TH_ACK | TH_URG))
    return valid >> (flags & (TH_FIN | TH_SYN | TH_RST | TH_ACK | TH_URG)) & 1


cdef inline bint parse_tcp(packet_t* p, const wire_opts_t* opts) noexcept nogil:
    """A TCP header; False after refusing the packet."""
    cdef const uint8_t* th
    cdef uint32_t header_len
    if not header_present(p, 20):
        return False
    th = p.data + p.l4_off
    header_len = (th[12] >> 4) * 4
    if cython.unlikely(header_len < 20 or p.l4_off + header_len > p.len):
        packet_refuse(p, PACKET_INVALID, Reason.tcp_header_length)
        return False
    if not header_present(p, header_len):
        return False
    p.flags = th[13]
    if opts.verify:
        p.sum = check_sum(p, PROTO_TCP, p.len - p.l4_off, 16)
    if cython.unlikely(not tcp_flags_valid(p.flags)):
        packet_refuse(p, PACKET_INVALID, Reason.tcp_flags)
        return False
    p.seq = load_be32(th + 4)
    p.ack = load_be32(th + 8)
    p.window = load_be16(th + 14)
    p.options_len = <uint16_t>(header_len - 20)
    p.payload_len = p.len - p.l4_off - header_len
    return True


cdef inline bint parse_udp(packet_t* p, const wire_opts_t* opts) noexcept nogil:
    """A UDP header; False after refusing the packet."""
    cdef const uint8_t* uh
    cdef uint32_t length
    if not header_present(p, 8):
        return False
    uh = p.data + p.l4_off
    length = load_be16(uh + 4)
    if (length > p.len - p.l4_off or length < 8) and not (length == 0 and opts.offload):
        packet_refuse(p, PACKET_INVALID, Reason.udp_length)
        return False
    if opts.verify and load_u16(uh + 6):
        p.sum = check_sum(p, PROTO_UDP, p.len - p.l4_off, 6)
    return True


cdef inline void transport_parse(packet_t* p, const wire_opts_t* opts, uint8_t proto) noexcept nogil:
    """Fill what depends on the transport protocol: kind, key, hash, TCP's fields, checksum."""
    cdef const uint8_t* ports = p.data + p.l4_off
    p.kind = PACKET_TRACK
    p.l4proto = proto
    if cython.likely(proto == PROTO_TCP):
        if not parse_tcp(p, opts):
            return
    elif proto == PROTO_UDP:
        if not parse_udp(p, opts):
            return
    else:
        transport_other(p, opts, proto)
        return
    tuple_ports(p, p.data, p.ip_version, proto, load_u16(ports), load_u16(ports + 2), opts)
