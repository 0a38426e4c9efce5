"""What ctnetlink does for conntrack(8): entries made, changed and named by hand, without a packet.

    handles_of    what names each connection of a listing
    insert        an entry with a tuple, a timeout, status bits and a state
    zero_counters, flush_expectations
    change        another timeout, further status bits, another state
"""
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

import numpy as np

from fastct.conntrack.conn cimport (
    CONN_HELPED,
    IPS_ASSURED,
    IPS_CONFIRMED,
    IPS_DST_NAT,
    IPS_DST_NAT_DONE,
    IPS_FIXED_TIMEOUT,
    IPS_SEEN_REPLY,
    IPS_SRC_NAT,
    IPS_SRC_NAT_DONE,
    NO_SLOT,
    conn_is_one,
    conn_t,
)
from fastct.conntrack.core cimport ct_number
from fastct.conntrack.describe cimport ct_expect_row
from fastct.conntrack.expect cimport (
    EXPECT_ADDED,
    EXPECT_BUSY,
    ends_t,
    expect_t,
    expect_verdict,
    expects_add,
    expects_known,
    expects_remove,
    expects_t,
)
from fastct.conntrack.extra cimport NO_EXTRA, extra_t, extras_of, extras_release
from fastct.conntrack.helper cimport helper_rows, helper_t
from fastct.conntrack.opts cimport OPT_EXPECT_MAX
from fastct.conntrack.pair cimport pair_begin, pair_known, pair_translated
from fastct.conntrack.table cimport table_hasten, table_insert, table_remove
from fastct.engine cimport engine_t
from fastct.face cimport Engine
from fastct.records cimport expect_row_t
from fastct.wire.bytes cimport load_u16, swap16, swap32
from fastct.wire.packet cimport PROTO_ICMP, PROTO_ICMPV6, PROTO_SCTP, key_equal, packet_t
from fastct.wire.tuples cimport icmp_inverse, tuple_of

from fastct.records import EXPECTATION_DTYPE

cdef enum:
    CHANGEABLE = IPS_SEEN_REPLY | IPS_ASSURED | IPS_FIXED_TIMEOUT
    SETTABLE = CHANGEABLE | IPS_SRC_NAT | IPS_DST_NAT | IPS_SRC_NAT_DONE | IPS_DST_NAT_DONE

# Linux keeps deadlines in ticks and takes no timeout beyond 2**31 - 1 of them: in seconds, at 250 ticks each.
TIMEOUT_MAX_S = 0x7FFFFFFF // 250

# Why not, by the errno that ctnetlink gives.
DONE, EXISTS, INVALID, BUSY, NOT_PERMITTED, NO_MEMORY = "", "EEXIST", "EINVAL", "EBUSY", "EPERM", "ENOMEM"
NOT_SUPPORTED, TOO_MANY = "EOPNOTSUPP", "EMFILE"


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


def zero_counters(Engine engine not None, uint8_t l3proto=0):
    """Count the packets and bytes of all connections, or those of a family (4, 6), from 0 again."""
    cdef uint32_t slot
    cdef conn_t* c
    for slot in range(engine.e.ct.table.slots_used):
        c = &engine.e.ct.table.conns[slot]
        if conn_is_one(c) and l3proto in (0, c.key.l3proto):
            memset(c.packets_lo, 0, sizeof(c.packets_lo))
            memset(c.sums, 0, sizeof(c.sums))


# ---- expectations

cdef bint name_ends(ends_t* ends, parts, uint8_t l4proto) except -1:
    """What a header and ids, as ``Engine.find`` takes them, say; False if that is no packet's."""
    cdef bytes header = parts[0], ids = parts[1]
    cdef const uint8_t* ip = <const uint8_t*><const char*>header
    cdef const uint8_t* l4 = <const uint8_t*><const char*>ids
    cdef int size = 4 if ip[0] >> 4 == 4 else 16
    memset(ends, 0, sizeof(ends_t))
    if len(ids) != 8 or len(header) != (20 if size == 4 else 40):
        return False
    ends.l3proto, ends.l4proto = ip[0] >> 4, l4proto
    memcpy(ends.src, ip + (12 if size == 4 else 8), size)
    memcpy(ends.dst, ip + (16 if size == 4 else 24), size)
    ends.sport, ends.dport = load_u16(l4), load_u16(l4 + 2)
    return True


def find_expectation(Engine engine not None, tuple ends not None, uint8_t l4proto):
    """What is expected and a connection with this tuple would fulfil: EXPECTATION_DTYPE array of one or none."""
    cdef ends_t asked
    cdef const expects_t* e = &engine.e.ct.expects
    cdef uint32_t index = 0
    if name_ends(&asked, ends, l4proto):
        index = expects_known(e, &asked, engine.e.ct.now)
    made = np.zeros(1 if index else 0, dtype=EXPECTATION_DTYPE)
    if index:
        ct_expect_row(&engine.e.ct, &e.items[index], engine.e.ct.now, <expect_row_t*><size_t>made.ctypes.data)
    return made


def forget_expectation(Engine engine not None, tuple ends not None, uint8_t l4proto):
    """Expect that no more; False if nothing of the kind is."""
    cdef ends_t asked
    cdef uint32_t index = 0
    if name_ends(&asked, ends, l4proto):
        index = expects_known(&engine.e.ct.expects, &asked, engine.e.ct.now)
    if index:
        expects_remove(&engine.e.ct.expects, index)
    return index != 0


def expect(Engine engine not None, tuple ends not None, uint8_t l4proto, bytes mask not None, uint16_t sport_mask,
           uint64_t master):
    """Have a connection's helper expect something; returns DONE or why not.

    Parameters
    ----------
    ends, l4proto
        What is expected, as for ``Engine.find``.
    mask : bytes
        16, of the source's address.
    sport_mask : int
    master : int
        Handle of the connection.
    """
    cdef expect_t x
    cdef engine_t* e = engine.e
    cdef uint32_t slot = engine.slot_of(master)
    cdef const conn_t* c = &e.ct.table.conns[slot]
    cdef const helper_t* row
    cdef expect_verdict verdict
    memset(&x, 0, sizeof(expect_t))
    if len(mask) != 16 or not name_ends(&x.ends, ends, l4proto):
        return INVALID
    if not c.flags & CONN_HELPED:
        return NOT_SUPPORTED
    memcpy(x.mask, <const char*>mask, 16)
    x.sport_mask = swap16(sport_mask)
    x.helper, x.via = e.ct.extras.items[c.extra].helper, c.key.l4proto
    x.master, x.master_slot, x.master_extra = ct_number(&e.ct, c), slot, c.extra
    row = &helper_rows()[x.helper]
    x.timeout_s = row.timeout_s[0]
    verdict = expects_add(&e.ct.expects, &x, row.max_expected[0], e.ct.opts.value[OPT_EXPECT_MAX], e.ct.now)
    if verdict == EXPECT_BUSY:
        return BUSY
    return DONE if verdict == EXPECT_ADDED else TOO_MANY


def flush_expectations(Engine engine not None):
    """Nothing is expected any more."""
    cdef expects_t* e = &engine.e.ct.expects
    cdef uint32_t index
    for index in range(1, e.used):
        if e.items[index].ends.l3proto:
            expects_remove(e, index)


# ---- connections

def answer(uint8_t l3proto, uint8_t type):
    """The ICMP type that answers another, or None: those that nothing answers are no part of a tuple."""
    return icmp_inverse(l3proto, type) - 1 if icmp_inverse(l3proto, type) else None


cdef bint name_tuple(Engine engine, packet_t* p, parts, uint8_t l4proto, uint16_t zone) except -1:
    """The packet whose tuple ``parts``, a header and ids as ``Engine.find`` takes them, name; False if none has it.

    => ``parts`` must live as long as ``p``.
    """
    cdef bytes header = parts[0], ids = parts[1]
    cdef const uint8_t* ip = <const uint8_t*><const char*>header
    cdef uint8_t l3proto = ip[0] >> 4
    if len(ids) != 8 or len(header) != (20 if l3proto == 4 else 40):
        return False
    if l4proto == (PROTO_ICMPV6 if l3proto == 4 else PROTO_ICMP):        # the other family's
        return False
    p.slot = NO_SLOT
    return tuple_of(p, ip, l3proto, l4proto, <const uint8_t*><const char*>ids, zone, &engine.e.wire)


cdef bint is_inverse(const packet_t* p, const packet_t* reply) noexcept:
    """Whether a reply's tuple is what it would be without translation."""
    return key_equal(&p.key, &reply.key) and (p.self_inverse or p.flip != reply.flip)


cdef void adorn(engine_t* e, conn_t* c, uint32_t mark, bytes labels):
    """Give a connection its mark and its labels, if it has any."""
    cdef extra_t* x
    if not mark and labels is None:
        return
    x = extras_of(&e.ct.extras, c)
    if x == NULL:
        return
    x.mark = mark
    if labels is not None:
        x.has_labels = True
        memcpy(x.labels, <const char*>labels, sizeof(x.labels))


def insert(Engine engine not None, tuple orig not None, tuple reply, uint8_t l4proto, uint16_t zone,
           uint16_t reply_zone, timeout_s, uint32_t status, uint8_t state, uint32_t mark=0, tags=(0, 0),
           bytes labels=None):
    """Make an entry; returns DONE or why not.

    Parameters
    ----------
    orig, reply : (bytes, bytes)
        Header and ids of each direction's tuple, as ``Engine.find`` takes them; ``reply``: None, the inverse.
    l4proto : int
    zone, reply_zone : int
        Of the original tuple and of the reply's.
    timeout_s : int
    status : int
        IPS_* bits that a user may set, and those of a translation.
    state : int
        Index into ``records.STATES``; 0 where the protocol has none.
    mark : int
    tags : pair of int
        Verification tags of SCTP, by direction.
    labels : bytes, optional
        16 bytes.
    """
    if labels is not None and len(labels) != 16:
        raise ValueError(f"labels are 16 bytes, got {len(labels)}")
    cdef packet_t p, r
    cdef conn_t c
    cdef engine_t* e = engine.e
    cdef uint32_t slot
    cdef conn_t* made
    cdef bint is_new, translated = False
    cdef uint64_t deadline = deadline_after(e, timeout_s)
    if not name_tuple(engine, &p, orig, l4proto, zone):
        return INVALID
    if reply is not None:
        if not name_tuple(engine, &r, reply, l4proto, reply_zone) or r.key.l3proto != p.key.l3proto:
            return INVALID
        translated = zone != reply_zone or not is_inverse(&p, &r)
    if zone == reply_zone and pair_known(&e.ct, &p) != NO_SLOT:
        return EXISTS
    if status & ~SETTABLE:
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
    is_new = pair_translated(&e.ct, &p, slot, &r) if translated else pair_begin(&e.ct, &p, slot, reply_zone)
    if not is_new:
        if made.extra != NO_EXTRA:
            extras_release(&e.ct.extras, made)
        table_remove(&e.ct.table, slot)
        return EXISTS
    e.ct.created += 1
    adorn(e, made, mark, labels)
    return DONE


def change(Engine engine not None, uint64_t handle, timeout_s=None, uint32_t status=0, state=None):
    """Change an entry that is there; returns DONE or why not. ``status``: bits to set; none is taken away."""
    cdef engine_t* e = engine.e
    cdef uint32_t slot = engine.slot_of(handle)
    cdef conn_t* c = &e.ct.table.conns[slot]
    cdef uint64_t deadline
    if timeout_s is not None:
        if c.status & IPS_FIXED_TIMEOUT:
            return NOT_PERMITTED
        deadline = deadline_after(e, timeout_s)
        if deadline < c.deadline_ns:
            table_hasten(&e.ct.table, slot, deadline, e.ct.now)
        c.deadline_ns = deadline
    if status & ~(CHANGEABLE | c.status):
        return BUSY                      # with the timeout changed, as in Linux
    c.status |= <uint16_t>status
    if state is not None:
        c.state = state
    return DONE
