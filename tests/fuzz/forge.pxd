"""Packets made for inputs: between few hosts and ports, so that they meet. Sums are left out."""
from libc.stdint cimport uint8_t, uint16_t, uint32_t

cdef enum:
    HEAD_MOST = 40

cdef void put16(uint8_t* out, uint16_t value) noexcept nogil
cdef void put32(uint8_t* out, uint32_t value) noexcept nogil
cdef void put_address(uint8_t* out, bint six, uint8_t host) noexcept nogil
cdef uint32_t put_ip(uint8_t* out, bint six, uint8_t src, uint8_t dst, uint8_t proto,
                     uint32_t payload_len) noexcept nogil
cdef uint32_t put_tcp(uint8_t* out, uint16_t sport, uint16_t dport, uint32_t seq, uint32_t ack, uint8_t flags,
                      uint16_t window, uint32_t options_len) noexcept nogil
cdef uint32_t put_udp(uint8_t* out, uint16_t sport, uint16_t dport, uint32_t payload_len) noexcept nogil
