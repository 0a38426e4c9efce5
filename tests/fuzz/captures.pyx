"""Targets ``pcap`` and ``pcapng``: files, put together from records so that lengths fit more often than not.

    settings    file header or byte order, how many bytes come into the window at a time, room for frames, link type
    pcap        control: 0 bytes as they are, else a packet: data are time, then the packet; the control byte says how
                much longer it was
    pcapng      control: type of block (3 bits); 8 bytes as they are, 16 the second length is wrong, 32 the other order

The window has memory of exactly its size, and new memory whenever it moves.
"""
import traceback

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport abort, free, malloc
from libc.string cimport memcpy, memmove, memset

from fastct.capture.frames cimport frame_t
from fastct.capture.order cimport bswap16, bswap32
from fastct.capture.pcap cimport PcapSource
from fastct.capture.pcapng cimport PcapngSource
from fastct.capture.source cimport MAX_CAP_LEN, Source
from fastct.capture.window cimport Window
from fastct.wire.bytes cimport sum_bytes
from tests.fuzz.engines cimport fail
from tests.fuzz.records cimport input_next, input_open, input_t, record_t

from fastct.capture.linktypes import SUPPORTED
from fastct.capture.pcap import MAGICS
from fastct.capture.pcapng import MAGIC
from fastct.errors import CaptureError

cdef enum:
    FILE_MOST = 1 << 17
    ROOM = 64

cdef uint8_t[FILE_MOST] _file
cdef size_t _size
cdef frame_t[ROOM] _frames
cdef uint64_t _touched               # what was read, so that nobody leaves the reading out
cdef Py_ssize_t[4] _portions = [FILE_MOST, 4096, 64, 1000]
cdef uint32_t[4] _magics = [0xA1B2C3D4, 0xA1B23C4D, 0xA1B2CD34, 0xA1B2C3D5]
cdef uint32_t[8] _blocks = [0x0A0D0D0A, 1, 2, 3, 6, 5, 6, 0xBAD]
cdef uint16_t[16] _linktypes
for _number in range(16):
    _linktypes[_number] = ([*sorted(SUPPORTED), 7] * 2)[_number]


cdef class MemoryWindow(Window):
    """A window over a part of ``_file``."""
    cdef size_t portion
    cdef bint late                   # the end is noticed only when nothing more comes
    cdef uint8_t* held

    def __cinit__(self, size_t portion, bint late):
        self.portion, self.late = portion, late
        self.advance(0)

    def __dealloc__(self):
        free(self.held)

    cdef int advance(self, Py_ssize_t n) except -1:
        cdef size_t begin, kept = <size_t>(self.size - n), more
        cdef uint8_t* moved
        self.offset += <uint64_t>n
        begin = self.offset
        more = _size - begin - kept
        if more > self.portion:
            more = self.portion
        moved = <uint8_t*>malloc(kept + more if kept + more else 1)
        memcpy(moved, _file + begin, kept + more)
        free(self.held)
        self.base = self.held = moved
        self.size = <Py_ssize_t>(kept + more)
        self.at_end = more == 0 if self.late else begin + kept + more == _size
        return 0

    cdef void close(self) noexcept:
        self.size = 0
        self.at_end = True


cdef int read_all(Source source, Window window, Py_ssize_t room) except -1:
    """Read to the end; every frame lies in the window, within its bounds."""
    global _touched
    cdef Py_ssize_t n = source.fill(_frames, room), i
    cdef frame_t* f
    while n:
        for i in range(n):
            f = &_frames[i]
            if f.data < window.base or f.data + f.cap_len > window.base + window.size:
                fail("a frame lies outside the window")
            if f.cap_len > MAX_CAP_LEN or f.wire_len < f.cap_len:
                fail("a frame's lengths make no sense")
            _touched += sum_bytes(f.data, f.cap_len, 0)
        n = source.fill(_frames, room)
    source.consumed()
    source.close()
    return 0


cdef void read_file(object kind, const uint8_t* settings):
    """Read ``_file``: frames and perhaps a CaptureError, and nothing else."""
    cdef Window window = MemoryWindow(_portions[settings[1] & 3], settings[1] >> 2 & 1)
    try:
        read_all(kind(window, "", []), window, 1 + (settings[2] & (ROOM - 1)))
    except CaptureError:
        pass
    except BaseException:
        traceback.print_exc()
        abort()


# ---- the file

cdef bint put(const void* bytes, size_t n) noexcept nogil:
    global _size
    if _size + n > FILE_MOST:
        return False
    memcpy(_file + _size, bytes, n)
    _size += n
    return True


cdef void put16(uint16_t value, bint swapped) noexcept nogil:
    if swapped:
        value = bswap16(value)
    put(&value, 2)


cdef void put32(uint32_t value, bint swapped) noexcept nogil:
    if swapped:
        value = bswap32(value)
    put(&value, 4)


cdef int fuzz_pcap(const uint8_t* data, size_t size) noexcept:
    global _size
    cdef input_t i
    cdef record_t r
    cdef bint swapped
    cdef uint32_t n
    cdef uint8_t[24] zeros
    if not input_open(&i, data, size):
        return 0
    memset(zeros, 0, sizeof(zeros))
    _size = 0
    swapped = data[0] >> 2 & 1
    put32(_magics[data[0] & 3], swapped)
    put16(2 + (data[0] >> 6), swapped)
    put(zeros, 14)
    put32(_linktypes[data[3] & 15], swapped)
    while input_next(&i, &r):
        if r.ctl == 0 or r.len < 8:
            put(r.data, r.len)
            continue
        n = r.len - 8
        put(r.data, 8)
        put32(n, swapped)
        put32(n + r.ctl - 1, swapped)
        if data[0] & 3 == 2:
            put(zeros, 8)
        put(r.data + 8, n)
    if data[0] & 8:                  # as it is, from the first byte on
        _size = _size - 24 if _size > 24 else 0
        memmove(_file, _file + 24, _size)
    if _size >= 4 and _file[:4] in MAGICS:       # ``opening`` asks no reader otherwise
        read_file(PcapSource, data)
    return 0


cdef void put_block(const record_t* r, bint swapped) noexcept nogil:
    """A block around data, its body filled up to whole words; packets get their length."""
    cdef uint32_t kind = _blocks[r.ctl & 7]
    cdef uint32_t padded = (r.len + 3) & ~<uint32_t>3, extra = 0
    cdef uint8_t[4] zeros
    cdef uint32_t begin = <uint32_t>_size, order = 0x1A2B3C4D
    memset(zeros, 0, 4)
    put32(kind, swapped)
    put32(12 + padded + (4 if r.ctl & 7 == 0 else 0), swapped)
    if r.ctl & 7 == 0:
        put32(order, swapped)
        extra = 4
    put(r.data, r.len)
    put(zeros, padded - r.len)
    put32(12 + padded + extra + (r.ctl >> 4 & 1), swapped)
    if r.ctl & 7 == 4 and r.len > 20 and _size <= FILE_MOST:     # captured length of an enhanced packet
        order = r.len - 20
        order = bswap32(order) if swapped else order
        memcpy(_file + begin + 20, &order, 4)


cdef int fuzz_pcapng(const uint8_t* data, size_t size) noexcept:
    global _size
    cdef input_t i
    cdef record_t r
    cdef bint swapped
    cdef record_t section
    cdef uint8_t[16] version
    if not input_open(&i, data, size):
        return 0
    _size = 0
    swapped = data[0] & 1
    memset(version, 0, sizeof(version))
    version[1 if swapped else 0] = 1
    section.ctl, section.data, section.len = 0, version, 12 + (data[0] >> 6)
    if not data[0] & 2:
        put_block(&section, swapped)
    while input_next(&i, &r):
        if r.ctl & 8:
            put(r.data, r.len)
            continue
        if r.ctl & 32:
            swapped = not swapped
        put_block(&r, swapped)
    if _size >= 4 and _file[:4] == MAGIC:
        read_file(PcapngSource, data)
    return 0
