"""Transport headers: bounds, checksums, the protocol's own sanity rules, and the tuple.

Everything here depends on the packet alone, so it may run ahead over a batch. Rules that need the
connection are conntrack/'s. Each protocol is one function of the same shape: prove that the header is
there, judge it, make the key.
"""
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcmp

from fastct.wire.bytes cimport load_be16, load_be32, load_u16, sum_bytes, sum_fold, swap16, swap32
from fastct.wire.ip cimport ip6_skip_extensions
from fastct.wire.packet cimport (
    PACKET_CALL,
    PACKET_CALL_ERROR,
    PACKET_ICMP_ERROR,
    PACKET_INVALID,
    PACKET_ODD,
    PACKET_UNTRACKED,
    PROTO_GRE,
    PROTO_ICMP,
    PROTO_ICMPV6,
    PROTO_SCTP,
    PROTO_TCP,
    PROTO_UDP,
    PROTO_UDPLITE,
    SUM_BAD,
    SUM_GOOD,
    SUM_OFFLOADED,
    SUM_UNKNOWN,
    packet_refuse,
    packet_t,
    wire_opts_t,
)
from fastct.wire.reason cimport Reason
from fastct.wire.tuples cimport icmp_inverse, icmp_is_request, tuple_icmp, tuple_ports

cdef enum:
    ICMP_TYPE_MAX = 18
    ICMPV6_REDIRECT = 137
    ND_OPT_REDIRECTED_HEADER = 4

# What a GRE header says.
cdef enum gre_kind:
    GRE_PLAIN
    GRE_CALL     # version 1: the packet says which call of its receiver it belongs to, not which of its sender
    GRE_BAD      # version 1 with anything but PPP inside: no tuple

# CRC32c of a byte, and of that byte with 1 to 7 zero bytes behind it: eight bytes are eight look-ups that do not wait
# for each other.
cdef uint32_t[8][256] _crc32c
for _byte in range(256):
    _crc = _byte
    for _zeros in range(8):
        for _bit in range(8):
            _crc = _crc >> 1 ^ (0x82F63B78 if _crc & 1 else 0)
        _crc32c[_zeros][_byte] = _crc

# ICMPv6 types that are never tracked: MLD, router and neighbour discovery, MLDv2, multicast router discovery.
cdef uint8_t[256] _icmpv6_untracked
for _type in (130, 131, 132, 133, 134, 135, 136, 143, 151, 152):
    _icmpv6_untracked[_type] = 1


cdef uint64_t pseudo_sum(const packet_t* p, uint8_t proto) noexcept nogil:
    """Sum of the pseudo-header. Its length is that of the whole IP payload, as Linux takes it."""
    cdef uint32_t length = p.len - p.l4_off
    cdef uint64_t rest = swap16(<uint16_t>(length & 0xFFFF)) + swap16(<uint16_t>(length >> 16)) + (<uint64_t>proto << 8)
    if p.ip_version == 4:
        return sum_bytes(p.data + 12, 8, rest)
    return sum_bytes(p.data + 8, 32, rest)


cdef uint8_t check_sum(const packet_t* p, uint8_t proto, uint32_t covered, uint32_t sum_at) noexcept nogil:
    """Verify a checksum over pseudo-header (``proto`` 0: without) and ``covered`` bytes; ``sum_at`` is the field's
    offset.

    A sender that leaves the sum to its network card fills in the pseudo-header's part alone. Where there is none, Linux
    counts the IPv4 header, which comes to 0xFFFF: a message of nothing but zeros is right.
    """
    if p.l4_off + covered > p.cap_len:
        return SUM_UNKNOWN
    cdef uint64_t pseudo = pseudo_sum(p, proto) if proto else 0xFFFF
    if sum_fold(sum_bytes(p.data + p.l4_off, covered, pseudo)) == 0xFFFF:
        return SUM_GOOD
    cdef uint16_t field = load_u16(p.data + p.l4_off + sum_at)
    if proto and (field == 0 or field == sum_fold(pseudo)):
        return SUM_OFFLOADED
    return SUM_BAD


cdef void parse_udplite(packet_t* p, const wire_opts_t* opts) noexcept nogil:
    """UDP-Lite: the length field says how many bytes the checksum covers.

    Linux verifies it with the pseudo-header of UDP, so what RFC 3828 asks for fails; which one counts is an option.
    """
    cdef const uint8_t* uh
    cdef uint32_t covered
    if not header_present(p, 8):
        return
    uh = p.data + p.l4_off
    covered = load_be16(uh + 4)
    if covered == 0:
        covered = p.len - p.l4_off
    if covered < 8 or covered > p.len - p.l4_off:
        packet_refuse(p, PACKET_INVALID, Reason.udplite_coverage)
        return
    if load_u16(uh + 6) == 0:
        packet_refuse(p, PACKET_INVALID, Reason.udplite_no_checksum)
        return
    if opts.verify:
        p.sum = check_sum(p, opts.udplite_pseudo, covered, 6)
    tuple_ports(p, p.data, p.ip_version, PROTO_UDPLITE, load_u16(uh), load_u16(uh + 2), opts)


cdef uint32_t crc32c(const uint8_t* bytes, uint32_t n, uint32_t crc) noexcept nogil:
    cdef uint32_t i
    while n >= 8:
        crc = (_crc32c[7][(crc ^ bytes[0]) & 0xFF] ^ _crc32c[6][(crc >> 8 ^ bytes[1]) & 0xFF]
               ^ _crc32c[5][(crc >> 16 ^ bytes[2]) & 0xFF] ^ _crc32c[4][crc >> 24 ^ bytes[3]]
               ^ _crc32c[3][bytes[4]] ^ _crc32c[2][bytes[5]] ^ _crc32c[1][bytes[6]] ^ _crc32c[0][bytes[7]])
        bytes += 8
        n -= 8
    for i in range(n):
        crc = _crc32c[0][(crc ^ bytes[i]) & 0xFF] ^ crc >> 8
    return crc


cdef uint8_t check_sctp(const packet_t* p) noexcept nogil:
    """Verify the CRC32c of SCTP, which counts its own field as zero."""
    cdef const uint8_t* sh = p.data + p.l4_off
    cdef uint32_t crc
    if p.cap_len < p.len:
        return SUM_UNKNOWN
    crc = crc32c(b"\0\0\0\0", 4, crc32c(sh, 8, 0xFFFFFFFF))
    crc = ~crc32c(sh + 12, p.len - p.l4_off - 12, crc)
    if swap32(load_be32(sh + 8)) == crc:
        return SUM_GOOD
    return SUM_BAD if load_be32(sh + 8) else SUM_OFFLOADED


cdef void parse_sctp(packet_t* p, const wire_opts_t* opts) noexcept nogil:
    if not header_present(p, 12):
        return
    if opts.verify:
        p.sum = check_sctp(p)
    tuple_ports(p, p.data, p.ip_version, PROTO_SCTP, load_u16(p.data + p.l4_off), load_u16(p.data + p.l4_off + 2), opts)


cdef gre_kind gre_key(const uint8_t* header, uint32_t cap_left, uint16_t* key) noexcept nogil:
    """The call id of GRE version 1 (PPTP); 0 for other versions, whose key Linux ignores."""
    key[0] = 0
    if cap_left < 4 or (header[1] & 7) != 1 or cap_left < 8:
        return GRE_PLAIN
    key[0] = load_u16(header + 6)
    return GRE_CALL if load_be16(header + 2) == 0x880B else GRE_BAD


cdef void parse_gre(packet_t* p, const wire_opts_t* opts) noexcept nogil:
    cdef uint16_t key = 0
    cdef gre_kind kind = GRE_BAD
    cdef uint32_t need = 8 if p.l4_off + 2 <= p.cap_len and p.data[p.l4_off + 1] & 7 == 1 else 4
    if p.l4_off + need > p.cap_len and p.l4_off + need <= p.len:
        packet_refuse(p, PACKET_INVALID, Reason.l4_header_cut)
        return
    if p.l4_off <= p.cap_len:
        kind = gre_key(p.data + p.l4_off, p.cap_len - p.l4_off, &key)
    if kind == GRE_BAD:
        packet_refuse(p, PACKET_INVALID, Reason.gre_not_ppp)
        return
    if kind == GRE_CALL:
        p.kind = PACKET_CALL
    tuple_ports(p, p.data, p.ip_version, PROTO_GRE, 0, key, opts)


cdef bint quoted_key(packet_t* p, const uint8_t* ip, uint32_t l4_off, uint8_t proto, uint8_t l3proto,
                     const wire_opts_t* opts) noexcept nogil:
    """Key of the packet that an ICMP error quotes; its transport header is at ``l4_off`` of the outer packet."""
    cdef const uint8_t* l4 = p.data + l4_off
    cdef uint32_t left = p.cap_len - l4_off if p.cap_len > l4_off else 0
    cdef uint16_t key
    cdef gre_kind kind
    if proto in (PROTO_TCP, PROTO_UDP, PROTO_UDPLITE, PROTO_SCTP):
        if left < 4:
            return False
        tuple_ports(p, ip, l3proto, proto, load_u16(l4), load_u16(l4 + 2), opts)
    elif proto == (PROTO_ICMP if l3proto == 4 else PROTO_ICMPV6):
        return left >= 8 and tuple_icmp(p, ip, l3proto, proto, l4, opts)
    elif proto == PROTO_GRE:
        kind = gre_key(l4, left, &key)
        if kind == GRE_BAD:
            return False
        if kind == GRE_CALL:
            p.kind = PACKET_CALL_ERROR
        tuple_ports(p, ip, l3proto, proto, 0, key, opts)
    else:
        tuple_ports(p, ip, l3proto, proto, 0, 0, opts)
    return True


cdef void quote_refused(packet_t* p) noexcept nogil:
    packet_refuse(p, PACKET_INVALID, Reason.l4_header_cut if p.cap_len < p.len else Reason.icmp_error_inner)


cdef void parse_quote(packet_t* p, const wire_opts_t* opts, uint32_t at) noexcept nogil:
    """An ICMP error: the key is that of the packet quoted at offset ``at``, seen from the other side.

    The error must be addressed to the sender of what it quotes; whether that matters is known only when the
    connection has been found, so the reason is noted and the kind stays.
    """
    cdef uint32_t ip_len = 20 if p.ip_version == 4 else 40
    cdef const uint8_t* ip = p.data + at
    cdef int proto
    cdef bint keyed
    if at + ip_len > p.cap_len:
        quote_refused(p)
        return
    if p.ip_version == 4:
        if load_be16(ip + 6) & 0x1FFF:
            quote_refused(p)
            return
        proto = ip[9]
        at += (ip[0] & 15) * 4
    else:
        at += 40
        proto = ip6_skip_extensions(p, &at, ip[6], True)
    p.kind = PACKET_ICMP_ERROR
    keyed = proto >= 0 and at <= p.len and quoted_key(p, ip, at, <uint8_t>proto, p.ip_version, opts)
    if not keyed:
        quote_refused(p)
        return
    p.flip = not p.flip
    if p.ip_version == 4:
        if memcmp(p.data + 16, ip + 12, 4):
            p.reason = Reason.icmp_error_spoofed
    elif memcmp(p.data + 24, ip + 8, 16):
        p.reason = Reason.icmp_error_spoofed


cdef bint icmp_present(packet_t* p) noexcept nogil:
    """As ``header_present``, with a reason of its own."""
    if header_present(p, 8):
        return True
    if p.reason == Reason.l4_truncated:
        p.reason = Reason.icmp_truncated
    return False


cdef inline bint icmp_is_error(uint8_t type) noexcept nogil:
    return type in (3, 4, 5, 11, 12)


cdef void parse_icmp(packet_t* p, const wire_opts_t* opts) noexcept nogil:
    cdef const uint8_t* icmp
    if not icmp_present(p):
        return
    icmp = p.data + p.l4_off
    if opts.verify:
        p.sum = check_sum(p, 0, p.len - p.l4_off, 2)
    if icmp[0] > ICMP_TYPE_MAX:
        packet_refuse(p, PACKET_INVALID, Reason.icmp_type)
    elif icmp_is_error(icmp[0]):
        parse_quote(p, opts, p.l4_off + 8)
    elif not tuple_icmp(p, p.data, 4, PROTO_ICMP, icmp, opts):
        packet_refuse(p, PACKET_INVALID, Reason.icmp_not_request)


cdef void parse_redirect(packet_t* p, const wire_opts_t* opts) noexcept nogil:
    """ICMPv6 redirect: may quote the packet it is about, in an option."""
    cdef const uint8_t* ip = p.data
    cdef uint32_t at = p.l4_off + 40, size
    if ip[7] != 255 or ip[8] != 0xFE or (ip[9] & 0xC0) != 0x80:
        packet_refuse(p, PACKET_INVALID, Reason.icmpv6_redirect)
        return
    while at + 8 <= p.cap_len:
        size = p.data[at + 1] * 8
        if size == 0:
            break
        if p.data[at] == ND_OPT_REDIRECTED_HEADER:
            parse_quote(p, opts, at + 8)
            return
        at += size
    packet_refuse(p, PACKET_INVALID, Reason.icmp_not_request)


cdef void parse_icmpv6(packet_t* p, const wire_opts_t* opts) noexcept nogil:
    cdef const uint8_t* icmp
    if not icmp_present(p):
        return
    icmp = p.data + p.l4_off
    if opts.verify:
        p.sum = check_sum(p, PROTO_ICMPV6, p.len - p.l4_off, 2)
    if _icmpv6_untracked[icmp[0]]:
        p.kind = PACKET_UNTRACKED
    elif icmp[0] == ICMPV6_REDIRECT:
        parse_redirect(p, opts)
    elif icmp[0] < 128:
        parse_quote(p, opts, p.l4_off + 8)
    elif not tuple_icmp(p, p.data, 6, PROTO_ICMPV6, icmp, opts):
        packet_refuse(p, PACKET_INVALID, Reason.icmp_not_request)


cdef void transport_other(packet_t* p, const wire_opts_t* opts, uint8_t proto) noexcept nogil:
    """``transport_parse`` of everything but TCP and UDP."""
    if proto == PROTO_ICMP:
        if p.ip_version == 4:
            parse_icmp(p, opts)
        else:
            packet_refuse(p, PACKET_INVALID, Reason.icmp_in_ipv6)
    elif proto == PROTO_ICMPV6:
        if p.ip_version == 6:
            parse_icmpv6(p, opts)
        else:
            packet_refuse(p, PACKET_INVALID, Reason.icmpv6_in_ipv4)
    elif proto == PROTO_SCTP:
        parse_sctp(p, opts)
    elif proto == PROTO_UDPLITE:
        parse_udplite(p, opts)
    elif proto == PROTO_GRE:
        parse_gre(p, opts)
    else:
        if p.l4_off > p.len:
            p.kind = PACKET_ODD
        tuple_ports(p, p.data, p.ip_version, proto, 0, 0, opts)


# ---- for whoever reasons about packets without having any

TCP_FLAGS_VALID = frozenset(_flags for _flags in range(64) if tcp_flags_valid(_flags))


def icmp_role(int family, uint8_t type):
    """What a type of ICMP or ICMPv6 is to conntrack: request, answer, error, untracked, or "" (nothing it knows)."""
    if family == 6 and _icmpv6_untracked[type]:
        return "untracked"
    if icmp_is_error(type) if family == 4 else type < 128 or type == ICMPV6_REDIRECT:
        return "error"
    if icmp_is_request(family, type):
        return "request"
    return "answer" if icmp_inverse(family, type) else ""
