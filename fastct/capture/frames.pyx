"""The Python face of a block of frames; the record itself is in ``frames.pxd``."""
from libc.stdlib cimport calloc, free
from libc.stdint cimport uint8_t, uint64_t

import numpy as np

from fastct.errors import ConfigError

LINKTYPE_ETHERNET = 1
LINKTYPE_RAW = 101


cdef class Frames:
    """A block of captured frames, in capture order.

    A block points into its source's memory and is valid until the source is asked for the next
    one; after that its length is 0. Items are ``(ts_ns, wire_len, bytes)``; the bytes are a copy.

    Attributes
    ----------
    n : int
        Number of frames.
    first : int
        1-based number of the first frame in the whole input.
    """

    def __len__(self):
        return self.n

    def __getitem__(self, Py_ssize_t i):
        if i < 0:
            i += self.n
        if not 0 <= i < self.n:
            raise IndexError("frame number out of range")
        cdef frame_t* f = &self.frames[i]
        return f.ts_ns, f.wire_len, <bytes>(<const char*>f.data)[:f.cap_len]

    @property
    def linktypes(self):
        """LINKTYPE_* number of every frame: uint16 array of shape (n,)."""
        cdef Py_ssize_t i
        return np.array([self.frames[i].linktype for i in range(self.n)], dtype=np.uint16)

    def until(self, uint64_t ts_ns):
        """How many frames at the beginning of the block are not later than ``ts_ns``."""
        cdef Py_ssize_t i
        for i in range(self.n):
            if self.frames[i].ts_ns > ts_ns:
                return i
        return self.n

    def head(self, Py_ssize_t n):
        """The first ``n`` frames as a block of their own; valid as long as this one."""
        cdef Frames part = Frames.__new__(Frames)
        part.owner = self
        part.frames = self.frames
        part.n = max(0, min(n, self.n))
        part.first = self.first
        return part

    cdef void invalidate(self) noexcept:
        """The source is about to reuse the memory."""
        self.n = 0
        self.frames = NULL


cdef class _OwnedRecords:
    """Frame records of a block made from Python objects, and those objects."""
    cdef frame_t* records
    cdef object packets

    def __cinit__(self, Py_ssize_t n, object packets):
        self.packets = packets
        self.records = <frame_t*>calloc(n if n else 1, sizeof(frame_t))
        if self.records == NULL:
            raise MemoryError

    def __dealloc__(self):
        free(self.records)


def frames_from_bytes(packets, ts=None, int linktype=LINKTYPE_ETHERNET, first=1):
    """A block of frames around packets that are already in memory.

    Parameters
    ----------
    packets : sequence of bytes-like
        One packet each, whole (nothing cut).
    ts : sequence of int, optional
        Nanoseconds since the epoch, one per packet; without it all are 0.
    linktype : int
        LINKTYPE_* number: 1 Ethernet (default), 101 IP packets without a link-layer header.
    first : int
        Number of the first packet.

    Raises
    ------
    ConfigError
        If the two sequences differ in length.
    """
    held = [bytes(packet) for packet in packets]
    cdef Py_ssize_t i, n = len(held)
    if ts is not None and len(ts) != n:
        raise ConfigError(f"{n} packets but {len(ts)} time stamps")
    cdef _OwnedRecords owner = _OwnedRecords(n, held)
    cdef frame_t* f
    cdef bytes data
    for i in range(n):
        data = held[i]
        f = &owner.records[i]
        f.data = <const uint8_t*><const char*>data
        f.cap_len = f.wire_len = <uint32_t>len(data)
        f.ts_ns = ts[i] if ts is not None else 0
        f.linktype = <uint16_t>linktype
    cdef Frames frames = Frames.__new__(Frames)
    frames.owner = owner
    frames.frames = owner.records
    frames.n = n
    frames.first = first
    return frames
