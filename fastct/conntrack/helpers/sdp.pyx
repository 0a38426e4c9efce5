"""SDP (RFC 4566): the body of a SIP message says where its sender wants to get sound and pictures.

    v=0
    c=IN IP4 10.0.0.2             for the whole session, or behind an m= for that medium
    m=audio 4000 RTP/AVP 0        RTP is expected at 4000, RTCP at 4001
    m=video 0 RTP/AVP 31          not wanted

Expected is the other end of the signalling connection, at addresses that are the sender's own; what is for somebody
else is passed over.
"""
from libc.stdint cimport uint8_t, uint16_t, uint32_t
from libc.string cimport memcmp, memcpy

from fastct.conntrack.expect cimport (
    EXPECT_ADDED,
    EXPECT_ALREADY,
    EXPECT_SHARED,
    NO_EXPECT,
    expect_t,
    expect_verdict,
    expects_known,
    expects_remove,
)
from fastct.conntrack.helper cimport aim, help_add, help_expectation
from fastct.conntrack.helpers.sip_text cimport (
    begins,
    is_alpha,
    is_digit,
    is_newline,
    line_begin,
    sip_address,
    sip_number,
    span_t,
)
from fastct.wire.bytes cimport swap16
from fastct.wire.packet cimport PROTO_UDP

cdef enum:
    MEDIA_MAX = 3            # of one message
    TYPE_LEN = 6             # characters of a type of medium and a blank

cdef const char** _types = ["", "audio ", "video ", "image "]   # by class


# ---- lines

cdef uint32_t find_line(const sip_text_t* s, uint32_t at, const char* name, const char* until) noexcept nogil:
    """Where the text of the next line with a two-letter name begins; 0 if there is none before one named ``until``.

    => ``until``: NULL, or the other name. The line that ``at`` is in does not count.
    """
    while at < s.n:
        if not is_newline(s.text[at]):
            at += 1
            continue
        at = line_begin(s, at)
        if until != NULL and begins(s, at, s.n, until, 2):
            return 0
        if begins(s, at, s.n, name, 2):
            return at + 2
        at += 1
    return 0


cdef bint find_address(const sip_text_t* s, uint32_t at, uint8_t* addr) noexcept nogil:
    """The address of the next c= line, which must come before the next m=."""
    cdef const char* kind = b"IN IP4 " if s.l3proto == 4 else b"IN IP6 "
    at = find_line(s, at, b"c=", b"m=")
    if at == 0:
        return False
    while at + 7 < s.n and not is_newline(s.text[at]):
        if memcmp(s.text + at, kind, 7) == 0:
            return sip_address(s, at + 7, s.n, False, addr) != 0
        at += 1
    return False


cdef bint find_medium(const sip_text_t* s, uint32_t at, span_t* span) noexcept nogil:
    """The type and port of the next m= line: letters, a blank, digits. A line without the blank ends the search."""
    at = find_line(s, at, b"m=", NULL)
    span.at = at
    if at == 0:
        return False
    while at < s.n and is_alpha(s.text[at]):
        at += 1
    if at >= s.n or s.text[at] != 32:
        return False
    at += 1
    while at < s.n and is_digit(s.text[at]):
        at += 1
    span.len = at - span.at
    return True


cdef uint8_t class_of(const sip_text_t* s, const span_t* medium) noexcept nogil:
    """The class of a medium, 0 if Linux knows none."""
    cdef int kind
    for kind in range(AUDIO, IMAGE + 1):
        if medium.len >= TYPE_LEN and memcmp(s.text + medium.at, _types[kind], TYPE_LEN) == 0:
            return <uint8_t>kind
    return 0


# ---- expectations

cdef void fill(const help_t* h, expect_t* e, uint8_t kind, const uint8_t* addr, uint16_t port) noexcept nogil:
    help_expectation(h, e, kind)
    aim(e, PROTO_UDP, h.ends[1 - h.direction].src, addr, swap16(port))
    e.flags = EXPECT_SHARED


cdef bint is_expected(const help_t* h, const expect_t* wanted) noexcept nogil:
    """Whether another connection of the same helper has announced this: the same call may reach several."""
    cdef uint32_t index = expects_known(h.expects, &wanted.ends, h.now)
    cdef const expect_t* e = &h.expects.items[index]
    return (index != NO_EXPECT and e.master != h.number and e.helper == h.x.helper and e.via == wanted.via
            and e.kind == wanted.kind)


cdef bint expect_pair(help_t* h, uint8_t kind, const uint8_t* addr, uint16_t port) noexcept nogil:
    """Expect RTP at an even port and RTCP at the next one. False: there was no room, and Linux drops the packet."""
    cdef expect_t rtp, rtcp
    cdef expect_verdict first, second
    cdef uint32_t added
    if memcmp(addr, h.ends[h.direction].src, 16):
        return True
    fill(h, &rtp, kind, addr, port)
    if is_expected(h, &rtp):
        return True
    fill(h, &rtp, kind, addr, port & 0xFFFE)
    fill(h, &rtcp, kind, addr, port | 1)
    first = help_add(h, &rtp)
    added = h.x.expects
    if first != EXPECT_ADDED and first != EXPECT_ALREADY:
        return False
    second = help_add(h, &rtcp)
    if second == EXPECT_ADDED or second == EXPECT_ALREADY:
        return True
    if first == EXPECT_ADDED:
        expects_remove(h.expects, added)
    return False


cdef bint sdp_read(help_t* h, const sip_text_t* s) noexcept nogil:
    """Expect what a description says. False: Linux drops the packet."""
    cdef uint8_t session[16]
    cdef uint8_t addr[16]
    cdef bint has_session
    cdef span_t medium
    cdef uint32_t at = find_line(s, 0, b"v=", NULL), end, port
    cdef uint8_t kind
    cdef int i = 0
    if at == 0 or at >= s.n or not is_digit(s.text[at]):
        return True
    has_session = find_address(s, at, session)
    while i < MEDIA_MAX and find_medium(s, at, &medium):
        kind = class_of(s, &medium)
        at = medium.at + (TYPE_LEN if kind else medium.len)
        if not kind:
            continue
        end = s.n
        if not sip_number(s, at, &end, &port) or port == 0:
            continue
        if port < 1024 or port > 65535:
            return False
        if not find_address(s, at, addr):
            if not has_session:
                return False
            memcpy(addr, session, 16)
        if not expect_pair(h, kind, addr, <uint16_t>port):
            return False
        i += 1
    return True
