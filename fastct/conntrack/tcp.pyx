"""TCP: what a segment does to a connection.

    class of the segment ──► candidate state ──► special cases ──► window (tcp_window.pyx) ──► commit

The candidate comes from a table (direction x class x state). It is in the middle of the network, so it sees
segments that an end point will refuse and misses others: the special cases are about getting back into step.
"""
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memset

cimport cython

from fastct.conntrack.conn cimport (
    DIR_ORIGINAL,
    DIR_REPLY,
    IPS_ASSURED,
    IPS_FIXED_TIMEOUT,
    IPS_SEEN_REPLY,
    conn_count,
    conn_refresh,
    conn_t,
    tcp_conn_t,
    tcp_side_t,
)
from fastct.conntrack.opts cimport (
    OPT_TCP_IGNORE_INVALID_RST,
    OPT_TCP_LOOSE,
    OPT_TCP_MAX_RETRANS,
    OPT_TCP_RETRANS,
    OPT_TCP_RST_KEPT,
    OPT_TCP_UNACK,
    ct_opts_t,
)
from fastct.conntrack.tcp_window cimport (
    WINDOW_ACCEPT,
    WINDOW_INVALID,
    before,
    segment_end,
    tcp_options,
    tcp_window,
    window_verdict,
)
from fastct.conntrack.verdict cimport (
    CT_ACCEPT,
    CT_INVALID,
    CT_KILL,
    CT_REPEAT,
    EVENT_ASSURED,
    EVENT_PROTOINFO,
    ct_verdict,
)
from fastct.wire.packet cimport TH_ACK, TH_FIN, TH_RST, TH_SYN, packet_t
from fastct.wire.reason cimport Reason

cdef enum:
    HALF_CLOSED_MIN_S = 120    # an invalid FIN or RST shortens only what would last longer

# What the special cases say of a move.
cdef enum tcp_step:
    STEP_WINDOW      # go on: check the window
    STEP_COMMIT      # nothing can judge it: it counts
    STEP_DONE        # the verdict is in the move

cdef struct move_t:
    uint8_t old
    uint8_t new
    ct_verdict verdict

# Candidate states. Rows: class of the segment; columns: current state.
_NO, _SS, _SR, _ES, _FW, _CW, _LA, _TW, _CL, _S2, _IG, _IV = range(12)
TRANSITIONS = {
    # from:               NO   SS   SR   ES   FW   CW   LA   TW   CL   S2
    (0, TCP_IS_SYN):    (_SS, _SS, _IG, _IG, _IG, _IG, _IG, _SS, _SS, _S2),
    (0, TCP_IS_SYNACK): (_IV, _IV, _SR, _IV, _IV, _IV, _IV, _IV, _IV, _SR),
    (0, TCP_IS_FIN):    (_IV, _IV, _FW, _FW, _LA, _LA, _LA, _TW, _CL, _IV),
    (0, TCP_IS_ACK):    (_ES, _IV, _ES, _ES, _CW, _CW, _TW, _TW, _CL, _IV),
    (0, TCP_IS_RST):    (_IV, _CL, _CL, _CL, _CL, _CL, _CL, _CL, _CL, _CL),
    (0, TCP_IS_NONE):   (_IV, _IV, _IV, _IV, _IV, _IV, _IV, _IV, _IV, _IV),
    (1, TCP_IS_SYN):    (_IV, _S2, _IV, _IV, _IV, _IV, _IV, _SS, _IV, _S2),
    (1, TCP_IS_SYNACK): (_IV, _SR, _IG, _IG, _IG, _IG, _IG, _IG, _IG, _SR),
    (1, TCP_IS_FIN):    (_IV, _IV, _FW, _FW, _LA, _LA, _LA, _TW, _CL, _IV),
    (1, TCP_IS_ACK):    (_IV, _IG, _SR, _ES, _CW, _CW, _TW, _TW, _CL, _IG),
    (1, TCP_IS_RST):    (_IV, _CL, _CL, _CL, _CL, _CL, _CL, _CL, _CL, _CL),
    (1, TCP_IS_NONE):   (_IV, _IV, _IV, _IV, _IV, _IV, _IV, _IV, _IV, _IV),
}
cdef uint8_t[2][6][10] _transitions
for (_dir, _index), _row in TRANSITIONS.items():
    for _state, _candidate in enumerate(_row):
        _transitions[<int>_dir][<int>_index][<int>_state] = _candidate

# Class of a segment by its flags: RST before SYN before FIN before ACK.
cdef uint8_t[256] _index_of
for _flags in range(256):
    _index_of[<int>_flags] = (
        TCP_IS_RST if _flags & TH_RST else
        (TCP_IS_SYNACK if _flags & TH_ACK else TCP_IS_SYN) if _flags & TH_SYN else
        TCP_IS_FIN if _flags & TH_FIN else
        TCP_IS_ACK if _flags & TH_ACK else TCP_IS_NONE)


cdef bint tcp_new(conn_t* c, packet_t* p, const ct_opts_t* opts) noexcept nogil:
    """A first segment: a SYN, or (if loose) anything that an established connection could send."""
    cdef uint8_t candidate = _transitions[0][_index_of[p.flags]][<int>TCP_NONE]
    cdef tcp_side_t* sender = &c.proto.tcp.side[0]
    if candidate >= TCP_IGNORE:
        p.reason = Reason.tcp_new_invalid
        return False
    if candidate != TCP_SYN_SENT and not opts.value[OPT_TCP_LOOSE]:
        p.reason = Reason.tcp_new_not_loose
        return False
    memset(&c.proto.tcp, 0, sizeof(tcp_conn_t))
    sender.end = segment_end(p)
    sender.maxwin = p.window if p.window else 1
    if candidate == TCP_SYN_SENT:
        sender.maxend = sender.end
        tcp_options(p, sender)
    else:
        # The history is lost: assume what most stacks negotiate, and do not hold them to windows.
        sender.maxend = sender.end + sender.maxwin
        sender.flags = c.proto.tcp.side[1].flags = TCP_SACK_PERM | TCP_BE_LIBERAL
    c.state = TCP_NONE
    c.proto.tcp.last_index = TCP_IS_NONE
    return True


cdef ct_verdict tcp_packet(conn_t* c, packet_t* p, int direction, uint64_t now, const ct_opts_t* opts,
                           uint32_t* events) noexcept nogil:
    """Advance a connection by one segment.

    => ``p`` has passed the checks of wire/; the sum is the engine's business.
    """
    cdef uint8_t index = _index_of[p.flags]
    cdef uint8_t old = c.state
    cdef uint8_t new = _transitions[direction][index][old]
    cdef tcp_step step = STEP_WINDOW
    cdef window_verdict window
    cdef move_t move
    if cython.unlikely(new != TCP_ESTABLISHED):
        move.old, move.new = old, new
        step = special_case(c, p, direction, index, &move, opts)
        old, new = move.old, move.new
    if step == STEP_WINDOW:
        window = tcp_window(c, p, direction, index, opts)
        if cython.unlikely(window == WINDOW_INVALID):
            shorten_on_invalid(c, direction, index, now, opts)
            return CT_INVALID
        if cython.unlikely(window != WINDOW_ACCEPT):
            return CT_ACCEPT
    elif step == STEP_DONE:
        return move.verdict
    return commit(c, p, direction, index, old, new, now, opts, events)


# ---- special cases

cdef tcp_step done(move_t* move, ct_verdict verdict) noexcept nogil:
    move.verdict = verdict
    return STEP_DONE


cdef tcp_step special_case(conn_t* c, packet_t* p, int direction, uint8_t index, move_t* move,
                           const ct_opts_t* opts) noexcept nogil:
    """Every move but to ESTABLISHED: may change it, judge it, or spare it the window."""
    cdef tcp_conn_t* t = &c.proto.tcp
    cdef bint check_window = True
    if move.new == TCP_INVALID:
        p.reason = Reason.tcp_state_invalid
        return done(move, CT_INVALID)
    if move.new == TCP_SYN_SENT and move.old >= TCP_TIME_WAIT:
        if is_over(t, direction):
            return done(move, CT_REPEAT)
        move.new = TCP_IGNORE
    if move.new == TCP_IGNORE:
        if index != TCP_IS_SYNACK or not answers_ignored_syn(t, p, direction):
            remember_ignored(t, p, direction, index, move.old)
            p.reason = Reason.tcp_ignored
            return done(move, CT_ACCEPT)
        adopt_ignored_syn(t, direction)
        move.old, move.new = TCP_SYN_SENT, TCP_SYN_RECV
    elif move.new == TCP_TIME_WAIT:
        if move.old == TCP_LAST_ACK and index == TCP_IS_ACK and is_challenge_ack(t, direction):
            t.last_flags &= ~TCP_EXPECT_CHALLENGE_ACK
            p.reason = Reason.tcp_challenge_ack
            return done(move, CT_ACCEPT)
    elif move.new == TCP_SYN_SENT2:
        t.last_flags |= TCP_SIMULTANEOUS_OPEN
    elif move.new == TCP_SYN_RECV:
        if direction == DIR_REPLY and index == TCP_IS_ACK and t.last_flags & TCP_SIMULTANEOUS_OPEN:
            move.new = TCP_ESTABLISHED
    elif move.new == TCP_CLOSE and index == TCP_IS_RST:
        if not judge_rst(c, p, direction, opts, &move.new, &check_window):
            p.reason = Reason.tcp_rst_invalid
            return done(move, CT_INVALID)
    return STEP_WINDOW if check_window else STEP_COMMIT


cdef inline bint is_over(const tcp_conn_t* t, int direction) noexcept nogil:
    """May a SYN in TIME_WAIT or CLOSE begin a new connection? Yes after an orderly close, or after the
    sender's own RST."""
    return ((t.side[0].flags | t.side[1].flags) & TCP_CLOSE_INIT
            or (t.last_dir == direction and t.last_index == TCP_IS_RST))


cdef inline bint answers_ignored_syn(const tcp_conn_t* t, const packet_t* p, int direction) noexcept nogil:
    """A SYN/ACK for a SYN that was let through but ignored: the ends are in step, the entry is not."""
    return t.last_index == TCP_IS_SYN and t.last_dir != direction and p.ack == t.last_end


cdef void adopt_ignored_syn(tcp_conn_t* t, int direction) noexcept nogil:
    """Take the ignored SYN as the beginning after all. All that stays of the answering side is that it was picked up
    in mid-stream and is not held to windows."""
    cdef uint8_t liberal = t.side[direction].flags & TCP_BE_LIBERAL
    cdef tcp_side_t* opener = &t.side[t.last_dir]
    opener.end = opener.maxend = t.last_end
    opener.maxwin = t.last_win if t.last_win else 1
    opener.scale = t.last_wscale
    t.last_flags &= ~TCP_EXPECT_CHALLENGE_ACK
    opener.flags = t.last_flags
    memset(&t.side[direction], 0, sizeof(tcp_side_t))
    t.side[direction].flags = liberal


cdef void remember_ignored(tcp_conn_t* t, const packet_t* p, int direction, uint8_t index, uint8_t old) noexcept nogil:
    """An ignored segment may prove to be the real connection: keep what its answer will be compared with."""
    cdef tcp_side_t seen
    t.last_index = index
    t.last_dir = <uint8_t>direction
    t.last_seq = p.seq
    t.last_end = segment_end(p)
    t.last_win = p.window
    if index == TCP_IS_SYN and direction == DIR_ORIGINAL:
        memset(&seen, 0, sizeof(seen))
        tcp_options(p, &seen)
        t.last_flags = seen.flags & (TCP_WINDOW_SCALE | TCP_SACK_PERM)
        t.last_wscale = seen.scale
        if old == TCP_LAST_ACK:
            # RFC 5961: the answer may be an ACK that must not be taken for that of the last FIN
            t.last_flags |= TCP_EXPECT_CHALLENGE_ACK
    if old == TCP_SYN_SENT and index == TCP_IS_ACK and direction == DIR_REPLY:
        t.last_ack = p.ack


cdef inline bint is_challenge_ack(const tcp_conn_t* t, int direction) noexcept nogil:
    return (t.last_dir != direction and t.last_index == TCP_IS_SYN
            and t.last_flags & TCP_EXPECT_CHALLENGE_ACK)


cdef bint judge_rst(const conn_t* c, const packet_t* p, int direction, const ct_opts_t* opts, uint8_t* new,
                    bint* check_window) noexcept nogil:
    """A RST: does it close, is it forged, or does it wait for the peer's opinion?

    => Returns False if it is invalid. May set ``new`` back to the current state (a challenge ACK will tell)
       and ``check_window`` to False (nothing in the entry could judge it).
    """
    cdef const tcp_conn_t* t = &c.proto.tcp
    cdef const tcp_side_t* peer = &t.side[direction ^ 1]
    cdef bint established = c.state == TCP_ESTABLISHED and c.status & IPS_ASSURED
    if TCP_FIN_WAIT <= c.state <= TCP_CLOSE:
        check_window[0] = False      # closing anyway, and the ports may be in use again
        return True
    if peer.flags & TCP_MAXACK_SET and t.last_index != TCP_IS_SYN:
        if p.seq == 0 and not established:
            return True              # the answer to a SYN that was let through
        if before(p.seq, peer.maxack) and not opts.value[OPT_TCP_IGNORE_INVALID_RST]:
            return False
        if not established or p.seq == peer.maxack:
            return True
        if t.last_index == TCP_IS_ACK and t.last_dir == direction and p.seq == t.last_end:
            return True              # right behind the data it follows
        new[0] = c.state             # RFC 5961: not exactly in sequence, so the peer will challenge it
    if t.last_dir != direction and p.ack == t.last_end and (
            (c.status & IPS_SEEN_REPLY and t.last_index == TCP_IS_SYN)
            or (not c.status & IPS_ASSURED and t.last_index == TCP_IS_ACK)):
        check_window[0] = False      # the answer to a SYN or ACK that was ignored
    elif (c.state == TCP_SYN_SENT and t.last_index == TCP_IS_ACK and t.last_dir == DIR_REPLY
            and p.seq == t.last_ack):
        check_window[0] = False      # the answer to a challenge ACK
    return True


cdef void shorten_on_invalid(conn_t* c, int direction, uint8_t index, uint64_t now,
                             const ct_opts_t* opts) noexcept nogil:
    """Both ends seem to close while every FIN and RST misses the window: do not keep the entry for days."""
    cdef tcp_conn_t* t = &c.proto.tcp
    cdef uint64_t shorter
    if not c.status & IPS_ASSURED or c.status & IPS_FIXED_TIMEOUT or index not in (TCP_IS_FIN, TCP_IS_RST):
        return
    if t.last_dir != direction and t.last_index in (TCP_IS_FIN, TCP_IS_RST):
        shorter = now + opts.value[OPT_TCP_UNACK] * <uint64_t>1000000000
        if c.deadline_ns >= now + HALF_CLOSED_MIN_S * <uint64_t>1000000000 and c.deadline_ns > shorter:
            c.deadline_ns = shorter
    else:
        t.last_index = index
        t.last_dir = <uint8_t>direction


# ---- the end of it

cdef uint32_t timeout_of(const conn_t* c, uint8_t index, uint8_t new, const ct_opts_t* opts) noexcept nogil:
    """Seconds for a segment that was accepted; the first rule that applies."""
    cdef const tcp_conn_t* t = &c.proto.tcp
    cdef uint32_t regular = opts.value[new]
    cdef uint32_t retrans = opts.value[OPT_TCP_RETRANS], unack = opts.value[OPT_TCP_UNACK]
    if cython.unlikely(t.retrans >= opts.value[OPT_TCP_MAX_RETRANS] and regular > retrans):
        return retrans
    if cython.unlikely(index == TCP_IS_RST):
        return regular if new == TCP_CLOSE else opts.value[opts.value[OPT_TCP_RST_KEPT]]
    if (t.side[0].flags | t.side[1].flags) & TCP_DATA_UNACKNOWLEDGED and regular > unack:
        return unack
    if t.last_win == 0 and regular > retrans:
        return retrans
    return regular


cdef ct_verdict commit(conn_t* c, packet_t* p, int direction, uint8_t index, uint8_t old, uint8_t new, uint64_t now,
                       const ct_opts_t* opts, uint32_t* events) noexcept nogil:
    """The segment counts: state, timeout, ASSURED."""
    cdef tcp_conn_t* t = &c.proto.tcp
    cdef uint32_t timeout_s
    t.last_index = index
    t.last_dir = <uint8_t>direction
    c.state = new
    if cython.unlikely(old != new):
        events[0] |= EVENT_PROTOINFO
        if new == TCP_FIN_WAIT:
            t.side[direction].flags |= TCP_CLOSE_INIT
    timeout_s = timeout_of(c, index, new, opts)
    if cython.unlikely(not c.status & IPS_SEEN_REPLY):
        if index == TCP_IS_RST:
            conn_count(c, direction, p.len)
            return CT_KILL           # refused: nobody will ask for this entry again
        if index == TCP_IS_SYN and old == TCP_SYN_SENT:
            # Ports used again must not keep an old entry alive for ever.
            p.reason = Reason.tcp_syn_again
            return CT_ACCEPT
        if new == TCP_ESTABLISHED and timeout_s > opts.value[OPT_TCP_UNACK]:
            timeout_s = opts.value[OPT_TCP_UNACK]
    elif (not c.status & IPS_ASSURED and new == TCP_ESTABLISHED
            and (old == TCP_SYN_RECV or old == TCP_ESTABLISHED)):
        c.status |= IPS_ASSURED
        events[0] |= EVENT_ASSURED
    conn_refresh(c, direction, p.len, now, timeout_s)
    return CT_ACCEPT
