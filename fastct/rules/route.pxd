"""Where packets come from and go to: the host's own addresses, its networks, and which interface each is behind.

A capture does not tell; whoever knows says so (``local``, ``interfaces``, ``routes``). Without anything said every
packet is forwarded, by no interface in particular.
"""
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

from fastct.wire.packet cimport packet_t

cdef enum:
    INTERFACE_NAME = 16      # bytes, a zero at the end included

# What an address is to the host, by rtnetlink's numbers, which ``-m addrtype`` uses.
cdef enum route_type:
    ROUTE_UNSPEC = 0
    ROUTE_UNICAST = 1
    ROUTE_LOCAL = 2
    ROUTE_BROADCAST = 3
    ROUTE_MULTICAST = 5

# Addresses as two numbers in host order; an IPv4 address is the second.
cdef struct address_t:
    uint64_t hi
    uint64_t lo

cdef struct route_t:
    address_t network
    address_t mask
    uint16_t interface       # number, 0: none
    uint8_t family
    uint8_t type             # route_type
    uint8_t near             # of an own address: bits that its network has

cdef struct routes_t:
    route_t* rows            # the longest prefixes first
    uint32_t n
    char (*names)[INTERFACE_NAME]        # of interfaces, by number
    uint16_t n_names
    uint16_t lo              # number of that interface
    uint8_t has_local

cdef class Routes:
    cdef routes_t r
    cdef readonly object interfaces      # names, by number

cdef const route_t* route_find(const routes_t* r, uint8_t family, const address_t* address) noexcept nogil
cdef void packet_address(const packet_t* p, bint destination, address_t* address) noexcept nogil
