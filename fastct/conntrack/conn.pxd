"""``conn_t``: one connection, two cache lines.

    line one   key, deadline, last packet, status, state, counters: all that UDP, ICMP and generic touch
    line two   the protocol's own record (TCP: the windows), and what is looked at rarely

What nearly nobody asks for (start time, IPv6 addresses in full) lies in arrays of its own, by the same slot.
Addresses and ids are in network order, times in ns of packet time, timeouts in whole seconds.
"""
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

from fastct.wire.packet cimport tuple_key_t

cdef enum:
    NO_SLOT = 0xFFFFFFFF
    DIR_ORIGINAL = 0
    DIR_REPLY = 1

# Status bits, with Linux' numbers.
cdef enum:
    IPS_EXPECTED = 1 << 0
    IPS_SEEN_REPLY = 1 << 1
    IPS_ASSURED = 1 << 2
    IPS_CONFIRMED = 1 << 3
    IPS_SRC_NAT = 1 << 4
    IPS_DST_NAT = 1 << 5
    IPS_SRC_NAT_DONE = 1 << 7
    IPS_DST_NAT_DONE = 1 << 8
    IPS_DYING = 1 << 9
    IPS_FIXED_TIMEOUT = 1 << 10
    IPS_HELPER = 1 << 13

# What else the tracker must know of a connection before it looks at its second line.
cdef enum:
    CONN_FLIP = 1            # the original direction's tuple is the inverse of the key
    CONN_HELPED = 2          # has a helper
    CONN_POLICY = 4          # has timeouts of its own
    CONN_PAIRED = 8          # the reply's tuple is not the inverse of the key: it has an entry of its own
    CONN_REPLY = 16          # this is such an entry and no connection: it leads to one, see ``pair.pyx``
    CONN_RIVAL = 32          # not the only entry with its key
    CONN_UNTOLD = 64         # packets that were dropped changed it: the next that passes tells, see extra_t
    CONN_LOOK = CONN_POLICY | CONN_PAIRED | CONN_RIVAL

# A direction counts up to 2^52 bytes and 2^44 packets.
cdef enum:
    BYTES_BITS = 52

cdef packed struct tcp_side_t:
    uint32_t end         # highest sequence number + length sent
    uint32_t maxend      # highest that the peer's acknowledgement + window allows
    uint32_t maxwin      # largest scaled window ever advertised; 0: this side has not been seen
    uint32_t maxack      # highest acknowledgement sent, if TCP_MAXACK_SET
    uint8_t scale        # window scale, 0 to 14
    uint8_t flags        # TCP_*

cdef packed struct tcp_conn_t:
    tcp_side_t side[2]   # by direction
    uint32_t last_seq    # the last segment of class ACK, or one that was ignored
    uint32_t last_ack
    uint32_t last_end
    uint16_t last_win    # raw
    uint8_t last_dir
    uint8_t last_index   # segment class, tcp_index
    uint8_t last_wscale  # options of an ignored SYN
    uint8_t last_flags
    uint8_t retrans
    uint8_t reserved

cdef packed struct udp_conn_t:
    uint64_t stream_ns   # from here on a conversation counts as a stream

cdef packed struct sctp_conn_t:
    uint32_t tag[2]           # verification tag that packets of a direction carry, network order; 0: not known
    uint8_t init[2]           # an INIT of this direction waits for its answer
    uint8_t heartbeat_failed  # a HEARTBEAT with a wrong tag was let through
    uint8_t heartbeat_dir     # in this direction
    uint8_t closed_by         # type of the chunk that led to CLOSED
    uint8_t events            # EVENT_* not told yet

cdef packed struct gre_conn_t:
    uint32_t timeout_s       # as set when the connection began
    uint32_t stream_s

cdef union proto_t:
    tcp_conn_t tcp
    udp_conn_t udp
    sctp_conn_t sctp
    gre_conn_t gre

cdef packed struct conn_t:
    # line one
    tuple_key_t key          # canonical; l3proto 0: the slot is free
    uint64_t deadline_ns     # expired once now >= this
    uint64_t last_ns         # last packet that belonged to it
    uint16_t status          # IPS_*
    uint8_t state            # of the protocol
    uint8_t flags            # CONN_*
    uint32_t memo            # what the rules remember of its packets' path, 0: nothing
    uint64_t sums[2]         # by direction: bytes in the low BYTES_BITS, above them packets from bit 32 on
    uint32_t packets_lo[2]
    # line two
    proto_t proto
    uint32_t number          # of the connection, low 32 bits; of a CONN_REPLY its slot; next free slot while free
    uint32_t extra           # index of rare data, 0: none


cdef inline int conn_direction(const conn_t* c, uint8_t flip) noexcept nogil:
    """The direction of a packet whose tuple is (``flip``) or is not the inverse of the key."""
    return (flip ^ c.flags) & CONN_FLIP


cdef inline bint conn_is_one(const conn_t* c) noexcept nogil:
    """Whether a slot holds a connection: it may be free, or hold what only leads to one."""
    return c.key.l3proto != 0 and not c.flags & CONN_REPLY


cdef inline uint64_t conn_packets(const conn_t* c, int dir) noexcept nogil:
    return c.sums[dir] >> BYTES_BITS << 32 | c.packets_lo[dir]


cdef inline uint64_t conn_bytes(const conn_t* c, int dir) noexcept nogil:
    return c.sums[dir] & ((<uint64_t>1 << BYTES_BITS) - 1)


cdef inline void conn_count(conn_t* c, int dir, uint32_t length) noexcept nogil:
    c.sums[dir] += length
    c.packets_lo[dir] += 1
    if c.packets_lo[dir] == 0:
        c.sums[dir] += <uint64_t>1 << BYTES_BITS


cdef inline void conn_refresh(conn_t* c, int dir, uint32_t length, uint64_t now, uint32_t timeout_s) noexcept nogil:
    """An accepted packet: count it and set the deadline anew, unless that is fixed."""
    if not c.status & IPS_FIXED_TIMEOUT:
        c.deadline_ns = now + timeout_s * <uint64_t>1000000000
    conn_count(c, dir, length)
