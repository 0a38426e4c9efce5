"""Targets named after helpers: a conversation in a connection that has the helper, a record a payload.

    settings   engine, 1 IPv6 2 UDP where the helper is for both 4 to the broadcast address,
               64 the template of all packets
    control    which side speaks (1 bit), its sequence number (2), 8 a line's end behind it, 16 cut by the capture,
               32 open what is expected instead, 64 some time passes before, 128 FIN

What is expected is opened by a packet that fits, and answered: children, keymap and helpers of children are in it.
"""
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

from fastct.conntrack.expect cimport expect_t
from fastct.engine cimport engine_t
from fastct.wire.bytes cimport swap16
from tests.fuzz.engines cimport (
    PACKET_MOST,
    TEMPLATES_MAX,
    Fresh,
    check_table,
    stage_close,
    stage_open,
    stage_put,
    stage_run,
    stage_t,
    wind_down,
)
from tests.fuzz.forge cimport put32, put_address, put_ip, put_tcp, put_udp
from tests.fuzz.records cimport byte_of, input_next, input_open, input_t, is_one_of, record_t

from fastct.conntrack.helper import TABLE

cdef enum:
    TCP = 6
    UDP = 17
    SYN = 2
    ACK = 16
    FIN = 1
    CLIENT = 1
    SERVER = 2
    PAYLOAD_MOST = 1800
    TURNS_MOST = 16          # records of an input that count: many short inputs find more than few long ones

cdef list _engines = [
    Fresh(checksum="off", auto_helpers=True, local=["10.1.0.1/24"]),
    Fresh(checksum="off", auto_helpers=True, local=["10.1.0.1/24"], keep_ended=True, keep_events=True,
          sysctls={"nf_conntrack_expect_max": 2, "nf_conntrack_tcp_be_liberal": 1}),
    Fresh(checksum="off", auto_helpers=True, limit=3, local=["10.1.0.1/24"]),
]

cdef struct talk_t:
    engine_t* e
    bint six
    uint8_t proto
    uint16_t port
    uint8_t host[2]
    uint32_t next[2]

cdef stage_t _stage
cdef talk_t _talk
cdef Fresh _fresh
cdef uint16_t _port
cdef bint _tcp, _udp, _six


cdef int choose_helper(str name) except -1:
    """The helper of the target."""
    global _port, _tcp, _udp, _six
    protocols, families, _port, _ = TABLE[name]
    _tcp, _udp, _six = "tcp" in protocols, "udp" in protocols, families & 2
    return 0


cdef void track(talk_t* t, uint8_t* packet, uint32_t cap_len, uint32_t wire_len) noexcept:
    """Track one packet."""
    stage_put(&_stage, packet, cap_len, wire_len)
    stage_run(&_stage, _fresh, 1)
    stage_close(&_stage)


cdef void say(talk_t* t, int side, uint8_t flags, uint32_t step, const uint8_t* said, uint32_t n, const uint8_t* tail,
              uint32_t tail_len, bint cut) noexcept:
    """A packet of one side with a payload in two parts; ``step`` is added to its sequence number."""
    cdef uint8_t packet[PACKET_MOST]
    cdef uint16_t sport = t.port if side else 1000, dport = 1000 if side else t.port
    cdef uint32_t size = n + tail_len
    cdef uint32_t at = put_ip(packet, t.six, t.host[side], t.host[1 - side], t.proto,
                              size + (20 if t.proto == TCP else 8))
    if t.proto == TCP:
        at += put_tcp(packet + at, sport, dport, t.next[side] + step, t.next[1 - side], flags, 0xFFFF, 0)
        t.next[side] += size + step + (1 if flags & (SYN | FIN) else 0)
    else:
        at += put_udp(packet + at, sport, dport, size)
    memcpy(packet + at, said, n)
    memcpy(packet + at + n, tail, tail_len)
    size += at
    track(t, packet, size - n // 2 if cut else size, size)


cdef void open_talk(talk_t* t) noexcept:
    """The connection, up to where payloads begin."""
    if t.proto == TCP:
        say(t, 0, SYN, 0, b"", 0, b"", 0, False)
        say(t, 1, SYN | ACK, 0, b"", 0, b"", 0, False)
        say(t, 0, ACK, 0, b"", 0, b"", 0, False)
        say(t, 1, ACK, 0, b"\r\n", 2, b"", 0, False)
        say(t, 0, ACK, 0, b"\r\n", 2, b"", 0, False)


# ---- what is expected

cdef uint32_t put_expected(uint8_t* out, const expect_t* x, bint answer, const record_t* r) noexcept nogil:
    """A packet that an expectation is about, or its answer. Data 1 on: its payload."""
    cdef bint six = x.ends.l3proto == 6
    cdef uint32_t width = 16 if six else 4, at, n = r.len - 1 if r.len > 1 else 0
    cdef uint8_t src[16]
    cdef uint16_t sport = swap16(x.ends.sport), dport = swap16(x.ends.dport)
    n = n if n < 500 else 500
    put_address(src, six, CLIENT)
    if x.mask[0]:
        memcpy(src, x.ends.src, width)
    if x.sport_mask == 0:
        sport = 4000
    if answer:
        sport, dport = dport, sport
    at = put_ip(out, six, 0, 0, x.ends.l4proto, n + (20 if x.ends.l4proto == TCP else 8))
    memcpy(out + at - (width if answer else 2 * width), src, width)
    memcpy(out + at - (2 * width if answer else width), x.ends.dst, width)
    if x.ends.l4proto == TCP:
        at += put_tcp(out + at, sport, dport, 0, 1, SYN | ACK if answer else SYN, 0xFFFF, 0)
    elif x.ends.l4proto == UDP:
        at += put_udp(out + at, sport, dport, n)
    else:                            # GRE: the call of the receiver
        put32(out + at, 0x3001880B)
        put32(out + at + 4, dport)
        at += 8
    memcpy(out + at, r.data + 1 if n else r.data, n)
    return at + n


cdef void open_expected(talk_t* t, const record_t* r) noexcept:
    """Data 0: which of the expectations; 128: its answer follows."""
    cdef uint8_t packet[PACKET_MOST]
    cdef uint32_t index, size
    cdef expect_t x
    cdef uint8_t code = byte_of(r, 0)
    if t.e.ct.expects.used < 2:
        return
    index = 1 + (code & 127) % (t.e.ct.expects.used - 1)
    x = t.e.ct.expects.items[index]
    if x.ends.l3proto == 0:
        return
    size = put_expected(packet, &x, False, r)
    track(t, packet, size, size)
    if code & 128:
        size = put_expected(packet, &x, True, r)
        track(t, packet, size, size)


# ---- the input

cdef void step(talk_t* t, const record_t* r) noexcept:
    cdef uint32_t[4] steps = [0, <uint32_t>-1, 1, 100]
    cdef uint8_t flags = ACK | FIN if r.ctl & 128 else ACK
    cdef uint32_t n = r.len if r.len < PAYLOAD_MOST else PAYLOAD_MOST
    if r.ctl & 64:
        _stage.now += <uint64_t>20_000_000_000
    if r.ctl & 32:
        open_expected(t, r)
        return
    say(t, r.ctl & 1, flags, steps[r.ctl >> 1 & 3], r.data, n, b"\r\n", 2 if r.ctl & 8 else 0, r.ctl >> 4 & 1)


cdef int fuzz_helper(const uint8_t* data, size_t size) noexcept:
    cdef input_t i
    cdef record_t r
    cdef int turns = 0
    global _fresh
    if not input_open(&i, data, size):
        return 0
    memset(&_talk, 0, sizeof(_talk))
    _fresh = <Fresh>_engines[data[0] % 3]
    _talk.e = _fresh.again()
    _talk.six = _six and data[1] & 1
    _talk.proto = TCP if _tcp and not (_udp and data[1] & 2) else UDP
    _talk.port = _port
    _talk.host[0], _talk.host[1] = CLIENT, 255 if data[1] & 4 else SERVER
    stage_open(&_stage)
    _stage.template = data[2] & (TEMPLATES_MAX - 1) if data[2] & 64 else 0
    open_talk(&_talk)
    while turns < TURNS_MOST and input_next(&i, &r):
        step(&_talk, &r)
        turns += 1
    if is_one_of(16, data, size):
        check_table(_talk.e)
    wind_down(_talk.e)
    return 0
