"""The addresses of the host that packets are looked at on, and the networks that they are in.

A capture does not tell what its host sent itself; whoever knows says so (``local``).
"""
from libc.stdint cimport uint8_t

from fastct.conntrack.expect cimport ends_t

cdef enum:
    LOCAL_MAX = 64

cdef struct local_t:
    uint8_t addr[16]         # network order; IPv4 in the first four bytes
    uint8_t l3proto          # 4 or 6
    uint8_t bits             # length of the network's prefix

cdef struct locals_t:
    local_t rows[LOCAL_MAX]
    int n

cdef int locals_set(locals_t* l, wanted) except -1
cdef int local_broadcast(const locals_t* l, const ends_t* ends) noexcept nogil
