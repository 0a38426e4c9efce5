"""Targets ``snapshot`` and ``snapshot_file``: records of a snapshot put into an engine that then goes on, and whole
files. What comes in is refused, or the engine is sound.

    snapshot        control: what the data are (``BLOCKS``); a connection's addresses and extra follow its record, but
                    for the last of them: 64 no addresses, 128 no extra
    snapshot_file   control: section (``TAGS``), 7: its tag comes first; 128: as it is, without being made a section
"""
import io
import json
import struct
import traceback
import zlib

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.stdlib cimport abort
from libc.string cimport memcpy, memset

from fastct.conntrack.room cimport ct_gc
from fastct.conntrack.table cimport addr6_t, table_lines
from fastct.engine cimport engine_t
from fastct.face cimport Engine
from fastct.state cimport call_image_t, conn_image_t, expect_image_t, extra_image_t
from tests.fuzz.engines cimport (
    START_NS,
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
from tests.fuzz.records cimport input_next, input_open, input_t, is_one_of, record_t

from fastct.fragstate import take_fragments
from fastct.join import join_connections, take_calls, take_expectations, take_probation
from fastct.restore import take_connections
from fastct.snapshot import BLOCKS as STATE
from fastct.snapshot import BYTE_ORDER, END, MAGIC, PREAMBLE, SECTION, VERSION, _restored
from fastct.state import state_numbers

TAGS = (b"HEAD", b"CONN", b"EXPT", b"CALL", b"RING", b"END ", b"FRAG", None)

cdef enum:
    BLOCK_CONN
    BLOCK_EXPT
    BLOCK_CALL
    BLOCK_RING
    BLOCK_FRAG
    BLOCK_PACKET
    BLOCK_PASS               # time passes
    BLOCK_RAW                # a block of connections as it is
    BLOCKS
    CONNECTIONS_MOST = 64
    CREATED = 300

cdef stage_t _stage
cdef Fresh _fresh = Fresh(checksum="off", auto_helpers=True, keep_events=True)
cdef list _takers = [None, take_expectations, take_calls, take_probation, take_fragments]
cdef size_t[5] _sizes = [0, sizeof(expect_image_t), sizeof(call_image_t), sizeof(uint64_t), 1]


# ---- records

cdef struct block_t:
    uint32_t n[3]
    conn_image_t images[CONNECTIONS_MOST]
    addr6_t addresses[CONNECTIONS_MOST]
    extra_image_t extras[CONNECTIONS_MOST]
    uint8_t packed[1 << 16]

cdef block_t _block


cdef bint take(record_t* r, void* out, size_t size) noexcept nogil:
    """The next bytes of a record, zeros behind its end; False if there were none."""
    cdef size_t n = size if size < r.len else r.len
    memset(out, 0, size)
    memcpy(out, r.data, n)
    r.data += n
    r.len -= <uint32_t>n
    return n != 0


cdef size_t pack(block_t* b, record_t* r) noexcept nogil:
    """Connections one by one, each with what belongs to it, as a block; returns its length."""
    cdef uint8_t* out = b.packed
    cdef conn_image_t* image
    memset(b.n, 0, sizeof(b.n))
    while b.n[0] < CONNECTIONS_MOST and take(r, &b.images[b.n[0]], sizeof(conn_image_t)):
        image = &b.images[b.n[0]]
        b.n[0] += 1
        if image.conn.key.l3proto == 6:
            take(r, &b.addresses[b.n[1]], sizeof(addr6_t))
            b.n[1] += 1
        if image.conn.extra:
            take(r, &b.extras[b.n[2]], sizeof(extra_image_t))
            b.n[2] += 1
    if r.ctl & 64 and b.n[1]:
        b.n[1] -= 1
    if r.ctl & 128 and b.n[2]:
        b.n[2] -= 1
    memcpy(out, b.n, sizeof(b.n))
    out += sizeof(b.n)
    memcpy(out, b.images, b.n[0] * sizeof(conn_image_t))
    out += b.n[0] * sizeof(conn_image_t)
    memcpy(out, b.addresses, b.n[1] * sizeof(addr6_t))
    out += b.n[1] * sizeof(addr6_t)
    memcpy(out, b.extras, b.n[2] * sizeof(extra_image_t))
    out += b.n[2] * sizeof(extra_image_t)
    return <size_t>(out - b.packed)


cdef object view(const uint8_t* data, size_t n):
    """A copy of its own, so that a byte read beyond is seen."""
    return (<const char*>data)[:n]


cdef object load(engine_t* e, record_t* r, object order, bint placed):
    """Take one record in; returns the order of the connections once they are all there."""
    cdef uint8_t kind = (r.ctl & 15) % BLOCKS
    cdef size_t n
    if kind == BLOCK_CONN or kind == BLOCK_RAW:
        if order is not None:
            return order
        if kind == BLOCK_RAW:
            take_connections(_fresh.engine, view(r.data, r.len), placed)
        else:
            n = pack(&_block, r)
            take_connections(_fresh.engine, view(_block.packed, n), placed)
        return None
    if order is None:
        order = join_connections(_fresh.engine)
    if kind < BLOCK_PACKET:
        n = (r.len + _sizes[kind] - 1) // _sizes[kind] * _sizes[kind]
        _takers[kind](_fresh.engine, bytes(view(r.data, r.len)).ljust(n, b"\0"), order)
    elif kind == BLOCK_PASS:
        e.ct.now += r.len * <uint64_t>10_000_000_000
        ct_gc(&e.ct, e.ct.table.n_lines)
    else:
        stage_put(&_stage, r.data, r.len, r.len)
        stage_run(&_stage, _fresh, 1)
        stage_close(&_stage)
    return order


# ---- out and in again

SETTINGS = {"sysctls": {}, "personality": "6.18", "helpers": {}, "auto_helpers": True, "on_full": "drop", "local": []}


cdef void check_again():
    """What an engine gives out is taken in again."""
    sections = [(b"HEAD", json.dumps(state_numbers(_fresh.engine) | {"settings": SETTINGS}).encode())]
    for tag, blocks in STATE.items():
        sections += [(tag, b"".join(bytes(part) for part in block)) for block in blocks(_fresh.engine)]
    _restored(io.BytesIO(file_of(sections)), True, True, None)


cdef int fuzz_snapshot(const uint8_t* data, size_t size) noexcept:
    """Settings: 1 into places of an index; of so many lines."""
    cdef input_t i
    cdef record_t r
    cdef engine_t* e
    cdef object order = None
    cdef bint loaded = False
    if not input_open(&i, data, size):
        return 0
    e = _fresh.again()
    e.ct.now, e.ct.created = START_NS + <uint64_t>1_000_000_000_000, CREATED
    stage_open(&_stage)
    _stage.now = e.ct.now
    try:
        if data[0] & 1 and not table_lines(&e.ct.table, 64 + data[1]):
            return 0
        while input_next(&i, &r):
            order = load(e, &r, order, data[0] & 1)
        if order is None:
            join_connections(_fresh.engine)
        loaded = True
        if is_one_of(16, data, size):
            check_table(e)
        if is_one_of(64, data, size):
            check_again()
        wind_down(e)
    except ValueError:
        if loaded:
            traceback.print_exc()
            fail("what an engine gives out is not taken in again")
    except BaseException:
        traceback.print_exc()
        abort()
    return 0


# ---- files

def file_of(sections):
    """A snapshot file of sections: tags and payloads; a tag of None: bytes as they are."""
    parts = [PREAMBLE.pack(MAGIC, BYTE_ORDER, VERSION)]
    sums = n = 0
    for tag, payload in [*sections, (b"END ", None)]:
        if tag is None:
            parts.append(payload)
            continue
        if payload is None:
            payload = END.pack(n, sums)
        total = zlib.crc32(payload, zlib.crc32(struct.pack("=4sI", tag, len(payload))))
        parts += [SECTION.pack(tag, len(payload), total), payload]
        sums, n = zlib.crc32(struct.pack("=I", total), sums), n + 1
    return b"".join(parts)


cdef list sections_of(input_t* i):
    cdef record_t r
    sections = []
    while input_next(i, &r):
        payload = (<const char*>r.data)[:r.len]
        tag = TAGS[r.ctl & 7]
        if r.ctl & 128:
            sections.append((None, payload))
        elif tag is None:
            sections.append((payload[:4].ljust(4), payload[4:]))
        else:
            sections.append((tag, payload))
    return sections


cdef void go_on(Engine engine):
    """An engine from a file is as good as any."""
    check_table(engine.e)
    engine.rows(engine.order())
    engine.expectations()
    engine.stats()
    state_numbers(engine)
    wind_down(engine.e)


cdef int fuzz_snapshot_file(const uint8_t* data, size_t size) noexcept:
    """Settings: 1 with another key, 2 cut at the end."""
    cdef input_t i
    if not input_open(&i, data, size):
        return 0
    try:
        made = file_of(sections_of(&i))
        if data[0] & 2:
            made = made[:-1 - data[1]]
        engine, _ = _restored(io.BytesIO(made), True, True, bytes(64) if data[0] & 1 else None)
        go_on(engine)
    except ValueError:
        pass
    except BaseException:
        traceback.print_exc()
        abort()
    return 0
