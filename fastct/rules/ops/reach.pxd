"""Where a header of the packet is, and whether it is there: what conditions on headers share.

A header that the packet is too short for has it dropped (hotdrop), as Linux does; one that the capture cut does not
match, inverted or not.
"""
from libc.stdint cimport uint8_t, uint32_t

cimport cython

from fastct.rules.compiled cimport run_t
from fastct.wire.ip cimport IPV6_AUTH, IPV6_FRAGMENT
from fastct.wire.packet cimport PACKET_ODD, PACKET_TRACK, packet_t

cdef enum find_fault:
    FIND_ABSENT = -1         # no such header
    FIND_BAD = -2            # the packet ends within the headers before it
    FIND_CUT = -3            # the capture does

cdef int ip6_find(const packet_t* p, int target, uint32_t* at, uint32_t* fragment) noexcept nogil
cdef bint odd_transport(const packet_t* p, uint32_t* at) noexcept nogil
cdef int ip_protocol(const packet_t* p) noexcept nogil


cdef inline bint reaches(run_t* run, uint32_t at, uint32_t size) noexcept nogil:
    """Whether there are ``size`` bytes at an offset."""
    if cython.likely(at + size <= run.p.cap_len):
        return True
    run.hotdrop |= at + size > run.p.len
    return False


cdef inline bint vouched(const packet_t* p) noexcept nogil:
    """Conntrack has found the transport header, and so do rules, even if there may be nothing of it."""
    return p.kind >= PACKET_TRACK and p.kind != PACKET_ODD


cdef inline bint transport_at(const run_t* run, uint32_t* at) noexcept nogil:
    """Where the header is that ``-p`` finds; False for what has none: it is a later fragment, or damaged."""
    if cython.likely(vouched(run.p)):
        at[0] = run.p.l4_off
        return True
    return odd_transport(run.p, at)


cdef inline uint32_t extension_size(int header, uint8_t length) noexcept nogil:
    """Bytes of an extension header of IPv6, of which ``length`` is the second."""
    if header == IPV6_FRAGMENT:
        return 8
    return (length + 2) * 4 if header == IPV6_AUTH else (length + 1) * 8
