"""What the conntrack entry of a packet says, for rules: its tuples and its class."""
from libc.stdint cimport uint8_t, uint16_t, uint32_t

from fastct.conntrack.conn cimport CONN_FLIP, IPS_CONFIRMED, IPS_SEEN_REPLY, conn_t
from fastct.conntrack.core cimport (
    CT_STATE_ESTABLISHED,
    CT_STATE_INVALID,
    CT_STATE_NEW,
    CT_STATE_NONE,
    CT_STATE_UNTRACKED,
    ct_number,
    ct_t,
)
from fastct.conntrack.extra cimport NO_EXTRA, extra_t
from fastct.conntrack.table cimport addr6_t
from fastct.rules.compiled cimport run_t
from fastct.rules.route cimport address_t
from fastct.wire.bytes cimport swap16, swap32, swap64
from fastct.wire.packet cimport PROTO_ICMP, PROTO_ICMPV6
from fastct.wire.tuples cimport icmp_inverse


cdef inline uint8_t entry_class(const run_t* run) noexcept nogil:
    """The packet's class; before conntrack, what the rules of the raw table make of it."""
    if run.r.state != CT_STATE_NONE:
        return run.r.state
    if run.template.notrack:
        return CT_STATE_UNTRACKED
    return CT_STATE_NEW if run.template.zone or run.template.helper or run.template.has_policy else CT_STATE_INVALID


cdef inline uint32_t entry_status(const run_t* run) noexcept nogil:
    """The status bits; a connection is not confirmed before its first packet has passed, and what has just ended it is
    a reply all the same. => There is an entry."""
    cdef uint32_t status = run.r.conn.status
    if run.r.state == CT_STATE_ESTABLISHED and run.r.direction:
        status |= IPS_SEEN_REPLY
    return status & ~<uint32_t>IPS_CONFIRMED if run.r.fresh else status


cdef inline void slot_address(const ct_t* ct, uint32_t slot, uint8_t family, int direction, bint destination,
                              address_t* address) noexcept nogil:
    """An address of the tuple of a direction. ``family``: the packet's; a connection that has just ended has none."""
    cdef const conn_t* c = &ct.table.conns[slot]
    cdef int which = (c.flags & CONN_FLIP) ^ direction ^ destination
    cdef const addr6_t* a
    if family == 4:
        address.hi, address.lo = 0, swap32(c.key.addr[which])
    else:
        a = &ct.table.addr6[slot]
        address.hi, address.lo = swap64(a.half[2 * which]), swap64(a.half[2 * which + 1])


cdef inline uint16_t entry_id(const conn_t* c, uint8_t family, int direction, bint destination) noexcept nogil:
    """A port of the tuple of a direction, or what stands in its place: of ICMP the identifier, and type << 8 | code."""
    cdef const uint8_t* kind = <const uint8_t*>&c.key.id[1]
    if c.key.l4proto != PROTO_ICMP and c.key.l4proto != PROTO_ICMPV6:
        return swap16(c.key.id[(c.flags & CONN_FLIP) ^ direction ^ destination])
    if not destination:
        return swap16(c.key.id[0])
    if (c.flags & CONN_FLIP) ^ direction:
        return <uint16_t>((icmp_inverse(family, kind[0]) - 1) << 8 | kind[1])
    return <uint16_t>(kind[0] << 8 | kind[1])


cdef inline const extra_t* entry_extra(const run_t* run) noexcept nogil:
    """What the packet's connection has beyond the ordinary, or NULL."""
    cdef const conn_t* c = run.r.conn
    return &run.ct.extras.items[c.extra] if c != NULL and c.extra != NO_EXTRA else NULL


cdef inline bint entry_master(const run_t* run, uint32_t* slot) noexcept nogil:
    """Whether the packet's connection was expected by another, which is still there, and where that is."""
    cdef const extra_t* x = entry_extra(run)
    cdef const conn_t* master
    if x == NULL or not x.master:
        return False
    master = &run.ct.table.conns[x.master_slot]
    slot[0] = x.master_slot
    return master.key.l3proto != 0 and ct_number(run.ct, master) == x.master
