"""Conditions on what the host's routes say of an address."""
from libc.stdint cimport uint16_t, uint64_t
from libc.string cimport memcmp

from fastct.rules.compiled cimport condition, op_t, run_t
from fastct.rules.route cimport (
    ROUTE_BROADCAST,
    ROUTE_LOCAL,
    ROUTE_MULTICAST,
    ROUTE_UNICAST,
    address_t,
    packet_address,
    route_find,
    route_t,
)

# Types that only IPv6 has under these numbers, or that no route of ours is of.
cdef enum:
    TYPE_UNSPEC = 0
    TYPE_UNICAST = 1
    TYPE_LOCAL = 2
    TYPE_ANYCAST = 4
    TYPE_MULTICAST = 5
    TYPE_UNREACHABLE = 7
    TYPE_PROHIBIT = 8
    LOOKED_UP = 1 << TYPE_LOCAL | 1 << TYPE_ANYCAST | 1 << TYPE_UNREACHABLE | 1 << TYPE_PROHIBIT

cdef uint64_t LIMITED_BROADCAST = 0xFFFFFFFF
cdef enum:
    LINK_MULTICAST = 0xE00000        # 224.0.0.0/24

cdef enum limited:
    LIMITED_NOT
    LIMITED_IN
    LIMITED_OUT

cdef enum:
    RPFILTER_LOOSE = 1
    RPFILTER_ACCEPT_LOCAL = 2


# ---- the type of an address

cdef int type_ip4(const route_t* route, uint64_t address, bint limited, uint16_t interface) noexcept nogil:
    if address >> 24 == 0 or address == LIMITED_BROADCAST:
        return ROUTE_BROADCAST
    if address >> 28 == 14:
        return ROUTE_MULTICAST
    if limited and route.interface != interface:
        return ROUTE_UNICAST
    return route.type


cdef bint is_type_ip6(const route_t* route, const address_t* address, uint64_t types, bint limited,
                      uint16_t interface) noexcept nogil:
    cdef bint multicast = address.hi >> 56 == 0xFF
    cdef bint unspecified = address.hi == 0 and address.lo == 0
    cdef bint mapped = address.hi == 0 and address.lo >> 32 == 0xFFFF
    cdef bint here = not limited or route.interface == interface
    cdef uint64_t found = 0
    if types >> TYPE_MULTICAST & 1 and not multicast:
        return False
    if types >> TYPE_UNICAST & 1 and (multicast or unspecified or mapped):
        return False
    if types >> TYPE_UNSPEC & 1 and not unspecified:
        return False
    if not types & LOOKED_UP:
        return True
    if route.type == ROUTE_LOCAL and here:
        found = 1 << TYPE_LOCAL
    elif (route.type == ROUTE_UNICAST and here and route.network.hi == address.hi and route.network.lo == address.lo
          and route.mask.lo >> 1 << 1 != ~<uint64_t>1):
        found = 1 << TYPE_ANYCAST            # of all routers of a network
    return types & found != 0


cdef bint type_test(const op_t* op, run_t* run, bint destination) noexcept nogil:
    cdef const route_t* route = run.destination if destination else run.source
    cdef uint16_t interface = run.in_if if op.a[1] == LIMITED_IN else run.out_if
    cdef address_t address
    packet_address(run.p, destination, &address)
    if destination and run.via != NULL:      # a copy is sent elsewhere
        route = route_find(run.routes, run.p.ip_version, &address)
    if run.p.ip_version == 6:
        return is_type_ip6(route, &address, op.a[0], op.a[1] != LIMITED_NOT, interface)
    return op.a[0] >> type_ip4(route, address.lo, op.a[1] != LIMITED_NOT, interface) & 1


cdef bint source_type_test(const op_t* op, run_t* run) noexcept nogil:
    """a: types, a bit each; limited"""
    return type_test(op, run, False)


cdef bint destination_type_test(const op_t* op, run_t* run) noexcept nogil:
    """a: types, a bit each; limited"""
    return type_test(op, run, True)


# ---- the way back

cdef bint needs_no_route(const run_t* run) noexcept nogil:
    """The loopback interface; a host that has no address yet."""
    cdef address_t source, destination
    if memcmp(run.routes.names[run.in_if], b"lo", 3) == 0:
        return True
    packet_address(run.p, False, &source)
    if run.p.ip_version == 6:
        return source.hi == 0 and source.lo == 0
    packet_address(run.p, True, &destination)
    return source.lo >> 24 == 0 and (destination.lo == LIMITED_BROADCAST or destination.lo >> 8 == LINK_MULTICAST)


cdef bint rpfilter_test(const op_t* op, run_t* run) noexcept nogil:
    """a: RPFILTER_*"""
    cdef const route_t* route = run.source
    cdef bint back = op.a[0] & RPFILTER_LOOSE or route.interface == run.in_if
    if needs_no_route(run):
        return True
    if route.type == ROUTE_LOCAL:
        return op.a[0] & RPFILTER_ACCEPT_LOCAL and (back or run.p.ip_version == 6)
    return route.type == ROUTE_UNICAST and back


OPS = {
    "source_type": condition(source_type_test),
    "destination_type": condition(destination_type_test),
    "rpfilter": condition(rpfilter_test),
}
