"""The life of a connection: found or made by a packet, advanced by its protocol, ended by time, by its
protocol, or for want of room.

    ct_in ► table_find ► (expired? end it) ┬► none: begin ► expected? ► l4_new, l4_packet, insert
                                           └► one: advance ► l4_packet ► accept, invalid, reopen, end
    then, by the rules' verdict ┬► ct_out: helper, events
                                └► ct_dropped: what the packet began was never there
"""
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

cimport cython

from fastct.conntrack.conn cimport (
    CONN_HELPED,
    CONN_LOOK,
    CONN_PAIRED,
    CONN_POLICY,
    CONN_RIVAL,
    CONN_UNTOLD,
    DIR_ORIGINAL,
    DIR_REPLY,
    IPS_CONFIRMED,
    IPS_EXPECTED,
    IPS_FIXED_TIMEOUT,
    IPS_HELPER,
    IPS_SEEN_REPLY,
    NO_SLOT,
    conn_direction,
    conn_t,
)
from fastct.conntrack.describe cimport ct_expect_event, ct_row, log_event, log_update
from fastct.conntrack.early_drop cimport (
    probation_add,
    probation_free,
    probation_init,
)
from fastct.conntrack.expect cimport (
    EXPECT_ADDED,
    EXPECT_EITHER_WAY,
    EXPECT_PERMANENT,
    NO_EXPECT,
    ends_t,
    expect_t,
    expects_find,
    expects_forget,
    expects_free,
    expects_init,
    expects_known,
    expects_remove,
    invert_ends,
    packet_ends,
)
from fastct.conntrack.extra cimport NO_EXTRA, extra_t, extras_free, extras_init, extras_of, extras_release
from fastct.conntrack.helper cimport help_add, help_t, helper_for, helper_rows, helper_run
from fastct.conntrack.helpers.pptp cimport pptp_forget_keys, pptp_t
from fastct.conntrack.keymap cimport NO_CALL, keymap_find, keymap_free, keymap_init
from fastct.conntrack.l4proto cimport l4_end, l4_new, l4_packet, l4_untold
from fastct.conntrack.log cimport log_free, log_init, log_row
from fastct.conntrack.opts cimport OPT_EXPECT_MAX, OPT_MAX, ct_opts_t
from fastct.conntrack.pair cimport (
    pair_begin,
    pair_direction,
    pair_end,
    pair_in_zones,
    pair_known,
    pair_live,
    pair_zone,
)
from fastct.conntrack.room cimport ct_make_room
from fastct.conntrack.table cimport (
    table_find,
    table_free,
    table_hasten,
    table_init,
    table_insert,
    table_remove,
)
from fastct.conntrack.verdict cimport (
    CT_INVALID,
    CT_KILL,
    CT_REPEAT,
    END_CLOSED,
    END_LIVE,
    END_RESET,
    EVENT_REPLY,
    ct_end,
    ct_verdict,
)
from fastct.records cimport conn_row_t, event_row_t, expect_event_row_t
from fastct.wire.bytes cimport load_u32, swap16
from fastct.wire.packet cimport PROTO_GRE, PROTO_TCP, packet_t
from fastct.wire.reason cimport Reason
from fastct.wire.tuples cimport tuple_ids4

cdef enum:
    NS_PER_S = 1000000000


# ---- set-up

cdef int ct_init(ct_t* ct, uint64_t slots_max) except -1:
    """=> ``ct`` is zeroed but for ``opts`` and ``table.secret``."""
    secret = ct.table.secret
    log_init(&ct.ended_log, sizeof(conn_row_t))
    log_init(&ct.event_log, sizeof(event_row_t))
    log_init(&ct.expect_log, sizeof(expect_event_row_t))
    table_init(&ct.table, slots_max, &secret)
    probation_init(&ct.probation, slots_max)
    extras_init(&ct.extras, slots_max)
    expects_init(&ct.expects, &ct.extras, ct.table.conns, &secret)
    ct.expects.ct = ct
    if ct.keep_events:
        ct.expects.tell = ct_expect_event
    keymap_init(&ct.keymap, &secret)
    return 0


cdef void ct_free(ct_t* ct) noexcept:
    table_free(&ct.table)
    probation_free(&ct.probation)
    extras_free(&ct.extras)
    expects_free(&ct.expects)
    keymap_free(&ct.keymap)
    log_free(&ct.ended_log)
    log_free(&ct.event_log)
    log_free(&ct.expect_log)


# ---- a packet

cdef inline uint32_t find_live(ct_t* ct, const packet_t* p, uint64_t now) noexcept nogil:
    """The slot of the packet's connection, or NO_SLOT. One that is met after its deadline ends here."""
    cdef uint32_t slot = table_find(&ct.table, p)
    if cython.unlikely(slot != NO_SLOT and ct.table.conns[slot].deadline_ns <= now):
        return pair_live(ct, p, now)     # over, or it leads to a connection
    return slot


cdef void ct_in(ct_t* ct, packet_t* p, ct_result_t* r) noexcept nogil:
    """Track a packet that has a tuple.

    => ``ct.now`` is the packet's time. ``r`` is filled; ``p.reason`` says why if it is not a plain member.
    """
    cdef uint32_t slot = find_live(ct, p, ct.now)
    if cython.unlikely(slot == NO_SLOT):
        begin(ct, p, r)
    else:
        advance(ct, p, slot, r)


cdef void ct_in_zones(ct_t* ct, packet_t* p, ct_result_t* r) noexcept nogil:
    """As ``ct_in``, of a packet whose zone may be another one for each direction."""
    cdef uint32_t slot
    if ct.template.zone == ct.template.reply_zone:
        ct_in(ct, p, r)
        return
    slot = pair_in_zones(ct, p)
    if slot == NO_SLOT:
        begin(ct, p, r)
    else:
        advance(ct, p, slot, r)


cdef inline void no_entry(ct_result_t* r, ct_state state, ct_drop dropped) noexcept nogil:
    r.conn = NULL
    r.number = 0
    r.state = <uint8_t>state
    r.direction = 0
    r.dropped = <uint8_t>dropped
    r.fresh = r.due = 0


cdef inline void entry(ct_result_t* r, conn_t* c, uint32_t slot, uint64_t number, ct_state state,
                       int direction) noexcept nogil:
    r.conn = c
    r.slot = slot
    r.number = number
    r.state = <uint8_t>state
    r.direction = <uint8_t>direction
    r.dropped = DROP_NOT
    r.fresh = r.due = 0


cdef inline ct_state class_of(const conn_t* c, int direction) noexcept nogil:
    """ESTABLISHED once both sides have been seen; until then the opener's packets are NEW or RELATED."""
    if c.status & IPS_SEEN_REPLY or direction == DIR_REPLY:
        return CT_STATE_ESTABLISHED
    return CT_STATE_RELATED if c.status & IPS_EXPECTED else CT_STATE_NEW


cdef void begin(ct_t* ct, packet_t* p, ct_result_t* r) noexcept nogil:
    """The first packet of a connection, if its protocol lets it be one and there is room."""
    cdef conn_t* c = &ct.fresh
    cdef uint32_t slot, events = 0
    cdef expect_t expected
    cdef bint is_expected = False
    cdef const ct_opts_t* opts = &ct.opts
    if ct.opts.value[OPT_MAX] and ct.table.count >= ct.opts.value[OPT_MAX] and not ct_make_room(ct):
        no_room(ct, p, r, Reason.table_full)
        return
    memset(c, 0, sizeof(conn_t))
    c.key = p.key
    c.flags = p.flip
    c.last_ns = ct.now
    if cython.unlikely(ct.expects.count):
        is_expected = take_expected(ct, p, &expected)
    if ct.template.has_policy:
        opts = &ct.policies[ct.template.policy]
    if not l4_new(c, p, opts) or l4_packet(c, p, DIR_ORIGINAL, ct.now, opts, &events) == CT_INVALID:
        no_entry(r, CT_STATE_INVALID, DROP_NOT)
        return
    c.status |= IPS_CONFIRMED
    c.number = <uint32_t>(ct.created + 1)
    slot = table_insert(&ct.table, p, c, ct.now)
    if slot == NO_SLOT:
        no_room(ct, p, r, Reason.table_full)
        return
    ct.created += 1
    if ct.opts.value[OPT_MAX]:
        probation_add(&ct.probation, &ct.table, slot)
    entry(r, &ct.table.conns[slot], slot, ct.created, CT_STATE_NEW, DIR_ORIGINAL)
    r.fresh = True
    if cython.unlikely(is_expected or ct.assignments.n or ct.template.attaches or ct.table.replies):
        if not pair_begin(ct, p, slot, ct.template.reply_zone):
            p.reason = Reason.clash
            r.dropped = DROP_CLASH
            ct_dropped(ct, r)
            return
        attach(ct, p, slot, &expected if is_expected else NULL, r)
    if ct.keep_events:
        r.due |= CT_DUE_NEW


cdef void advance(ct_t* ct, packet_t* p, uint32_t slot, ct_result_t* r) noexcept nogil:
    """A further packet of a connection."""
    cdef conn_t* c = &ct.table.conns[slot]
    cdef uint64_t deadline = c.deadline_ns
    cdef uint32_t events = 0, extra
    cdef int direction = conn_direction(c, p.flip)
    cdef ct_state state
    cdef ct_verdict verdict
    cdef const ct_opts_t* opts = &ct.opts
    if cython.unlikely(p.self_inverse):
        direction = DIR_REPLY        # both tuples are the same, and Linux meets the reply's first
    if cython.unlikely(c.flags & CONN_LOOK):
        if c.flags & (CONN_PAIRED | CONN_RIVAL):
            slot = pair_in_zones(ct, p)
            if slot == NO_SLOT:
                begin(ct, p, r)
                return
            c = &ct.table.conns[slot]
            deadline = c.deadline_ns
            direction = pair_direction(c, p)
        if c.flags & CONN_POLICY:
            opts = &ct.policies[ct.extras.items[c.extra].policy]
    state = class_of(c, direction)
    verdict = l4_packet(c, p, direction, ct.now, opts, &events)
    if cython.unlikely(verdict == CT_REPEAT):
        ct_destroy(ct, slot, ct.now, l4_end(c))
        begin(ct, p, r)
        return
    if cython.unlikely(c.deadline_ns < deadline):
        table_hasten(&ct.table, slot, c.deadline_ns, ct.now)
    if cython.unlikely(verdict == CT_INVALID):
        no_entry(r, CT_STATE_INVALID, DROP_NOT)
        return
    c.last_ns = ct.now
    if cython.unlikely(not c.status & IPS_SEEN_REPLY and direction == DIR_REPLY):
        c.status |= IPS_SEEN_REPLY
        events |= EVENT_REPLY
    entry(r, c, slot, ct_number(ct, c), state, direction)
    if cython.unlikely(verdict == CT_KILL):
        c.status &= ~<uint32_t>IPS_SEEN_REPLY        # there was none before, and Linux notes it when all is over
        extra = c.extra
        ct_destroy(ct, slot, ct.now, END_RESET)
        c.extra = extra              # rules may still look at what it had
        return
    if cython.unlikely(c.flags & (CONN_HELPED | CONN_UNTOLD)):
        events |= untold(ct, c)
        if c.flags & CONN_HELPED:
            r.due = CT_DUE_HELP
    if events and ct.keep_events:
        r.due |= <uint8_t>events


cdef void ct_settle(ct_t* ct, packet_t* p, ct_result_t* r) noexcept nogil:
    """What is due once a packet has passed the rules."""
    if r.due & CT_DUE_HELP and not help_read(ct, p, r.slot, r):
        ct_dropped(ct, r)
    elif r.due & CT_DUE_NEW:
        log_event(ct, r.slot, CT_EVENT_NEW, ct.now, END_LIVE)
    elif r.due & CT_DUE_UPDATE:
        log_update(ct, r.slot, r.due & CT_DUE_UPDATE)


cdef void ct_dropped(ct_t* ct, ct_result_t* r) noexcept nogil:
    """A packet has been dropped after it was tracked. If it was the first of its connection, there never was one; what
    it changed of another stays, and is told with the next packet that passes."""
    cdef extra_t* x
    if r.fresh:
        release(ct, r.slot, ct.now)
        table_remove(&ct.table, r.slot)
        ct.created -= 1
        r.conn = NULL
        r.number = 0
    elif r.due & CT_DUE_UPDATE:
        x = extras_of(&ct.extras, r.conn)
        if x != NULL:
            x.events |= r.due & CT_DUE_UPDATE
            r.conn.flags |= CONN_UNTOLD


# ---- expectations and helpers

cdef bint take_expected(ct_t* ct, const packet_t* p, expect_t* expected) noexcept nogil:
    """Whether a first packet fulfils an expectation: that is taken out of the table then, unless it is permanent."""
    cdef ends_t ends
    cdef uint32_t index
    packet_ends(p, &ends)
    ends.zone = ct.template.zone | ct.template.reply_zone        # in whichever direction it counts
    index = expects_find(&ct.expects, &ends, ct.now)
    if index == NO_EXPECT:
        return False
    expected[0] = ct.expects.items[index]
    ct.expects.taken += 1
    if not expected.flags & EXPECT_PERMANENT:
        expects_remove(&ct.expects, index)
    if expected.flags & EXPECT_EITHER_WAY:
        invert_ends(&expected.ends, &ends)
        index = expects_known(&ct.expects, &ends, ct.now)
        if index != NO_EXPECT:
            expects_remove(&ct.expects, index)
    return True


cdef void ct_refused(ct_t* ct, packet_t* p, ct_result_t* r) noexcept nogil:
    """A packet that is INVALID in itself. Linux makes a connection of it before it looks for faults, and then throws
    that away: it takes the place of another one, and uses up what it was expected by.

    => ``p`` has a key. It is not tracked.
    """
    cdef expect_t expected
    no_entry(r, CT_STATE_INVALID, DROP_NOT)
    if pair_known(ct, p) != NO_SLOT:
        return
    if ct.opts.value[OPT_MAX] and ct.table.count >= ct.opts.value[OPT_MAX] and not ct_make_room(ct):
        no_room(ct, p, r, Reason.table_full)
    elif ct.expects.count:
        take_expected(ct, p, &expected)


cdef void attach(ct_t* ct, packet_t* p, uint32_t slot, const expect_t* expected, ct_result_t* r) noexcept nogil:
    """What a new connection inherits: its master's mark, a helper, timeouts of its own.

    => ``expected``: NULL if nobody did.
    """
    cdef conn_t* c = &ct.table.conns[slot]
    cdef uint8_t helper
    cdef extra_t* x
    cdef extra_t* master
    cdef ends_t ends
    packet_ends(p, &ends)
    if expected != NULL:
        helper = expected.assign         # or none: neither template nor assignment is for what was expected
    else:
        helper = ct.template.helper
        if not helper:
            helper = helper_for(&ct.assignments, ends.l3proto, ends.l4proto, ends.dport)
        if helper:
            c.status |= IPS_HELPER
    if not helper and expected == NULL and not ct.template.has_policy:
        return
    x = extras_of(&ct.extras, c)
    if x == NULL:
        return                           # no memory: tracked, but nothing else
    if expected != NULL:
        c.status |= IPS_EXPECTED
        master = &ct.extras.items[expected.master_extra]
        master.children += 1
        x.master, x.master_slot, x.mark = expected.master, expected.master_slot, master.mark
        r.state = CT_STATE_RELATED
    if ct.template.has_policy:
        x.policy = ct.template.policy
        c.flags |= CONN_POLICY
    if helper:
        x.helper = helper
        c.flags |= CONN_HELPED
        r.due = CT_DUE_HELP


cdef void helper_begin(ct_t* ct, uint32_t slot, uint64_t number, help_t* h) noexcept nogil:
    """What a helper gets to see of the connection itself."""
    h.c = &ct.table.conns[slot]
    h.x = &ct.extras.items[h.c.extra]
    h.row = &helper_rows()[h.x.helper]
    h.number, h.slot, h.now = number, slot, ct.now
    h.expects, h.keymap, h.expect_max = &ct.expects, &ct.keymap, ct.opts.value[OPT_EXPECT_MAX]
    h.local = &ct.local
    h.refresh_s = 0
    h.refusal_passes = False
    h.n = h.n_over = 0


cdef bint helper_input(ct_t* ct, packet_t* p, uint32_t slot, const ct_result_t* r, help_t* h) noexcept nogil:
    """What a helper gets to see. False if that is nothing: the packet was cut, or has no payload."""
    cdef uint32_t at = p.l4_off + (20 + p.options_len if p.key.l4proto == PROTO_TCP else 8)
    if p.cap_len < p.len or at > p.len:
        return False
    helper_begin(ct, slot, r.number, h)
    h.p, h.data, h.len = p, p.data + at, p.len - at
    h.direction, h.established = r.direction, r.state == CT_STATE_ESTABLISHED
    packet_ends(p, &h.ends[r.direction])
    h.ends[r.direction].zone = pair_zone(ct, h.c)
    invert_ends(&h.ends[r.direction], &h.ends[1 - r.direction])
    return True


cdef void refresh(ct_t* ct, uint32_t slot, uint32_t seconds) noexcept nogil:
    """A helper knows better how long its connection lives."""
    cdef conn_t* c = &ct.table.conns[slot]
    cdef uint64_t deadline = ct.now + seconds * <uint64_t>NS_PER_S
    if c.status & IPS_FIXED_TIMEOUT:
        return
    if deadline < c.deadline_ns:
        table_hasten(&ct.table, slot, deadline, ct.now)
    c.deadline_ns = deadline


cdef bint help_read(ct_t* ct, packet_t* p, uint32_t slot, ct_result_t* r) noexcept nogil:
    """Let the helper of a connection read a packet, and note what it expects.

    => Returns False if Linux drops the packet: it announces something that cannot be read, or an expectation found
       no room. ``r`` and ``p.reason`` say so.
    """
    cdef help_t h
    cdef int i, passes
    if not helper_input(ct, p, slot, r, &h):
        return True
    passes = helper_run(&h)
    if h.refresh_s:
        refresh(ct, slot, h.refresh_s)
    for i in range(h.n):
        if help_add(&h, &h.found[i]) != EXPECT_ADDED and not h.refusal_passes:
            passes = False
    end_others(ct, &h, ct.now)
    if passes:
        return True
    p.reason = Reason.helper_dropped
    r.dropped = DROP_HELPER
    return False


cdef void end_other(ct_t* ct, const ends_t* ends, uint64_t when) noexcept nogil:
    """End a connection that a helper says is over; if there is none, nobody expects it any more."""
    cdef packet_t p
    cdef uint32_t slot, index
    p.key.l3proto, p.key.l4proto, p.key.zone = ends.l3proto, ends.l4proto, ends.zone
    p.addr6[0] = p.addr6[1] = NULL
    p.slot = NO_SLOT
    tuple_ids4(&p, load_u32(ends.src), load_u32(ends.dst), ends.sport, ends.dport, &ct.table.secret)
    slot = find_live(ct, &p, when)
    if slot != NO_SLOT:
        ct_destroy(ct, slot, when, END_CLOSED)
        return
    index = expects_known(&ct.expects, ends, when)
    if index != NO_EXPECT:
        expects_remove(&ct.expects, index)


cdef void end_others(ct_t* ct, const help_t* h, uint64_t when) noexcept nogil:
    cdef int i
    for i in range(h.n_over):
        end_other(ct, &h.over[i], when)


cdef void helper_ended(ct_t* ct, uint32_t slot, uint64_t when) noexcept nogil:
    """Ask the helper of an ending connection what ends with it."""
    cdef help_t h
    cdef conn_row_t row
    helper_begin(ct, slot, ct_number(ct, &ct.table.conns[slot]), &h)
    if h.row.ended == NULL:
        return
    ct_row(ct, slot, when, &row)
    memset(&h.ends[0], 0, sizeof(ends_t))
    memcpy(h.ends[0].src, row.orig_src, 16)
    memcpy(h.ends[0].dst, row.orig_dst, 16)
    h.ends[0].sport, h.ends[0].dport = swap16(row.orig_sport), swap16(row.orig_dport)
    h.ends[0].l3proto, h.ends[0].l4proto, h.ends[0].zone = row.l3proto, row.l4proto, row.zone
    invert_ends(&h.ends[0], &h.ends[1])
    h.p, h.data, h.len = NULL, NULL, 0
    h.row.ended(&h)
    end_others(ct, &h, when)


cdef extra_t* master_of(ct_t* ct, const extra_t* x) noexcept nogil:
    """What the master of an expected connection has, NULL if that has ended."""
    cdef const conn_t* master = &ct.table.conns[x.master_slot]
    if x.master and master.key.l3proto and ct_number(ct, master) == x.master and master.extra != NO_EXTRA:
        return &ct.extras.items[master.extra]
    return NULL


cdef void release(ct_t* ct, uint32_t slot, uint64_t when) noexcept nogil:
    """Give back what an ending connection has besides its entry, and end what ends with it."""
    cdef conn_t* c = &ct.table.conns[slot]
    cdef extra_t* x
    cdef extra_t* master
    if c.extra == NO_EXTRA:
        return
    x = &ct.extras.items[c.extra]
    if x.helper:
        helper_ended(ct, slot, when)
    expects_forget(&ct.expects, x)      # which tells of both its tuples
    if c.flags & CONN_PAIRED:
        pair_end(ct, x)
    master = master_of(ct, x)
    if master != NULL:
        master.children -= 1
        if c.key.l4proto == PROTO_GRE:
            pptp_forget_keys(<pptp_t*>master.state, &ct.keymap)
    extras_release(&ct.extras, c)


cdef void ct_call(ct_t* ct, packet_t* p, bint quoted) noexcept nogil:
    """Complete the tuple of a GRE packet of version 1: which call of its sender it belongs to.

    => Without an entry in the keymap it stays 0. ``quoted``: the packet that an ICMP error is about.
    """
    cdef ends_t ends
    cdef uint32_t index, slot
    if not ct.keymap.count:
        return
    p.flip ^= quoted
    packet_ends(p, &ends)
    index = keymap_find(&ct.keymap, &ends)
    while index != NO_CALL and ct.table.conns[ct.keymap.items[index].master_slot].deadline_ns <= ct.now:
        ct_expire(ct, ct.keymap.items[index].master_slot)
        index = keymap_find(&ct.keymap, &ends)
    if index != NO_CALL:
        call_id(ct, p, &ends, ct.keymap.items[index].src_id)
        slot = table_find(&ct.table, p)
        if (slot != NO_SLOT and ct.table.conns[slot].deadline_ns <= ct.now
                and pair_live(ct, p, ct.now) == NO_SLOT):        # with a call goes what the keymap knew of it
            call_id(ct, p, &ends, 0)
    p.flip ^= quoted


cdef inline void call_id(ct_t* ct, packet_t* p, const ends_t* ends, uint16_t src_id) noexcept nogil:
    tuple_ids4(p, load_u32(ends.src), load_u32(ends.dst), src_id, ends.dport, &ct.table.secret)


cdef uint32_t untold(ct_t* ct, conn_t* c) noexcept nogil:
    """Events of packets that did not get through, to be told now."""
    cdef uint32_t events = l4_untold(c)
    if c.flags & CONN_UNTOLD:
        events |= ct.extras.items[c.extra].events
        ct.extras.items[c.extra].events = 0
        c.flags &= <uint8_t>~CONN_UNTOLD
    return events


cdef void ct_icmp_error(ct_t* ct, packet_t* p, ct_result_t* r) noexcept nogil:
    """An ICMP error: RELATED to the connection of the packet it quotes, which it neither refreshes nor counts."""
    cdef uint32_t events, slot = pair_in_zones(ct, p)
    cdef conn_t* c
    if slot == NO_SLOT:
        p.reason = Reason.icmp_error_unknown
        no_entry(r, CT_STATE_INVALID, DROP_NOT)
        return
    if p.reason:
        no_entry(r, CT_STATE_INVALID, DROP_NOT)
        return
    c = &ct.table.conns[slot]
    entry(r, c, slot, ct_number(ct, c), CT_STATE_RELATED, pair_direction(c, p))
    events = untold(ct, c)
    if ct.keep_events:
        r.due = <uint8_t>events


# ---- the end

cdef void ct_expire(ct_t* ct, uint32_t slot) noexcept nogil:
    """Its deadline has passed: it ended then, whenever that is noticed."""
    cdef const conn_t* c = &ct.table.conns[slot]
    ct_destroy(ct, slot, c.deadline_ns, l4_end(c))


cdef void ct_destroy(ct_t* ct, uint32_t slot, uint64_t when, ct_end end) noexcept nogil:
    """End a connection at time ``when``; its slot is free afterwards."""
    cdef conn_row_t* row
    ct.ended[<int>end] += 1
    if ct.keep_events:
        log_event(ct, slot, CT_EVENT_DESTROY, when, end)
    if ct.keep_ended:
        row = <conn_row_t*>log_row(&ct.ended_log)
        if row != NULL:
            ct_row(ct, slot, when, row)
            row.stop_ns = when
            row.timeout = 0
            row.end = <uint8_t>end
    release(ct, slot, when)
    table_remove(&ct.table, slot)


cdef void no_room(ct_t* ct, packet_t* p, ct_result_t* r, Reason reason) noexcept nogil:
    """A connection that cannot be had: what becomes of its packet is a matter of settings."""
    p.reason = <uint8_t>reason
    ct.full += 1
    if ct.on_full == ON_FULL_UNTRACKED:
        no_entry(r, CT_STATE_UNTRACKED, DROP_NOT)
    else:
        no_entry(r, CT_STATE_NONE, DROP_FULL)
