"""Tuples: from the addresses and ids of a packet to the canonical key and its hash.

The key is the smaller of a tuple and its inverse, so one entry is found from both sides; which of the two
the packet carried is its ``flip``. The layout of the key is drawn in ``packet.pxd``. What every packet needs is in
``tuples.pxd``, in line; here is ICMP.
"""
from libc.stdint cimport uint8_t, uint16_t, uint64_t

from fastct.wire.bytes cimport join8, load_u16, load_u32
from fastct.wire.packet cimport PROTO_ICMP, PROTO_ICMPV6, hash_key_t, key_hash, packet_t, packet_zone, wire_opts_t

# ICMP types that are asked and answered, as type + 1 (0: no inverse).
cdef uint8_t[256] _inverse4
cdef uint8_t[256] _inverse6
for _request, _reply in ((8, 0), (13, 14), (15, 16), (17, 18)):
    _inverse4[_request], _inverse4[_reply] = _reply + 1, _request + 1
for _request, _reply in ((128, 129), (139, 140)):
    _inverse6[_request], _inverse6[_reply] = _reply + 1, _request + 1


cdef uint8_t icmp_inverse(uint8_t l3proto, uint8_t type) noexcept nogil:
    """The type that answers ``type``, plus 1; 0 if nothing does."""
    return _inverse4[type] if l3proto == 4 else _inverse6[type]


cdef bint icmp_is_request(uint8_t l3proto, uint8_t type) noexcept nogil:
    """Whether an entry may begin with this type."""
    if l3proto == 4:
        return type == 8 or type == 13 or type == 15 or type == 17
    return type == 128 or type == 139


cdef void tuple_ids4(packet_t* p, uint32_t src, uint32_t dst, uint16_t src_id, uint16_t dst_id,
                     const hash_key_t* secret) noexcept nogil:
    """Key of an IPv4 tuple that is known otherwise than from a packet's bytes; protocol and zone are set already."""
    cdef uint64_t a = <uint64_t>src << 16 | src_id
    cdef uint64_t b = <uint64_t>dst << 16 | dst_id
    p.flip = a > b
    p.self_inverse = a == b
    p.key.addr[p.flip], p.key.addr[1 - p.flip] = src, dst
    p.key.id[p.flip], p.key.id[1 - p.flip] = src_id, dst_id
    p.hash = key_hash(secret, &p.key)


cdef bint tuple_icmp(packet_t* p, const uint8_t* ip, uint8_t l3proto, uint8_t l4proto, const uint8_t* icmp,
                     const wire_opts_t* opts) noexcept nogil:
    """Key of ICMP and ICMPv6: the identifier stays, the type is answered.

    => ``icmp`` has 8 bytes. Returns whether the type has an inverse; without one there is no key.
    """
    cdef uint8_t inverse = icmp_inverse(l3proto, icmp[0])
    cdef uint8_t type
    cdef uint16_t id1
    cdef uint64_t addresses
    cdef int order
    if not inverse:
        return False
    if l3proto == 4:
        order = (load_u32(ip + 12) > load_u32(ip + 16)) - (load_u32(ip + 12) < load_u32(ip + 16))
    else:
        order = compare6(ip + 8, ip + 24)
    p.flip = order > 0 or (order == 0 and icmp[0] > inverse - 1)
    p.self_inverse = False
    type = <uint8_t>(inverse - 1) if p.flip else icmp[0]
    id1 = join8(type, icmp[1])
    if l3proto == 4:
        addresses = addresses4(p, load_u32(ip + 12), load_u32(ip + 16))
    else:
        addresses = addresses6(p, ip, opts)
    set_key(p, addresses, load_u16(icmp + 4), id1, l3proto, l4proto, opts)
    return True


cdef bint tuple_of(packet_t* p, const uint8_t* ip, uint8_t l3proto, uint8_t l4proto, const uint8_t* l4, uint16_t zone,
                   const wire_opts_t* opts) noexcept nogil:
    """Key of what is no captured packet: somebody names its parts.

    => ``ip`` has the addresses where an IP header has them, ``l4`` the 8 bytes at the start of a transport header:
       ports, or ICMP type, code, sum and identifier. Both must live as long as ``p``.
    => Returns whether there is one: ICMP types that nothing answers have none.
    """
    p.ip_version = l3proto
    if l4proto == (PROTO_ICMP if l3proto == 4 else PROTO_ICMPV6):
        if not tuple_icmp(p, ip, l3proto, l4proto, l4, opts):
            return False
    else:
        tuple_ports(p, ip, l3proto, l4proto, load_u16(l4), load_u16(l4 + 2), opts)
    if zone:
        packet_zone(p, zone, opts)
    return True
