"""The IP headers. IPv4 is in line: nearly every packet has one."""
from libc.stdint cimport uint8_t, uint32_t

cimport cython

from fastct.wire.bytes cimport load_be16, sum_bytes, sum_fold
from fastct.wire.packet cimport (
    PACKET_FRAGMENT,
    PACKET_NONE,
    SUM_BAD,
    SUM_GOOD,
    SUM_OFFLOADED,
    packet_refuse,
    packet_t,
    wire_opts_t,
)
from fastct.wire.reason cimport Reason

cdef enum:
    EXT_CUT = -3        # the capture ends inside the headers
    EXT_FRAGMENT = -2   # a fragment; once those are reassembled: one that is not the first
    EXT_BAD = -1        # the walk fails: no transport protocol

cdef enum:
    IPV6_HOPOPTS = 0
    IPV6_ROUTING = 43
    IPV6_FRAGMENT = 44
    IPV6_AUTH = 51
    IPV6_NONE = 59
    IPV6_DSTOPTS = 60

cdef void header_missing(packet_t* p, bint on_wire) noexcept nogil
cdef int ip6_parse(packet_t* p, const wire_opts_t* opts, uint32_t cap_left, uint32_t wire_left) noexcept nogil
cdef int ip6_transport(packet_t* p, bint defragmented) noexcept nogil
cdef int ip6_skip_extensions(const packet_t* p, uint32_t* offset, uint8_t next_header, bint defragmented) noexcept nogil


cdef inline void set_lengths(packet_t* p, uint32_t length, uint32_t cap_left) noexcept nogil:
    p.len = length
    p.cap_len = cap_left if cap_left < length else length


cdef inline int ip4_parse(packet_t* p, const wire_opts_t* opts, uint32_t cap_left, uint32_t wire_left) noexcept nogil:
    """Check an IPv4 header at ``p.data``; sets lengths and ``l4_off``.

    => Returns the transport protocol, or -1 after refusing the packet.
    """
    cdef const uint8_t* ip = p.data
    cdef uint32_t header_len, length
    if cython.unlikely(cap_left < 20):
        header_missing(p, wire_left >= 20)
        return -1
    header_len = (ip[0] & 15) * 4
    length = load_be16(ip + 2)
    if cython.unlikely(ip[0] >> 4 != 4 or header_len < 20):
        packet_refuse(p, PACKET_NONE, Reason.ip_version if ip[0] >> 4 != 4 else Reason.ip_header_length)
        return -1
    if cython.unlikely(length == 0 and opts.offload):
        length = wire_left
    if cython.unlikely(length > wire_left or length < header_len):
        packet_refuse(p, PACKET_NONE, Reason.ip_total_length)
        return -1
    if cython.unlikely(header_len > cap_left):
        header_missing(p, True)
        return -1
    set_lengths(p, length, cap_left)
    p.l4_off = header_len
    if opts.verify_ip:
        p.ip_sum = SUM_GOOD
        if sum_fold(sum_bytes(ip, header_len, 0)) != 0xFFFF:
            p.ip_sum = SUM_BAD if ip[10] | ip[11] else SUM_OFFLOADED
    if cython.unlikely(load_be16(ip + 6) & 0x3FFF):   # more fragments, or an offset
        packet_refuse(p, PACKET_FRAGMENT, Reason.fragment)
        return -1
    return ip[9]
