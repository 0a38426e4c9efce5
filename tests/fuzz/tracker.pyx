"""Target ``tracker``: conversations of all protocols, a record a packet.

    control    what kind of packet (4 bits), from which side (1), how much time passes before it (3); 5: no packet, but
               the template of those that follow
    data       which of a few tuples, then what the kind wants to know

A TCP segment's numbers are differences to what its side would send next, so that an input may well be a conversation.
Everything is tracked twice when the settings ask for it: how packets are batched must not be seen.
"""
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcmp, memcpy, memset

from fastct.engine cimport engine_t
from fastct.records cimport packet_row_t
from tests.fuzz.engines cimport (
    FRAMES_MAX,
    PACKET_MOST,
    TEMPLATES_MAX,
    Fresh,
    check_table,
    fail,
    stage_close,
    stage_open,
    stage_put,
    stage_run,
    stage_t,
    wind_down,
)
from tests.fuzz.forge cimport put16, put32, put_ip, put_tcp, put_udp
from tests.fuzz.records cimport byte_of, input_next, input_open, input_t, is_one_of, record_t

cdef enum:
    KIND_TEMPLATE = 5
    KIND_UDP = 6
    KIND_UDPLITE = 7
    KIND_ICMP = 8
    KIND_ICMP_ERROR = 9
    KIND_SCTP = 10
    KIND_GRE = 11
    KIND_OTHER = 12
    KIND_PIECES = 13
    KIND_RAW = 14
    KIND_CHANGED = 15
    TUPLES = 64
    ENGINES = 8

# Time before a packet, in ms, and what a code adds to a sequence number.
cdef uint32_t[8] _pauses = [0, 1, 1000, 11_000, 31_000, 121_000, 601_000, 433_000_000]
cdef int64_t[16] _steps = [0, 0, 0, 1, -1, 100, -100, 1460, 65535, -65535, 70000, -70000, 1 << 20, -(1 << 20),
                           1 << 31, 7]
cdef uint32_t[8] _lengths = [0, 0, 1, 2, 10, 100, 536, 1460]
cdef uint16_t[8] _ports = [1000, 1001, 21, 69, 5060, 1723, 137, 53]

cdef list _engines = [
    Fresh(checksum="off"),
    Fresh(checksum="off", sysctls={"nf_conntrack_tcp_loose": 0, "nf_conntrack_tcp_max_retrans": 1}),
    Fresh(checksum="off", sysctls={"nf_conntrack_tcp_be_liberal": 1, "nf_conntrack_tcp_ignore_invalid_rst": 1}),
    Fresh(checksum="off", limit=4, keep_ended=True, keep_events=True),
    Fresh(checksum="off", limit=4, on_full="untracked"),
    Fresh(checksum="off", auto_helpers=True, local=["10.1.0.1/24"], keep_events=True),
    Fresh(checksum="auto", personality="6.12", limit=6, auto_helpers=True),
    Fresh(checksum="on", personality="rfc"),
]

# What is known of the conversations of an input.
cdef struct talk_t:
    uint32_t next[TUPLES][2]         # sequence number that a side would send next
    uint8_t last[PACKET_MOST]        # the packet before
    uint32_t last_len
    uint8_t packet[PACKET_MOST]

cdef talk_t _talk
cdef stage_t _stage
cdef packet_row_t[FRAMES_MAX] _rows


cdef struct ends_t:
    bint six
    uint8_t src, dst
    uint16_t sport, dport
    uint8_t number           # of the tuple
    uint8_t side


cdef ends_t ends_of(const record_t* r) noexcept nogil:
    """Data 0: hosts (2 bits each), ports (3), family (1)."""
    cdef uint8_t code = byte_of(r, 0)
    cdef ends_t e
    e.six, e.side, e.number = code >> 7, r.ctl >> 4 & 1, code & (TUPLES - 1)
    e.src, e.dst = 1 + (code & 1), 1 + (code >> 1 & 3)
    e.sport, e.dport = 1000, _ports[code >> 3 & 7]
    if e.side:
        e.src, e.dst = e.dst, e.src
        e.sport, e.dport = e.dport, e.sport
    return e


cdef uint32_t rest_of(const record_t* r, uint32_t at, uint8_t* out, uint32_t most) noexcept nogil:
    """The data of a record from ``at`` on."""
    cdef uint32_t n = r.len - at if r.len > at else 0
    n = n if n < most else most
    memcpy(out, r.data + at if n else r.data, n)
    return n


# ---- a packet of each kind: its transport header and payload; returns the length

cdef uint32_t tcp_of(talk_t* t, const record_t* r, const ends_t* e, uint8_t* out) noexcept nogil:
    """Data: flags, steps of sequence number and acknowledgement, window, payload; then options."""
    cdef uint8_t flags = byte_of(r, 1), steps = byte_of(r, 2), size = byte_of(r, 4)
    cdef uint32_t* mine = &t.next[e.number][e.side]
    cdef uint32_t payload_len = _lengths[size & 7], options_len, at
    cdef uint32_t seq = mine[0] + <uint32_t>_steps[steps & 15]
    cdef uint32_t ack = t.next[e.number][1 - e.side] + <uint32_t>_steps[steps >> 4]
    options_len = rest_of(r, 5, out + 20, 40) & ~<uint32_t>3
    at = put_tcp(out, e.sport, e.dport, seq, ack, flags, <uint16_t>byte_of(r, 3) << 8, options_len)
    memset(out + at, 0x20, payload_len)
    if size & 8 == 0:                # else this segment gets lost behind the tracker
        mine[0] = seq + payload_len + (1 if flags & 3 else 0)
    return at + payload_len


cdef uint32_t udp_of(const record_t* r, const ends_t* e, uint8_t* out, bint lite) noexcept nogil:
    """Data: the payload. UDP-Lite: what is covered comes first."""
    cdef uint32_t n = rest_of(r, 2, out + 8, 1000)
    put_udp(out, e.sport, e.dport, n)
    if lite:
        put16(out + 4, byte_of(r, 1))
        out[7] = 1
    return 8 + n


cdef uint32_t icmp_of(const record_t* r, uint8_t* out) noexcept nogil:
    """Data: type, code, identifier, payload."""
    cdef uint32_t n = rest_of(r, 4, out + 8, 1000)
    memset(out, 0, 8)
    out[0], out[1], out[5] = byte_of(r, 1), byte_of(r, 2), byte_of(r, 3)
    return 8 + n


cdef uint32_t icmp_error_of(const talk_t* t, const record_t* r, uint8_t* out) noexcept nogil:
    """Data: type, bytes that are quoted of the packet before (in units of 4)."""
    cdef uint32_t n = byte_of(r, 2) * 4
    n = n if n < t.last_len else t.last_len
    memset(out, 0, 8)
    out[0] = byte_of(r, 1)
    memcpy(out + 8, t.last, n)
    return 8 + n


cdef uint32_t sctp_of(const record_t* r, const ends_t* e, uint8_t* out) noexcept nogil:
    """Data: verification tag, then chunks as they are."""
    put16(out, e.sport)
    put16(out + 2, e.dport)
    put32(out + 4, byte_of(r, 1))
    put32(out + 8, 0)
    return 12 + rest_of(r, 2, out + 12, 1000)


cdef uint32_t gre_of(const record_t* r, uint8_t* out) noexcept nogil:
    """Data: flags and version, key; then as it is."""
    put16(out, <uint16_t>(byte_of(r, 1) >> 3 << 8 | byte_of(r, 1) & 7))
    put16(out + 2, 0x880B)
    put32(out + 4, byte_of(r, 2))
    return 8 + rest_of(r, 3, out + 8, 500)


cdef uint8_t proto_of(uint8_t kind, const record_t* r, bint six) noexcept nogil:
    if kind < KIND_UDP:
        return 6
    if kind == KIND_ICMP or kind == KIND_ICMP_ERROR:
        return 58 if six else 1
    if kind == KIND_OTHER:
        return byte_of(r, 1)
    return 17 if kind == KIND_UDP else 136 if kind == KIND_UDPLITE else 132 if kind == KIND_SCTP else 47


cdef uint32_t payload_of(talk_t* t, uint8_t kind, const record_t* r, const ends_t* e, uint8_t* out) noexcept nogil:
    if kind < KIND_UDP:
        return tcp_of(t, r, e, out)
    if kind <= KIND_UDPLITE:
        return udp_of(r, e, out, kind == KIND_UDPLITE)
    if kind == KIND_ICMP:
        return icmp_of(r, out)
    if kind == KIND_ICMP_ERROR:
        return icmp_error_of(t, r, out)
    if kind == KIND_SCTP:
        return sctp_of(r, e, out)
    return gre_of(r, out) if kind == KIND_GRE else rest_of(r, 2, out, 1000)


# ---- what is done to the packet before

cdef void add_pieces(stage_t* s, const talk_t* t, const record_t* r) noexcept nogil:
    """The IPv4 packet before in two pieces. Data: where it is cut (in units of 8), identification, what gets lost."""
    cdef uint8_t packet[PACKET_MOST]
    cdef uint32_t size = t.last_len, cut = 20 + 8 * (1 + byte_of(r, 1))
    cdef uint8_t held = byte_of(r, 3)
    if size < 28 or t.last[0] != 0x45 or cut >= size:
        return
    memcpy(packet, t.last, size)
    packet[5] = byte_of(r, 2)
    put16(packet + 2, <uint16_t>cut)
    put16(packet + 6, 0x2000)
    if held & 1 == 0:
        stage_put(s, packet, cut, cut)
    put16(packet + 2, <uint16_t>(20 + size - cut))
    put16(packet + 6, <uint16_t>((cut - 20) >> 3))
    memcpy(packet + 20, t.last + cut, size - cut)
    if held & 2 == 0:
        stage_put(s, packet, 20 + size - cut, 20 + size - cut)


cdef uint32_t changed(talk_t* t, const record_t* r, uint8_t* out) noexcept nogil:
    """The packet before with some bytes changed. Data: pairs of offset and what is changed there."""
    cdef uint32_t i
    memcpy(out, t.last, t.last_len)
    for i in range(1, r.len - 1 if r.len else 0, 2):
        if r.data[i] < t.last_len:
            out[r.data[i]] ^= r.data[i + 1]
    return t.last_len


# ---- the input

cdef void add_packet(stage_t* s, talk_t* t, const record_t* r) noexcept nogil:
    cdef uint8_t kind = r.ctl & 15
    cdef ends_t e = ends_of(r)
    cdef uint32_t head_len = 40 if e.six else 20
    cdef uint32_t size
    s.now += _pauses[r.ctl >> 5] * <uint64_t>1_000_000
    if kind == KIND_TEMPLATE:
        s.template = byte_of(r, 0) & (TEMPLATES_MAX - 1)
        return
    if kind == KIND_PIECES:
        add_pieces(s, t, r)
        return
    if kind == KIND_RAW:
        size = rest_of(r, 1, t.packet, 1500)
    elif kind == KIND_CHANGED:
        size = changed(t, r, t.packet)
    else:
        size = payload_of(t, kind, r, &e, t.packet + head_len)
        put_ip(t.packet, e.six, e.src, e.dst, proto_of(kind, r, e.six), size)
        size += head_len
    stage_put(s, t.packet, size, size)
    memcpy(t.last, t.packet, size)
    t.last_len = size


cdef int fuzz_tracker(const uint8_t* data, size_t size) noexcept:
    """Settings: which engine; packets at a time; 1: track twice."""
    cdef input_t i
    cdef record_t r
    cdef engine_t* e
    cdef Fresh f
    if not input_open(&i, data, size):
        return 0
    memset(&_talk, 0, sizeof(_talk))
    stage_open(&_stage)
    while input_next(&i, &r):
        add_packet(&_stage, &_talk, &r)
    f = <Fresh>_engines[data[0] & (ENGINES - 1)]
    e = f.again()
    stage_run(&_stage, f, 1 + (data[1] & 63))
    if data[2] & 1:
        memcpy(_rows, _stage.rows, sizeof(packet_row_t) * <size_t>_stage.n)
        f.again()
        stage_run(&_stage, f, 1)
        if memcmp(_rows, _stage.rows, sizeof(packet_row_t) * <size_t>_stage.n):
            fail("the result depends on how packets are batched")
    stage_close(&_stage)
    if is_one_of(16, data, size):
        check_table(e)
    wind_down(e)
    return 0
