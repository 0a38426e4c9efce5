"""TFTP: the answer to a read or write request comes from a port that nobody knows yet."""
from libc.string cimport memcpy, memset

from fastct.conntrack.expect cimport expect_t
from fastct.conntrack.helper cimport help_expect, help_t
from fastct.wire.bytes cimport load_be16
from fastct.wire.packet cimport PROTO_UDP

cdef enum:
    TFTP_READ = 1
    TFTP_WRITE = 2


cdef bint tftp_help(help_t* h) noexcept nogil:
    """A request, whoever sends it: expect the server, from any port, at the port that asked."""
    cdef expect_t* e
    if h.len < 2 or load_be16(h.data) not in (TFTP_READ, TFTP_WRITE):
        return True
    e = help_expect(h, 0)
    e.ends.l4proto = PROTO_UDP
    memcpy(e.ends.src, h.ends[1].src, 16)
    memcpy(e.ends.dst, h.ends[1].dst, 16)
    e.ends.dport = h.ends[1].dport
    memset(e.mask, 0xFF, 16)
    return True
