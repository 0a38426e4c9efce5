"""SIP (RFC 3261): calls are announced in text, over UDP or TCP; the media go their own way (``sdp.pyx``).

    INVITE, UPDATE, ACK, PRACK, and answers 1xx and 2xx to them    an SDP body: media are expected
    another answer to the latest INVITE; BYE; a new INVITE         they are not expected any more
    REGISTER                  calls of the registrar are expected at the contact, once it has agreed
    2xx to it                 for as long as it says; otherwise not

A UDP packet is one message. A TCP segment is as many as have a Content-Length and are whole; what is cut off at its
end is passed over. A message without a readable CSeq makes Linux drop the packet, as does what finds no room.
"""
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcmp, memset

from fastct.conntrack.conn cimport IPS_EXPECTED
from fastct.conntrack.expect cimport (
    EXPECT_ADDED,
    EXPECT_INACTIVE,
    EXPECT_PERMANENT,
    NO_EXPECT,
    expect_t,
    expects_remove,
)
from fastct.conntrack.helper cimport aim, help_add, help_expectation
from fastct.conntrack.helpers.sdp cimport SIGNALLING, sdp_read
from fastct.conntrack.helpers.sip_text cimport (
    SIP_CONTENT_LENGTH,
    SIP_CSEQ,
    SIP_EXPIRES,
    begins,
    is_alpha,
    sip_find,
    sip_next_contact,
    sip_number,
    sip_param,
    sip_text_t,
    sip_uri_t,
    span_t,
    walk_t,
)
from fastct.wire.packet cimport PROTO_TCP

cdef enum:
    TIMEOUT_S = 3600         # of a signalling connection, from any message on
    SHORTEST = 11            # SIP/2.0 200: less is no message
    STATUS = 8               # where the code of an answer stands
    HZ = 250                 # Linux counts in ticks of 4 ms, and 32 bits of them
    NS_PER_TICK = 1000000000 // HZ

# What the helper keeps of a connection, in ``extra_t.state``.
cdef struct sip_t:
    uint32_t invite_cseq
    uint32_t register_cseq

cdef enum method:
    OTHER
    INVITE
    UPDATE
    ACK
    PRACK
    BYE
    REGISTER
    METHODS

cdef const char** _names = ["", "INVITE", "UPDATE", "ACK", "PRACK", "BYE", "REGISTER"]
cdef uint32_t* _lengths = [0, 6, 6, 3, 5, 3, 8]


# ---- what is expected already

cdef void forget_media(help_t* h) noexcept nogil:
    cdef uint32_t index = h.x.expects, older
    while index != NO_EXPECT:
        older = h.expects.items[index].older
        if h.expects.items[index].kind != SIGNALLING:
            expects_remove(h.expects, index)
        index = older


cdef void forget_signalling(help_t* h) noexcept nogil:
    """The latest: there may be one only."""
    cdef uint32_t index = h.x.expects
    while index != NO_EXPECT and h.expects.items[index].kind != SIGNALLING:
        index = h.expects.items[index].older
    if index != NO_EXPECT:
        expects_remove(h.expects, index)


cdef bint prolong_signalling(help_t* h, const sip_uri_t* contact, uint32_t seconds) noexcept nogil:
    """The registrar agrees to a contact: its calls are expected from now on. False if that was not asked for."""
    cdef uint32_t index = h.x.expects, ticks
    cdef expect_t* e
    while index != NO_EXPECT:
        e = &h.expects.items[index]
        if (e.kind == SIGNALLING and e.deadline_ns > h.now and e.ends.l4proto == h.ends[0].l4proto
                and e.ends.dport == contact.port and memcmp(e.ends.dst, contact.addr, 16) == 0):
            ticks = seconds * HZ
            e.timeout_s = ticks // HZ + 1
            e.deadline_ns = h.now + <uint64_t>ticks * NS_PER_TICK
            e.flags &= ~EXPECT_INACTIVE
            return True
        index = e.older
    return False


# ---- REGISTER

cdef bint same_transport(const help_t* h, const sip_text_t* s, uint32_t at) noexcept nogil:
    """Whether a contact is to be reached as the registrar is."""
    cdef span_t name
    if not sip_param(s, at, b"transport=", 10, &name):
        return True
    return begins(s, name.at, s.n, b"TCP" if h.ends[0].l4proto == PROTO_TCP else b"UDP", 3)


cdef bint read_expires(const sip_text_t* s, uint32_t at, uint32_t* seconds) noexcept nogil:
    """How long a contact holds, if it says so itself. False if it says something else."""
    cdef span_t value
    cdef uint32_t end
    if not sip_param(s, at, b"expires=", 8, &value):
        return True
    end = value.at + value.len
    return sip_number(s, value.at, &end, seconds)


cdef uint32_t default_expires(const sip_text_t* s) noexcept nogil:
    cdef span_t value
    cdef uint32_t end = s.n, seconds = 0
    if sip_find(s, SIP_EXPIRES, &value):
        sip_number(s, value.at, &end, &seconds)
    return seconds


cdef bint expect_calls(help_t* h, const sip_uri_t* contact) noexcept nogil:
    """Calls of the registrar at a contact, as soon as it has agreed."""
    cdef expect_t e
    help_expectation(h, &e, SIGNALLING)
    aim(&e, h.ends[0].l4proto, h.ends[1 - h.direction].src, contact.addr, contact.port)
    e.flags = EXPECT_PERMANENT | EXPECT_INACTIVE
    e.assign = h.x.helper
    return help_add(h, &e) == EXPECT_ADDED


cdef bint register_request(help_t* h, sip_t* state, sip_text_t* s, uint32_t cseq) noexcept nogil:
    cdef uint32_t seconds = default_expires(s)
    cdef sip_uri_t contact
    cdef walk_t walk
    memset(&walk, 0, sizeof(walk_t))
    if h.c.status & IPS_EXPECTED or not sip_next_contact(s, &walk, &contact):
        return True
    if memcmp(contact.addr, h.ends[h.direction].src, 16) or not same_transport(h, s, contact.end):
        return True                      # for somebody else
    if not read_expires(s, contact.end, &seconds):
        return False
    if seconds and not expect_calls(h, &contact):
        return False
    state.register_cseq = cseq
    return True


cdef bint register_answer(help_t* h, const sip_t* state, sip_text_t* s, uint32_t cseq, uint32_t code) noexcept nogil:
    """Only an answer to the latest request counts."""
    cdef uint32_t usual, seconds
    cdef sip_uri_t contact
    cdef walk_t walk
    if state.register_cseq != cseq or 100 <= code <= 199:
        return True
    if 200 <= code <= 299:
        usual = default_expires(s)
        memset(&walk, 0, sizeof(walk_t))
        while sip_next_contact(s, &walk, &contact):
            if memcmp(contact.addr, h.ends[h.direction].dst, 16) or not same_transport(h, s, contact.end):
                continue
            seconds = usual
            if not read_expires(s, contact.end, &seconds):
                return False
            if seconds == 0:
                break
            if prolong_signalling(h, &contact, seconds):
                return True
    forget_signalling(h)
    return True


# ---- messages; False: Linux drops the packet

cdef bint read_cseq(const sip_text_t* s, uint32_t* cseq, uint32_t* behind) noexcept nogil:
    """The number of a message, and where the method stands behind it."""
    cdef span_t value
    cdef uint32_t end = s.n
    if not sip_find(s, SIP_CSEQ, &value):
        return False
    behind[0] = value.at + value.len + 1
    return sip_number(s, value.at, &end, cseq)


cdef method method_at(const sip_text_t* s, uint32_t at) noexcept nogil:
    cdef int kind
    for kind in range(<int>INVITE, <int>METHODS):
        if begins(s, at, s.n, _names[kind], _lengths[kind]):
            return <method>kind
    return OTHER


cdef bint read_request(help_t* h, sip_t* state, sip_text_t* s) noexcept nogil:
    cdef method kind = method_at(s, 0)
    cdef uint32_t at = _lengths[<int>kind], cseq, behind
    if kind == OTHER or s.n < at + 2 or s.text[at] != 32 or not is_alpha(s.text[at + 1]):
        return True
    if not read_cseq(s, &cseq, &behind):
        return False
    if kind == REGISTER:
        return register_request(h, state, s, cseq)
    if kind == INVITE or kind == BYE:
        forget_media(h)
    if kind == BYE:
        return True
    if not sdp_read(h, s):
        return False
    if kind == INVITE:
        state.invite_cseq = cseq
    return True


cdef bint read_answer(help_t* h, const sip_t* state, sip_text_t* s) noexcept nogil:
    cdef method kind
    cdef uint32_t code, cseq, behind, end = s.n
    if s.n < SHORTEST:
        return True
    if not sip_number(s, STATUS, &end, &code) or code == 0 or not read_cseq(s, &cseq, &behind):
        return False
    kind = method_at(s, behind)
    if kind == REGISTER:
        return register_answer(h, state, s, cseq, code)
    if kind == INVITE or kind == UPDATE or kind == PRACK:
        if 100 <= code <= 299:
            return sdp_read(h, s)
        if state.invite_cseq == cseq:
            forget_media(h)
    return True


cdef bint read_message(help_t* h, const uint8_t* data, uint32_t n) noexcept nogil:
    cdef sip_text_t s
    s.text, s.n, s.l3proto = data, n, h.ends[0].l3proto
    s.at_from, s.at_next = 1, 0
    if begins(&s, 0, n, b"SIP/2.0 ", STATUS):
        return read_answer(h, <sip_t*>h.x.state, &s)
    return read_request(h, <sip_t*>h.x.state, &s)


cdef uint32_t message_len(const sip_text_t* s) noexcept nogil:
    """How long the message is that a stream begins with; 0 if it is not all there, or does not say."""
    cdef span_t value
    cdef uint32_t at = s.n, body
    if not sip_find(s, SIP_CONTENT_LENGTH, &value) or not sip_number(s, value.at, &at, &body) or body > s.n:
        return 0
    while at + 4 <= s.n:
        if memcmp(s.text + at, b"\r\n\r\n", 4) == 0:
            return at + 4 + body if at + 4 + body <= s.n else 0
        at += 1
    return 0


cdef bint read_stream(help_t* h) noexcept nogil:
    """The messages of a TCP segment, until one is not whole."""
    cdef sip_text_t s
    cdef uint32_t n
    s.text, s.n, s.l3proto = h.data, h.len, h.ends[0].l3proto
    while True:
        n = message_len(&s)
        if n == 0:
            return True
        if not read_message(h, s.text, n):
            return False
        s.text += n
        s.n -= n


cdef bint sip_help(help_t* h) noexcept nogil:
    """One packet of a signalling connection."""
    cdef bint stream = h.ends[0].l4proto == PROTO_TCP
    if h.len == 0 or (stream and not h.established):
        return True
    h.refresh_s = TIMEOUT_S
    if h.len < SHORTEST:
        return True
    return read_stream(h) if stream else read_message(h, h.data, h.len)


cdef bint sip_is_sound(const uint64_t* state) noexcept nogil:
    """Any two sequence numbers."""
    return state[1] == state[2] == state[3] == state[4] == 0
