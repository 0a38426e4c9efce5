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

from fastct.conntrack.conn cimport DIR_REPLY, conn_t, tcp_side_t
from fastct.conntrack.tcp cimport (
    TCP_BE_LIBERAL,
    TCP_DATA_UNACKNOWLEDGED,
    TCP_SACK_PERM,
    TCP_SYN_RECV,
    TCP_SYN_SENT,
    TCP_WINDOW_SCALE,
)
from fastct.wire.bytes cimport load_be32
from fastct.wire.packet cimport TH_ACK, TH_RST, TH_SYN, packet_t
from fastct.wire.reason cimport Reason

cdef enum:
    SCALE_MAX = 14
    OPT_END = 0
    OPT_NOP = 1
    OPT_WINDOW = 3
    OPT_SACK_PERM = 4
    OPT_SACK = 5


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


cdef window_verdict judge(window_verdict verdict, Reason reason, bint liberal, packet_t* p) noexcept nogil:
    if liberal:
        return WINDOW_ACCEPT
    p.reason = <uint8_t>reason
    return verdict


cdef window_verdict beyond_window(tcp_side_t* sender, const tcp_side_t* receiver, packet_t* p,
                                  segment_t s) noexcept nogil:
    """Rule I is violated. Some stacks send a little more than they may; if the peer takes it and acknowledges
    it, that must not look like III, so a modest overshoot moves ``end``."""
    cdef uint32_t overshoot = s.end - sender.maxend + 1
    if (receiver.maxwin and after(s.end, sender.end - receiver.maxwin - 1)
            and before(s.sack, receiver.end + 1)
            and after(s.sack, receiver.end - ack_reach(sender) - 1)
            and overshoot <= receiver.maxwin):
        sender.end = s.end
        sender.flags |= TCP_DATA_UNACKNOWLEDGED
        return judge(WINDOW_IGNORE, Reason.tcp_overshoot, s.liberal, p)
    return judge(WINDOW_INVALID, Reason.tcp_seq_over, s.liberal, p)


cdef window_verdict unusual_segment(conn_t* c, packet_t* p, segment_t s) noexcept nogil:
    """Anything but an ACK of a side that is known: begin the side, put numbers in place that the segment does not
    carry, then check."""
    cdef tcp_side_t* sender = &c.proto.tcp.side[s.direction]
    cdef tcp_side_t* receiver = &c.proto.tcp.side[s.direction ^ 1]
    if sender.maxwin == 0:
        if p.flags & TH_SYN:
            begin_side(sender, receiver, p, s.end, s.direction)
            if not p.flags & TH_ACK:
                return WINDOW_ACCEPT         # a simultaneous open: nothing to check yet
        else:
            pick_up_side(sender, receiver, p, s.end, s.sack)
    elif p.flags & TH_SYN and after(s.end, sender.end) and (c.state == TCP_SYN_SENT or c.state == TCP_SYN_RECV):
        # RFC 793: opening again with a higher number
        begin_side(sender, receiver, p, s.end, s.direction)
        if s.direction == DIR_REPLY and not p.flags & TH_ACK:
            return WINDOW_ACCEPT
    if not p.flags & TH_ACK or (p.flags & TH_RST and s.ack == 0):
        s.ack = s.sack = receiver.end        # nothing acknowledged (some stacks set ACK in such a RST)
    if p.flags & TH_RST and s.seq == 0 and c.state == TCP_SYN_SENT:
        s.seq = s.end = sender.end           # the answer to a SYN
    return window_check(c, p, s)
