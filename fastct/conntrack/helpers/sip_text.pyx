"""Reading a SIP message as Linux does, its oddities included: what they let through or drop can be seen.

    CSeq: 7 INVITE            name, colon, value; blanks and folded lines between them
    Contact: <sip:u@10.0.0.2:5060>;expires=60, <sip:u@10.0.0.3>
    m: ...                    some names have a short form

A header begins where a line does, so the first line of a message is none. A line that begins with a blank continues the
one before. Nothing is read from ``n`` on, and no loop goes back: a message costs its length.
"""
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memset

from fastct.wire.bytes cimport swap16

cdef enum:
    SIP_PORT = 5060
    DIGITS_MAX = 11          # of a number; more are too many, whatever they say

cdef struct header_t:
    const char* name
    uint8_t len
    uint8_t letter           # that will do for the name, 0: none

cdef header_t* _headers = [
    header_t("CSeq", 4, 0), header_t("Contact", 7, 109), header_t("Expires", 7, 0), header_t("Content-Length", 14, 108),
]


# ---- numbers and addresses

cdef bint sip_number(const sip_text_t* s, uint32_t at, uint32_t* end, uint32_t* value) noexcept nogil:
    """The number before ``end``, which is set behind it. False without one, or if it is too large: then it is 0."""
    cdef uint32_t begin = at
    cdef uint64_t number = 0
    value[0] = 0
    while at < end[0] and is_digit(s.text[at]):
        number = number * 10 + s.text[at] - 48
        if at - begin == <uint32_t>DIGITS_MAX or number >> 32:
            return False
        at += 1
    value[0] = <uint32_t>number
    end[0] = at
    return at != begin


cdef int hex_digit(uint8_t c) noexcept nogil:
    """0 to 15, or -1."""
    if is_digit(c):
        return c - 48
    return (c | 0x20) - 87 if 97 <= (c | 0x20) <= 102 else -1


cdef uint32_t address4(const sip_text_t* s, uint32_t at, uint32_t end, uint8_t* addr) noexcept nogil:
    """Where the IPv4 address at ``at`` ends, 0 if there is none. Behind it is no further digit, hexadecimal neither."""
    cdef uint32_t number = 0, digits = 0
    cdef int i = 0
    cdef uint8_t c
    while True:
        c = s.text[at] if at < end else 0
        if is_digit(c):
            number = number * 10 + c - 48
            digits += 1
            if number > 255:
                return 0
        elif hex_digit(c) >= 0 or digits == 0:
            return 0
        else:
            addr[i] = <uint8_t>number
            i += 1
            if c != 46:
                return at if i == 4 else 0
            if i == 4:
                return 0
            number = digits = 0
        at += 1


cdef void spread(const uint8_t* words, uint32_t d, int gap, uint8_t* addr) noexcept nogil:
    """Put what is behind :: at the end of the address."""
    cdef uint32_t i
    memset(addr, 0, 16)
    for i in range(d):
        addr[i if gap < 0 or i < <uint32_t>gap else 16 - d + i] = words[i]


cdef uint32_t address6(const sip_text_t* s, uint32_t at, uint32_t end, uint8_t* addr) noexcept nogil:
    """Where the IPv6 address at ``at`` ends, 0 if there is none.

    => A word may have any number of leading zeros, and :: stands for one word at least.
    """
    cdef uint8_t words[16]
    cdef uint32_t first = at, begin, word, d = 0     # d: bytes so far
    cdef int gap = -1                                # how many of them are before ::
    cdef uint8_t c
    if end - at >= 2 and s.text[at] == 58 and s.text[at + 1] == 58:
        words[0] = words[1] = 0
        at, d, gap = at + 2, 2, 2
    while True:
        begin, word = at, 0
        while at < end and hex_digit(s.text[at]) >= 0:
            if word & 0xF000 or d == 16:
                return 0
            word = word << 4 | <uint32_t>hex_digit(s.text[at])
            at += 1
        c = s.text[at] if at < end else 0
        if at == begin:                              # only right behind ::
            if gap != <int>d or c == 58 or c == 46:
                return 0
            break
        if c == 46:                                  # the last two words may be written as an IPv4 address
            at = address4(s, begin, end, words + d) if begin != first and (d == 12 or (gap >= 0 and d < 12)) else 0
            if at == 0:
                return 0
            d += 4
            break
        words[d], words[d + 1] = <uint8_t>(word >> 8), <uint8_t>word
        d += 2
        if c != 58:
            if gap < 0 and d < 16:
                return 0
            break
        if d == 16:
            return 0
        at += 1
        if gap < 0 and at < end and s.text[at] == 58:
            words[d] = words[d + 1] = 0
            at, d, gap = at + 1, d + 2, <int>d + 2
    spread(words, d, gap, addr)
    return at


cdef uint32_t sip_address(const sip_text_t* s, uint32_t at, uint32_t end, bint brackets, uint8_t* addr) noexcept nogil:
    """Where the address at ``at`` ends, 0 if there is none.

    => ``brackets``: an IPv6 address must stand in some; IPv4 never does.
    """
    memset(addr, 0, 16)
    if s.l3proto == 4:
        return address4(s, at, end, addr)
    if brackets:
        if at >= end or s.text[at] != 91:
            return 0
        at += 1
    at = address6(s, at, end, addr)
    if at and brackets:
        return at + 1 if at < end and s.text[at] == 93 else 0
    return at


cdef uint32_t read_port(const sip_text_t* s, uint32_t at, uint16_t* port) noexcept nogil:
    """Where a colon and a port end, if they stand at ``at``; 0 for a port below 1024, or for the end of the message."""
    cdef uint32_t begin = at + 1, number = 0
    if at >= s.n:
        return 0
    if s.text[at] != 58:
        port[0] = swap16(SIP_PORT)
        return at
    at = begin
    while at < s.n and is_digit(s.text[at]) and at - begin < 6:
        number = number * 10 + s.text[at] - 48
        at += 1
    if at >= s.n or at - begin > 5 or number < 1024 or number > 65535:
        return 0
    port[0] = swap16(<uint16_t>number)
    return at


cdef uint32_t behind_user(sip_text_t* s, uint32_t at) noexcept nogil:
    """Where the host of a URI begins: behind the next @ of the line, if there is one."""
    cdef uint32_t i = at
    if not s.at_from <= at <= s.at_next:
        while i < s.n and s.text[i] != 64 and not is_newline(s.text[i]):
            i += 1
        s.at_from, s.at_next = at, i
    return s.at_next + 1 if s.at_next < s.n and s.text[s.at_next] == 64 else at


# ---- lines

cdef uint32_t line_begin(const sip_text_t* s, uint32_t at) noexcept nogil:
    """Where the next line begins, counted from within one; n if none does."""
    while at < s.n and not is_newline(s.text[at]):
        at += 1
    if at < s.n:
        at += 1
        if at < s.n and s.text[at - 1] == 13 and s.text[at] == 10:
            at += 1
    return at


cdef uint32_t continued(const sip_text_t* s, uint32_t at, uint32_t end) noexcept nogil:
    """At the end of a line: where it goes on, if the next one continues it; else 0."""
    at += 1
    if at >= end:
        return 0
    if s.text[at - 1] == 13 and s.text[at] == 10:
        at += 1
        if at >= end:
            return 0
    if not is_blank(s.text[at]):
        return 0
    while at < end and is_blank(s.text[at]):
        at += 1
    return at


cdef uint32_t skip_blanks(const sip_text_t* s, uint32_t at) noexcept nogil:
    """Behind blanks and one folding of the line; 0 if the line ends here."""
    while at < s.n and is_blank(s.text[at]):
        at += 1
    return continued(s, at, s.n) if at < s.n and is_newline(s.text[at]) else at


cdef uint32_t search(const sip_text_t* s, uint32_t at, uint32_t end, const char* word, uint32_t n) noexcept nogil:
    """Where a word stands in a value, folded or not; ``end`` if nowhere. At the very end Linux does not look for it,
    and not at the first character behind a folding."""
    cdef uint32_t limit = end - n
    if end < n:
        return end
    while at < limit:
        if is_newline(s.text[at]):
            at = continued(s, at, limit)
            if at == 0:
                return end
        elif strncasecmp(<const char*>s.text + at, word, n) == 0:
            return at
        at += 1
    return end


# ---- headers

cdef uint32_t value_of(const sip_text_t* s, uint32_t at, const header_t* h) noexcept nogil:
    """Where the value of the next such header begins, 0 if there is none.

    => The line that ``at`` is in does not count. A line that only begins like the header ends the search.
    """
    while at < s.n:
        if not is_newline(s.text[at]):
            at += 1
            continue
        at = line_begin(s, at)
        if begins(s, at, s.n, h.name, h.len):
            at += h.len
        elif h.letter and at + 2 <= s.n and s.text[at] | 0x20 == h.letter and not is_alpha(s.text[at + 1]):
            at += 1
        else:
            at += 1
            continue
        at = skip_blanks(s, at)
        if at == 0 or at + 1 >= s.n or s.text[at] != 58:
            return 0
        return skip_blanks(s, at + 1)
    return 0


cdef bint sip_find(const sip_text_t* s, sip_header header, span_t* span) noexcept nogil:
    """The number that a header has for its value. False without the header, or the number."""
    cdef uint32_t at = value_of(s, 0, &_headers[<int>header])
    span.at = at
    if at == 0:
        return False
    while at < s.n and is_digit(s.text[at]):
        at += 1
    span.len = at - span.at
    return span.len != 0


cdef bint read_uri(sip_text_t* s, uint32_t at, sip_uri_t* uri) noexcept nogil:
    """The user, address and port behind a scheme."""
    cdef uint32_t end
    uri.at = behind_user(s, at)
    end = sip_address(s, uri.at, s.n, True, uri.addr)
    if end:
        end = read_port(s, end, &uri.port)
    uri.end = end
    return end != 0


cdef bint sip_next_contact(sip_text_t* s, walk_t* w, sip_uri_t* uri) noexcept nogil:
    """The next contact that can be read; ``w`` is zero at first."""
    cdef uint32_t at
    while w.in_header:
        at = search(s, w.at, s.n, b",", 1)
        at = search(s, at, s.n, b"sip:", 4)
        if at >= s.n:
            w.in_header = False
        elif read_uri(s, at + 4, uri):
            w.at = uri.end
            return True
        else:
            w.at = at + 4
    while True:
        at = value_of(s, w.at, &_headers[<int>SIP_CONTACT])
        if at == 0:
            return False
        w.at = at
        at = search(s, at, s.n, b"sip:", 4)
        if at < s.n and read_uri(s, at + 4, uri):
            w.at = uri.end
            w.in_header = True
            return True


cdef bint sip_param(const sip_text_t* s, uint32_t at, const char* name, uint32_t n, span_t* span) noexcept nogil:
    """What stands behind a parameter's name: all that is left of this contact. False without the parameter."""
    cdef uint32_t end = search(s, at, s.n, b",", 1)
    span.at = search(s, at, end, name, n)
    if span.at >= end:
        return False
    span.at += n
    span.len = end - span.at
    return True
