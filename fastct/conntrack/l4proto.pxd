from libc.stdint cimport uint32_t, uint64_t

from fastct.conntrack.conn cimport conn_t
from fastct.conntrack.opts cimport ct_opts_t
from fastct.conntrack.verdict cimport ct_verdict
from fastct.wire.packet cimport packet_t

cdef bint l4_new(conn_t* c, packet_t* p, const ct_opts_t* opts) noexcept nogil
cdef ct_verdict l4_packet(conn_t* c, packet_t* p, int direction, uint64_t now, const ct_opts_t* opts,
                          uint32_t* events) noexcept nogil
