"""Writing blocks of frames: record headers of our own between packets that stay where they are.

    iovec   | header | packet | tail | header | packet | tail | ...      one writev for some hundred packets

The tail is pcapng's padding and second length; pcap has none. A file without a descriptor gets the same, joined.
"""
from libc.errno cimport EINTR, errno
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy
from posix.uio cimport iovec, writev

import io
import os

from fastct.capture.frames cimport Frames, frame_t

from fastct.errors import ConfigError

cdef enum:
    GROUP = 256              # packets of one call: writev takes 1024 pieces
    PIECES = 3
    NS = 1000000000
    ENHANCED_PACKET = 6
    INTERFACES = 16          # link types of one file; fastct reads fewer

# The headers of one packet, in the order of this machine: little-endian, as the writers say in the file's header.
cdef struct record_t:
    uint32_t head[7]
    uint8_t tail[8]

cdef struct group_t:
    record_t records[GROUP]
    iovec pieces[PIECES * GROUP]
    int n                    # pieces

# Interface numbers by link type.
cdef struct interfaces_t:
    uint32_t linktype[INTERFACES]
    uint32_t number[INTERFACES]
    int n


cdef inline void add(group_t* g, const void* data, size_t size) noexcept nogil:
    g.pieces[g.n].iov_base = <void*>data
    g.pieces[g.n].iov_len = size
    g.n += 1


cdef void add_pcap(group_t* g, record_t* r, const frame_t* f, uint32_t unit_ns, uint32_t snaplen) noexcept nogil:
    cdef uint32_t cap_len = f.cap_len if f.cap_len < snaplen else snaplen
    r.head[0] = <uint32_t>(f.ts_ns // <uint64_t>NS)
    r.head[1] = <uint32_t>(f.ts_ns % <uint64_t>NS) // unit_ns
    r.head[2] = cap_len
    r.head[3] = f.wire_len
    add(g, r.head, 16)
    add(g, f.data, cap_len)


cdef void add_pcapng(group_t* g, record_t* r, const frame_t* f, const interfaces_t* known,
                     uint32_t snaplen) noexcept nogil:
    cdef uint32_t cap_len = f.cap_len if f.cap_len < snaplen else snaplen
    cdef uint32_t padding = (4 - cap_len % 4) % 4
    cdef uint32_t length = 32 + cap_len + padding
    cdef int i = 0
    while known.linktype[i] != f.linktype:
        i += 1
    r.head[0] = ENHANCED_PACKET
    r.head[1] = length
    r.head[2] = known.number[i]
    r.head[3] = <uint32_t>(f.ts_ns >> 32)
    r.head[4] = <uint32_t>f.ts_ns
    r.head[5] = cap_len
    r.head[6] = f.wire_len
    r.tail[0] = r.tail[1] = r.tail[2] = 0
    memcpy(r.tail + padding, &length, 4)
    add(g, r.head, 28)
    add(g, f.data, cap_len)
    add(g, r.tail, padding + 4)


cdef int write_all(int fd, iovec* pieces, int n) except -1:
    """Write every byte, however few the system takes at a time."""
    cdef ssize_t written
    while n:
        with nogil:
            written = writev(fd, pieces, n)
        if written < 0:
            if errno != EINTR:
                raise OSError(errno, os.strerror(errno))
            continue         # a signal's Python handler has its turn between blocks
        while n and <size_t>written >= pieces.iov_len:
            written -= pieces.iov_len
            pieces += 1
            n -= 1
        if n:
            pieces.iov_base = <char*>pieces.iov_base + written
            pieces.iov_len -= written
    return 0


cdef int put(object file, int fd, group_t* g) except -1:
    cdef int i
    if fd >= 0:
        write_all(fd, g.pieces, g.n)
    else:
        file.write(b"".join([(<const char*>g.pieces[i].iov_base)[:g.pieces[i].iov_len] for i in range(g.n)]))
    g.n = 0
    return 0


cdef int descriptor(object file) except -2:
    """The file's descriptor, with nothing left in its buffer; -1 if it has none."""
    file.flush()
    try:
        return file.fileno()
    except (AttributeError, io.UnsupportedOperation):
        return -1


def write_pcap(file, Frames frames not None, uint32_t unit_ns, uint32_t snaplen):
    """Add a block of frames to a pcap file whose header has been written.

    Raises
    ------
    ConfigError
        If a time does not fit: nothing of that block's group of packets has been written.
    """
    cdef int fd = descriptor(file)
    cdef group_t g
    cdef Py_ssize_t i
    g.n = 0
    for i in range(frames.n):
        if frames.frames[i].ts_ns >> 32 >= NS:
            raise ConfigError(f"the time {frames.frames[i].ts_ns} ns does not fit a pcap file")
        add_pcap(&g, &g.records[i % GROUP], &frames.frames[i], unit_ns, snaplen)
        if i % GROUP == GROUP - 1:
            put(file, fd, &g)
    put(file, fd, &g)


def write_pcapng(file, Frames frames not None, dict interfaces not None, uint32_t snaplen):
    """Add a block of frames to a pcapng file that has these ``interfaces``: numbers by link type, one for every link
    type of the block."""
    cdef int fd = descriptor(file)
    cdef group_t g
    cdef interfaces_t known
    cdef Py_ssize_t i
    known.n = 0
    for linktype in frames.linktypes_met():
        known.linktype[known.n] = linktype
        known.number[known.n] = interfaces[linktype]
        known.n += 1
    g.n = 0
    for i in range(frames.n):
        add_pcapng(&g, &g.records[i % GROUP], &frames.frames[i], &known, snaplen)
        if i % GROUP == GROUP - 1:
            put(file, fd, &g)
    put(file, fd, &g)
