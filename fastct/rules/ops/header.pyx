"""Conditions on the IP header and the interfaces: what any rule may ask, and what stands in every header."""
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcmp

cimport cython

from fastct.rules.compiled cimport LIVES_PACKET, condition, dropping, op_t, run_t
from fastct.rules.ops.reach cimport FIND_CUT, ip_protocol, vouched
from fastct.rules.route cimport address_t, packet_address
from fastct.wire.bytes cimport load_be16


cdef bint address_test(const op_t* op, run_t* run, bint destination) noexcept nogil:
    cdef address_t address
    packet_address(run.p, destination, &address)
    return (address.hi & op.a[2]) == op.a[0] and (address.lo & op.a[3]) == op.a[1]


cdef bint source_test(const op_t* op, run_t* run) noexcept nogil:
    """a: network (high, low), mask (high, low)"""
    return address_test(op, run, False)


cdef bint destination_test(const op_t* op, run_t* run) noexcept nogil:
    """a: network (high, low), mask (high, low)"""
    return address_test(op, run, True)


cdef inline bint not_beyond(uint64_t a_hi, uint64_t a_lo, uint64_t b_hi, uint64_t b_lo) noexcept nogil:
    return a_hi < b_hi or (a_hi == b_hi and a_lo <= b_lo)


cdef bint range_test(const op_t* op, run_t* run, bint destination) noexcept nogil:
    cdef address_t address
    packet_address(run.p, destination, &address)
    return (not_beyond(op.a[0], op.a[1], address.hi, address.lo)
            and not_beyond(address.hi, address.lo, op.a[2], op.a[3]))


cdef bint source_range_test(const op_t* op, run_t* run) noexcept nogil:
    """a: first address (high, low), last (high, low)"""
    return range_test(op, run, False)


cdef bint destination_range_test(const op_t* op, run_t* run) noexcept nogil:
    """a: first address (high, low), last (high, low)"""
    return range_test(op, run, True)


cdef bint protocol_test(const op_t* op, run_t* run) noexcept nogil:
    """a: protocol"""
    cdef int protocol
    if cython.likely(vouched(run.p)):
        return run.p.l4proto == op.a[0]
    protocol = ip_protocol(run.p)
    if protocol < 0:
        run.hotdrop |= protocol != FIND_CUT
        return op.invert
    return protocol == <int>op.a[0]


cdef bint fragment_test(const op_t* op, run_t* run) noexcept nogil:
    """A second or further fragment."""
    return load_be16(run.p.data + 6) & 0x1FFF != 0


cdef bint in_interface_test(const op_t* op, run_t* run) noexcept nogil:
    """a: how many bytes of the name count; blob: name, zero at the end"""
    return memcmp(run.routes.names[run.in_if], op.blob, op.a[0]) == 0


cdef bint out_interface_test(const op_t* op, run_t* run) noexcept nogil:
    """a: how many bytes of the name count; blob: name, zero at the end"""
    return memcmp(run.routes.names[run.out_if], op.blob, op.a[0]) == 0


cdef bint ttl_test(const op_t* op, run_t* run) noexcept nogil:
    """a: lowest, highest"""
    return op.a[0] <= run.ttl <= op.a[1]


cdef bint length_test(const op_t* op, run_t* run) noexcept nogil:
    """a: lowest, highest"""
    cdef uint32_t length = run.p.len
    if run.p.ip_version == 6:
        length = load_be16(run.p.data + 4) + 40          # a jumbogram has 40
    return op.a[0] <= length <= op.a[1]


cdef bint tos_test(const op_t* op, run_t* run) noexcept nogil:
    """a: value, mask"""
    cdef uint8_t tos = run.p.data[1] if run.p.ip_version == 4 else load_be16(run.p.data) >> 4 & 0xFF
    return (tos & op.a[1]) == op.a[0]


cdef bint never_test(const op_t* op, run_t* run) noexcept nogil:
    """What it asks for is not there."""
    return False


OPS = {
    "source": condition(source_test),
    "destination": condition(destination_test),
    "source_range": condition(source_range_test),
    "destination_range": condition(destination_range_test),
    "in_interface": condition(in_interface_test),
    "out_interface": condition(out_interface_test),
    "protocol": dropping(protocol_test),
    "fragment": condition(fragment_test),
    "ttl": condition(ttl_test, LIVES_PACKET),
    "length": condition(length_test, LIVES_PACKET),
    "tos": condition(tos_test, LIVES_PACKET),
    "never": condition(never_test),
}
