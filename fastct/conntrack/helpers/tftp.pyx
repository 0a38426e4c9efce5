"""TFTP: the answer to a read or write request comes from a port that nobody knows yet."""
from fastct.conntrack.helper cimport aim, help_expect, help_t
from fastct.wire.bytes cimport load_be16
from fastct.wire.packet cimport PROTO_UDP

cdef enum:
    TFTP_READ = 1
    TFTP_WRITE = 2


cdef bint tftp_help(help_t* h) noexcept nogil:
    """A request, whoever sends it: expect the server, from any port, at the port that asked."""
    if h.len < 2 or load_be16(h.data) not in (TFTP_READ, TFTP_WRITE):
        return True
    aim(help_expect(h, 0), PROTO_UDP, h.ends[1].src, h.ends[1].dst, h.ends[1].dport)
    return True
