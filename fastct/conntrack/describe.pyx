"""Connections, expectations and events as rows for people: the records of ``records.pxd``, filled from the tables."""
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

from fastct.conntrack.conn cimport CONN_FLIP, CONN_PAIRED, conn_bytes, conn_packets, conn_t
from fastct.conntrack.core cimport CT_EVENT_DESTROY, CT_EVENT_NEW, CT_EVENT_UPDATE, ct_event, ct_number, ct_t
from fastct.conntrack.expect cimport EXPECT_FLAGS, expect_t
from fastct.conntrack.extra cimport NO_EXTRA, extra_t
from fastct.conntrack.log cimport log_row
from fastct.conntrack.pair cimport pair_zone
from fastct.conntrack.table cimport addr6_t
from fastct.conntrack.verdict cimport END_LIVE, EVENT_PROTOINFO, ct_end
from fastct.records cimport conn_row_t, event_row_t, expect_event_row_t, expect_row_t
from fastct.wire.bytes cimport swap16
from fastct.wire.packet cimport PROTO_ICMP, PROTO_ICMPV6
from fastct.wire.tuples cimport icmp_inverse

cdef enum:
    NS_PER_S = 1000000000
    ZONE_ORIG = 1        # index into records.ZONE_DIRS
    ZONE_REPLY = 2


cdef void put_addresses(const ct_t* ct, uint32_t slot, int first, uint8_t* src, uint8_t* dst) noexcept nogil:
    """The addresses of an entry's key; ``first``: which of them is the source."""
    cdef const conn_t* c = &ct.table.conns[slot]
    cdef const addr6_t* a
    if c.key.l3proto == 4:
        memcpy(src, &c.key.addr[first], 4)
        memcpy(dst, &c.key.addr[1 - first], 4)
    else:
        a = &ct.table.addr6[slot]
        memcpy(src, &a.half[2 * first], 16)
        memcpy(dst, &a.half[2 * (1 - first)], 16)


cdef void put_tuples(const ct_t* ct, uint32_t slot, conn_row_t* row) noexcept nogil:
    """Addresses and ids of both directions: the reply's are the original's swapped, or in an entry of its own."""
    cdef const conn_t* c = &ct.table.conns[slot]
    cdef uint32_t reply_slot = ct.extras.items[c.extra].reply_slot if c.flags & CONN_PAIRED else slot
    cdef const conn_t* reply = &ct.table.conns[reply_slot]
    cdef const uint8_t* type_code = <const uint8_t*>&c.key.id[1]
    cdef int orig_first = c.flags & CONN_FLIP, reply_first = 1 - (reply.flags & CONN_FLIP)
    put_addresses(ct, slot, orig_first, row.orig_src, row.orig_dst)
    put_addresses(ct, reply_slot, reply_first, row.reply_src, row.reply_dst)
    if c.key.l4proto == PROTO_ICMP or c.key.l4proto == PROTO_ICMPV6:
        row.icmp_id, row.reply_icmp_id = swap16(c.key.id[0]), swap16(reply.key.id[0])
        row.icmp_code = type_code[1]
        row.icmp_type = icmp_inverse(c.key.l3proto, type_code[0]) - 1 if orig_first else type_code[0]
        return
    row.orig_sport, row.orig_dport = swap16(c.key.id[orig_first]), swap16(c.key.id[1 - orig_first])
    row.reply_sport, row.reply_dport = swap16(reply.key.id[reply_first]), swap16(reply.key.id[1 - reply_first])


cdef void put_extra(const extra_t* x, conn_row_t* row) noexcept nogil:
    row.mark = x.mark
    memcpy(row.labels, x.labels, 16)
    row.helper = x.helper
    row.master = x.master
    row.use = 1 + x.children


cdef void ct_row(const ct_t* ct, uint32_t slot, uint64_t now, conn_row_t* row) noexcept nogil:
    """Describe a connection as of ``now``."""
    cdef const conn_t* c = &ct.table.conns[slot]
    memset(row, 0, sizeof(conn_row_t))
    row.conn = ct_number(ct, c)
    row.l3proto = c.key.l3proto
    row.l4proto = c.key.l4proto
    row.zone = pair_zone(ct, c)
    if c.flags & CONN_PAIRED and c.key.zone != ct.table.conns[ct.extras.items[c.extra].reply_slot].key.zone:
        row.zone_dir = ZONE_ORIG if c.key.zone else ZONE_REPLY
    put_tuples(ct, slot, row)
    row.state = c.state
    row.status = c.status
    row.start_ns = ct.table.start_ns[slot]
    row.last_ns = c.last_ns
    row.orig_packets = conn_packets(c, 0)
    row.orig_bytes = conn_bytes(c, 0)
    row.reply_packets = conn_packets(c, 1)
    row.reply_bytes = conn_bytes(c, 1)
    row.timeout = <uint32_t>((c.deadline_ns - now) // <uint64_t>NS_PER_S) if c.deadline_ns > now else 0
    row.end = END_LIVE
    row.use = 1
    if c.extra != NO_EXTRA:
        put_extra(&ct.extras.items[c.extra], row)


cdef void ct_expect_row(const ct_t* ct, const expect_t* e, uint64_t now, expect_row_t* row) noexcept nogil:
    """Describe an expectation as of ``now``, when it is not over."""
    cdef conn_row_t master
    ct_row(ct, e.master_slot, now, &master)
    row.l3proto, row.l4proto, row.zone = e.ends.l3proto, e.ends.l4proto, e.ends.zone
    memcpy(row.src, e.ends.src, 16)
    memcpy(row.dst, e.ends.dst, 16)
    row.sport, row.dport = swap16(e.ends.sport), swap16(e.ends.dport)
    memcpy(row.mask_src, e.mask, 16 if e.ends.l3proto == 6 else 4)
    row.mask_sport = swap16(e.sport_mask)
    row.flags, row.kind, row.helper, row.assign = e.flags & EXPECT_FLAGS, e.kind, e.helper, e.assign
    row.timeout = <uint32_t>((e.deadline_ns - now) // <uint64_t>NS_PER_S)
    row.master = e.master
    memcpy(row.master_src, master.orig_src, 16)
    memcpy(row.master_dst, master.orig_dst, 16)
    row.master_sport, row.master_dport = master.orig_sport, master.orig_dport


cdef event_row_t* log_event(ct_t* ct, uint32_t slot, ct_event type, uint64_t when, ct_end end) noexcept nogil:
    """Log that something happened to a connection; returns the row, or NULL for want of memory."""
    cdef event_row_t* event = <event_row_t*>log_row(&ct.event_log)
    if event == NULL:
        return NULL
    event.ts = when
    event.type = <uint8_t>type
    ct_row(ct, slot, when, &event.row)
    event.row.end = <uint8_t>end
    if end != END_LIVE:
        event.row.stop_ns = when
    return event


cdef void log_update(ct_t* ct, uint32_t slot, uint32_t events) noexcept nogil:
    """Log what a packet changed; as in Linux, a state that it left as it was is not told."""
    cdef event_row_t* event = log_event(ct, slot, CT_EVENT_UPDATE, ct.now, END_LIVE)
    if event != NULL and not events & EVENT_PROTOINFO:
        event.row.state = 0


cdef void ct_expect_event(void* owner, const expect_t* e, bint is_new) noexcept nogil:
    """Log what becomes of an expectation: at its end, or its master's, if that is noticed only now."""
    cdef ct_t* ct = <ct_t*>owner
    cdef uint64_t when = min(ct.now, e.deadline_ns, ct.table.conns[e.master_slot].deadline_ns)
    cdef expect_event_row_t* event = <expect_event_row_t*>log_row(&ct.expect_log)
    if event == NULL:
        return
    memset(event, 0, sizeof(expect_event_row_t))
    event.ts, event.type = when, CT_EVENT_NEW if is_new else CT_EVENT_DESTROY
    event.after = ct.event_log.drained + ct.event_log.rows
    ct_expect_row(ct, e, when, &event.row)
