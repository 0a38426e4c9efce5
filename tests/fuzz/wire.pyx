"""Targets ``wire`` and ``fragments``: any bytes under any link type, and datagrams in pieces."""
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, memset

from fastct.engine cimport engine_t
from fastct.wire.fragment cimport FRAGMENT_PIECE, fragment_read, fragment_t
from fastct.wire.packet cimport PACKET_FRAGMENT, PACKET_ICMP_ERROR, PACKET_TRACK, packet_t, wire_opts_t
from fastct.wire.parse cimport packet_parse
from tests.fuzz.engines cimport (
    PACKET_MOST,
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
from tests.fuzz.forge cimport put16, put32, put_ip
from tests.fuzz.records cimport byte_of, input_next, input_open, input_t, is_one_of, record_t

from fastct.capture.linktypes import SUPPORTED

cdef enum:
    LINKTYPES = 16

cdef uint16_t[LINKTYPES] _linktypes
for _number in range(LINKTYPES):
    _linktypes[_number] = ([*sorted(SUPPORTED), 65535] * 2)[_number]

cdef stage_t _stage
cdef Fresh _lone = Fresh(checksum="off")
cdef Fresh _kept = Fresh(checksum="auto", keep_leaving=True, keep_events=True, sysctls={"ipfrag_max_dist": 2})


# ---- one frame at a time

cdef void check_packet(packet_t* p, const uint8_t* frame, uint32_t cap_len) noexcept nogil:
    """What later rooms take for granted."""
    cdef fragment_t f
    if (p.kind == PACKET_FRAGMENT or p.l4proto) and (p.data < frame or p.data + p.cap_len > frame + cap_len):
        fail("a packet lies outside its frame")
    if p.kind == PACKET_FRAGMENT and fragment_read(p, &f) == FRAGMENT_PIECE and f.payload_off > p.len:
        fail("a fragment's payload begins behind its end")
    if p.kind >= PACKET_TRACK and (p.cap_len > p.len or (p.key.l3proto != 4 and p.key.l3proto != 6)):
        fail("a packet to be tracked has no key")
    if p.kind == PACKET_ICMP_ERROR and p.l4_off > p.cap_len:
        fail("an ICMP error begins behind its end")


cdef int fuzz_wire(const uint8_t* data, size_t size) noexcept nogil:
    """Settings: link type, parser's options, key. Records: frames; the control byte says how much longer they were."""
    cdef input_t i
    cdef record_t r
    cdef packet_t p
    cdef wire_opts_t opts
    cdef uint8_t* frame
    if not input_open(&i, data, size):
        return 0
    memset(&opts, 0, sizeof(opts))
    opts.hash_key.k[0] = opts.hash_key.k[1] = 1 + data[2]
    opts.verify, opts.verify_ip, opts.offload = data[1] & 1, data[1] >> 1 & 1, data[1] >> 2 & 1
    opts.udplite_pseudo = 136 if data[1] & 8 else 17
    while input_next(&i, &r):
        frame = <uint8_t*>malloc(r.len if r.len else 1)
        memcpy(frame, r.data, r.len)
        memset(&p, 0xA5, sizeof(p))
        packet_parse(&p, frame, r.len, r.len + r.ctl, _linktypes[data[0] & (LINKTYPES - 1)], &opts)
        check_packet(&p, frame, r.len)
        free(frame)
    return 0


# ---- datagrams in pieces

cdef uint32_t put_piece(uint8_t* out, bint six, const record_t* r, uint32_t offset, bint more,
                        uint32_t payload_len) noexcept nogil:
    """The headers of a piece: one of four datagrams between two hosts, IPv6 with up to two extension headers."""
    cdef uint8_t code = byte_of(r, 1)
    cdef uint8_t id = code & 3
    cdef uint32_t extensions = code >> 2 & 3
    cdef uint32_t at, i
    cdef uint8_t proto = 17 if code & 16 else 6
    if not six:
        at = put_ip(out, False, 1, 2, proto, payload_len)
        put16(out + 4, id)
        put16(out + 6, <uint16_t>(offset >> 3 | (<uint32_t>more << 13)))
        out[1] = code >> 6
        return at
    at = put_ip(out, True, 1, 2, 44, extensions * 8 + 8 + payload_len)
    for i in range(extensions):
        out[6 if i == 0 else at - 8] = 60
        memset(out + at, 0, 8)
        out[at], out[at + 2], out[at + 3] = 44, 1, 4
        at += 8
    out[at], out[at + 1] = proto, 0
    put16(out + at + 2, <uint16_t>((offset & 0xFFF8) | more))
    put32(out + at + 4, id)
    out[1] = code >> 6 << 4
    return at + 8


cdef void add_piece(stage_t* s, const record_t* r) noexcept nogil:
    """Control: 1 IPv6, 2 raw, 4 not the last, 8 cut by the capture, 16 a second passes; then offset in units of 64."""
    cdef uint8_t packet[PACKET_MOST]
    cdef uint32_t size, payload_len, offset, cap_len
    s.now += <uint64_t>(r.ctl >> 4) * 1_000_000_000
    if r.ctl & 2:
        stage_put(s, r.data, r.len, r.len)
        return
    offset = byte_of(r, 0) * 8
    if byte_of(r, 1) & 32:
        offset <<= 5
    payload_len = r.len - 2 if r.len > 2 else 0
    if payload_len > PACKET_MOST - 200:
        payload_len = PACKET_MOST - 200
    size = put_piece(packet, r.ctl & 1, r, offset, r.ctl >> 2 & 1, payload_len)
    memcpy(packet + size, r.data + 2, payload_len)
    cap_len = size + payload_len
    if r.ctl & 8:
        cap_len -= payload_len // 2
    stage_put(s, packet, cap_len, size + payload_len)


cdef int fuzz_fragments(const uint8_t* data, size_t size) noexcept:
    """Settings: which engine, frames at a time."""
    cdef input_t i
    cdef record_t r
    cdef engine_t* e
    cdef Fresh f
    if not input_open(&i, data, size):
        return 0
    f = _kept if data[0] & 1 else _lone
    e = f.again()
    stage_open(&_stage)
    while input_next(&i, &r):
        add_piece(&_stage, &r)
    stage_run(&_stage, f, 1 + (data[1] & 31))
    stage_close(&_stage)
    wind_down(e)
    if is_one_of(16, data, size):
        check_table(e)
    return 0
