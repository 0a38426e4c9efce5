"""Connections whose reply's tuple has an entry of its own; see ``pair.pyx``."""
from libc.stdint cimport uint16_t, uint32_t, uint64_t

from fastct.conntrack.conn cimport CONN_PAIRED, DIR_ORIGINAL, DIR_REPLY, conn_direction, conn_t
from fastct.conntrack.core cimport ct_t
from fastct.conntrack.extra cimport extra_t
from fastct.wire.packet cimport key_equal, packet_t

cdef uint32_t pair_live(ct_t* ct, const packet_t* p, uint64_t now) noexcept nogil
cdef uint32_t pair_in_zones(ct_t* ct, packet_t* p) noexcept nogil
cdef uint32_t pair_known(const ct_t* ct, const packet_t* p) noexcept nogil
cdef bint pair_begin(ct_t* ct, const packet_t* p, uint32_t slot, uint16_t reply_zone) noexcept nogil
cdef bint pair_translated(ct_t* ct, const packet_t* p, uint32_t slot, const packet_t* reply) noexcept nogil
cdef bint pair_is_taken(const ct_t* ct, const packet_t* p, const conn_t* c) noexcept nogil
cdef void pair_link(ct_t* ct, uint32_t slot, extra_t* x, uint32_t reply_slot) noexcept nogil
cdef void pair_end(ct_t* ct, const extra_t* x) noexcept nogil
cdef uint16_t pair_zone(const ct_t* ct, const conn_t* c) noexcept nogil


cdef inline int pair_direction(const conn_t* c, const packet_t* p) noexcept nogil:
    """The direction of a packet of a connection, whichever of its entries led there."""
    if c.flags & CONN_PAIRED:
        return DIR_ORIGINAL if key_equal(&c.key, &p.key) else DIR_REPLY
    return DIR_REPLY if p.self_inverse else conn_direction(c, p.flip)
