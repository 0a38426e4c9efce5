"""Packets made for inputs. Every function writes a header and returns its length."""
from libc.stdint cimport uint8_t, uint16_t, uint32_t
from libc.string cimport memset


cdef void put16(uint8_t* out, uint16_t value) noexcept nogil:
    out[0], out[1] = <uint8_t>(value >> 8), <uint8_t>value


cdef void put32(uint8_t* out, uint32_t value) noexcept nogil:
    put16(out, <uint16_t>(value >> 16))
    put16(out + 2, <uint16_t>value)


cdef void put_address(uint8_t* out, bint six, uint8_t host) noexcept nogil:
    """10.1.0.HOST, or fd00::HOST."""
    memset(out, 0, 16 if six else 4)
    out[0], out[1] = 0xFD if six else 10, 0 if six else 1
    out[15 if six else 3] = host


cdef uint32_t put_ip(uint8_t* out, bint six, uint8_t src, uint8_t dst, uint8_t proto,
                     uint32_t payload_len) noexcept nogil:
    cdef uint32_t size = 40 if six else 20
    memset(out, 0, size)
    if six:
        out[0], out[6], out[7] = 0x60, proto, 64
        put16(out + 4, <uint16_t>payload_len)
        put_address(out + 8, True, src)
        put_address(out + 24, True, dst)
    else:
        out[0], out[8], out[9] = 0x45, 64, proto
        put16(out + 2, <uint16_t>(20 + payload_len))
        put_address(out + 12, False, src)
        put_address(out + 16, False, dst)
    return size


cdef uint32_t put_tcp(uint8_t* out, uint16_t sport, uint16_t dport, uint32_t seq, uint32_t ack, uint8_t flags,
                      uint16_t window, uint32_t options_len) noexcept nogil:
    """=> ``options_len`` is a multiple of 4; the options are the caller's."""
    memset(out, 0, 20)
    put16(out, sport)
    put16(out + 2, dport)
    put32(out + 4, seq)
    put32(out + 8, ack)
    out[12], out[13] = <uint8_t>((20 + options_len) << 2), flags
    put16(out + 14, window)
    return 20 + options_len


cdef uint32_t put_udp(uint8_t* out, uint16_t sport, uint16_t dport, uint32_t payload_len) noexcept nogil:
    put16(out, sport)
    put16(out + 2, dport)
    put16(out + 4, <uint16_t>(8 + payload_len))
    put16(out + 6, 0)
    return 8
