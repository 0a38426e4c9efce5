"""Loads from unaligned memory, with the byte order of the file they come from."""
from libc.stdint cimport uint8_t, uint16_t, uint32_t
from libc.string cimport memcpy

cdef extern from *:
    uint16_t bswap16 "__builtin_bswap16"(uint16_t v) noexcept nogil
    uint32_t bswap32 "__builtin_bswap32"(uint32_t v) noexcept nogil


cdef inline uint16_t load16(const uint8_t* p, bint swapped) noexcept nogil:
    cdef uint16_t v
    memcpy(&v, p, 2)
    return bswap16(v) if swapped else v


cdef inline uint32_t load32(const uint8_t* p, bint swapped) noexcept nogil:
    cdef uint32_t v
    memcpy(&v, p, 4)
    return bswap32(v) if swapped else v
