"""What connections have to do with each other, once ``restore.pyx`` has put them all into an engine.

    join_connections     who is whose master? which entry is whose reply's?
    take_expectations    puts a block of expectations in
    take_calls           puts a block of the keymap's entries in
    take_probation       puts a block of candidates in

Nothing that comes in is trusted, as there.
"""
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

import numpy as np

from fastct.conntrack.arena cimport arena_grow
from fastct.conntrack.conn cimport CONN_FLIP, CONN_PAIRED, CONN_REPLY, NO_SLOT, conn_t
from fastct.conntrack.core cimport ct_number, ct_t
from fastct.conntrack.early_drop cimport candidate_t, probation_t
from fastct.conntrack.expect cimport (
    EXPECT_ADDED,
    EXPECT_EITHER_WAY,
    EXPECT_FLAGS,
    EXPECT_SHARED,
    ends_t,
    expect_t,
    expects_add,
)
from fastct.conntrack.extra cimport EXPECT_CLASSES, NO_EXTRA, extra_t
from fastct.conntrack.helper cimport helper_is_sound
from fastct.conntrack.helpers.pptp cimport pptp_t
from fastct.conntrack.keymap cimport NO_CALL, keymap_add
from fastct.conntrack.pair cimport pair_link
from fastct.face cimport Engine
from fastct.restore cimport (
    BAD_ADDRESSES,
    BAD_EXTRA,
    BAD_MASTER,
    BAD_PLACE,
    BAD_TIME,
    BAD_TUPLE,
    GOOD,
    TWICE,
    fault_t,
)
from fastct.state cimport call_image_t, expect_image_t
from fastct.wire.packet cimport PROTO_ICMP, PROTO_ICMPV6, key_equal
from fastct.wire.tuples cimport icmp_inverse

from fastct.records import HELPERS
from fastct.restore import FAULTS

cdef enum:
    EXPECTING_MAX = 255          # of one class of one master: its counter has eight bits

cdef uint8_t _pptp = HELPERS.index("pptp")


cdef uint32_t slot_numbered(const ct_t* ct, const uint64_t[::1] order, uint64_t number) noexcept nogil:
    """The slot of the connection with a number, or NO_SLOT. ``order``: all of them, as ``Engine.order`` sorts them."""
    cdef uint32_t wanted = <uint32_t>number - (<uint32_t>ct.created + 1)
    cdef Py_ssize_t low = 0, high = order.shape[0], middle
    cdef uint32_t slot
    while low < high:
        middle = (low + high) >> 1
        if <uint32_t>(order[middle] >> 32) < wanted:
            low = middle + 1
        else:
            high = middle
    if low == order.shape[0]:
        return NO_SLOT
    slot = <uint32_t>order[low]
    return slot if ct_number(ct, &ct.table.conns[slot]) == number else <uint32_t>NO_SLOT


cdef bint answers(const conn_t* reply, const conn_t* c) noexcept nogil:
    """Whether type and code of ICMP are those that answer a connection's."""
    cdef const uint8_t* there = <const uint8_t*>&c.key.id[1]
    cdef const uint8_t* back = <const uint8_t*>&reply.key.id[1]
    cdef bint turned = (reply.flags ^ c.flags) & CONN_FLIP != 0      # the lower address is the other one's
    return back[1] == there[1] and back[0] == (icmp_inverse(c.key.l3proto, there[0]) - 1 if turned else there[0])


cdef bint joins(const conn_t* reply, const conn_t* c) noexcept nogil:
    """Whether an entry may be that of a connection's reply: other than the inverse, by its zone or as translated."""
    if not c.flags & CONN_PAIRED or reply.key.l3proto != c.key.l3proto or reply.key.l4proto != c.key.l4proto:
        return False
    if c.key.l4proto == (PROTO_ICMP if c.key.l3proto == 4 else PROTO_ICMPV6) and not answers(reply, c):
        return False
    if reply.key.zone != c.key.zone:
        return reply.key.zone == 0 or c.key.zone == 0
    return not key_equal(&reply.key, &c.key) or (reply.flags ^ c.flags) & CONN_FLIP != 0


cdef bint join_replies(ct_t* ct, const uint64_t[::1] order) noexcept nogil:
    """Lead from the entries of replies' tuples to their connections; False if one has none, or it none."""
    cdef uint32_t slot, owner, paired = 0
    cdef conn_t* c
    cdef extra_t* x
    for slot in range(ct.table.slots_used):
        c = &ct.table.conns[slot]
        paired += c.flags & CONN_PAIRED != 0
        if not c.flags & CONN_REPLY:
            continue
        owner = slot_numbered(ct, order, ct_number(ct, c))
        if owner == NO_SLOT or not joins(c, &ct.table.conns[owner]):
            return False
        x = &ct.extras.items[ct.table.conns[owner].extra]
        if x.reply_slot != NO_SLOT:
            return False
        pair_link(ct, owner, x, slot)
    return paired == ct.table.replies


def join_connections(Engine engine not None):
    """Once all connections are in: find the master and the reply's entry of each that has one.

    Returns
    -------
    numpy.ndarray
        The connections in order of creation, for ``take_expectations``.

    Raises
    ------
    ValueError
        If two connections have one number, or an entry belongs to none.
    """
    cdef ct_t* ct = &engine.e.ct
    cdef uint32_t i, master
    cdef extra_t* x
    ct.table.reused = True               # slots are in the order of the index, not of creation
    order = engine.order()
    if not np.diff(order >> np.uint64(32)).all():
        raise ValueError("two connections with one number")
    if not join_replies(ct, order):
        raise ValueError("the tuple of a reply that no connection has, or lacks")
    for i in range(1, ct.extras.used):
        x = &ct.extras.items[i]
        if x.master:
            master = slot_numbered(ct, order, x.master)
            if master != NO_SLOT and ct.table.conns[master].extra != NO_EXTRA:
                x.master_slot = master
                ct.extras.items[ct.table.conns[master].extra].children += 1
    return order


cdef fault_t take_expectation(ct_t* ct, const uint64_t[::1] order, const expect_image_t* image) noexcept nogil:
    cdef expect_t x
    cdef extra_t named
    cdef uint32_t slot = slot_numbered(ct, order, image.master)
    if slot == NO_SLOT or ct.table.conns[slot].extra == NO_EXTRA:
        return BAD_MASTER
    memset(&named, 0, sizeof(named))
    named.helper = image.assign
    if (image.ends.l3proto != 4 and image.ends.l3proto != 6) or not helper_is_sound(&named, image.ends.l3proto,
                                                                                    image.ends.l4proto):
        return BAD_TUPLE
    memset(&x, 0, sizeof(x))
    x.master_extra = ct.table.conns[slot].extra
    if (image.helper == 0 or image.helper != ct.extras.items[x.master_extra].helper or image.kind >= EXPECT_CLASSES
            or image.flags > (EXPECT_FLAGS | EXPECT_EITHER_WAY | EXPECT_SHARED)
            or image.reserved[0] or image.reserved[1]):
        return BAD_EXTRA
    if image.deadline_ns > ct.now and image.deadline_ns - ct.now > image.timeout_s * <uint64_t>1000000000:
        return BAD_TIME
    x.ends = image.ends
    memcpy(x.mask, image.mask, sizeof(x.mask))
    x.sport_mask, x.flags, x.kind = image.sport_mask, image.flags, image.kind
    x.via = ct.table.conns[slot].key.l4proto
    x.helper, x.assign, x.timeout_s = image.helper, image.assign, image.timeout_s
    x.master, x.master_slot = image.master, slot
    if ct.extras.items[x.master_extra].expecting[x.kind] == EXPECTING_MAX:
        return BAD_EXTRA
    # As of time 0 nothing has expired yet, so that nothing makes way.
    if expects_add(&ct.expects, &x, 0, 0xFFFFFFFF, 0) != EXPECT_ADDED:
        return TWICE
    ct.expects.items[ct.extras.items[x.master_extra].expects].deadline_ns = image.deadline_ns
    return GOOD


def take_expectations(Engine engine not None, const uint8_t[::1] block not None, const uint64_t[::1] order not None):
    """Put a block of expectations in, after ``join_connections``, which gave ``order``.

    Raises
    ------
    ValueError
        For one that the tracker cannot have made.
    """
    cdef Py_ssize_t n = block.shape[0] // sizeof(expect_image_t), i
    cdef const expect_image_t* images
    cdef fault_t fault = GOOD
    if n == 0 or block.shape[0] % <Py_ssize_t>sizeof(expect_image_t):
        raise ValueError("expectations: not of the length they should have")
    images = <const expect_image_t*>&block[0]
    for i in range(n):
        fault = take_expectation(&engine.e.ct, order, &images[i])
        if fault != GOOD:
            raise ValueError(f"expectation {i + 1} of a block: {FAULTS[<int>fault]}")


cdef fault_t take_call(ct_t* ct, const uint64_t[::1] order, const call_image_t* image) noexcept nogil:
    cdef uint32_t slot = slot_numbered(ct, order, image.master)
    cdef const conn_t* master
    cdef pptp_t* state
    cdef ends_t ends
    cdef int first
    if slot == NO_SLOT or ct.table.conns[slot].extra == NO_EXTRA:
        return BAD_MASTER
    master = &ct.table.conns[slot]
    if (ct.extras.items[master.extra].helper != _pptp or image.direction > 1
            or image.reserved[0] or image.reserved[1] or image.reserved[2]):
        return BAD_EXTRA
    first = (master.flags & CONN_FLIP) ^ image.direction     # whose of the key's addresses sends in this direction
    if image.src != master.key.addr[first] or image.dst != master.key.addr[1 - first]:
        return BAD_ADDRESSES
    state = <pptp_t*>ct.extras.items[master.extra].state
    if state.keymap[image.direction] != NO_CALL:
        return TWICE
    memset(&ends, 0, sizeof(ends))
    ends.l3proto = 4
    memcpy(ends.src, &image.src, 4)
    memcpy(ends.dst, &image.dst, 4)
    ends.sport, ends.dport = image.src_id, image.dst_id
    state.keymap[image.direction] = keymap_add(&ct.keymap, &ends, slot)
    return GOOD if state.keymap[image.direction] != NO_CALL else BAD_PLACE


def take_calls(Engine engine not None, const uint8_t[::1] block not None, const uint64_t[::1] order not None):
    """Put a block of entries of the keymap in, after ``join_connections``, which gave ``order``.

    Raises
    ------
    ValueError
        For one that the tracker cannot have made.
    """
    cdef Py_ssize_t n = block.shape[0] // sizeof(call_image_t), i
    cdef const call_image_t* images
    cdef fault_t fault
    if n == 0 or block.shape[0] % <Py_ssize_t>sizeof(call_image_t):
        raise ValueError("calls: not of the length they should have")
    images = <const call_image_t*>&block[0]
    for i in range(n):
        fault = take_call(&engine.e.ct, order, &images[i])
        if fault != GOOD:
            raise ValueError(f"call {i + 1} of a block: {FAULTS[<int>fault]}")


def take_probation(Engine engine not None, const uint8_t[::1] block not None, const uint64_t[::1] order not None):
    """Put a block of candidates in, after ``join_connections``, which gave ``order``.

    Raises
    ------
    ValueError
        If there are more than there can be.
    """
    cdef ct_t* ct = &engine.e.ct
    cdef probation_t* p = &ct.probation
    cdef Py_ssize_t n = block.shape[0] // sizeof(uint64_t), i
    cdef uint64_t number
    cdef uint32_t slot
    if (n == 0 or block.shape[0] % <Py_ssize_t>sizeof(uint64_t) or p.tail + <uint64_t>n > p.mask + 1
            or arena_grow(&p.mem, (p.tail + <uint64_t>n) * sizeof(candidate_t))
            or arena_grow(&ct.table.conns_mem, sizeof(conn_t))):
        raise ValueError("candidates: not of the length they should have")
    for i in range(n):
        memcpy(&number, &block[i * <Py_ssize_t>sizeof(uint64_t)], sizeof(number))
        slot = slot_numbered(ct, order, number) if number else <uint32_t>NO_SLOT
        if slot == NO_SLOT:
            # It keeps its place, and slot 0 is there even if nothing else is. No connection will have such a number
            # before the ring has gone round.
            p.ring[p.tail].slot, p.ring[p.tail].number = 0, <uint32_t>ct.created + (<uint32_t>1 << 31)
        else:
            p.ring[p.tail].slot, p.ring[p.tail].number = slot, <uint32_t>number
        p.tail += 1
