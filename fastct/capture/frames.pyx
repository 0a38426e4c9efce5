"""The Python face of a block of frames; the record itself is in ``frames.pxd``."""
from libc.stdlib cimport calloc, free
from libc.stdint cimport uint8_t, uint16_t, uint64_t

import numpy as np

from fastct.capture.linktypes import checked
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

    def linktypes_met(self):
        """The LINKTYPE_* numbers that occur, in order of appearance: a list."""
        cdef Py_ssize_t i
        cdef int last = -1
        met = []
        for i in range(self.n):
            if self.frames[i].linktype != last:
                last = self.frames[i].linktype
                if last not in met:
                    met.append(last)
        return met

    def until(self, uint64_t ts_ns):
        """How many frames at the beginning of the block are not later than ``ts_ns``."""
        cdef Py_ssize_t i
        for i in range(self.n):
            if self.frames[i].ts_ns > ts_ns:
                return i
        return self.n

    def part(self, Py_ssize_t begin, Py_ssize_t end):
        """Frames ``begin`` to ``end`` as a block of their own; valid as long as this one."""
        begin = max(0, min(begin, self.n))
        cdef Frames part = Frames.__new__(Frames)
        part.owner = self
        part.frames = self.frames + begin
        part.n = max(0, min(end, self.n) - begin)
        part.first = self.first + begin
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


cdef Frames frames_room(Py_ssize_t n, object owner, uint64_t first):
    """A block with room for ``n`` frames, zeroed, for the caller to fill; ``owner`` keeps their bytes alive."""
    cdef _OwnedRecords records = _OwnedRecords(n, owner)
    cdef Frames frames = Frames.__new__(Frames)
    frames.owner = records
    frames.frames = records.records
    frames.n = n
    frames.first = first
    return frames


def frames_from_bytes(packets, ts=None, linktype=LINKTYPE_ETHERNET, first=1):
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
    UnsupportedLinkType
        If fastct does not read the link type.
    """
    held = [bytes(packet) for packet in packets]
    cdef Py_ssize_t i, n = len(held)
    if ts is not None and len(ts) != n:
        raise ConfigError(f"{n} packets but {len(ts)} time stamps")
    cdef Frames made = frames_room(n, held, first)
    cdef uint16_t link = checked(linktype)
    cdef frame_t* f
    cdef bytes data
    for i in range(n):
        data = held[i]
        f = &made.frames[i]
        f.data = <const uint8_t*><const char*>data
        f.cap_len = f.wire_len = <uint32_t>len(data)
        f.ts_ns = ts[i] if ts is not None else 0
        f.linktype = link
    return made


def frames_from_buffer(const uint8_t[::1] buffer not None, const uint64_t[::1] offsets not None,
                       const uint32_t[::1] lengths not None, const uint64_t[::1] ts not None,
                       linktype=LINKTYPE_ETHERNET, first=1):
    """A block of frames that lie in one buffer; nothing is copied.

    Parameters
    ----------
    buffer : bytes-like
        Must not be changed or resized while the block is in use.
    offsets, lengths : uint64 and uint32 arrays of shape (n,)
        Where each frame begins and how many bytes it has.
    ts : uint64 array of shape (n,)
        Nanoseconds since the epoch.
    linktype, first
        As for ``frames_from_bytes``.

    Raises
    ------
    ConfigError
        If the arrays differ in length or a frame lies outside the buffer.
    UnsupportedLinkType
        If fastct does not read the link type.
    """
    cdef Py_ssize_t i, n = offsets.shape[0]
    cdef uint64_t size = buffer.shape[0]
    if lengths.shape[0] != n or ts.shape[0] != n:
        raise ConfigError(f"{n} offsets, {lengths.shape[0]} lengths, {ts.shape[0]} time stamps")
    for i in range(n):
        if offsets[i] > size or lengths[i] > size - offsets[i]:
            raise ConfigError(f"frame {i} lies outside the buffer")
    cdef Frames made = frames_room(n, buffer, first)
    cdef uint16_t link = checked(linktype)
    cdef frame_t* f
    for i in range(n):
        f = &made.frames[i]
        f.data = &buffer[0] + offsets[i]
        f.cap_len = f.wire_len = lengths[i]
        f.ts_ns = ts[i]
        f.linktype = link
    return made
