"""IRC: a client offers another one a direct connection (DCC) to itself, in a private message through the server.

    PRIVMSG bob :^ADCC SEND file.txt 167772162 5555^A
                                     |         port
                                     address as one decimal number

Only what the client says is read, and only an offer of its own address is believed. The rest of the line need not
be there in full, but a newline must: numbers end before it.
"""
from libc.stdint cimport uint8_t, uint16_t, uint32_t
from libc.string cimport memcmp, memcpy

from fastct.conntrack.expect cimport expect_t
from fastct.conntrack.helper cimport help_expect, help_t
from fastct.conntrack.helpers.text cimport text_begins, text_find, text_number
from fastct.wire.bytes cimport swap16, swap32
from fastct.wire.packet cimport PROTO_TCP

cdef extern from "strings.h" nogil:
    int strncasecmp(const char* a, const char* b, size_t n)

cdef enum:
    SEARCHED = 4095          # bytes of a packet that are looked at
    MESSAGE_MIN = 10         # "PRIVMSG x "
    OFFER_MIN = 26           # " :^ADCC SEND t AAAAAAAA P^A" and its newline
    NUMBERS_MIN = 12         # "AAAAAAAA P^A" and its newline
    VERBS = 5

cdef const char** _verbs = ["SEND ", "CHAT ", "MOVE ", "TSEND ", "SCHAT "]
cdef uint32_t* _verb_lengths = [5, 5, 5, 6, 6]

# What was offered, in network order.
cdef struct offer_t:
    uint32_t address
    uint16_t port


cdef bint read_offer(const uint8_t* text, uint32_t at, uint32_t n, offer_t* offer) noexcept nogil:
    """A word, an address and a port."""
    while text_begins(text, at, n, b" ", 1) == 0:
        at += 1
        if at + NUMBERS_MIN > n:
            return False
    at += 1
    if text_find(text, at, n, b"\n", 1) == n:
        return False
    offer.address = swap32(<uint32_t>text_number(text, &at, n))
    while text[at] == 32:
        at += 1
    offer.port = swap16(<uint16_t>text_number(text, &at, n))
    return True


cdef bint is_own(const help_t* h, const offer_t* offer) noexcept nogil:
    """An address of the client's, before or behind NAT, and a port: anything else could open a way to anybody."""
    return offer.port != 0 and (memcmp(&offer.address, h.ends[0].src, 4) == 0
                                or memcmp(&offer.address, h.ends[1].dst, 4) == 0)


cdef uint32_t begin_of_text(const uint8_t* text, uint32_t n) noexcept nogil:
    """Where to look for the message; n if the packet is not one. Linux looks through packets too short to be one."""
    cdef uint32_t at = 0
    while at + MESSAGE_MIN < n and (text[at] == 32 or text[at] == 13 or text[at] == 10):
        at += 1
    if at + MESSAGE_MIN >= n:
        return at
    return at + 8 if strncasecmp(<const char*>text + at, b"PRIVMSG ", 8) == 0 else n


cdef bint find_offer(const help_t* h, uint32_t n, offer_t* offer) noexcept nogil:
    """Whether the first verb of an offer in the packet leads to one that is the client's own."""
    cdef const uint8_t* text = h.data
    cdef uint32_t at = begin_of_text(text, n)
    cdef int i
    while at + OFFER_MIN < n:
        if not text_begins(text, at, n, b" :", 2):
            at += 1
            continue
        at += 2
        if not text_begins(text, at, n, b"\x01DCC ", 5):
            return False
        at += 5
        for i in range(VERBS):
            if text_begins(text, at, n, _verbs[i], _verb_lengths[i]):
                return read_offer(text, at + _verb_lengths[i], n, offer) and is_own(h, offer)
    return False


cdef bint irc_help(help_t* h) noexcept nogil:
    """One packet of a client to its server: expect anybody at the offered port."""
    cdef offer_t offer
    cdef expect_t* e
    if h.direction != 0 or not h.established:
        return True
    if find_offer(h, h.len if h.len < SEARCHED else <uint32_t>SEARCHED, &offer):
        e = help_expect(h, 0)
        e.ends.l4proto = PROTO_TCP
        memcpy(e.ends.dst, h.ends[1].dst, 16)
        e.ends.dport = offer.port
    return True
