"""Finding headers of packets that conntrack has not vouched for; see ``reach.pxd``."""
from libc.stdint cimport uint32_t

from fastct.wire.bytes cimport load_be16
from fastct.wire.ip cimport IPV6_AUTH, IPV6_DSTOPTS, IPV6_FRAGMENT, IPV6_HOPOPTS, IPV6_ROUTING
from fastct.wire.packet cimport packet_t


cdef inline bint is_extension(int header) noexcept nogil:
    return header in (IPV6_HOPOPTS, IPV6_ROUTING, IPV6_FRAGMENT, IPV6_AUTH, IPV6_DSTOPTS)


cdef int ip6_find(const packet_t* p, int target, uint32_t* at, uint32_t* fragment) noexcept nogil:
    """The header of number ``target``, or (-1) the transport header, as Linux' ipv6_find_hdr has it.

    Behind the header of a later fragment nothing is found but its protocol: ``at`` stays as it is then, and
    ``fragment`` is the offset.

    => Returns the header's number, with its offset ``at``; or a find_fault.
    """
    cdef uint32_t here = 40, need, offset
    cdef int header = p.data[6], following
    cdef bint found
    fragment[0] = 0
    while True:
        found = header == target
        if not is_extension(header):
            if not found and target >= 0:
                return FIND_ABSENT
            break
        need = 4 if header == IPV6_ROUTING or header == IPV6_FRAGMENT else 2
        if here + need > p.cap_len:
            return FIND_BAD if here + need > p.len else FIND_CUT
        following = p.data[here]
        offset = load_be16(p.data + here + 2) & 0xFFF8 if header == IPV6_FRAGMENT else 0
        if offset:
            if not found and (target >= 0 or is_extension(following)):
                return FIND_ABSENT
            fragment[0] = offset
            if not found:
                return following
        if found:
            break
        here += extension_size(header, p.data[here + 1])
        header = following
    at[0] = here
    return header


cdef bint odd_transport(const packet_t* p, uint32_t* at) noexcept nogil:
    cdef uint32_t fragment
    if p.ip_version == 4:
        at[0] = (p.data[0] & 15) * 4
        return load_be16(p.data + 6) & 0x1FFF == 0
    at[0] = 0
    return ip6_find(p, -1, at, &fragment) >= 0 and not fragment


cdef int ip_protocol(const packet_t* p) noexcept nogil:
    """The protocol that ``-p`` compares, or a find_fault."""
    cdef uint32_t at, fragment
    return p.data[9] if p.ip_version == 4 else ip6_find(p, -1, &at, &fragment)
