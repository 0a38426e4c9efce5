from libc.stdint cimport uint8_t, uint16_t, uint32_t

from fastct.wire.packet cimport packet_t, wire_opts_t

cdef void packet_parse(packet_t* p, const uint8_t* frame, uint32_t cap_len, uint32_t wire_len,
                       uint16_t linktype, const wire_opts_t* opts) noexcept nogil
