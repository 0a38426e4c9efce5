"""PPTP (RFC 2637): a control connection sets up calls, whose data go in GRE.

    client (PNS)  START_SESSION_REQUEST ──► START_SESSION_REPLY    server (PAC)     the session is confirmed
                  OUT_CALL_REQUEST (its call) ──► OUT_CALL_REPLY (both calls)       GRE is expected, both ways
                                                  IN_CALL_REQUEST (its call) ...    the same, begun by the server
                  ... IN_CALL_REPLY (both) ──► IN_CALL_CONNECT
                                                  CALL_DISCONNECT_NOTIFY            GRE ends

As in Linux the client is always the PNS, a control connection has one call at a time, and a packet is one message: it
begins where the packet begins, and what is behind it is not read. Nothing makes Linux drop a packet. A message that
does not fit the state is passed over. A control connection that expires takes its call along when that is noticed,
which a packet of the call or the sweep may do first, as on Linux.
"""
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memset

from fastct.conntrack.expect cimport EXPECT_ADDED, EXPECT_EITHER_WAY, expect_t, expects_remove
from fastct.conntrack.helper cimport help_add, help_end, help_expectation
from fastct.conntrack.keymap cimport NO_CALL, keymap_add, keymap_is, keymap_remove
from fastct.wire.bytes cimport load_be16, load_be32, load_u16
from fastct.wire.packet cimport PROTO_GRE

cdef enum:
    HEADER = 12              # length, type, cookie, message, reserved
    CONTROL = 1
    COOKIE = 0x1A2B3C4D

cdef enum message:
    START_SESSION_REQUEST = 1
    START_SESSION_REPLY
    STOP_SESSION_REQUEST
    STOP_SESSION_REPLY
    ECHO_REQUEST
    ECHO_REPLY
    OUT_CALL_REQUEST
    OUT_CALL_REPLY
    IN_CALL_REQUEST
    IN_CALL_REPLY
    IN_CALL_CONNECT
    CALL_CLEAR_REQUEST
    CALL_DISCONNECT_NOTIFY
    WAN_ERROR_NOTIFY
    SET_LINK_INFO
    MESSAGES

# Bytes that a message has behind the header; a shorter one is not read.
cdef uint16_t[16] _size
_size[:] = [0, 144, 144, 4, 4, 0, 0, 156, 20, 208, 12, 16, 4, 136, 28, 12]

cdef enum session_state:
    SESSION_NONE
    SESSION_ERROR
    SESSION_STOPPING
    SESSION_REQUESTED
    SESSION_CONFIRMED

cdef enum call_state:
    CALL_NONE
    CALL_OUT_REQUESTED
    CALL_OUT_CONFIRMED
    CALL_IN_REQUESTED
    CALL_IN_REPLIED
    CALL_IN_CONFIRMED
    CALL_CLEARING

cdef enum:
    RESULT_OK = 1            # of every kind of reply


# ---- the two directions of a call

cdef void call_ends(const help_t* h, int direction, uint16_t src_id, uint16_t dst_id, expect_t* e) noexcept nogil:
    """Where GRE packets of a direction come from and go to."""
    e.ends = h.ends[direction]
    e.ends.l4proto = PROTO_GRE
    e.ends.sport, e.ends.dport = src_id, dst_id


cdef void fill(const help_t* h, int direction, uint16_t src_id, uint16_t dst_id, expect_t* e) noexcept nogil:
    help_expectation(h, e, 0)
    call_ends(h, direction, src_id, dst_id, e)
    memset(e.mask, 0xFF, 4)
    e.sport_mask = 0xFFFF
    e.flags = EXPECT_EITHER_WAY


cdef bint map_key(help_t* h, pptp_t* s, int direction, const expect_t* e) noexcept nogil:
    """Let the keymap know a direction. False if it knows another call of this connection already."""
    if s.keymap[direction] != NO_CALL:
        return keymap_is(h.keymap, s.keymap[direction], &e.ends)
    s.keymap[direction] = keymap_add(h.keymap, &e.ends, h.slot)
    return s.keymap[direction] != NO_CALL


cdef void pptp_forget_keys(pptp_t* s, keymap_t* keymap) noexcept nogil:
    """Take a connection's entries out of the keymap."""
    cdef int direction
    for direction in range(2):
        if s.keymap[direction] != NO_CALL:
            keymap_remove(keymap, s.keymap[direction])
            s.keymap[direction] = NO_CALL


cdef void expect_call(help_t* h, pptp_t* s, uint16_t pac_call, uint16_t pns_call) noexcept nogil:
    """Expect GRE both ways, or not at all."""
    cdef expect_t there, back
    cdef uint32_t first, second
    fill(h, 0, pns_call, pac_call, &there)
    fill(h, 1, pac_call, pns_call, &back)
    if help_add(h, &there) != EXPECT_ADDED:
        return
    first = h.x.expects
    if help_add(h, &back) != EXPECT_ADDED:
        expects_remove(h.expects, first)
        return
    second = h.x.expects
    if map_key(h, s, 0, &there):
        if map_key(h, s, 1, &back):
            return
        pptp_forget_keys(s, h.keymap)
    expects_remove(h.expects, second)
    expects_remove(h.expects, first)


cdef void end_call(help_t* h, pptp_t* s) noexcept nogil:
    """Whatever the call was or was expected to be, either way round."""
    cdef expect_t e
    pptp_forget_keys(s, h.keymap)
    call_ends(h, 0, s.pns_call, s.pac_call, &e)
    help_end(h, &e.ends)
    call_ends(h, 1, s.pac_call, s.pns_call, &e)
    help_end(h, &e.ends)


cdef void pptp_ended(help_t* h) noexcept nogil:
    """The control connection is over, so its call is."""
    end_call(h, <pptp_t*>h.x.state)


# ---- messages; ``body`` is as long as its message wants it to be

cdef void from_server(help_t* h, pptp_t* s, uint16_t kind, const uint8_t* body) noexcept nogil:
    cdef bint confirmed = s.session == SESSION_CONFIRMED
    if kind == START_SESSION_REPLY:
        if s.session >= SESSION_REQUESTED:
            s.session = SESSION_CONFIRMED if body[2] == RESULT_OK else SESSION_ERROR
    elif kind == STOP_SESSION_REPLY:
        if s.session <= SESSION_STOPPING:
            s.session = SESSION_NONE if body[0] == RESULT_OK else SESSION_ERROR
    elif kind == OUT_CALL_REPLY:
        if not confirmed or s.call not in (CALL_OUT_REQUESTED, CALL_OUT_CONFIRMED) or s.pns_call != load_u16(body + 2):
            return
        if body[4] == RESULT_OK:
            s.call = CALL_OUT_CONFIRMED
            s.pac_call = load_u16(body)
            expect_call(h, s, s.pac_call, s.pns_call)
        else:
            s.call = CALL_NONE
    elif kind == IN_CALL_REQUEST:
        if confirmed:
            s.call = CALL_IN_REQUESTED
            s.pac_call = load_u16(body)
    elif kind == IN_CALL_CONNECT:
        if confirmed and s.call in (CALL_IN_REPLIED, CALL_IN_CONFIRMED) and s.pns_call == load_u16(body):
            s.call = CALL_IN_CONFIRMED
            expect_call(h, s, s.pac_call, s.pns_call)
    elif kind == CALL_DISCONNECT_NOTIFY:
        s.call = CALL_NONE
        end_call(h, s)


cdef void from_client(pptp_t* s, uint16_t kind, const uint8_t* body) noexcept nogil:
    if kind == START_SESSION_REQUEST:
        if s.session == SESSION_NONE:
            s.session = SESSION_REQUESTED
    elif kind == STOP_SESSION_REQUEST:
        s.session = SESSION_STOPPING
    elif kind == OUT_CALL_REQUEST:
        if s.session == SESSION_CONFIRMED:
            s.call = CALL_OUT_REQUESTED
            s.pns_call = load_u16(body)
    elif kind == IN_CALL_REPLY:
        if s.call not in (CALL_IN_REQUESTED, CALL_IN_REPLIED) or s.pac_call != load_u16(body + 2):
            return
        if body[4] == RESULT_OK:
            s.call = CALL_IN_REPLIED
            s.pns_call = load_u16(body)
        else:
            s.call = CALL_NONE
    elif kind == CALL_CLEAR_REQUEST and s.session == SESSION_CONFIRMED:
        s.call = CALL_CLEARING


cdef bint pptp_help(help_t* h) noexcept nogil:
    """One packet of a control connection."""
    cdef pptp_t* s = <pptp_t*>h.x.state
    cdef uint16_t kind
    if (not h.established or h.len < HEADER or load_be16(h.data + 2) != CONTROL
            or load_be32(h.data + 4) != COOKIE):
        return True
    kind = load_be16(h.data + 8)
    if kind == 0 or kind >= MESSAGES or h.len - HEADER < _size[kind]:
        return True
    if h.direction == 0:
        from_client(s, kind, h.data + HEADER)
    else:
        from_server(h, s, kind, h.data + HEADER)
    return True


cdef bint pptp_is_sound(const uint64_t* state) noexcept nogil:
    """Words as a file has them: what the keymap knows of the call comes with the keymap."""
    cdef const pptp_t* s = <const pptp_t*>state
    return s.keymap[0] == NO_CALL and s.keymap[1] == NO_CALL and state[2] == state[3] == state[4] == 0
