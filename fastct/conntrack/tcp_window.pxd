"""The window check of TCP, whose rules I to IV are told in ``tcp_window.pyx``. What a segment in the middle of a
conversation needs is in line."""
from libc.stdint cimport uint8_t, uint32_t

cimport cython

from fastct.conntrack.conn cimport conn_t, tcp_conn_t, tcp_side_t
from fastct.conntrack.opts cimport OPT_TCP_BE_LIBERAL, ct_opts_t
from fastct.conntrack.tcp cimport (
    TCP_BE_LIBERAL,
    TCP_DATA_UNACKNOWLEDGED,
    TCP_IS_ACK,
    TCP_MAXACK_SET,
    TCP_SACK_PERM,
)
from fastct.wire.packet cimport TH_ACK, TH_FIN, TH_RST, TH_SYN, packet_t
from fastct.wire.reason cimport Reason

cdef enum:
    MAX_ACK_WINDOW = 66000   # smallest reach of rule IV: one unscaled window and some

cdef enum window_verdict:
    WINDOW_ACCEPT
    WINDOW_INVALID   # packet_t.reason says why
    WINDOW_IGNORE    # passes, but changes and refreshes nothing; packet_t.reason says why

# What a segment says, put right where it says nothing, and how it is to be judged.
cdef struct segment_t:
    uint32_t seq
    uint32_t end             # behind it; SYN and FIN take one number each
    uint32_t ack
    uint32_t sack            # ack, or the right edge of the highest SACK block
    int direction
    int index                # class, tcp_index
    int liberal              # what violates a rule is accepted

cdef void tcp_options(const packet_t* p, tcp_side_t* side) noexcept nogil
cdef uint32_t rightmost_sack(const packet_t* p, uint32_t sack) noexcept nogil
cdef window_verdict unusual_segment(conn_t* c, packet_t* p, segment_t s) noexcept nogil
cdef window_verdict judge(window_verdict verdict, Reason reason, bint liberal, packet_t* p) noexcept nogil
cdef window_verdict beyond_window(tcp_side_t* sender, const tcp_side_t* receiver, packet_t* p,
                                  segment_t s) noexcept nogil


# ---- sequence numbers wrap: compare by signed difference

cdef inline bint before(uint32_t a, uint32_t b) noexcept nogil:
    return <int>(a - b) < 0


cdef inline bint after(uint32_t a, uint32_t b) noexcept nogil:
    return <int>(b - a) < 0


cdef inline uint32_t later(uint32_t a, uint32_t b) noexcept nogil:
    """The higher of two sequence numbers, without a branch: who speaks next is as good as random."""
    return b if before(a, b) else a


cdef inline uint32_t segment_end(const packet_t* p) noexcept nogil:
    """Sequence number behind the segment; SYN and FIN take one each."""
    return p.seq + p.payload_len + (1 if p.flags & TH_SYN else 0) + (1 if p.flags & TH_FIN else 0)


# ---- the check

cdef inline uint32_t ack_reach(const tcp_side_t* sender) noexcept nogil:
    return sender.maxwin if sender.maxwin > MAX_ACK_WINDOW else MAX_ACK_WINDOW


cdef inline void update_sides(tcp_side_t* sender, tcp_side_t* receiver, const packet_t* p,
                              segment_t s) noexcept nogil:
    """In the window: learn from it."""
    cdef uint32_t window = p.window, allowed
    cdef uint32_t flags = sender.flags
    if not p.flags & TH_SYN:
        window <<= sender.scale
    if sender.maxwin < window + (s.sack - s.ack):
        sender.maxwin = window + (s.sack - s.ack)
    flags |= TCP_DATA_UNACKNOWLEDGED * after(s.end, sender.end)
    sender.end = later(sender.end, s.end)
    if cython.likely(p.flags & TH_ACK):
        sender.maxack = later(sender.maxack, s.ack) if flags & TCP_MAXACK_SET else s.ack
        flags |= TCP_MAXACK_SET
    sender.flags = <uint8_t>flags
    if cython.unlikely(after(s.end, sender.maxend) and receiver.maxwin):
        receiver.maxwin += s.end - sender.maxend
    # With a closed window there is still room for a probe, unless maxend is there already.
    allowed = s.sack + window
    if cython.unlikely(window == 0):
        allowed += not before(allowed, receiver.maxend)
    receiver.maxend = later(receiver.maxend, allowed)
    receiver.flags &= ~(TCP_DATA_UNACKNOWLEDGED * (s.ack == receiver.end))


cdef inline void count_repeats(tcp_conn_t* t, const packet_t* p, segment_t s) noexcept nogil:
    """The same segment of class ACK over and over: the peer may be gone."""
    if cython.unlikely(t.last_seq == s.seq and t.last_end == s.end and t.last_ack == s.ack
                       and t.last_dir == s.direction and t.last_win == p.window):
        t.retrans += 1
        return
    t.last_dir = <uint8_t>s.direction
    t.last_seq = s.seq
    t.last_ack = s.ack
    t.last_end = s.end
    t.last_win = p.window
    t.retrans = 0


cdef inline window_verdict window_check(conn_t* c, packet_t* p, segment_t s) noexcept nogil:
    """Rules I to IV for a segment of a side that is known, and what is learned if none is violated."""
    cdef tcp_conn_t* t = &c.proto.tcp
    cdef tcp_side_t* sender = &t.side[s.direction]
    cdef tcp_side_t* receiver = &t.side[s.direction ^ 1]
    if cython.unlikely(not before(s.seq, sender.maxend + 1)):                                          # I
        return beyond_window(sender, receiver, p, s)
    if cython.unlikely(not before(s.sack, receiver.end + 1)):                                          # III
        return judge(WINDOW_INVALID, Reason.tcp_ack_over, s.liberal, p)
    if cython.unlikely(not after(s.end, sender.end - receiver.maxwin - 1) and receiver.maxwin):        # II
        return judge(WINDOW_IGNORE, Reason.tcp_seq_under, s.liberal, p)
    if cython.unlikely(not after(s.sack, receiver.end - ack_reach(sender) - 1)):                       # IV
        return judge(WINDOW_IGNORE, Reason.tcp_ack_under, s.liberal, p)
    update_sides(sender, receiver, p, s)
    if cython.likely(s.index == TCP_IS_ACK):
        count_repeats(t, p, s)
    return WINDOW_ACCEPT


cdef inline window_verdict tcp_window(conn_t* c, packet_t* p, int direction, uint8_t index,
                                      const ct_opts_t* opts) noexcept nogil:
    """Judge a segment by the windows of both sides, and update them if it is in."""
    cdef const tcp_side_t* sender = &c.proto.tcp.side[direction]
    cdef segment_t s
    s.seq, s.end, s.ack, s.sack = p.seq, segment_end(p), p.ack, p.ack
    s.direction, s.index = direction, index
    s.liberal = sender.flags & TCP_BE_LIBERAL or opts.value[OPT_TCP_BE_LIBERAL]
    if cython.unlikely(p.options_len and c.proto.tcp.side[direction ^ 1].flags & TCP_SACK_PERM):
        s.sack = rightmost_sack(p, s.sack)
    if cython.unlikely(sender.maxwin == 0 or p.flags & (TH_SYN | TH_RST | TH_ACK) != TH_ACK):
        return unusual_segment(c, p, s)
    return window_check(c, p, s)
