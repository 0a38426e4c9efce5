from libc.stdint cimport uint32_t, uint64_t

from fastct.conntrack.conn cimport conn_t
from fastct.conntrack.opts cimport ct_opts_t
from fastct.conntrack.tcp cimport tcp_packet
from fastct.conntrack.verdict cimport ct_end, ct_verdict
from fastct.wire.packet cimport PROTO_TCP, packet_t

cdef ct_end l4_end(const conn_t* c) noexcept nogil
cdef uint32_t l4_untold(conn_t* c) noexcept nogil
cdef bint l4_new(conn_t* c, packet_t* p, const ct_opts_t* opts) noexcept nogil
cdef ct_verdict l4_other_packet(conn_t* c, packet_t* p, int direction, uint64_t now, const ct_opts_t* opts,
                                uint32_t* events) noexcept nogil


cdef inline ct_verdict l4_packet(conn_t* c, packet_t* p, int direction, uint64_t now, const ct_opts_t* opts,
                                 uint32_t* events) noexcept nogil:
    """Advance a connection by a packet: state, timeout, counters, status; the reason if it does not fit."""
    if p.key.l4proto == PROTO_TCP:
        return tcp_packet(c, p, direction, now, opts, events)
    return l4_other_packet(c, p, direction, now, opts, events)
