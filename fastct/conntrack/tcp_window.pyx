"""TCP window tracking: is a segment one that the receiver could accept?

After Guido van Rooij, "Real Stateful TCP Packet Filtering in IP Filter". Sender is the side that sent this
segment, receiver the other. In the window means

    I    seq  <= sender.maxend                          not beyond what the receiver allowed
    II   end  >= sender.end - receiver.maxwin           not before what it can still want
    III  sack <= receiver.end                           acknowledges nothing that was not sent
    IV   sack >= receiver.end - max(sender.maxwin, 66000)   nor anything too old

where sack is the acknowledgement, raised to the rightmost selectively acknowledged byte. All comparisons are
of signed 32-bit differences. A segment that misses II or IV is old news: it passes and changes nothing.
"""
from libc.stdint cimport uint8_t, uint32_t
from libc.string cimport memcmp

cimport cython

from fastct.conntrack.conn cimport DIR_REPLY, conn_t, tcp_conn_t, tcp_side_t
from fastct.conntrack.opts cimport OPT_TCP_BE_LIBERAL, ct_opts_t
from fastct.conntrack.tcp cimport (
    TCP_BE_LIBERAL,
    TCP_DATA_UNACKNOWLEDGED,
    TCP_IS_ACK,
    TCP_MAXACK_SET,
    TCP_SACK_PERM,
    TCP_SYN_RECV,
    TCP_SYN_SENT,
    TCP_WINDOW_SCALE,
)
from fastct.wire.bytes cimport load_be32
from fastct.wire.packet cimport TH_ACK, TH_RST, TH_SYN, packet_t
from fastct.wire.reason cimport Reason

cdef enum:
    MAX_ACK_WINDOW = 66000   # smallest reach of rule IV: one unscaled window and some
    SCALE_MAX = 14
    OPT_END = 0
    OPT_NOP = 1
    OPT_WINDOW = 3
    OPT_SACK_PERM = 4
    OPT_SACK = 5


cdef inline bint before(uint32_t a, uint32_t b) noexcept nogil:
    return <int>(a - b) < 0


cdef inline uint32_t later(uint32_t a, uint32_t b) noexcept nogil:
    """The higher of two sequence numbers, without a branch: who speaks next is as good as random."""
    return b if before(a, b) else a


cdef inline bint after(uint32_t a, uint32_t b) noexcept nogil:
    return <int>(b - a) < 0


# ---- options

cdef const uint8_t* next_option(const uint8_t** at, const uint8_t* end) noexcept nogil:
    """The next option with a body, or NULL at the end of the list or where it is damaged.

    => The option's kind, length (>= 2) and body are all before ``end``.
    """
    cdef const uint8_t* option
    while at[0] < end:
        option = at[0]
        if option[0] == OPT_END:
            return NULL
        if option[0] == OPT_NOP:
            at[0] += 1
            continue
        if end - option < 2 or option[1] < 2 or option[1] > end - option:
            return NULL
        at[0] += option[1]
        return option
    return NULL


cdef void tcp_options(const packet_t* p, tcp_side_t* side) noexcept nogil:
    """Window scale and SACK-permitted of a SYN; forgets all else but the liberal flag. A SYN without any options
    leaves what was known."""
    cdef const uint8_t* at = p.data + p.l4_off + 20
    cdef const uint8_t* end = at + p.options_len
    cdef const uint8_t* option
    if p.options_len == 0:
        return
    side.scale = 0
    side.flags &= TCP_BE_LIBERAL
    while True:
        option = next_option(&at, end)
        if option == NULL:
            return
        if option[0] == OPT_SACK_PERM and option[1] == 2:
            side.flags |= TCP_SACK_PERM
        elif option[0] == OPT_WINDOW and option[1] == 3:
            side.scale = option[2] if option[2] < SCALE_MAX else SCALE_MAX
            side.flags |= TCP_WINDOW_SCALE


cdef uint32_t rightmost_sack(const packet_t* p, uint32_t sack) noexcept nogil:
    """The highest right edge of the SACK blocks, if above ``sack``."""
    cdef const uint8_t* at = p.data + p.l4_off + 20
    cdef const uint8_t* end = at + p.options_len
    cdef const uint8_t* option
    cdef uint32_t right
    cdef int i
    if p.options_len == 12 and memcmp(at, b"\x01\x01\x08\x0a", 4) == 0:
        return sack                      # a time stamp alone, as nearly always
    while True:
        option = next_option(&at, end)
        if option == NULL:
            return sack
        if option[0] == OPT_SACK and option[1] >= 10 and (option[1] - 2) % 8 == 0:
            for i in range(2, option[1], 8):
                right = load_be32(option + i + 4)
                if after(right, sack):
                    sack = right
            return sack


# ---- the check

cdef void begin_side(tcp_side_t* sender, tcp_side_t* receiver, const packet_t* p, uint32_t end,
                     int direction) noexcept nogil:
    """The first SYN of a side: nothing is known of it but what this segment says."""
    sender.end = sender.maxend = end
    sender.maxwin = p.window if p.window else 1
    tcp_options(p, sender)
    # RFC 7323: both or neither scale
    if direction == DIR_REPLY and not sender.flags & receiver.flags & TCP_WINDOW_SCALE:
        sender.scale = receiver.scale = 0


cdef void pick_up_side(tcp_side_t* sender, tcp_side_t* receiver, const packet_t* p, uint32_t end,
                       uint32_t sack) noexcept nogil:
    """The first segment seen of a side is in mid-stream: believe it."""
    cdef uint32_t window = <uint32_t>p.window << sender.scale
    sender.end = end
    sender.maxwin = window if window else 1
    sender.maxend = end + sender.maxwin
    if receiver.maxwin == 0:
        receiver.end = receiver.maxend = sack
    elif sack == receiver.end + 1:
        receiver.end += 1                # the answer to a keepalive


cdef inline uint32_t ack_reach(const tcp_side_t* sender) noexcept nogil:
    return sender.maxwin if sender.maxwin > MAX_ACK_WINDOW else MAX_ACK_WINDOW


cdef window_verdict judge(window_verdict verdict, Reason reason, bint liberal, packet_t* p) noexcept nogil:
    if liberal:
        return WINDOW_ACCEPT
    p.reason = <uint8_t>reason
    return verdict


cdef window_verdict beyond_window(tcp_side_t* sender, const tcp_side_t* receiver, packet_t* p, uint32_t end,
                                  uint32_t sack, bint liberal) noexcept nogil:
    """Rule I is violated. Some stacks send a little more than they may; if the peer takes it and acknowledges
    it, that must not look like III, so a modest overshoot moves ``end``."""
    cdef uint32_t overshoot = end - sender.maxend + 1
    if (receiver.maxwin and after(end, sender.end - receiver.maxwin - 1)
            and before(sack, receiver.end + 1)
            and after(sack, receiver.end - ack_reach(sender) - 1)
            and overshoot <= receiver.maxwin):
        sender.end = end
        sender.flags |= TCP_DATA_UNACKNOWLEDGED
        return judge(WINDOW_IGNORE, Reason.tcp_overshoot, liberal, p)
    return judge(WINDOW_INVALID, Reason.tcp_seq_over, liberal, p)


cdef void update_sides(tcp_conn_t* t, tcp_side_t* sender, tcp_side_t* receiver, const packet_t* p, uint32_t end,
                       uint32_t ack, uint32_t sack) noexcept nogil:
    """In the window: learn from it."""
    cdef uint32_t window = p.window, allowed
    if not p.flags & TH_SYN:
        window <<= sender.scale
    if sender.maxwin < window + (sack - ack):
        sender.maxwin = window + (sack - ack)
    if after(end, sender.end):
        sender.end = end
        sender.flags |= TCP_DATA_UNACKNOWLEDGED
    if p.flags & TH_ACK:
        sender.maxack = later(sender.maxack, ack) if sender.flags & TCP_MAXACK_SET else ack
        sender.flags |= TCP_MAXACK_SET
    if cython.unlikely(receiver.maxwin and after(end, sender.maxend)):
        receiver.maxwin += end - sender.maxend
    # With a closed window there is still room for a probe, unless maxend is there already.
    allowed = sack + window
    if cython.unlikely(window == 0):
        allowed += not before(allowed, receiver.maxend)
    receiver.maxend = later(receiver.maxend, allowed)
    receiver.flags &= ~(TCP_DATA_UNACKNOWLEDGED * (ack == receiver.end))


cdef void count_repeats(tcp_conn_t* t, const packet_t* p, int direction, uint32_t seq, uint32_t ack,
                        uint32_t end) noexcept nogil:
    """The same segment of class ACK over and over: the peer may be gone."""
    if cython.unlikely(t.last_seq == seq and t.last_end == end and t.last_ack == ack and t.last_dir == direction
                       and t.last_win == p.window):
        t.retrans += 1
        return
    t.last_dir = <uint8_t>direction
    t.last_seq = seq
    t.last_ack = ack
    t.last_end = end
    t.last_win = p.window
    t.retrans = 0


cdef bint prepare(conn_t* c, const packet_t* p, int direction, uint32_t* seq, uint32_t* ack, uint32_t* sack,
                  uint32_t* end) noexcept nogil:
    """What comes before the check of anything but an ACK of a side that is known: begin a side, and put numbers
    in place that the segment does not carry.

    => Returns False if there is nothing to check: a simultaneous open.
    """
    cdef tcp_side_t* sender = &c.proto.tcp.side[direction]
    cdef tcp_side_t* receiver = &c.proto.tcp.side[not direction]
    if sender.maxwin == 0:
        if p.flags & TH_SYN:
            begin_side(sender, receiver, p, end[0], direction)
            if not p.flags & TH_ACK:
                return False
        else:
            pick_up_side(sender, receiver, p, end[0], sack[0])
    elif p.flags & TH_SYN and after(end[0], sender.end) and (c.state == TCP_SYN_SENT or c.state == TCP_SYN_RECV):
        # RFC 793: opening again with a higher number
        begin_side(sender, receiver, p, end[0], direction)
        if direction == DIR_REPLY and not p.flags & TH_ACK:
            return False
    if not p.flags & TH_ACK or (p.flags & TH_RST and ack[0] == 0):
        ack[0] = sack[0] = receiver.end          # nothing acknowledged (some stacks set ACK in such a RST)
    if p.flags & TH_RST and seq[0] == 0 and c.state == TCP_SYN_SENT:
        seq[0] = end[0] = sender.end             # the answer to a SYN
    return True


cdef window_verdict tcp_window(conn_t* c, packet_t* p, int direction, uint8_t index,
                               const ct_opts_t* opts) noexcept nogil:
    """Judge a segment by the windows of both sides, and update them if it is in."""
    cdef tcp_conn_t* t = &c.proto.tcp
    cdef tcp_side_t* sender = &t.side[direction]
    cdef tcp_side_t* receiver = &t.side[not direction]
    cdef uint32_t seq = p.seq, ack = p.ack, sack = p.ack, end = segment_end(p)
    cdef bint liberal = sender.flags & TCP_BE_LIBERAL or opts.value[OPT_TCP_BE_LIBERAL]
    if cython.unlikely(p.options_len and receiver.flags & TCP_SACK_PERM):
        sack = rightmost_sack(p, sack)
    if cython.unlikely(sender.maxwin == 0 or p.flags & (TH_SYN | TH_RST | TH_ACK) != TH_ACK):
        if not prepare(c, p, direction, &seq, &ack, &sack, &end):
            return WINDOW_ACCEPT
    if cython.unlikely(not before(seq, sender.maxend + 1)):
        return beyond_window(sender, receiver, p, end, sack, liberal)
    if cython.unlikely(not before(sack, receiver.end + 1)):
        return judge(WINDOW_INVALID, Reason.tcp_ack_over, liberal, p)
    if cython.unlikely(receiver.maxwin and not after(end, sender.end - receiver.maxwin - 1)):
        return judge(WINDOW_IGNORE, Reason.tcp_seq_under, liberal, p)
    if cython.unlikely(not after(sack, receiver.end - ack_reach(sender) - 1)):
        return judge(WINDOW_IGNORE, Reason.tcp_ack_under, liberal, p)
    update_sides(t, sender, receiver, p, end, ack, sack)
    if index == TCP_IS_ACK:
        count_repeats(t, p, direction, seq, ack, end)
    return WINDOW_ACCEPT
