"""SCTP: what the chunks of a packet do to an association.

    chunks in an order that is allowed? ──► verification tag ──► chunk by chunk: its own rule ──► state ──► refresh

A packet is a common header (ports, verification tag, CRC32c) and a row of chunks, each with a type, flags and a length.
When an association opens, each side announces in its INIT or INIT ACK the *tag* that the other must put into every
packet from then on, so that a stranger cannot end it:

    client                          server       packet's tag     tag[0]  tag[1]
    INIT (A)                 ──►                 0                0       A
                             ◄──    INIT ACK (B) A                B       A
    COOKIE ECHO              ──►                 B                B       A

``tag[d]`` is what packets of direction ``d`` must carry; 0: not known. Tags are compared, never counted with, so they
stay in network order. A multi-homed association may be met on a second path by its HEARTBEAT alone; then the tags are
learned from the packets.

A chunk that breaks a rule makes the packet INVALID, but what the chunks before it have done stays done, as in Linux.
"""
from libc.stdint cimport uint8_t, uint32_t, uint64_t

from fastct.conntrack.conn cimport IPS_ASSURED, conn_refresh, conn_t, sctp_conn_t
from fastct.conntrack.opts cimport ct_opts_t
from fastct.conntrack.verdict cimport CT_ACCEPT, CT_INVALID, EVENT_ASSURED, EVENT_PROTOINFO, ct_verdict
from fastct.wire.bytes cimport load_be16, load_u32
from fastct.wire.packet cimport packet_t
from fastct.wire.reason cimport Reason

cdef enum:
    HEADER = 12              # bytes of the common header; the tag is at 4
    CHUNK_HEADER = 4         # type, flags, length
    INIT_BODY = 16           # fixed part of INIT and INIT ACK; it begins with the tag
    FLAG_T = 1               # of ABORT and SHUTDOWN COMPLETE: the tag is the receiver's own, reflected

# Sets of chunk types, a bit each; types from 32 on have no rules.
cdef enum:
    BE_ALONE = 1 << SCTP_INIT | 1 << SCTP_INIT_ACK | 1 << SCTP_SHUTDOWN_COMPLETE
    BE_FIRST = 1 << SCTP_COOKIE_ECHO | 1 << SCTP_COOKIE_ACK
    BEGIN_NOTHING = 1 << SCTP_ABORT | 1 << SCTP_SHUTDOWN_COMPLETE | 1 << SCTP_COOKIE_ACK
    JUDGE_THE_TAG = (1 << SCTP_INIT | 1 << SCTP_SHUTDOWN_COMPLETE | 1 << SCTP_COOKIE_ECHO | 1 << SCTP_ABORT
                     | 1 << SCTP_SHUTDOWN_ACK | 1 << SCTP_HEARTBEAT | 1 << SCTP_HEARTBEAT_ACK)

# What a chunk's own rule says.
cdef enum sctp_step:
    STEP_STATE       # go on: the table of transitions
    STEP_SKIP        # nothing more from this chunk, and the packet does not refresh
    STEP_REFUSE      # packet_t.reason says why

# A packet on its way through its chunks.
cdef struct walk_t:
    uint32_t kinds           # its chunk types, a bit each
    uint32_t tag
    int direction
    bint quiet               # accepted, but does not refresh

# Rows: type of the chunk; columns: current state. Types without a row leave the state alone.
_NO, _CL, _CW, _CE, _ES, _SS, _SR, _SA, _HS, _IV = range(SCTP_NONE, SCTP_INVALID + 1)
TRANSITIONS = {
    # from:                         NO   CL   CW   CE   ES   SS   SR   SA   HS
    (0, SCTP_INIT):              (_CL, _CL, _CW, _CE, _ES, _CL, _CL, _SA, _CW),
    (0, SCTP_INIT_ACK):          (_CL, _CL, _CW, _CE, _ES, _SS, _SR, _SA, _CL),
    (0, SCTP_ABORT):             (_CL, _CL, _CL, _CL, _CL, _CL, _CL, _CL, _CL),
    (0, SCTP_SHUTDOWN):          (_CL, _CL, _CW, _CE, _SS, _SS, _SR, _SA, _CL),
    (0, SCTP_SHUTDOWN_ACK):      (_SA, _CL, _CW, _CE, _ES, _SA, _SA, _SA, _SA),
    (0, SCTP_ERROR):             (_CL, _CL, _CW, _CE, _ES, _SS, _SR, _SA, _CL),
    (0, SCTP_COOKIE_ECHO):       (_CL, _CL, _CE, _CE, _ES, _SS, _SR, _SA, _CL),
    (0, SCTP_COOKIE_ACK):        (_CL, _CL, _CW, _ES, _ES, _SS, _SR, _SA, _CL),
    (0, SCTP_SHUTDOWN_COMPLETE): (_CL, _CL, _CW, _CE, _ES, _SS, _SR, _CL, _CL),
    (0, SCTP_HEARTBEAT):         (_HS, _CL, _CW, _CE, _ES, _SS, _SR, _SA, _HS),
    (0, SCTP_HEARTBEAT_ACK):     (_CL, _CL, _CW, _CE, _ES, _SS, _SR, _SA, _HS),
    (1, SCTP_INIT):              (_IV, _CL, _CW, _CE, _ES, _SS, _SR, _SA, _IV),
    (1, SCTP_INIT_ACK):          (_IV, _CW, _CW, _CE, _ES, _SS, _SR, _SA, _IV),
    (1, SCTP_ABORT):             (_IV, _CL, _CL, _CL, _CL, _CL, _CL, _CL, _IV),
    (1, SCTP_SHUTDOWN):          (_IV, _CL, _CW, _CE, _SR, _SS, _SR, _SA, _IV),
    (1, SCTP_SHUTDOWN_ACK):      (_IV, _CL, _CW, _CE, _ES, _SA, _SA, _SA, _IV),
    (1, SCTP_ERROR):             (_IV, _CL, _CW, _CL, _ES, _SS, _SR, _SA, _IV),
    (1, SCTP_COOKIE_ECHO):       (_IV, _CL, _CE, _CE, _ES, _SS, _SR, _SA, _IV),
    (1, SCTP_COOKIE_ACK):        (_IV, _CL, _CW, _ES, _ES, _SS, _SR, _SA, _IV),
    (1, SCTP_SHUTDOWN_COMPLETE): (_IV, _CL, _CW, _CE, _ES, _SS, _SR, _CL, _IV),
    (1, SCTP_HEARTBEAT):         (_IV, _CL, _CW, _CE, _ES, _SS, _SR, _SA, _HS),
    (1, SCTP_HEARTBEAT_ACK):     (_IV, _CL, _CW, _CE, _ES, _SS, _SR, _SA, _ES),
}
cdef uint8_t[2][256][SCTP_INVALID] _transitions
for _dir in range(2):
    for _type in range(256):
        for _state in range(SCTP_NONE, SCTP_INVALID):
            _row = TRANSITIONS.get((_dir, _type))
            _transitions[<int>_dir][<int>_type][<int>_state] = _row[_state - SCTP_NONE] if _row else _state


# ---- chunks

cdef inline const uint8_t* next_chunk(const packet_t* p, uint32_t* at) noexcept nogil:
    """The chunk at an offset, which goes on to the next one; NULL behind the last.

    => The chunk's header is there; its body may not be. What the capture has cut off is as if it were not there.
    """
    cdef const uint8_t* chunk
    if at[0] + CHUNK_HEADER > p.cap_len:
        return NULL
    chunk = p.data + at[0]
    at[0] += (load_be16(chunk + 2) + 3) & ~<uint32_t>3
    return chunk


cdef inline uint32_t kind_of(const uint8_t* chunk) noexcept nogil:
    return <uint32_t>1 << chunk[0] if chunk[0] < 32 else 0


cdef bint survey(packet_t* p, walk_t* w) noexcept nogil:
    """Which chunks there are; False, with the reason, if they may not stand together."""
    cdef uint32_t at = p.l4_off + HEADER, count = 0, kind
    cdef bint alone = False
    cdef const uint8_t* chunk = next_chunk(p, &at)
    w.kinds = 0
    w.tag = load_u32(p.data + p.l4_off + 4)
    w.quiet = False
    if chunk == NULL:
        p.reason = Reason.l4_header_cut if at + CHUNK_HEADER <= p.len else Reason.sctp_no_chunk
        return False
    while chunk != NULL:
        kind = kind_of(chunk)
        alone = alone or kind & BE_ALONE
        if count and (alone or kind & BE_FIRST):
            p.reason = Reason.sctp_chunk_order
            return False
        if load_be16(chunk + 2) == 0:
            p.reason = Reason.sctp_chunk_length      # and no way on
            return False
        w.kinds |= kind
        count += 1
        chunk = next_chunk(p, &at)
    return True


cdef inline const uint8_t* init_body(packet_t* p, const uint8_t* chunk) noexcept nogil:
    """The fixed part of an INIT or INIT ACK, or NULL, with the reason, if it is not there in full."""
    cdef uint32_t end = <uint32_t>(chunk - p.data) + CHUNK_HEADER + INIT_BODY
    if end <= p.cap_len:
        return chunk + CHUNK_HEADER
    p.reason = Reason.l4_header_cut if end <= p.len else Reason.sctp_init_short
    return NULL


# ---- the first packet

cdef bint sctp_new(conn_t* c, packet_t* p) noexcept nogil:
    """A first packet: begins an association, or is met in the middle of one, and shows a tag."""
    cdef sctp_conn_t* s = &c.proto.sctp
    cdef uint32_t at = p.l4_off + HEADER
    cdef const uint8_t* chunk
    cdef const uint8_t* body
    cdef walk_t w
    if not survey(p, &w):
        return False
    if w.kinds & BEGIN_NOTHING:
        p.reason = Reason.sctp_new_invalid
        return False
    chunk = next_chunk(p, &at)
    while chunk != NULL:
        if _transitions[0][chunk[0]][<int>SCTP_NONE] == SCTP_NONE:
            p.reason = Reason.sctp_new_invalid
            return False
        if chunk[0] == SCTP_INIT:
            if w.tag:
                p.reason = Reason.sctp_init_tag
                return False
            body = init_body(p, chunk)
            if body == NULL:
                return False
            s.init[0] = True
            s.tag[1] = load_u32(body)
        elif chunk[0] == SCTP_HEARTBEAT:
            s.tag[0] = w.tag
        elif chunk[0] == SCTP_SHUTDOWN_ACK:
            # Met when it ends (RFC 9260, 8.4): the answer will carry the same tag.
            s.tag[1] = w.tag
        chunk = next_chunk(p, &at)
    c.state = SCTP_NONE
    return True


# ---- the rules of single chunks

cdef inline sctp_step refuse(packet_t* p, Reason reason) noexcept nogil:
    p.reason = <uint8_t>reason
    return STEP_REFUSE


cdef sctp_step own_or_reflected(const sctp_conn_t* s, packet_t* p, const uint8_t* chunk,
                                const walk_t* w) noexcept nogil:
    """ABORT, SHUTDOWN COMPLETE: a side that does not know the tag it should send sends back the one it was sent."""
    cdef int expected = w.direction ^ (chunk[1] & FLAG_T)
    return STEP_STATE if w.tag == s.tag[expected] else refuse(p, Reason.sctp_tag)


cdef sctp_step heartbeat(sctp_conn_t* s, packet_t* p, const uint8_t* chunk, walk_t* w) noexcept nogil:
    """HEARTBEAT, HEARTBEAT ACK: teach a tag that is not known. A wrong one may be that of a new association on an old
    path: one HEARTBEAT is let through, and if the other side acknowledges it, both tags are learned anew."""
    cdef int direction = w.direction
    if s.tag[direction] == 0:
        s.tag[direction] = w.tag
        return STEP_STATE
    if w.tag == s.tag[direction]:
        s.heartbeat_failed = False
        return STEP_STATE
    if w.kinds & 1 << SCTP_DATA or w.quiet:
        return refuse(p, Reason.sctp_tag)
    if chunk[0] == SCTP_HEARTBEAT:
        s.heartbeat_failed = True
        s.heartbeat_dir = <uint8_t>direction
        w.quiet = True
        p.reason = Reason.sctp_heartbeat_tag
        return STEP_SKIP
    if not s.heartbeat_failed or s.heartbeat_dir == direction:
        return refuse(p, Reason.sctp_tag)
    s.heartbeat_failed = False
    s.tag[direction] = w.tag
    s.tag[direction ^ 1] = 0
    return STEP_STATE


cdef sctp_step own_rule(sctp_conn_t* s, packet_t* p, const uint8_t* chunk, walk_t* w) noexcept nogil:
    """The tag as the chunk's type wants it (RFC 9260, 8.5.1)."""
    cdef uint8_t type = chunk[0]
    if type == SCTP_INIT:
        return refuse(p, Reason.sctp_init_tag) if w.tag else STEP_STATE
    if type == SCTP_ABORT or type == SCTP_SHUTDOWN_COMPLETE:
        return own_or_reflected(s, p, chunk, w)
    if type == SCTP_COOKIE_ECHO:
        return STEP_STATE if w.tag == s.tag[w.direction] else refuse(p, Reason.sctp_tag)
    if type == SCTP_HEARTBEAT or type == SCTP_HEARTBEAT_ACK:
        return heartbeat(s, p, chunk, w)
    return STEP_STATE


cdef bint learn_init(conn_t* c, packet_t* p, const uint8_t* chunk, uint8_t new, walk_t* w) noexcept nogil:
    """An INIT announces the tag for the other direction, unless it is the same one again. False, with the reason, if it
    cannot."""
    cdef sctp_conn_t* s = &c.proto.sctp
    cdef int direction = w.direction
    cdef const uint8_t* body = init_body(p, chunk)
    if body == NULL:
        return False
    if s.tag[direction ^ 1] != load_u32(body):
        if s.init[direction] and s.init[direction ^ 1]:
            s.init[direction ^ 1] = False
        s.init[direction] = True
        s.tag[direction ^ 1] = load_u32(body)
    if c.state == SCTP_CLOSED and new == SCTP_CLOSED:
        # Ports used again must not keep an old entry alive for ever.
        w.quiet = True
        p.reason = Reason.sctp_init_again
    return True


cdef bint learn_init_ack(sctp_conn_t* s, packet_t* p, const uint8_t* chunk, const walk_t* w) noexcept nogil:
    """An INIT ACK does too, but must not contradict a tag that is known. When both sides sent an INIT, that is the tag
    of its sender's own INIT; after one of the receiver's alone it may be a new association, and so another tag."""
    cdef int direction = w.direction
    cdef const uint8_t* body = init_body(p, chunk)
    cdef uint32_t known = s.tag[direction ^ 1], tag
    if body == NULL:
        return False
    tag = load_u32(body)
    if tag != known and ((not s.init[direction ^ 1] and known) or (s.init[direction] and s.init[direction ^ 1])):
        p.reason = Reason.sctp_init_ack_tag
        return False
    s.tag[direction ^ 1] = tag
    return True


# ---- a packet

cdef uint32_t sctp_untold(conn_t* c) noexcept nogil:
    """What has come about and has not been told: of INVALID packets, too, which the next one that belongs tells."""
    cdef uint32_t events = c.proto.sctp.events
    c.proto.sctp.events = 0
    return events


cdef bint apply_chunk(conn_t* c, packet_t* p, const uint8_t* chunk, walk_t* w) noexcept nogil:
    """What one chunk does to the association; False, with the reason, if the packet is INVALID for it."""
    cdef sctp_conn_t* s = &c.proto.sctp
    cdef sctp_step step = own_rule(s, p, chunk, w)
    cdef uint8_t new
    if step != STEP_STATE:
        return step == STEP_SKIP
    new = _transitions[w.direction][chunk[0]][c.state]
    if new == SCTP_INVALID:
        p.reason = Reason.sctp_state_invalid
        return False
    if chunk[0] == SCTP_INIT:
        if not learn_init(c, p, chunk, new, w):
            return False
    elif chunk[0] == SCTP_INIT_ACK:
        if not learn_init_ack(s, p, chunk, w):
            return False
    elif chunk[0] == SCTP_COOKIE_ACK:
        s.init[0] = s.init[1] = False
    if new != c.state:
        s.events |= EVENT_PROTOINFO
        if new == SCTP_CLOSED:
            s.closed_by = chunk[0]
        elif new == SCTP_ESTABLISHED and not c.status & IPS_ASSURED:
            c.status |= IPS_ASSURED
            s.events |= EVENT_ASSURED
        c.state = new
    return True


cdef ct_verdict sctp_packet(conn_t* c, packet_t* p, int direction, uint64_t now, const ct_opts_t* opts,
                            uint32_t* events) noexcept nogil:
    """Advance an association by one packet.

    => ``p`` has passed the checks of wire/; the sum is the engine's business.
    """
    cdef sctp_conn_t* s = &c.proto.sctp
    cdef uint32_t at = p.l4_off + HEADER
    cdef const uint8_t* chunk
    cdef walk_t w
    if not survey(p, &w):
        return CT_INVALID
    w.direction = direction
    if not w.kinds & JUDGE_THE_TAG and w.tag != s.tag[direction]:
        p.reason = Reason.sctp_tag
        return CT_INVALID
    chunk = next_chunk(p, &at)
    while chunk != NULL:
        if not apply_chunk(c, p, chunk, &w):
            return CT_INVALID
        chunk = next_chunk(p, &at)
    events[0] |= sctp_untold(c)
    if not w.quiet:
        conn_refresh(c, direction, p.len, now, opts.value[c.state])
    return CT_ACCEPT
