"""Frames: what every capture source hands over, a block at a time.

A ``frame_t`` points into memory that its source owns (a mapped file, a read buffer, a ring block).
It stays valid until the source is asked for its next block, no longer.
"""
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

cdef packed struct frame_t:
    const uint8_t* data   # first byte of the link-layer header
    uint64_t ts_ns        # capture time, ns since the Unix epoch
    uint32_t cap_len      # bytes present at data
    uint32_t wire_len     # bytes the frame had on the wire, >= cap_len
    uint16_t linktype     # LINKTYPE_* number of the interface
    uint16_t iface        # index into the source's interfaces
    uint32_t reserved     # zero

cdef class Frames:
    cdef object owner             # keeps the memory behind the frames alive
    cdef frame_t* frames
    cdef readonly Py_ssize_t n
    cdef readonly uint64_t first  # 1-based number of frames[0] in the whole input

    cdef void invalidate(self) noexcept

cdef Frames frames_room(Py_ssize_t n, object owner, uint64_t first)
