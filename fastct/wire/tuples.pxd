from libc.stdint cimport uint8_t, uint16_t

from fastct.wire.packet cimport packet_t, wire_opts_t

cdef uint8_t icmp_inverse(uint8_t l3proto, uint8_t type) noexcept nogil
cdef bint icmp_is_request(uint8_t l3proto, uint8_t type) noexcept nogil

cdef void tuple_ports(packet_t* p, const uint8_t* ip, uint8_t l3proto, uint8_t l4proto, uint16_t src_id,
                      uint16_t dst_id, const wire_opts_t* opts) noexcept nogil
cdef bint tuple_icmp(packet_t* p, const uint8_t* ip, uint8_t l3proto, uint8_t l4proto, const uint8_t* icmp,
                     const wire_opts_t* opts) noexcept nogil
