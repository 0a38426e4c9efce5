"""Interfaces as a source of frames: rings that the kernel fills a block at a time.

    kernel fills a block ──► ring_walk: frames that point into it ──► the caller tracks them ──► the kernel has it back

A block is one batch. It goes back when the next one is asked for; nothing is copied.
"""
import select

cimport cython
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport free, realloc

from fastct.capture.frames cimport Frames, frame_t

from fastct.capture.afpacket import PacketSocket

cdef extern from "capture/ring.h" nogil:
    ctypedef struct ring_block_t:
        pass
    ctypedef struct ring_frame_t:
        uint32_t tp_sec
        uint32_t tp_nsec
        uint32_t tp_snaplen
        uint32_t tp_len
    bint ring_block_is_ours(const ring_block_t* block) noexcept
    void ring_block_release(ring_block_t* block) noexcept
    uint32_t ring_block_frames(const ring_block_t* block) noexcept
    ring_frame_t* ring_block_first(ring_block_t* block) noexcept
    ring_frame_t* ring_frame_next(ring_frame_t* frame) noexcept
    uint8_t* ring_frame_data(ring_frame_t* frame) noexcept

cdef enum:
    NS = 1_000_000_000


cdef void ring_walk(ring_block_t* block, uint16_t linktype, uint16_t iface, frame_t* out) noexcept nogil:
    """The frames of a block that is ours. => ``out`` has room for all of them."""
    cdef ring_frame_t* f = ring_block_first(block)
    cdef uint32_t i
    for i in range(ring_block_frames(block)):
        out[i].data = ring_frame_data(f)
        out[i].ts_ns = f.tp_sec * <uint64_t>NS + f.tp_nsec
        out[i].cap_len = f.tp_snaplen
        out[i].wire_len = f.tp_len
        out[i].linktype = linktype
        out[i].iface = iface
        out[i].reserved = 0
        f = ring_frame_next(f)


@cython.final
cdef class Ring:
    """One interface's ring. ``iface``: its number among the source's interfaces. Raises ConfigError."""
    cdef object socket
    cdef uint8_t[::1] memory
    cdef Py_ssize_t block_size
    cdef Py_ssize_t blocks
    cdef Py_ssize_t at             # the block that is next
    cdef frame_t* frames
    cdef uint32_t room
    cdef uint16_t linktype
    cdef uint16_t iface
    cdef readonly uint64_t received     # as of the last ``count``
    cdef readonly uint64_t dropped

    def __init__(self, str interface, options, uint16_t iface=0):
        self.socket = PacketSocket(interface, options)
        self.memory = self.socket.memory
        self.block_size, self.blocks = options.block_size, options.blocks
        self.linktype, self.iface = self.socket.linktype, iface

    def __dealloc__(self):
        free(self.frames)

    def fileno(self):
        """For ``select.poll``."""
        return self.socket.socket.fileno()

    def count(self):
        """Bring ``received`` and ``dropped`` up to date."""
        received, dropped = self.socket.counts()
        self.received += received
        self.dropped += dropped

    def close(self):
        """Give everything back."""
        self.memory = None
        self.socket.close()

    cdef ring_block_t* block(self) noexcept:
        return <ring_block_t*>&self.memory[self.at * self.block_size]

    cdef Py_ssize_t take(self) except -1:
        """The frames of the next block into ``frames``, if it is ready; returns how many."""
        cdef ring_block_t* block = self.block()
        cdef frame_t* more
        cdef uint32_t n
        if not ring_block_is_ours(block):
            return 0
        n = ring_block_frames(block)
        if n > self.room:
            more = <frame_t*>realloc(self.frames, n * sizeof(frame_t))
            if more == NULL:
                raise MemoryError("no memory for the frames of a ring's block")
            self.frames, self.room = more, n
        with nogil:
            ring_walk(block, self.linktype, self.iface, self.frames)
        return n

    cdef void give_back(self) noexcept:
        ring_block_release(self.block())
        self.at = (self.at + 1) % self.blocks


cdef class Rings:
    """Rings of one or several interfaces, as one source of blocks of frames.

    Parameters
    ----------
    names : sequence of str
    options : RingOptions

    Attributes
    ----------
    interfaces : list of str
    packets : int
        Frames handed out so far.

    Raises
    ------
    ConfigError
    """
    cdef readonly list interfaces
    cdef readonly list rings
    cdef readonly uint64_t packets
    cdef object poll
    cdef Ring used                 # whose block the caller has
    cdef Frames current
    cdef Py_ssize_t turn

    def __init__(self, names, options):
        self.interfaces, self.rings, self.poll = list(names), [], select.poll()
        try:
            for number, name in enumerate(self.interfaces):
                self.rings.append(Ring(name, options, number))
        except BaseException:
            self.close()
            raise
        for ring in self.rings:
            self.poll.register(ring.fileno(), select.POLLIN)

    def next(self, timeout_ms):
        """The next block, waiting up to ``timeout_ms`` for it; None if there is none.

        It is valid until the next call. Rings take turns.
        """
        frames = self._ready()
        if frames is None:
            self.poll.poll(timeout_ms)
            frames = self._ready()
        return frames

    cdef Frames _ready(self):
        cdef Ring ring
        cdef Py_ssize_t n
        self.forget()
        for _ in range(len(self.rings)):
            ring = self.rings[self.turn]
            self.turn = (self.turn + 1) % len(self.rings)
            n = ring.take()
            if n:
                self.used = ring
                return self.block_of(ring, n)
        return None

    cdef Frames block_of(self, Ring ring, Py_ssize_t n):
        cdef Frames frames = Frames.__new__(Frames)
        frames.owner, frames.frames, frames.n = self, ring.frames, n
        frames.first = self.packets + 1
        self.packets += <uint64_t>n
        self.current = frames
        return frames

    cdef forget(self):
        if self.current is not None:
            self.current.invalidate()
            self.current = None
            self.used.give_back()

    def counts(self):
        """Frames received into the rings, and dropped for want of room in them, by interface: dict of (int, int)."""
        for ring in self.rings:
            ring.count()
        return {name: (ring.received, ring.dropped) for name, ring in zip(self.interfaces, self.rings, strict=True)}

    def close(self):
        """Invalidate the last block and give everything back."""
        if self.rings:
            self.forget()
        for ring in self.rings:
            ring.close()
        self.rings = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
