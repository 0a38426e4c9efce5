"""SANE: a network scanner announces, in its answer to a request to start, the port that it sends the image from.

    request, 8 bytes    code | handle               code 7: start
    answer              status | zero | port | ...  status 0: it will

A request is one packet of exactly its length, an answer is the next packet of the server.
"""
from libc.stdint cimport uint16_t, uint64_t

from fastct.conntrack.helper cimport aim, help_expect, help_t
from fastct.wire.bytes cimport load_be16, load_be32, swap16
from fastct.wire.packet cimport PROTO_TCP

cdef enum:
    REQUEST = 8              # bytes
    ANSWER = 8               # of what is of interest
    CODE_START = 7


cdef void expect_image(help_t* h, uint16_t port) noexcept nogil:
    """The client fetches the image from the announced port."""
    aim(help_expect(h, 0), PROTO_TCP, h.ends[0].src, h.ends[0].dst, swap16(port))


cdef bint sane_help(help_t* h) noexcept nogil:
    """One packet of a control connection; the helper's word is set while a request to start waits for its answer."""
    cdef uint64_t* waiting = h.x.state
    if not h.established or h.len == 0:
        return True
    if h.direction == 0:
        if h.len == REQUEST:
            waiting[0] = load_be32(h.data) == CODE_START
    elif waiting[0]:
        waiting[0] = 0
        if h.len >= ANSWER and load_be32(h.data) == 0 and load_be16(h.data + 4) == 0:
            expect_image(h, load_be16(h.data + 6))
    return True


cdef bint sane_is_sound(const uint64_t* state) noexcept nogil:
    return state[0] <= 1
