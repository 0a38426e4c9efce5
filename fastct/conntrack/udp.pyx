"""UDP, and the simpler rule of UDP-Lite and GRE: a conversation is one once both sides have spoken."""
from libc.stdint cimport uint32_t, uint64_t

from fastct.conntrack.conn cimport IPS_ASSURED, IPS_CONFIRMED, IPS_SEEN_REPLY, conn_refresh, conn_t
from fastct.conntrack.opts cimport OPT_UDP, OPT_UDP_STREAM, ct_opts_t
from fastct.conntrack.verdict cimport CT_ACCEPT, EVENT_ASSURED, ct_verdict
from fastct.wire.packet cimport packet_t

cdef enum:
    STREAM_AGE_NS = 2000000000   # a request and its answer are no stream; what goes on after 2 s is


cdef ct_verdict udp_packet(conn_t* c, packet_t* p, int direction, uint64_t now, const ct_opts_t* opts,
                           uint32_t* events) noexcept nogil:
    """Short timeout until both sides have spoken and the conversation is 2 s old; then a stream, ASSURED."""
    if not c.status & IPS_CONFIRMED:
        c.proto.udp.stream_ns = now + STREAM_AGE_NS
    # An ASSURED conversation has passed the test before: its second line stays untouched.
    if c.status & IPS_ASSURED:
        conn_refresh(c, direction, p.len, now, opts.value[OPT_UDP_STREAM])
    elif c.status & IPS_SEEN_REPLY and now > c.proto.udp.stream_ns:
        conn_refresh(c, direction, p.len, now, opts.value[OPT_UDP_STREAM])
        c.status |= IPS_ASSURED
        events[0] |= EVENT_ASSURED
    else:
        conn_refresh(c, direction, p.len, now, opts.value[OPT_UDP])
    return CT_ACCEPT


cdef ct_verdict two_way_packet(conn_t* c, packet_t* p, int direction, uint64_t now, uint32_t timeout_s,
                               uint32_t stream_s, uint32_t* events) noexcept nogil:
    """UDP-Lite and GRE: a stream as soon as both sides have spoken."""
    if not c.status & IPS_SEEN_REPLY:
        conn_refresh(c, direction, p.len, now, timeout_s)
        return CT_ACCEPT
    conn_refresh(c, direction, p.len, now, stream_s)
    if not c.status & IPS_ASSURED:
        c.status |= IPS_ASSURED
        events[0] |= EVENT_ASSURED
    return CT_ACCEPT
