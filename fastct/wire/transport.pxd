from libc.stdint cimport uint8_t

from fastct.wire.packet cimport packet_t, wire_opts_t

cdef void transport_parse(packet_t* p, const wire_opts_t* opts, uint8_t proto) noexcept nogil
