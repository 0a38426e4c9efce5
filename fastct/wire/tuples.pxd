"""Making the key of a packet; what every packet needs is in line."""
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

from fastct.wire.bytes cimport join8, join16, join32, load_u32, load_u64, store_u64, swap_if
from fastct.wire.packet cimport hash_addresses, hash_key_t, hash_pair, packet_t, wire_opts_t

cdef uint8_t icmp_inverse(uint8_t l3proto, uint8_t type) noexcept nogil
cdef bint icmp_is_request(uint8_t l3proto, uint8_t type) noexcept nogil
cdef void tuple_ids4(packet_t* p, uint32_t src, uint32_t dst, uint16_t src_id, uint16_t dst_id,
                     const hash_key_t* secret) noexcept nogil
cdef bint tuple_of(packet_t* p, const uint8_t* ip, uint8_t l3proto, uint8_t l4proto, const uint8_t* l4, uint16_t zone,
                   const wire_opts_t* opts) noexcept nogil
cdef bint tuple_icmp(packet_t* p, const uint8_t* ip, uint8_t l3proto, uint8_t l4proto, const uint8_t* icmp,
                     const wire_opts_t* opts) noexcept nogil


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


cdef inline uint64_t addresses6(packet_t* p, const uint8_t* ip, const wire_opts_t* opts) noexcept nogil:
    cdef uint32_t first = 8 + 16 * p.flip       # without a branch, as for IPv4
    p.addr6[0] = ip + first
    p.addr6[1] = ip + (32 - first)
    return hash_addresses(&opts.hash_key, load_u64(p.addr6[0]), load_u64(p.addr6[0] + 8),
                          load_u64(p.addr6[1]), load_u64(p.addr6[1] + 8))


cdef inline int compare6(const uint8_t* a, const uint8_t* b) noexcept nogil:
    """Some total order of IPv6 addresses: -1, 0 or 1."""
    cdef uint64_t a0 = load_u64(a), b0 = load_u64(b), a1 = load_u64(a + 8), b1 = load_u64(b + 8)
    cdef int high = (a0 > b0) - (a0 < b0), low = (a1 > b1) - (a1 < b1)
    return high * 2 + low              # without a branch: the sign is that of the first that differs


cdef inline void tuple_ports(packet_t* p, const uint8_t* ip, uint8_t l3proto, uint8_t l4proto, uint16_t src_id,
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
        addresses = addresses6(p, ip, opts)
    swap_if(p.flip, &first, &second)
    set_key(p, addresses, <uint16_t>first, <uint16_t>second, l3proto, l4proto, opts)
