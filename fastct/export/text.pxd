"""Numbers and addresses as text, written at ``out``; each returns the place behind what it wrote.

=> Room for 20 bytes per number, 18 per hex, 46 per address.
"""
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy

cdef extern from *:
    """
    static const char fastct_hex[] = "0123456789abcdef";
    static const char fastct_pairs[] =
        "00010203040506070809101112131415161718192021222324252627282930313233343536373839404142434445464748495051525354"
        "5556575859606162636465666768697071727374757677787980818283848586878889909192939495969798" "99";
    """
    const char* HEX_DIGITS "fastct_hex"
    const char* DIGIT_PAIRS "fastct_pairs"


cdef inline char* put_text(char* out, const char* text, size_t n) noexcept nogil:
    memcpy(out, text, n)
    return out + n


cdef inline char* put_number(char* out, uint64_t value) noexcept nogil:
    cdef char[20] digits
    cdef int at = 20
    while value >= 100:
        at -= 2
        memcpy(&digits[at], DIGIT_PAIRS + 2 * (value % 100), 2)
        value //= 100
    if value >= 10:
        at -= 2
        memcpy(&digits[at], DIGIT_PAIRS + 2 * value, 2)
    else:
        at -= 1
        digits[at] = <char>(48 + value)
    return put_text(out, &digits[at], 20 - at)


cdef inline char* put_padded(char* out, uint32_t value, int width) noexcept nogil:
    """Decimal with leading zeros."""
    cdef int i
    for i in range(width - 1, -1, -1):
        out[i] = <char>(48 + value % 10)
        value //= 10
    return out + width


cdef inline char* put_hex_digits(char* out, uint64_t value) noexcept nogil:
    cdef int shift = 0
    while shift < 60 and value >> (shift + 4):
        shift += 4
    while shift >= 0:
        out[0] = HEX_DIGITS[(value >> shift) & 15]
        out += 1
        shift -= 4
    return out


cdef inline char* put_hex(char* out, uint64_t value) noexcept nogil:
    return put_hex_digits(put_text(out, b"0x", 2), value)


cdef inline char* put_ip4(char* out, const uint8_t* addr) noexcept nogil:
    cdef int i
    for i in range(4):
        if i:
            out[0] = c"."
            out += 1
        out = put_number(out, addr[i])
    return out


cdef inline char* put_ip6(char* out, const uint8_t* addr) noexcept nogil:
    """As glibc's inet_ntop: the first longest run of two or more zero words becomes ``::``; addresses of the
    forms ::a.b.c.d and ::ffff:a.b.c.d end as IPv4 does."""
    cdef uint16_t[8] words
    cdef int i, run = 0, best = -1, best_len = 1
    for i in range(8):
        words[i] = <uint16_t>(addr[2 * i] << 8 | addr[2 * i + 1])
        run = 0 if words[i] else run + 1
        if run > best_len:
            best, best_len = i - run + 1, run
    i = 0
    while i < 8:
        if i == best:
            out = put_text(out, b"::", 2)
            i += best_len
            continue
        if i == 6 and best == 0 and (best_len == 6 or (best_len == 5 and words[5] == 0xFFFF)):
            return put_ip4(out, addr + 12)
        out = put_hex_digits(out, words[i])
        i += 1
        if i < 8 and i != best:
            out[0] = c":"
            out += 1
    return out


cdef inline char* put_address(char* out, const uint8_t* addr, uint8_t l3proto) noexcept nogil:
    return put_ip4(out, addr) if l3proto == 4 else put_ip6(out, addr)
