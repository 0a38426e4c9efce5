"""Conditions on the frame around the packet."""
from libc.stdint cimport uint8_t
from libc.string cimport memcmp

from fastct.rules.compiled cimport LIVES_PACKET, condition, op_t, run_t
from fastct.rules.route cimport ROUTE_LOCAL
from fastct.wire.link cimport LINK_HOST, link_delivery, link_source

cdef enum:
    MAC = 6


cdef bint mac_test(const op_t* op, run_t* run) noexcept nogil:
    """blob: address"""
    cdef const uint8_t* source = link_source(run.frame)
    if source == NULL:
        return op.invert
    return memcmp(source, op.blob, MAC) == 0


cdef bint delivery_test(const op_t* op, run_t* run) noexcept nogil:
    """a: link_delivery"""
    # What the host sends itself has not been delivered by anybody.
    return op.a[0] == (LINK_HOST if run.source.type == ROUTE_LOCAL else link_delivery(run.frame))


cdef bint eui64_test(const op_t* op, run_t* run) noexcept nogil:
    """The source address ends in the one of the frame, with two bytes in its middle."""
    cdef const uint8_t* source = link_source(run.frame)
    cdef const uint8_t* suffix = run.p.data + 16
    if source == NULL:
        return False
    return (suffix[0] == source[0] ^ 2 and suffix[1] == source[1] and suffix[2] == source[2] and suffix[3] == 0xFF
            and suffix[4] == 0xFE and memcmp(suffix + 5, source + 3, 3) == 0)


OPS = {
    "mac": condition(mac_test, LIVES_PACKET),
    "delivery": condition(delivery_test, LIVES_PACKET),
    "eui64": condition(eui64_test, LIVES_PACKET),
}
