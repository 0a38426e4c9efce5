"""Reading a SIP message: lines of headers, addresses, numbers. See ``sip_text.pyx``."""
from libc.stdint cimport uint8_t, uint16_t, uint32_t

cdef extern from "strings.h" nogil:
    int strncasecmp(const char* a, const char* b, size_t n)

# A message, and how its addresses are written.
cdef struct sip_text_t:
    const uint8_t* text
    uint32_t n
    uint8_t l3proto          # 4 or 6
    uint32_t at_from         # from here on the next @ (or the end of the line) is known:
    uint32_t at_next

# Part of a message.
cdef struct span_t:
    uint32_t at
    uint32_t len

# Headers that matter.
cdef enum sip_header:
    SIP_CSEQ
    SIP_CONTACT
    SIP_EXPIRES
    SIP_CONTENT_LENGTH

# How far a walk through the contacts has come: there are several to a line, and several lines.
cdef struct walk_t:
    uint32_t at
    bint in_header

# An address and port of a contact, in network order, and where they stand.
cdef struct sip_uri_t:
    uint32_t at
    uint32_t end
    uint8_t addr[16]
    uint16_t port

cdef uint32_t sip_address(const sip_text_t* s, uint32_t at, uint32_t end, bint brackets, uint8_t* addr) noexcept nogil
cdef bint sip_number(const sip_text_t* s, uint32_t at, uint32_t* end, uint32_t* value) noexcept nogil
cdef bint sip_find(const sip_text_t* s, sip_header header, span_t* span) noexcept nogil
cdef bint sip_next_contact(sip_text_t* s, walk_t* w, sip_uri_t* uri) noexcept nogil
cdef bint sip_param(const sip_text_t* s, uint32_t at, const char* name, uint32_t n, span_t* span) noexcept nogil
cdef uint32_t line_begin(const sip_text_t* s, uint32_t at) noexcept nogil


cdef inline bint is_digit(uint8_t c) noexcept nogil:
    return 48 <= c <= 57


cdef inline bint is_alpha(uint8_t c) noexcept nogil:
    """A letter, as Linux has it: of Latin-1."""
    return 97 <= (c | 0x20) <= 122 or (c >= 0xC0 and c != 0xD7 and c != 0xF7)


cdef inline bint is_newline(uint8_t c) noexcept nogil:
    return c == 10 or c == 13


cdef inline bint is_blank(uint8_t c) noexcept nogil:
    return c == 32 or c == 9


cdef inline bint begins(const sip_text_t* s, uint32_t at, uint32_t end, const char* word, uint32_t n) noexcept nogil:
    """Whether a word stands at ``at``, in letters of either case."""
    return at <= end and end - at >= n and strncasecmp(<const char*>s.text + at, word, n) == 0
