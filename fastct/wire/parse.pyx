"""From a frame to a ``packet_t``: link layer, IP, transport, in this order and once.

Stateless: it may run over a whole batch before the first packet of the batch is tracked.
"""
from libc.stdint cimport uint8_t, uint16_t, uint32_t

cimport cython

from fastct.wire.ip cimport ip4_parse, ip6_parse
from fastct.wire.link cimport LINK_CUT, link_network
from fastct.wire.packet cimport PACKET_NONE, SUM_UNKNOWN, packet_refuse, packet_t, wire_opts_t
from fastct.wire.reason cimport Reason
from fastct.wire.transport cimport transport_parse


cdef void packet_parse(packet_t* p, const uint8_t* frame, uint32_t cap_len, uint32_t wire_len,
                       uint16_t linktype, const wire_opts_t* opts) noexcept nogil:
    """Fill ``p`` from a frame.

    => Every offset in ``p`` has been checked against what was captured: later rooms read without asking.
    => ``p.data`` points into the frame and lives as long as it.
    """
    cdef uint32_t offset = 0
    cdef int proto, version = link_network(frame, cap_len, linktype, &offset)
    p.flags = p.kind = p.flip = p.self_inverse = 0
    p.reason = Reason.none
    p.sum = p.ip_sum = SUM_UNKNOWN
    p.ip_version = 0
    p.hash = 0
    if cython.unlikely(version <= 0):
        p.data = frame
        p.len = wire_len
        packet_refuse(p, PACKET_NONE, Reason.link_header_cut if version == LINK_CUT else Reason.not_ip)
        return
    p.data = frame + offset
    p.ip_version = <uint8_t>version
    cap_len = cap_len - offset if cap_len > offset else 0
    wire_len = wire_len - offset if wire_len > offset else 0
    p.len = wire_len
    proto = ip4_parse(p, opts, cap_len, wire_len) if version == 4 else ip6_parse(p, opts, cap_len, wire_len)
    if proto >= 0:
        transport_parse(p, opts, <uint8_t>proto)
