"""Conditions on a packet's connection.

Those of ``-m conntrack`` hold for a packet without a connection, inverted or not: a match on ctstates asks nothing more
of it, and one without ctstates asks for a connection first (``tracked``).
"""
from libc.stdint cimport uint8_t, uint32_t, uint64_t

from fastct.conntrack.conn cimport conn_bytes, conn_packets, conn_t
from fastct.conntrack.extra cimport NO_EXTRA, extra_t, extras_of
from fastct.rules.compiled cimport LIVES_PACKET, condition, op_t, run_t
from fastct.rules.entry cimport entry_class, entry_extra, entry_id, entry_master, entry_status, slot_address
from fastct.rules.jhash cimport jhash_1word
from fastct.rules.route cimport address_t
from fastct.wire.bytes cimport swap32

cdef enum:
    NS_PER_S = 1000000000
    ORIGINAL = 0
    REPLY = 1
    BOTH = 2
    MODE_PACKETS = 0
    MODE_BYTES = 1
    MODE_AVERAGE = 2

DIRECTION_NUMBERS = {"original": ORIGINAL, "reply": REPLY, "both": BOTH}
MODE_NUMBERS = {"packets": MODE_PACKETS, "bytes": MODE_BYTES, "avgpkt": MODE_AVERAGE}


# ---- conntrack

cdef bint ctstate_test(const op_t* op, run_t* run) noexcept nogil:
    """a: ctstates, a bit each; status bits of which one will do"""
    return op.a[0] >> entry_class(run) & 1 or (run.r.conn != NULL and run.r.conn.status & op.a[1] != 0)


cdef bint tracked_test(const op_t* op, run_t* run) noexcept nogil:
    return run.r.conn != NULL


cdef inline bint address_within(const op_t* op, run_t* run, int direction, bint destination) noexcept nogil:
    cdef address_t address
    if run.r.conn == NULL:
        return not op.invert
    slot_address(run.ct, run.r.slot, run.p.ip_version, direction, destination, &address)
    return (address.hi & op.a[2]) == op.a[0] and (address.lo & op.a[3]) == op.a[1]


cdef bint ctorigsrc_test(const op_t* op, run_t* run) noexcept nogil:
    """a: network (high, low), mask (high, low)"""
    return address_within(op, run, ORIGINAL, False)


cdef bint ctorigdst_test(const op_t* op, run_t* run) noexcept nogil:
    """a: network (high, low), mask (high, low)"""
    return address_within(op, run, ORIGINAL, True)


cdef bint ctreplsrc_test(const op_t* op, run_t* run) noexcept nogil:
    """a: network (high, low), mask (high, low)"""
    return address_within(op, run, REPLY, False)


cdef bint ctrepldst_test(const op_t* op, run_t* run) noexcept nogil:
    """a: network (high, low), mask (high, low)"""
    return address_within(op, run, REPLY, True)


cdef bint ctport_test(const op_t* op, run_t* run) noexcept nogil:
    """a: lowest, highest, direction, destination"""
    if run.r.conn == NULL:
        return not op.invert
    return op.a[0] <= entry_id(run.r.conn, run.p.ip_version, <int>op.a[2], <bint>op.a[3]) <= op.a[1]


cdef bint ctproto_test(const op_t* op, run_t* run) noexcept nogil:
    """a: protocol"""
    return run.r.conn.key.l4proto == op.a[0] if run.r.conn != NULL else not op.invert


cdef bint ctstatus_test(const op_t* op, run_t* run) noexcept nogil:
    """a: status bits of which one will do"""
    return entry_status(run) & op.a[0] != 0 if run.r.conn != NULL else not op.invert


cdef bint ctdir_test(const op_t* op, run_t* run) noexcept nogil:
    """a: direction"""
    return run.r.direction == op.a[0] if run.r.conn != NULL else not op.invert


cdef bint ctexpire_test(const op_t* op, run_t* run) noexcept nogil:
    """a: least and most whole seconds left. The time of a connection begins when its first packet has passed."""
    cdef uint64_t left = 0
    if run.r.conn == NULL:
        return not op.invert
    if run.r.conn.deadline_ns > run.ct.now and not run.r.fresh:
        left = (run.r.conn.deadline_ns - run.ct.now) // <uint64_t>NS_PER_S
    return op.a[0] <= left <= op.a[1]


# ---- what belongs to a connection

cdef bint connbytes_test(const op_t* op, run_t* run) noexcept nogil:
    """a: least, most, direction, mode"""
    cdef const conn_t* c = run.r.conn
    cdef uint64_t packets = 0, octets = 0, value
    if c == NULL:
        return op.invert                 # no match either way
    if op.a[2] != REPLY:
        packets, octets = conn_packets(c, ORIGINAL), conn_bytes(c, ORIGINAL)
    if op.a[2] != ORIGINAL:
        packets += conn_packets(c, REPLY)
        octets += conn_bytes(c, REPLY)
    if op.a[3] == MODE_PACKETS:
        value = packets
    elif op.a[3] == MODE_BYTES:
        value = octets
    else:
        value = octets // packets if packets else 0
    return op.a[0] <= value <= op.a[1]


cdef bint connlabel_test(const op_t* op, run_t* run) noexcept nogil:
    """a: label, whether to set it"""
    cdef const extra_t* x = entry_extra(run)
    cdef extra_t* mine
    cdef uint8_t bit = <uint8_t>(1 << (op.a[0] & 7))
    if x != NULL and x.labels[op.a[0] >> 3] & bit:
        return True
    if not op.a[1] or run.r.conn == NULL:
        return False
    if not run.r.conn.key.l3proto:       # it has just ended: the label goes with it
        return True
    mine = extras_of(&run.ct.extras, run.r.conn)
    if mine == NULL:
        return False
    mine.labels[op.a[0] >> 3] |= bit
    mine.has_labels = True
    return True


cdef bint helper_test(const op_t* op, run_t* run) noexcept nogil:
    """a: helpers of the master, a bit each. A master that has ended is not known any more."""
    cdef uint32_t slot, extra
    if not entry_master(run, &slot):
        return False
    extra = run.ct.table.conns[slot].extra
    return extra != NO_EXTRA and op.a[0] >> run.ct.extras.items[extra].helper & 1


cdef bint cluster_test(const op_t* op, run_t* run) noexcept nogil:
    """a: nodes that are this one, a bit each; how many there are; seed. A connection is its master's node's.

    Of an IPv6 address Linux hashes the first 32 bits.
    """
    cdef uint32_t slot = run.r.slot, hash
    cdef address_t address
    if run.r.conn == NULL:
        return op.invert
    entry_master(run, &slot)
    slot_address(run.ct, slot, run.p.ip_version, ORIGINAL, False, &address)
    hash = jhash_1word(swap32(<uint32_t>(address.lo if run.p.ip_version == 4 else address.hi >> 32)), <uint32_t>op.a[2])
    return op.a[0] >> (hash * op.a[1] >> 32) & 1


OPS = {
    "ctstate": condition(ctstate_test),
    "tracked": condition(tracked_test),
    "ctorigsrc": condition(ctorigsrc_test),
    "ctorigdst": condition(ctorigdst_test),
    "ctreplsrc": condition(ctreplsrc_test),
    "ctrepldst": condition(ctrepldst_test),
    "ctport": condition(ctport_test),
    "ctproto": condition(ctproto_test),
    "ctstatus": condition(ctstatus_test),
    "ctdir": condition(ctdir_test),
    "ctexpire": condition(ctexpire_test, LIVES_PACKET),
    "connbytes": condition(connbytes_test, LIVES_PACKET),
    "connlabel": condition(connlabel_test, LIVES_PACKET),
    "helper": condition(helper_test),
    "cluster": condition(cluster_test),
}
