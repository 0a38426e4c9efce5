"""Which tracker a packet goes to, by its protocol. Two entries each: may it begin a connection, and what does
it do to one; and how the end of one is called. ICMP and whatever has no tracker of its own only refresh their entry."""
from libc.stdint cimport uint8_t, uint32_t, uint64_t

from fastct.conntrack.conn cimport conn_refresh, conn_t
from fastct.conntrack.opts cimport (
    OPT_GENERIC,
    OPT_GRE,
    OPT_GRE_STREAM,
    OPT_ICMP,
    OPT_ICMPV6,
    OPT_UDP,
    OPT_UDP_STREAM,
    ct_opts_t,
)
from fastct.conntrack.sctp cimport SCTP_ABORT, SCTP_CLOSED, SCTP_SHUTDOWN_COMPLETE, sctp_new, sctp_packet, sctp_untold
from fastct.conntrack.tcp cimport TCP_CLOSE, TCP_LAST_ACK, TCP_TIME_WAIT, tcp_new
from fastct.conntrack.udp cimport two_way_packet, udp_packet
from fastct.conntrack.verdict cimport CT_ACCEPT, END_CLOSED, END_EXPIRED, END_RESET, ct_end, ct_verdict
from fastct.wire.packet cimport (
    PROTO_GRE,
    PROTO_ICMP,
    PROTO_ICMPV6,
    PROTO_SCTP,
    PROTO_TCP,
    PROTO_UDP,
    PROTO_UDPLITE,
    packet_t,
)
from fastct.wire.reason cimport Reason
from fastct.wire.tuples cimport icmp_is_request


cdef bint l4_new(conn_t* c, packet_t* p, const ct_opts_t* opts) noexcept nogil:
    """May this packet begin a connection? Prepares the protocol's record, or sets the reason."""
    if p.key.l4proto == PROTO_TCP:
        return tcp_new(c, p, opts)
    if p.key.l4proto == PROTO_SCTP:
        return sctp_new(c, p)
    if p.key.l4proto == PROTO_GRE:
        # A tunnel keeps those that were set when it began.
        c.proto.gre.timeout_s = opts.value[OPT_GRE]
        c.proto.gre.stream_s = opts.value[OPT_GRE_STREAM]
    if p.key.l4proto == (PROTO_ICMP if p.ip_version == 4 else PROTO_ICMPV6):
        if not icmp_is_request(p.ip_version, p.data[p.l4_off]):
            p.reason = Reason.icmp_not_request
            return False
    return True


cdef ct_verdict l4_other_packet(conn_t* c, packet_t* p, int direction, uint64_t now, const ct_opts_t* opts,
                                uint32_t* events) noexcept nogil:
    """``l4_packet`` of everything but TCP."""
    cdef uint8_t proto = p.key.l4proto
    if proto == PROTO_UDP:
        return udp_packet(c, p, direction, now, opts, events)
    if proto == PROTO_UDPLITE:
        return two_way_packet(c, p, direction, now, opts.value[OPT_UDP], opts.value[OPT_UDP_STREAM], events)
    if proto == PROTO_GRE:
        return two_way_packet(c, p, direction, now, c.proto.gre.timeout_s, c.proto.gre.stream_s, events)
    if proto == PROTO_SCTP:
        return sctp_packet(c, p, direction, now, opts, events)
    if proto == PROTO_ICMP:
        conn_refresh(c, direction, p.len, now, opts.value[OPT_ICMP])
    elif proto == PROTO_ICMPV6:
        conn_refresh(c, direction, p.len, now, opts.value[OPT_ICMPV6])
    else:
        conn_refresh(c, direction, p.len, now, opts.value[OPT_GENERIC])
    return CT_ACCEPT


cdef uint32_t l4_untold(conn_t* c) noexcept nogil:
    """Events of packets that became INVALID half-way, to be told now."""
    return sctp_untold(c) if c.key.l4proto == PROTO_SCTP else 0


cdef ct_end l4_end(const conn_t* c) noexcept nogil:
    """How a connection that is no longer needed came to its end."""
    if c.key.l4proto == PROTO_SCTP and c.state == SCTP_CLOSED:
        if c.proto.sctp.closed_by == SCTP_ABORT:
            return END_RESET
        return END_CLOSED if c.proto.sctp.closed_by == SCTP_SHUTDOWN_COMPLETE else END_EXPIRED
    if c.key.l4proto != PROTO_TCP:
        return END_EXPIRED
    if c.state == TCP_CLOSE:
        return END_RESET
    return END_CLOSED if c.state == TCP_TIME_WAIT or c.state == TCP_LAST_ACK else END_EXPIRED
