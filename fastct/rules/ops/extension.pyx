"""Conditions on the extension headers of IPv6. "extension" comes first and proves what the others then read."""
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcmp

from fastct.rules.compiled cimport LIVES_PACKET, condition, dropping, op_t, run_t
from fastct.rules.ops.reach cimport FIND_BAD, extension_size, ip6_find, reaches
from fastct.wire.bytes cimport load_be16, load_be32, load_u64
from fastct.wire.ip cimport IPV6_AUTH, IPV6_DSTOPTS, IPV6_FRAGMENT, IPV6_HOPOPTS, IPV6_NONE, IPV6_ROUTING
from fastct.wire.packet cimport packet_t

cdef enum:
    IPV6_ESP = 50
    ROUTING_HEADER = 8
    SEGMENT = 16
    ANY_LENGTH = 0xFF

# Which segment of a routing header: the one before the current one, the next, the last of the way.
cdef enum segment:
    SEGMENT_PREVIOUS
    SEGMENT_NEXT
    SEGMENT_LAST

# The bits of ``--header``.
cdef enum header_bit:
    BIT_PROTOCOL = 0x01
    BIT_NONE = 0x02
    BIT_ESP = 0x04
    BIT_AUTH = 0x08
    BIT_FRAGMENT = 0x10
    BIT_ROUTING = 0x20
    BIT_DSTOPTS = 0x40
    BIT_HOPOPTS = 0x80


cdef inline const uint8_t* extension(const run_t* run, uint64_t header) noexcept nogil:
    """=> "extension" has held for it."""
    cdef uint32_t at = 0, fragment
    ip6_find(run.p, <int>header, &at, &fragment)
    return run.p.data + at


cdef bint extension_test(const op_t* op, run_t* run) noexcept nogil:
    """a: header, bytes that there must be, whether all of it must be, whether damage has the packet dropped"""
    cdef const packet_t* p = run.p
    cdef uint32_t at = 0, fragment
    cdef int found = ip6_find(p, <int>op.a[0], &at, &fragment)
    if found < 0:
        if op.a[3] and found == FIND_BAD:
            run.hotdrop = True
        return False
    if at + op.a[1] > p.cap_len:
        if op.a[3] and at + op.a[1] > p.len:
            run.hotdrop = True
        return False
    if op.a[2] and at + extension_size(found, p.data[at + 1]) > p.len:
        if op.a[3]:
            run.hotdrop = True
        return False
    return True


cdef bint extension_byte_test(const op_t* op, run_t* run) noexcept nogil:
    """a: header, where in it, lowest, highest"""
    return op.a[2] <= extension(run, op.a[0])[op.a[1]] <= op.a[3]


cdef bint extension_half_test(const op_t* op, run_t* run) noexcept nogil:
    """a: header, where in it, lowest, highest"""
    return op.a[2] <= load_be16(extension(run, op.a[0]) + op.a[1]) <= op.a[3]


cdef bint extension_word_test(const op_t* op, run_t* run) noexcept nogil:
    """a: header, where in it, lowest, highest"""
    return op.a[2] <= load_be32(extension(run, op.a[0]) + op.a[1]) <= op.a[3]


cdef bint extension_bits_test(const op_t* op, run_t* run) noexcept nogil:
    """a: header, where in it, mask, value"""
    return (load_be32(extension(run, op.a[0]) + op.a[1]) & op.a[2]) == op.a[3]


cdef bint extension_options_test(const op_t* op, run_t* run) noexcept nogil:
    """The options of a header begin so. a: header, number of options; blob: type and length (ANY_LENGTH) of each"""
    cdef const uint8_t* at = extension(run, op.a[0])
    cdef const uint8_t* end = run.p.data + run.p.cap_len
    cdef uint32_t left = (at[1] + 1) * 8 - 2, i, size
    at += 2
    for i in range(<uint32_t>op.a[1]):
        if left < 1 or at >= end or at[0] != op.blob[2 * i]:
            return False
        size = 1
        if at[0]:
            if left < 2 or at + 1 >= end:
                return False
            if op.blob[2 * i + 1] != ANY_LENGTH and op.blob[2 * i + 1] != at[1]:
                return False
            size = at[1] + 2
        if (left < size or at + size > end) and i + 1 < op.a[1]:
            return False
        at += size
        left -= size
    return True


# ---- the routing header

cdef inline bint same_address(const uint8_t* a, const uint8_t* b) noexcept nogil:
    return memcmp(a, b, SEGMENT) == 0


cdef bint routing_addresses_test(const op_t* op, run_t* run) noexcept nogil:
    """a: number of addresses, whether there may be others between; blob: addresses"""
    cdef const uint8_t* header = extension(run, IPV6_ROUTING)
    cdef uint32_t at = <uint32_t>(header - run.p.data) + ROUTING_HEADER
    cdef uint32_t n = header[1] // 2, i, found = 0
    if op.a[0] > n:
        return False
    for i in range(n if op.a[1] else <uint32_t>op.a[0]):
        if not reaches(run, at + SEGMENT * i, SEGMENT):
            return False
        if same_address(run.p.data + at + SEGMENT * i, op.blob + SEGMENT * found):
            found += 1
        elif not op.a[1]:
            return False
        if found == op.a[0]:
            break
    return found == op.a[0] and (op.a[1] or found == n)


cdef bint segments_test(const op_t* op, run_t* run) noexcept nogil:
    """No more segments are left than there are."""
    cdef const uint8_t* header = extension(run, IPV6_ROUTING)
    return header[3] <= header[4]


cdef bint segment_test(const op_t* op, run_t* run) noexcept nogil:
    """a: segment; blob: address, mask"""
    cdef const uint8_t* header = extension(run, IPV6_ROUTING)
    cdef uint32_t at = <uint32_t>(header - run.p.data) + ROUTING_HEADER
    cdef const uint8_t* address
    if op.a[0] == SEGMENT_PREVIOUS:
        if header[3] == header[4]:
            return op.invert
        at += (header[3] + 1) * SEGMENT
    elif op.a[0] == SEGMENT_NEXT:
        if header[3] == 0:
            return op.invert
        at += (header[3] - 1) * SEGMENT
    if at + SEGMENT > run.p.cap_len:
        return op.invert
    address = run.p.data + at
    return ((load_u64(address) ^ load_u64(op.blob)) & load_u64(op.blob + 16)) == 0 and (
        (load_u64(address + 8) ^ load_u64(op.blob + 8)) & load_u64(op.blob + 24)) == 0


# ---- which headers there are

cdef inline int header_bit_of(uint8_t header) noexcept nogil:
    if header == IPV6_HOPOPTS:
        return BIT_HOPOPTS
    if header == IPV6_ROUTING:
        return BIT_ROUTING
    if header == IPV6_FRAGMENT:
        return BIT_FRAGMENT
    return BIT_AUTH if header == IPV6_AUTH else BIT_DSTOPTS


cdef int header_bits(run_t* run) noexcept nogil:
    """The bits of all headers, or -1 if they cannot be told."""
    cdef const packet_t* p = run.p
    cdef uint32_t at = 40, size
    cdef int bits = 0
    cdef uint8_t header = p.data[6]
    while True:
        if header == IPV6_NONE:
            return bits | BIT_NONE
        if header not in (IPV6_HOPOPTS, IPV6_ROUTING, IPV6_FRAGMENT, IPV6_ESP, IPV6_AUTH, IPV6_DSTOPTS):
            break
        if at + 2 > p.len:
            return -1
        if header == IPV6_ESP:
            return bits | BIT_ESP
        if at + 2 > p.cap_len:
            return -1
        bits |= header_bit_of(header)
        size = extension_size(header, p.data[at + 1])
        header = p.data[at]
        at += size
        if at > p.len:
            # What would follow is not looked at: it is a protocol unless its number says otherwise.
            return bits if header == IPV6_NONE or header == IPV6_ESP else bits | BIT_PROTOCOL
    return bits | BIT_PROTOCOL


cdef bint headers_test(const op_t* op, run_t* run) noexcept nogil:
    """a: bits, whether other headers do not matter, inverted"""
    cdef int bits = header_bits(run)
    if bits < 0:
        return False
    if op.a[1]:
        return (bits ^ op.a[0] ^ (0xFF if op.a[2] else 0)) & op.a[0] == 0
    return (bits == <int>op.a[0]) != <bint>op.a[2]


OPS = {
    "extension": dropping(extension_test, LIVES_PACKET),
    "extension_byte": condition(extension_byte_test, LIVES_PACKET),
    "extension_half": condition(extension_half_test, LIVES_PACKET),
    "extension_word": condition(extension_word_test, LIVES_PACKET),
    "extension_bits": condition(extension_bits_test, LIVES_PACKET),
    "extension_options": condition(extension_options_test, LIVES_PACKET),
    "routing_addresses": dropping(routing_addresses_test, LIVES_PACKET),
    "segments": condition(segments_test, LIVES_PACKET),
    "segment": condition(segment_test, LIVES_PACKET),
    "headers": condition(headers_test, LIVES_PACKET),
}
