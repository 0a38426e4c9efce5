from libc.stdint cimport uint32_t, uint64_t

from fastct.conntrack.conn cimport conn_t
from fastct.conntrack.opts cimport ct_opts_t
from fastct.conntrack.verdict cimport ct_verdict
from fastct.wire.packet cimport packet_t

cdef ct_verdict udp_packet(conn_t* c, packet_t* p, int direction, uint64_t now, const ct_opts_t* opts,
                           uint32_t* events) noexcept nogil
cdef ct_verdict two_way_packet(conn_t* c, packet_t* p, int direction, uint64_t now, uint32_t timeout_s,
                               uint32_t stream_s, uint32_t* events) noexcept nogil
