"""Tuples: from the addresses and ids of a packet to the canonical key and its hash.

The key is the smaller of a tuple and its inverse, so one entry is found from both sides; which of the two
the packet carried is its ``flip``. The layout of the key is drawn in ``packet.pxd``.
"""
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

from fastct.wire.bytes cimport join8, join16, join32, load_u16, load_u32, load_u64, store_u64, swap_if
from fastct.wire.packet cimport hash_addresses, hash_pair, packet_t, wire_opts_t

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


cdef inline void set_key(packet_t* p, uint64_t addresses, uint16_t id0, uint16_t id1, uint8_t l3proto,
                         uint8_t l4proto, const wire_opts_t* opts) noexcept nogil:
    """Store the key (zone 0) and its hash."""
    cdef uint64_t rest = join32(join16(id0, id1), join16(join8(l4proto, l3proto), 0))
    store_u64(<uint8_t*>&p.key, addresses)
    store_u64(<uint8_t*>&p.key + 8, rest)
    p.hash = hash_pair(&opts.hash_key, addresses, rest)


cdef inline uint64_t addresses4(packet_t* p, uint32_t src, uint32_t dst) noexcept nogil:
    p.addr6[0] = p.addr6[1] = NULL
    swap_if(p.flip, &src, &dst)
    return join32(src, dst)


cdef inline uint64_t addresses6(packet_t* p, const uint8_t* src, const uint8_t* dst,
                                const wire_opts_t* opts) noexcept nogil:
    p.addr6[0] = dst if p.flip else src
    p.addr6[1] = src if p.flip else dst
    return hash_addresses(&opts.hash_key, load_u64(p.addr6[0]), load_u64(p.addr6[0] + 8),
                          load_u64(p.addr6[1]), load_u64(p.addr6[1] + 8))


cdef int compare6(const uint8_t* a, const uint8_t* b) noexcept nogil:
    """Some total order of IPv6 addresses: -1, 0 or 1."""
    cdef uint64_t a0 = load_u64(a), b0 = load_u64(b), a1 = load_u64(a + 8), b1 = load_u64(b + 8)
    cdef int high = (a0 > b0) - (a0 < b0), low = (a1 > b1) - (a1 < b1)
    return high * 2 + low              # without a branch: the sign is that of the first that differs


cdef void tuple_ports(packet_t* p, const uint8_t* ip, uint8_t l3proto, uint8_t l4proto, uint16_t src_id,
                      uint16_t dst_id, const wire_opts_t* opts) noexcept nogil:
    """Key of a protocol whose inverse swaps two ids (ports, GRE keys, or zeros).

    => ``ip`` is a whole IP header; ids in network order.
    """
    cdef uint32_t src, dst, first = src_id, second = dst_id
    cdef uint64_t addresses, a, b
    cdef int order
    if l3proto == 4:
        src, dst = load_u32(ip + 12), load_u32(ip + 16)
        a = <uint64_t>src << 16 | src_id
        b = <uint64_t>dst << 16 | dst_id
        p.flip = a > b
        p.self_inverse = a == b
        addresses = addresses4(p, src, dst)
    else:
        order = compare6(ip + 8, ip + 24)
        p.flip = (order > 0) | ((order == 0) & (src_id > dst_id))
        p.self_inverse = (order == 0) & (src_id == dst_id)
        addresses = addresses6(p, ip + 8, ip + 24, opts)
    swap_if(p.flip, &first, &second)
    set_key(p, addresses, <uint16_t>first, <uint16_t>second, l3proto, l4proto, opts)


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
        addresses = addresses6(p, ip + 8, ip + 24, opts)
    set_key(p, addresses, load_u16(icmp + 4), id1, l3proto, l4proto, opts)
    return True
