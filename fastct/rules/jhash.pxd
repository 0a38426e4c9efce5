"""Bob Jenkins' hash as Linux uses it, where its values show."""
from libc.stdint cimport uint32_t

cdef enum:
    JHASH_INITVAL = 0xDEADBEEF


cdef inline uint32_t rol32(uint32_t word, int n) noexcept nogil:
    return word << n | word >> (32 - n)


cdef inline uint32_t jhash_final(uint32_t a, uint32_t b, uint32_t c) noexcept nogil:
    c = (c ^ b) - rol32(b, 14)
    a = (a ^ c) - rol32(c, 11)
    b = (b ^ a) - rol32(a, 25)
    c = (c ^ b) - rol32(b, 16)
    a = (a ^ c) - rol32(c, 4)
    b = (b ^ a) - rol32(a, 14)
    return (c ^ b) - rol32(b, 24)


cdef inline uint32_t jhash_1word(uint32_t word, uint32_t seed) noexcept nogil:
    cdef uint32_t start = seed + <uint32_t>JHASH_INITVAL + 4
    return jhash_final(word + start, start, start)


cdef inline uint32_t jhash_3words(uint32_t a, uint32_t b, uint32_t c, uint32_t seed) noexcept nogil:
    cdef uint32_t start = seed + <uint32_t>JHASH_INITVAL + 12
    return jhash_final(a + start, b + start, c + start)
