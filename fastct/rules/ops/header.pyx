"""Conditions on the IP header and the interfaces: what any rule may ask."""
from libc.stdint cimport uint8_t
from libc.string cimport memcmp

from fastct.rules.compiled cimport condition, op_t, run_t
from fastct.rules.route cimport INTERFACE_NAME, address_t, packet_address
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


cdef bint protocol_test(const op_t* op, run_t* run) noexcept nogil:
    """a: protocol"""
    return run.p.l4proto == op.a[0]


cdef bint fragment_test(const op_t* op, run_t* run) noexcept nogil:
    """A second or further fragment."""
    return load_be16(run.p.data + 6) & 0x1FFF != 0


cdef bint in_interface_test(const op_t* op, run_t* run) noexcept nogil:
    """a: how many bytes of the name count; blob: name, zero at the end"""
    return memcmp(run.routes.names[run.in_if], op.blob, op.a[0]) == 0


cdef bint out_interface_test(const op_t* op, run_t* run) noexcept nogil:
    """a: how many bytes of the name count; blob: name, zero at the end"""
    return memcmp(run.routes.names[run.out_if], op.blob, op.a[0]) == 0


OPS = {
    "source": condition(source_test),
    "destination": condition(destination_test),
    "in_interface": condition(in_interface_test),
    "out_interface": condition(out_interface_test),
    "protocol": condition(protocol_test),
    "fragment": condition(fragment_test),
}
