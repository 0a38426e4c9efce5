"""What ctnetlink does for conntrack(8): entries made, changed and named by hand, without a packet.

    handles_of    what names each connection of a listing
    insert        an entry with a tuple, a timeout, status bits and a state
    zero_counters, flush_expectations
    change        another timeout, further status bits, another state
"""
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memset

import numpy as np

from fastct.conntrack.conn cimport (
    IPS_ASSURED,
    IPS_CONFIRMED,
    IPS_FIXED_TIMEOUT,
    IPS_SEEN_REPLY,
    NO_SLOT,
    conn_is_one,
    conn_t,
)
from fastct.conntrack.expect cimport expects_remove, expects_t
from fastct.conntrack.extra cimport NO_EXTRA, extra_t, extras_of, extras_release
from fastct.conntrack.pair cimport pair_begin, pair_known
from fastct.conntrack.table cimport table_hasten, table_insert, table_remove
from fastct.engine cimport engine_t
from fastct.face cimport Engine
from fastct.wire.bytes cimport swap32
from fastct.wire.packet cimport PROTO_ICMP, PROTO_ICMPV6, PROTO_SCTP, packet_t
from fastct.wire.tuples cimport icmp_inverse, tuple_of

cdef enum:
    CHANGEABLE = IPS_SEEN_REPLY | IPS_ASSURED | IPS_FIXED_TIMEOUT

# Linux keeps deadlines in ticks and takes no timeout beyond 2**31 - 1 of them: in seconds, at 250 ticks each.
TIMEOUT_MAX_S = 0x7FFFFFFF // 250

# Why not, by the errno that ctnetlink gives.
DONE, EXISTS, INVALID, BUSY, NOT_PERMITTED, NO_MEMORY = "", "EEXIST", "EINVAL", "EBUSY", "EPERM", "ENOMEM"


cdef uint64_t deadline_after(const engine_t* e, timeout_s) except? 0:
    return e.ct.now + <uint64_t>min(timeout_s, TIMEOUT_MAX_S) * 1000000000


def handles_of(Engine engine not None, const uint64_t[::1] order not None):
    """The handles of the connections that ``engine.rows(order)`` describes, in the same order: uint64 array."""
    made = np.empty(order.shape[0], dtype=np.uint64)
    cdef uint64_t[::1] view = made
    cdef Py_ssize_t i, n = 0
    cdef uint32_t slot
    cdef const conn_t* c
    for i in range(order.shape[0]):
        slot = <uint32_t>order[i]
        if slot < engine.e.ct.table.slots_used:
            c = &engine.e.ct.table.conns[slot]
            if conn_is_one(c):
                view[n] = <uint64_t>c.number << 32 | slot
                n += 1
    return made[:n]


def zero_counters(Engine engine not None):
    """Count the packets and bytes of all connections from 0 again."""
    cdef uint32_t slot
    cdef conn_t* c
    for slot in range(engine.e.ct.table.slots_used):
        c = &engine.e.ct.table.conns[slot]
        if conn_is_one(c):
            memset(c.packets_lo, 0, sizeof(c.packets_lo))
            memset(c.sums, 0, sizeof(c.sums))


def flush_expectations(Engine engine not None):
    """Nothing is expected any more."""
    cdef expects_t* e = &engine.e.ct.expects
    cdef uint32_t index
    for index in range(1, e.used):
        if e.items[index].ends.l3proto:
            expects_remove(e, index)


def is_answered(uint8_t l3proto, uint8_t type):
    """Whether an ICMP type has one that answers it: others are no part of a tuple."""
    return icmp_inverse(l3proto, type) != 0


def insert(Engine engine not None, bytes header not None, uint8_t l4proto, bytes ids not None, uint16_t zone,
           uint16_t reply_zone, timeout_s, uint32_t status, uint8_t state, uint32_t mark=0, tags=(0, 0)):
    """Make an entry; returns DONE or why not.

    Parameters
    ----------
    header, l4proto, ids
        The tuple, as ``Engine.find`` takes it.
    zone, reply_zone : int
        Of the original tuple and of the reply's.
    timeout_s : int
    status : int
        IPS_* bits that a user may set.
    state : int
        Index into ``records.STATES``; 0 where the protocol has none.
    mark : int
    tags : pair of int
        Verification tags of SCTP, by direction.
    """
    cdef packet_t p
    cdef conn_t c
    cdef engine_t* e = engine.e
    cdef const uint8_t* ip = <const uint8_t*><const char*>header
    cdef const uint8_t* l4 = <const uint8_t*><const char*>ids
    cdef uint32_t slot
    cdef extra_t* x
    cdef conn_t* made
    cdef uint64_t deadline = deadline_after(e, timeout_s)
    cdef uint8_t l3proto = ip[0] >> 4
    if len(ids) != 8 or len(header) != (20 if l3proto == 4 else 40):
        return INVALID
    if l4proto == (PROTO_ICMPV6 if l3proto == 4 else PROTO_ICMP):        # the other family's
        return INVALID
    if not tuple_of(&p, ip, l3proto, l4proto, l4, zone, &e.wire):
        return INVALID
    p.slot = NO_SLOT
    if zone == reply_zone and pair_known(&e.ct, &p) != NO_SLOT:
        return EXISTS
    if status & ~CHANGEABLE:
        return BUSY
    memset(&c, 0, sizeof(conn_t))
    c.key = p.key
    c.flags = p.flip
    c.last_ns = e.ct.now
    c.deadline_ns = deadline
    c.status = <uint16_t>(status | IPS_CONFIRMED)
    c.state = state
    c.number = <uint32_t>(e.ct.created + 1)
    if l4proto == PROTO_SCTP:
        c.proto.sctp.tag[0], c.proto.sctp.tag[1] = swap32(tags[0]), swap32(tags[1])
    slot = table_insert(&e.ct.table, &p, &c, e.ct.now)
    if slot == NO_SLOT:
        return NO_MEMORY
    made = &e.ct.table.conns[slot]
    if not pair_begin(&e.ct, &p, slot, reply_zone):
        if made.extra != NO_EXTRA:
            extras_release(&e.ct.extras, made)
        table_remove(&e.ct.table, slot)
        return EXISTS
    e.ct.created += 1
    if mark:
        x = extras_of(&e.ct.extras, made)
        if x != NULL:
            x.mark = mark
    return DONE


def change(Engine engine not None, uint64_t handle, timeout_s=None, uint32_t status=0, state=None):
    """Change an entry that is there; returns DONE or why not. ``status``: bits to set; none is taken away."""
    cdef engine_t* e = engine.e
    cdef uint32_t slot = engine.slot_of(handle)
    cdef conn_t* c = &e.ct.table.conns[slot]
    cdef uint64_t deadline
    if status & ~(CHANGEABLE | c.status):
        return BUSY
    if timeout_s is not None:
        if c.status & IPS_FIXED_TIMEOUT:
            return NOT_PERMITTED
        deadline = deadline_after(e, timeout_s)
        if deadline < c.deadline_ns:
            table_hasten(&e.ct.table, slot, deadline, e.ct.now)
        c.deadline_ns = deadline
    c.status |= <uint16_t>status
    if state is not None:
        c.state = state
    return DONE
