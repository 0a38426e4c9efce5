"""The walk of a packet, top to bottom.

    engine_batch   a batch ahead, stateless:   parse ► prefetch bucket ► prefetch entry
                   then packet by packet:      walk
    walk           never reaches a hook?       ► done
                   a fragment?                 ► defrag_in: held, dropped, or the datagram walks on
                   wrong checksum?             ► INVALID
                   PREROUTING, OUTPUT: raw     ► rules_raw
                   ICMP error                  ► (about a GRE call? ct_call) ► ct_icmp_error
                   has a tuple                 ► (a GRE call? ct_call) ► ct_in, or ct_in_zones
                   the other tables            ► rules_walk ► ct_dropped, or
                   passes                      ► ct_out: helper, events
    every GC_EVERY packets                     a bounded step of the sweep for expired connections

Parsing may run ahead because it depends on the packet alone; everything stateful runs in packet order, and
the sweep is placed by packet number, so the result does not depend on how packets are batched. Python is
called per batch, by the class of ``face.pyx``.
"""
from libc.stdint cimport uint8_t, uint32_t, uint64_t

cimport cython

from fastct.capture.frames cimport frame_t
from fastct.conntrack.core cimport (
    CT_STATE_INVALID,
    CT_STATE_NONE,
    CT_STATE_RELATED,
    CT_STATE_UNTRACKED,
    DROP_HELPER,
    DROP_NOT,
    ct_call,
    ct_dropped,
    ct_icmp_error,
    ct_in,
    ct_in_zones,
    ct_out,
    ct_refused,
    ct_result_t,
    template_t,
)
from fastct.conntrack.conn cimport NO_SLOT
from fastct.conntrack.defrag cimport defrag_expire, defrag_in, defrag_release
from fastct.conntrack.opts cimport OPT_MAX
from fastct.conntrack.room cimport ct_gc
from fastct.conntrack.table cimport table_candidate, table_candidate_beyond, table_prefetch
from fastct.conntrack.tcp cimport TCP_CLOSE_INIT
from fastct.records cimport packet_row_t
from fastct.rules.evaluate cimport rules_raw, rules_replay, rules_sent_here, rules_walk
from fastct.rules.memory cimport memory_path
from fastct.rules.compiled cimport (
    NOWHERE,
    OWN_LEAVES,
    OWN_RETURNS,
    RULE_ACCEPT,
    SENT_MAX,
    path_t,
    program_t,
    run_t,
    sent_t,
)
from fastct.rules.rewrite cimport output_packet, put_leaving_copy
from fastct.rules.route cimport ROUTE_LOCAL
from fastct.wire.bytes cimport load_u16, prefetch_r
from fastct.wire.packet cimport (
    PACKET_CALL,
    PACKET_CALL_ERROR,
    PACKET_FRAGMENT,
    PACKET_ICMP_ERROR,
    PACKET_INVALID,
    PACKET_NONE,
    PACKET_ODD,
    PACKET_TRACK,
    PACKET_UNTRACKED,
    PACKET_ZONES,
    PROTO_SCTP,
    PROTO_TCP,
    PROTO_UDP,
    PROTO_UDPLITE,
    SUM_BAD,
    SUM_OFFLOADED,
    packet_t,
    packet_zone,
)
from fastct.wire.parse cimport packet_parse
from fastct.wire.reason cimport Reason
from fastct.wire.tuples cimport tuple_ports

cdef enum:
    NS_PER_S = 1000000000
    GC_SWEEP_NS = 1000000000     # packet time in which the sweep tries to come round

# Index into records.VERDICTS, and into records.DECIDERS.
cdef enum:
    VERDICT_ACCEPT = 0
    VERDICT_DROP = 1
    VERDICT_STOLEN = 4
    DECIDED_CONNTRACK = 1
    DECIDED_DEFRAG = 2
    DECIDED_WIRE = 3
    DECIDED_HELPER = 4
    DECIDED_ROUTE = 5


# ---- one packet

cdef inline uint64_t number_of(const engine_t* e, const packet_t* p) noexcept nogil:
    """The number of a packet of the batch in the whole input."""
    return e.stats.packets + <uint64_t>(p - e.batch) + 1


cdef void stop_verifying(engine_t* e, const packet_t* p) noexcept nogil:
    """The capture was taken on a host whose card completes checksums: what is missing proves nothing."""
    e.checksum = CHECKSUM_OFF
    e.wire.verify = e.wire.verify_ip = 0
    e.stats.offload_packet = number_of(e, p)


cdef Reason checksum_reason(uint8_t l4proto) noexcept nogil:
    if l4proto == PROTO_TCP:
        return Reason.tcp_checksum
    if l4proto == PROTO_UDP:
        return Reason.udp_checksum
    if l4proto == PROTO_UDPLITE:
        return Reason.udplite_checksum
    return Reason.sctp_checksum if l4proto == PROTO_SCTP else Reason.icmp_checksum


cdef inline bint sums_pass(engine_t* e, packet_t* p) noexcept nogil:
    """False for a packet whose checksum is wrong and matters; it has its kind and reason then."""
    if cython.likely((p.sum | p.ip_sum) < SUM_BAD):
        return True
    if e.ruled and rules_sent_here(&e.run, p):
        return True
    if e.checksum == CHECKSUM_AUTO and (p.sum == SUM_OFFLOADED or p.ip_sum == SUM_OFFLOADED):
        stop_verifying(e, p)
    if e.checksum == CHECKSUM_OFF:
        return True
    if p.ip_sum >= SUM_BAD:
        p.kind = PACKET_NONE
        p.reason = Reason.ip_checksum
        return False
    if p.kind == PACKET_FRAGMENT:
        return True
    p.kind = PACKET_INVALID
    p.reason = checksum_reason(p.l4proto)
    return False


cdef inline void no_entry(ct_result_t* r, uint8_t state) noexcept nogil:
    r.conn = NULL
    r.number = 0
    r.state = state
    r.direction = 0
    r.dropped = DROP_NOT
    r.fresh = r.due = 0


cdef void refused(engine_t* e, packet_t* p, ct_result_t* r) noexcept nogil:
    """What an INVALID packet does where something is expected, or the table is full: if it has ports, at least."""
    cdef const uint8_t* ports = p.data + p.l4_off
    cdef bint has_ports = (p.l4proto == PROTO_TCP or p.l4proto == PROTO_UDP or p.l4proto == PROTO_SCTP
                           or p.l4proto == PROTO_UDPLITE)
    no_entry(r, CT_STATE_INVALID)
    if has_ports and p.l4_off + 4 <= p.cap_len and p.cap_len == p.len:
        p.slot = NO_SLOT
        tuple_ports(p, p.data, p.ip_version, p.l4proto, load_u16(ports), load_u16(ports + 2), &e.wire)
        if e.ct.template.zone:
            packet_zone(p, e.ct.template.zone, &e.wire)
        ct_refused(&e.ct, p, r)


cdef void assemble(engine_t* e, packet_t* p, const frame_t* frame) noexcept nogil:
    """A fragment: held, dropped, or the one that completes its datagram, which is one packet and walks on."""
    if not defrag_in(&e.defrag, p, frame, number_of(e, p), e.ct.now):
        return
    if e.template.zone and p.kind >= PACKET_TRACK:
        packet_zone(p, e.template.zone, &e.wire)
    raw(e, p)


cdef inline void raw(engine_t* e, packet_t* p) noexcept nogil:
    """PREROUTING, raw. Conntrack is the first to ask for transport checksums: who is not tracked is not asked."""
    sums_pass(e, p)
    if cython.unlikely(e.template.special and p.kind >= PACKET_INVALID):
        specially(&e.template, p)


cdef void specially(const template_t* t, packet_t* p) noexcept nogil:
    """A template that changes how a packet is tracked."""
    if t.notrack:
        p.kind = PACKET_UNTRACKED
        p.reason = Reason.none
    elif p.kind == PACKET_TRACK:
        p.kind = PACKET_ZONES


cdef void track_other(engine_t* e, packet_t* p, ct_result_t* r) noexcept nogil:
    """Conntrack, for all but plain packets."""
    if p.kind == PACKET_ICMP_ERROR:
        ct_icmp_error(&e.ct, p, r)
    elif p.kind == PACKET_INVALID:
        if e.ct.expects.count or e.ct.opts.value[OPT_MAX]:
            refused(e, p, r)
        else:
            no_entry(r, CT_STATE_INVALID)
    elif p.kind == PACKET_UNTRACKED:
        no_entry(r, CT_STATE_UNTRACKED)
    elif p.kind == PACKET_CALL:
        ct_call(&e.ct, p, False)
        ct_in_zones(&e.ct, p, r)
    elif p.kind == PACKET_ZONES or p.kind == PACKET_ODD:
        ct_in_zones(&e.ct, p, r)
    elif p.kind == PACKET_CALL_ERROR:
        ct_call(&e.ct, p, True)
        ct_icmp_error(&e.ct, p, r)
    else:
        no_entry(r, CT_STATE_NONE)


cdef inline void track(engine_t* e, packet_t* p, ct_result_t* r) noexcept nogil:
    if cython.likely(p.kind == PACKET_TRACK):
        ct_in(&e.ct, p, r)
    else:
        track_other(e, p, r)


cdef inline void walk(engine_t* e, packet_t* p, const frame_t* frame, ct_result_t* r) noexcept nogil:
    """One packet through the hooks; ``p.reason``, ``r`` and, with rules, ``e.run`` say what became of it."""
    if p.ts_ns > e.ct.now:
        e.ct.now = p.ts_ns
    raw(e, p)
    if cython.unlikely(p.kind == PACKET_FRAGMENT):
        assemble(e, p, frame)
    if cython.unlikely(e.ruled and p.kind >= PACKET_INVALID):
        walk_ruled(e, p, frame, r)
        return
    track(e, p, r)
    ct_out(&e.ct, p, r)


# ---- with rules

cdef inline void present(engine_t* e, run_t* run, packet_t* p, const frame_t* frame, ct_result_t* r) noexcept nogil:
    """A packet is about to meet the tables."""
    run.p, run.r, run.program, run.frame = p, r, e.rules[p.ip_version], frame
    run.copy = NULL
    run.mark = e.template.mark
    run.traced = run.assigned = run.datagram = run.n_sent = 0


cdef inline uint16_t came_by(const engine_t* e, const frame_t* frame) noexcept nogil:
    """Number of the interface that the capture names, 0: none."""
    return e.from_if[frame.iface] if frame.iface < e.n_from_if else 0


cdef inline void walk_ruled(engine_t* e, packet_t* p, const frame_t* frame, ct_result_t* r) noexcept nogil:
    """The rest of the walk, through the tables: along a path that is remembered, mostly."""
    cdef program_t* program = e.rules[p.ip_version]
    cdef path_t* path
    if cython.unlikely(p.kind != PACKET_TRACK or program == NULL or program.has_raw or e.output.keep):
        walk_tables(e, p, frame, r)
        e.ct.template = e.template       # the raw table was this family's
        return
    ct_in(&e.ct, p, r)
    path = memory_path(program, &e.ct, p, r, e.template.mark, came_by(e, frame))
    if cython.unlikely(path == NULL or not path.plain):
        e.output.used = 0
        present(e, &e.run, p, frame, r)
        e.run.number = number_of(e, p)
        filter_tracked(e, p, r, path)
        return
    e.taken = path
    path.packets += 1
    path.bytes += p.len
    if cython.likely(path.verdict == RULE_ACCEPT):
        ct_out(&e.ct, p, r)
    else:
        ct_dropped(&e.ct, r)


cdef void walk_tables(engine_t* e, packet_t* p, const frame_t* frame, ct_result_t* r) noexcept nogil:
    """``walk_ruled``, at length. A packet whose IP header the capture cut is no matter of rules."""
    cdef run_t* run = &e.run
    cdef program_t* program = e.rules[p.ip_version]
    cdef path_t* path = NULL
    e.taken = NULL
    if not e.output.keep:
        e.output.used = 0
    present(e, run, p, frame, r)
    run.number = number_of(e, p)
    if program == NULL or p.reason == Reason.ip_header_cut:
        run.verdict, run.decided = RULE_ACCEPT, NOWHERE
        track(e, p, r)
        ct_out(&e.ct, p, r)
        return
    no_entry(r, CT_STATE_INVALID)        # which is what a condition takes it for, until it is tracked
    if program.has_raw and not raw_table(e, run):
        no_entry(r, CT_STATE_NONE)
        send_all(e, r)
        return
    track(e, p, r)
    if p.kind == PACKET_TRACK and not run.traced:
        path = memory_path(program, &e.ct, p, r, run.mark, came_by(e, frame))
    filter_tracked(e, p, r, path)


cdef bint raw_table(engine_t* e, run_t* run) noexcept nogil:
    """The raw table, and what its CT target gave the packet; False if that is the end of it."""
    cdef packet_t* p = run.p
    run.template = e.template
    rules_raw(run, came_by(e, run.frame))
    if run.verdict != RULE_ACCEPT:
        return False
    if run.template.zone != p.key.zone and p.kind >= PACKET_TRACK:
        p.slot = NO_SLOT
        packet_zone(p, run.template.zone, &e.wire)
    if run.template.special and p.kind >= PACKET_INVALID:
        specially(&run.template, p)
    e.ct.template = run.template
    return True


cdef void filter_tracked(engine_t* e, packet_t* p, ct_result_t* r, path_t* path) noexcept nogil:
    """The tables behind conntrack. ``path``: known for the packet, or NULL."""
    cdef run_t* run = &e.run
    e.taken = NULL
    if r.dropped:
        run.verdict = RULE_ACCEPT        # by conntrack, before the tables
        run.decided = NOWHERE
    elif path == NULL:
        rules_walk(run, came_by(e, run.frame))
    else:
        path.packets += 1
        path.bytes += p.len
        rules_replay(run, path, came_by(e, run.frame))
    if cython.unlikely(run.n_sent):
        send_all(e, r)
    if r.dropped:
        return
    if run.verdict != RULE_ACCEPT:
        ct_dropped(&e.ct, r)
        return
    ct_out(&e.ct, p, r)
    if e.output.keep and not r.dropped:
        put_leaving_copy(run, e.defrag.latest)


# ---- what the host itself sends

cdef void send_all(engine_t* e, ct_result_t* cause) noexcept nogil:
    """What the host sends because of a packet: it goes out, of the packet's connection if it has one."""
    cdef int i
    for i in range(e.run.n_sent):
        e.run.sent[i].cause = cause[0]
    i = 0
    while i < e.run.n_sent:
        send(e, &e.run.sent[i])
        i += 1


cdef void send_next(engine_t* e, const ct_result_t* cause) noexcept nogil:
    """What is sent because of what the host has sent waits behind that."""
    cdef int i
    for i in range(e.sending.n_sent):
        if e.run.n_sent == SENT_MAX:
            e.output.lost += 1
            return
        e.run.sent[e.run.n_sent] = e.sending.sent[i]
        e.run.sent[e.run.n_sent].cause = cause[0]
        e.run.n_sent += 1


cdef void send(engine_t* e, const sent_t* sent) noexcept nogil:
    """OUTPUT ► POSTROUTING for one of them, and out."""
    cdef run_t* run = &e.sending
    cdef packet_t* p = &e.sent
    cdef ct_result_t r
    cdef const ct_result_t* cause = &sent.cause
    cdef bint attached = sent.answers and cause.conn != NULL
    packet_parse(p, sent.frame.data, sent.frame.cap_len, sent.frame.wire_len, sent.frame.linktype, &e.wire)
    p.ts_ns = sent.frame.ts_ns
    p.slot = NO_SLOT
    present(e, run, p, &sent.frame, &r)
    run.number, run.via, run.own, run.duplicate = e.run.number, sent.via, OWN_LEAVES, sent.duplicate
    run.mark, run.traced = sent.mark, sent.traced
    no_entry(&r, CT_STATE_INVALID if sent.answers else CT_STATE_UNTRACKED)
    if attached:
        attach(p, cause, &r)
    run.assigned = attached or not sent.answers
    if run.program == NULL or run.program.has_raw and not raw_table(e, run):
        return
    if sent.answers and not attached:
        track(e, p, &r)
    if r.dropped:
        return
    rules_walk(run, 0)
    if run.n_sent:
        send_next(e, &r)
    if not attached:                     # else what becomes of the connection is the packet's to say
        if run.verdict == RULE_ACCEPT:
            ct_out(&e.ct, p, &r)
        else:
            ct_dropped(&e.ct, &r)
    if run.verdict != RULE_ACCEPT:
        return
    if run.destination.type == ROUTE_LOCAL:
        send_back(e)
    elif e.output.keep:
        output_packet(run)


cdef void send_back(engine_t* e) noexcept nogil:
    """PREROUTING ► INPUT for what the host has sent to itself: it is tracked by now."""
    cdef run_t* run = &e.sending
    run.own, run.assigned, run.n_sent, run.r.fresh = OWN_RETURNS, True, 0, 0
    if run.program.has_raw:
        rules_raw(run, run.routes.lo)
        if run.verdict != RULE_ACCEPT:
            return
    rules_walk(run, run.routes.lo)
    if run.n_sent:
        send_next(e, run.r)


cdef void attach(const packet_t* p, const ct_result_t* cause, ct_result_t* r) noexcept nogil:
    """An answer is of the connection of the packet that it answers, and RELATED; a reset closes it."""
    r[0] = cause[0]
    r.state = CT_STATE_RELATED
    r.direction ^= 1
    r.fresh = r.due = 0
    if p.l4proto == PROTO_TCP:
        r.conn.proto.tcp.side[0].flags |= TCP_CLOSE_INIT
        r.conn.proto.tcp.side[1].flags |= TCP_CLOSE_INIT


cdef void ruled_row(const engine_t* e, const packet_t* p, packet_row_t* row) noexcept nogil:
    """What the tables say in a packet's row."""
    cdef uint8_t verdict = e.taken.verdict if e.taken != NULL else e.run.verdict
    cdef uint32_t decided = e.taken.decided if e.taken != NULL else e.run.decided
    row.mark = e.taken.mark if e.taken != NULL else e.run.mark
    row.verdict = verdict - RULE_ACCEPT
    if decided != NOWHERE:
        row.decided = e.rules[p.ip_version].deciders[decided]
    elif verdict != RULE_ACCEPT:
        row.decided = DECIDED_ROUTE


cdef void fill_row(const engine_t* e, const packet_t* p, const ct_result_t* r, packet_row_t* row) noexcept nogil:
    """The packet's row of the ``--packets`` output, except its number."""
    row.ts = p.ts_ns
    row.ctstate = r.state
    row.ctdir = r.direction + 1 if r.conn != NULL else 0
    row.conn = r.number
    row.state = row.status = row.timeout = 0
    row.mark = e.ct.template.mark
    row.verdict = VERDICT_ACCEPT
    row.decided = 0
    row.reason = p.reason
    if r.conn != NULL:
        row.state = r.conn.state
        row.status = r.conn.status
        if r.conn.deadline_ns > e.ct.now:
            row.timeout = <uint32_t>((r.conn.deadline_ns - e.ct.now + <uint64_t>(NS_PER_S - 1)) // <uint64_t>NS_PER_S)
    if e.ruled and p.kind >= PACKET_INVALID:
        ruled_row(e, p, row)
    if r.dropped:
        row.verdict = VERDICT_DROP
        row.decided = DECIDED_HELPER if r.dropped == DROP_HELPER else DECIDED_CONNTRACK
    elif p.kind == PACKET_FRAGMENT:
        row.verdict = VERDICT_STOLEN if p.reason == Reason.fragment else VERDICT_DROP
        row.decided = DECIDED_DEFRAG
    elif p.kind == PACKET_NONE and p.ip_version:
        row.verdict = VERDICT_DROP
        row.decided = DECIDED_WIRE


cdef void gc_step(engine_t* e) noexcept nogil:
    """As much of the sweep as the packet time since the last step asks for, within the budget."""
    cdef uint64_t passed = e.ct.now - e.gc_at
    cdef uint64_t lines = e.gc_lines
    if passed < GC_SWEEP_NS:
        lines = e.ct.table.n_lines * passed // GC_SWEEP_NS + 1
    if lines > e.gc_lines:
        lines = e.gc_lines
    e.gc_at = e.ct.now
    ct_gc(&e.ct, <uint32_t>lines)
    defrag_expire(&e.defrag, e.ct.now)


# ---- a batch

cdef inline uint64_t fetch_entries(engine_t* e, Py_ssize_t group, Py_ssize_t size) noexcept nogil:
    """Have the entries of a group of packets under way while an earlier one is walked: few at a time, since a
    processor has room for a dozen or two such fetches and forgets the rest.

    => Returns the packets, one bit each, that need fetch_beyond.
    """
    cdef Py_ssize_t i
    cdef Py_ssize_t end = group + GROUP if group + GROUP < size else size
    cdef uint64_t beyond = 0
    for i in range(group, end):
        if e.batch[i].kind >= PACKET_TRACK and table_candidate(&e.ct.table, &e.batch[i]):
            beyond |= <uint64_t>1 << i
    return beyond


cdef inline void fetch_beyond(engine_t* e, Py_ssize_t group, uint64_t beyond) noexcept nogil:
    """The same for the few of a group whose entry is found in a second step."""
    cdef Py_ssize_t i
    if cython.likely((beyond >> group & ((1 << GROUP) - 1)) == 0):
        return
    for i in range(group, group + GROUP):
        if beyond >> i & 1:
            table_candidate_beyond(&e.ct.table, &e.batch[i])


cdef void look_ahead(engine_t* e, const frame_t* frames, Py_ssize_t n, Py_ssize_t left) noexcept nogil:
    """Parse a batch and have the index lines that its packets need under way. ``left``: frames of the whole block."""
    cdef Py_ssize_t i
    cdef packet_t* p
    cdef uint64_t wire_bytes = 0
    for i in range(n):
        p = &e.batch[i]
        p.ts_ns = frames[i].ts_ns
        wire_bytes += frames[i].wire_len
        if cython.likely(i + FRAMES_AHEAD < left):
            prefetch_r(frames[i + FRAMES_AHEAD].data)
        packet_parse(p, frames[i].data, frames[i].cap_len, frames[i].wire_len, frames[i].linktype, &e.wire)
        if p.kind >= PACKET_TRACK:
            if cython.unlikely(e.template.zone):
                packet_zone(p, e.template.zone, &e.wire)
            table_prefetch(&e.ct.table, p)
    e.stats.bytes += wire_bytes


cdef inline void walk_group(engine_t* e, const frame_t* frames, Py_ssize_t group, Py_ssize_t size,
                            packet_row_t* rows) noexcept nogil:
    """Walk the packets of a group, in order. ``frames`` are those of the batch, and so are ``rows``, if not NULL."""
    cdef Py_ssize_t i
    cdef Py_ssize_t end = group + GROUP if group + GROUP < size else size
    cdef ct_result_t r
    cdef packet_t* p
    for i in range(group, end):
        p = &e.batch[i]
        walk(e, p, frames + i, &r)
        e.stats.states[r.state] += 1
        e.stats.reasons[p.reason] += 1
        if rows != NULL:
            rows[i].packet = e.stats.packets + i + 1
            fill_row(e, p, &r, &rows[i])


cdef void engine_batch(engine_t* e, const frame_t* frames, Py_ssize_t n, packet_row_t* rows) noexcept nogil:
    """Track frames in order.

    => ``rows``: NULL, or room for n. The frames' memory is only read, and not kept.
    """
    cdef Py_ssize_t group, size
    cdef uint64_t beyond
    if n and e.stats.packets == 0:
        e.stats.first_ns = frames[0].ts_ns
    while n:
        # A batch ends where the sweep may be due, whatever the caller's blocks.
        size = BATCH - <Py_ssize_t>(e.stats.packets % BATCH)
        if size > n:
            size = n
        look_ahead(e, frames, size, n)
        beyond = fetch_entries(e, 0, size) | fetch_entries(e, GROUP, size)
        fetch_beyond(e, 0, beyond)
        group = 0
        while group < size:
            beyond |= fetch_entries(e, group + 2 * GROUP, size)
            fetch_beyond(e, group + GROUP, beyond)
            walk_group(e, frames, group, size, rows)
            group += GROUP
        e.stats.packets += size
        if e.stats.packets % GC_EVERY == 0:
            gc_step(e)
        frames += size
        rows = rows + size if rows != NULL else NULL
        n -= size


cdef void engine_release(engine_t* e) noexcept nogil:
    """What the latest block let go has been taken."""
    defrag_release(&e.defrag)
    e.output.used = e.output.made.rows = 0
