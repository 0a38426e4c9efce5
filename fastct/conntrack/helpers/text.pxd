"""Reading what applications write: words and numbers, never past the end that is given.

A word comes with its length, since it may have zeros in it. Positions are offsets into the text.
"""
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcmp


cdef inline bint is_digit(uint8_t c) noexcept nogil:
    return 48 <= c <= 57


cdef inline bint text_begins(const uint8_t* text, uint32_t at, uint32_t end, const char* word,
                             uint32_t n) noexcept nogil:
    """Whether these very bytes stand at ``at``."""
    return at <= end and end - at >= n and memcmp(text + at, word, n) == 0


cdef inline uint32_t text_find(const uint8_t* text, uint32_t at, uint32_t end, const char* word,
                               uint32_t n) noexcept nogil:
    """Where a word first stands from ``at`` on, all of it before ``end``; ``end`` if nowhere."""
    while at < end and not text_begins(text, at, end, word, n):
        at += 1
    return at


cdef inline uint64_t text_number(const uint8_t* text, uint32_t* at, uint32_t end) noexcept nogil:
    """The decimal number at ``at``, which moves behind it; without digits 0. Too large ones wrap, as in Linux."""
    cdef uint64_t value = 0
    while at[0] < end and is_digit(text[at[0]]):
        value = value * 10 + text[at[0]] - 48
        at[0] += 1
    return value
