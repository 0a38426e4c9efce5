"""The way of a packet through the tables.

    rules_raw    PREROUTING or OUTPUT: raw                                   before the packet is tracked
    rules_walk   PREROUTING: mangle ► nat ► route ┬► INPUT: mangle ► filter ► security ► nat
                                                  └► FORWARD: mangle ► filter ► security ┐
                 OUTPUT: mangle ► nat ► filter ► security ───────────────────────────────┴► POSTROUTING: mangle ► nat

A table at a hook is a chain; ``traverse`` goes through it and those it jumps to. What the packets of a connection go
through again and again is remembered (``compiled.pxd``), and replayed instead.
"""
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

cimport cython

from fastct.conntrack.conn cimport IPS_DST_NAT_DONE, IPS_SRC_NAT_DONE, conn_t
from fastct.conntrack.core cimport CT_STATE_ESTABLISHED, CT_STATE_RELATED
from fastct.conntrack.opts cimport OPT_IP_FORWARD
from fastct.rules.answers cimport answer_expired
from fastct.rules.classify cimport classifier_next, classifier_open, packet_fields_t
from fastct.rules.connmark cimport connmark_set
from fastct.rules.memory cimport memory_keep, path_class, path_connmark, path_marks, time_to_live
from fastct.rules.compiled cimport (
    CALLERS_KEPT,
    HOOK_FORWARD,
    HOOK_INPUT,
    HOOK_OUTPUT,
    HOOK_POSTROUTING,
    HOOK_PREROUTING,
    LIVES_FLAGS,
    LIVES_PACKET,
    NOWHERE,
    OWN_RETURNS,
    RECORDING,
    RECORDING_NOT,
    RECORDING_TRACE,
    RULE_ACCEPT,
    RULE_CONTINUE,
    RULE_DROP,
    RULE_GOTO,
    RULE_JUMP,
    RULE_RETURN,
    TABLE_DNAT,
    TABLE_FILTER,
    TABLE_MANGLE,
    TABLE_RAW,
    TABLE_SECURITY,
    TABLE_SNAT,
    TRAIL_MAX,
    WAY_FORWARD,
    WAY_INPUT,
    WAY_OUTPUT,
    chain_t,
    op_t,
    path_t,
    place_t,
    program_t,
    rule_t,
    rule_verdict,
    run_t,
    stack_t,
    tail_t,
)
from fastct.rules.lines cimport trace_rule
from fastct.rules.ops.reach cimport vouched
from fastct.rules.rewrite cimport put_ttl
from fastct.rules.route cimport ROUTE_LOCAL, ROUTE_UNICAST, address_t, packet_address, route_find
from fastct.rules.trace cimport TRACE_END, TRACE_LEFT, TRACE_POLICY, TRACE_RULE, TRACE_TABLE, trace_add, trace_row_t
from fastct.wire.bytes cimport load_be16
from fastct.wire.packet cimport PACKET_TRACK, PROTO_ICMP, PROTO_ICMPV6, packet_t
from fastct.wire.reason cimport Reason

cdef enum:
    ICMP_REDIRECT = 5
    HEADER_MOST = 20         # bytes of the longest that is asked for: TCP's

cdef enum:
    STEP_ROUTE = 0xF0
    STEP_END = 0xFF

# The steps of each way: hook << 4 | table.
cdef uint8_t[3][10] STEPS = [
    [HOOK_PREROUTING << 4 | TABLE_MANGLE, HOOK_PREROUTING << 4 | TABLE_DNAT, STEP_ROUTE,
     HOOK_FORWARD << 4 | TABLE_MANGLE, HOOK_FORWARD << 4 | TABLE_FILTER, HOOK_FORWARD << 4 | TABLE_SECURITY,
     HOOK_POSTROUTING << 4 | TABLE_MANGLE, HOOK_POSTROUTING << 4 | TABLE_SNAT, STEP_END, STEP_END],
    [HOOK_PREROUTING << 4 | TABLE_MANGLE, HOOK_PREROUTING << 4 | TABLE_DNAT, STEP_ROUTE,
     HOOK_INPUT << 4 | TABLE_MANGLE, HOOK_INPUT << 4 | TABLE_FILTER, HOOK_INPUT << 4 | TABLE_SECURITY,
     HOOK_INPUT << 4 | TABLE_SNAT, STEP_END, STEP_END, STEP_END],
    [HOOK_OUTPUT << 4 | TABLE_MANGLE, HOOK_OUTPUT << 4 | TABLE_DNAT, HOOK_OUTPUT << 4 | TABLE_FILTER,
     HOOK_OUTPUT << 4 | TABLE_SECURITY, HOOK_POSTROUTING << 4 | TABLE_MANGLE, HOOK_POSTROUTING << 4 | TABLE_SNAT,
     STEP_END, STEP_END, STEP_END, STEP_END],
]


# ---- recording

cdef inline void spoil(run_t* run) noexcept nogil:
    """What is being recorded, if anything is, cannot be remembered."""
    if run.recording == RECORDING:
        run.recording = RECORDING_NOT
        run.path.trailed = TRAIL_MAX + 1


cdef void stop_recording(run_t* run) noexcept nogil:
    """From here on the packet's way depends on more than its path: keep where that is."""
    cdef stack_t* s = &run.stack
    cdef uint32_t i
    if s.depth > CALLERS_KEPT:
        spoil(run)                       # too deep to come back to
        return
    run.recording = RECORDING_NOT
    run.path.verdict = RULE_CONTINUE
    run.path.mark = run.mark
    run.path.connmark_after = path_connmark(run.program, run.ct, run.r.conn)
    run.path.decided = run.decided
    run.tail.way, run.tail.step, run.tail.filtered = run.way, run.step, run.filtered
    run.tail.at = s.at
    run.tail.depth = <uint8_t>s.depth
    for i in range(s.depth):
        run.tail.callers[i] = s.callers[i]


cdef void record(run_t* run, uint32_t counter) noexcept nogil:
    """A rule or policy has taken a packet that is recorded."""
    if run.path.trailed == TRAIL_MAX:
        spoil(run)
    else:
        run.tail.trail[run.path.trailed] = counter
        run.path.trailed += 1


cdef inline void record_rule(run_t* run, const chain_t* chain, uint32_t number) noexcept nogil:
    """A rule has taken a packet that is recorded or traced. (A rule that asks nothing is a chain's end to Linux.)"""
    cdef const rule_t* rule = &run.program.rules[number]
    cdef const char* word = b"rule"
    if run.recording == RECORDING_TRACE:
        if not rule.ops and rule.effect == NOWHERE and rule.verdict >= RULE_RETURN:
            word = b"policy" if chain.policy else b"return"
        trace_rule(run, run.stack.at.chain, number - chain.first + 1, word)
        return
    if rule.effect_lives == LIVES_PACKET:
        stop_recording(run)
    if run.recording:
        record(run, number)


cdef inline void count(run_t* run, uint32_t counter) noexcept nogil:
    """A rule or policy has taken the packet."""
    run.program.counters[counter].packets += 1
    run.program.counters[counter].bytes += run.p.len


# ---- one table

cdef inline bint holds(run_t* run, const rule_t* rule) noexcept nogil:
    """Whether all conditions of a rule hold for the packet."""
    cdef const op_t* op = &run.program.ops[rule.op]
    cdef const op_t* end = op + rule.ops
    cdef bint answer
    while op != end:
        if op.lives == LIVES_PACKET and run.recording == RECORDING:
            stop_recording(run)
        answer = op.test(op, run)
        if op.lives == LIVES_FLAGS and run.recording == RECORDING:
            run.path.flags_kept &= op.a[2] if answer else ~op.a[2]
        if answer == op.invert:
            return False
        op += 1
    return True


cdef inline bint decide(run_t* run, uint32_t counter, rule_verdict verdict) noexcept nogil:
    """A rule or policy ends the table; False if that ends the packet's way, too.

    An accepted packet was decided on by the filter table, if it came by; else by the last table.
    """
    run.verdict = verdict
    if verdict != RULE_ACCEPT or run.table == TABLE_FILTER or not run.filtered:
        run.decided = counter
    run.filtered |= run.table == TABLE_FILTER
    return verdict == RULE_ACCEPT


cdef bint hotdrop(run_t* run, uint32_t number) noexcept nogil:
    """A condition of a rule wants the packet gone, which says nothing of others of its connection."""
    spoil(run)
    run.p.reason = Reason.rule_hotdrop
    return decide(run, number, RULE_DROP)


cdef bint leave(run_t* run) noexcept nogil:
    """The end of a chain, or RETURN: back to the caller; False if there is none."""
    if not run.stack.depth:
        return False
    run.stack.depth -= 1
    run.stack.at = run.stack.callers[run.stack.depth]
    return True


cdef uint32_t candidate(run_t* run, const chain_t* chain, const stack_t* s) noexcept nogil:
    """The next rule of a chain, from that on which is due, whose conditions on fields all hold."""
    if run.cursor_chain != s.at.chain or run.fields.mark != run.mark:
        run.cursor_chain = s.at.chain
        run.fields.mark = run.mark
        classifier_open(chain.index, &run.fields, &run.cursor)
    return classifier_next(chain.index, &run.cursor, s.at.next)


cdef inline bint policy(run_t* run) noexcept nogil:
    """The end of the table's base chain, which goto may have left."""
    cdef const chain_t* chain = &run.program.chains[run.base]
    if run.recording == RECORDING:
        record(run, chain.policy_counter)
    elif run.recording == RECORDING_TRACE:
        trace_rule(run, run.base, chain.n + 1, b"policy")
    count(run, chain.policy_counter)
    return decide(run, chain.policy_counter, <rule_verdict>chain.policy)


cdef inline void follow(run_t* run, const rule_t* rule, rule_verdict verdict) noexcept nogil:
    """Where a rule that does not end the table sends the packet; the next one is due already."""
    cdef stack_t* s = &run.stack
    if verdict == RULE_JUMP:
        s.callers[s.depth] = s.at
        s.depth += 1
    if verdict == RULE_JUMP or verdict == RULE_GOTO:
        s.at.chain, s.at.next = rule.chain, 0
    elif verdict == RULE_RETURN and not leave(run):
        s.at.next = NOWHERE


cdef bint traverse(run_t* run) noexcept nogil:
    """From ``run.stack`` on to the end of the table; False if that is the end of the packet's way."""
    cdef program_t* g = run.program
    cdef stack_t* s = &run.stack
    cdef const chain_t* chain
    cdef const rule_t* rule
    cdef rule_verdict verdict
    cdef uint32_t number
    while True:
        chain = &g.chains[s.at.chain]
        if chain.index != NULL and run.indexable and s.at.next < chain.n:
            s.at.next = candidate(run, chain, s)
        if s.at.next >= chain.n:
            if not chain.policy and run.recording == RECORDING_TRACE:
                trace_rule(run, s.at.chain, chain.n + 1, b"return")
            if leave(run):
                continue
            return policy(run)
        number = chain.first + s.at.next
        rule = &g.rules[number]
        if not holds(run, rule):
            if cython.unlikely(run.hotdrop):
                return hotdrop(run, number)
            s.at.next += 1
            continue
        if run.recording:
            record_rule(run, chain, number)
        count(run, number)
        s.at.next += 1
        verdict = <rule_verdict>rule.verdict
        if rule.effect != NOWHERE:
            verdict = g.ops[rule.effect].effect(&g.ops[rule.effect], run)
        if cython.unlikely(run.hotdrop):         # by a condition that holds all the same
            return hotdrop(run, number)
        if verdict >= RULE_ACCEPT:
            return decide(run, number, verdict)
        follow(run, rule, verdict)


# ---- one table, with an account of every rule

cdef uint32_t first_failed(run_t* run, const rule_t* rule) noexcept nogil:
    """Which of a rule's conditions does not hold; how many there are, if all do."""
    cdef const op_t* op
    cdef uint32_t i
    for i in range(rule.ops):
        op = &run.program.ops[rule.op + i]
        if op.test(op, run) == op.invert:
            return i
    return rule.ops


cdef bint take_traced(run_t* run, const chain_t* chain, uint32_t number, trace_row_t* row) noexcept nogil:
    """A rule takes the packet; False if that ends the table, with ``row.verdict``."""
    cdef const rule_t* rule = &run.program.rules[number]
    cdef const op_t* op
    if run.recording:
        record_rule(run, chain, number)
    count(run, number)
    row.held, row.verdict = True, rule.verdict
    if rule.effect != NOWHERE:
        op = &run.program.ops[rule.effect]
        row.verdict = op.effect(op, run)
    if run.hotdrop or row.verdict >= RULE_ACCEPT:
        return False
    follow(run, rule, <rule_verdict>row.verdict)
    return True


cdef bint go_through_traced(run_t* run) noexcept nogil:
    """``traverse``, without an index, and with rows of all it meets."""
    cdef stack_t* s = &run.stack
    cdef const chain_t* chain
    cdef const rule_t* rule
    cdef trace_row_t* row
    cdef uint32_t number
    while True:
        chain = &run.program.chains[s.at.chain]
        if s.at.next >= chain.n:
            if not chain.policy and run.recording == RECORDING_TRACE:
                trace_rule(run, s.at.chain, chain.n + 1, b"return")
            if s.depth:
                trace_add(run, TRACE_END, NOWHERE)
                leave(run)
                continue
            chain = &run.program.chains[run.base]
            trace_add(run, TRACE_POLICY, chain.policy_counter).verdict = chain.policy
            return policy(run)
        number = chain.first + s.at.next
        rule = &run.program.rules[number]
        row = trace_add(run, TRACE_RULE, number)
        row.test = first_failed(run, rule)
        s.at.next += 1
        if row.test < rule.ops and not run.hotdrop or row.test == rule.ops and take_traced(run, chain, number, row):
            continue
        row.hotdrop = run.hotdrop
        return hotdrop(run, number) if run.hotdrop else decide(run, number, <rule_verdict>row.verdict)


cdef bint traverse_traced(run_t* run) noexcept nogil:
    """``traverse`` for ``run.trace``. What it says is not remembered."""
    cdef bint goes_on
    spoil(run)
    trace_add(run, TRACE_TABLE, NOWHERE)
    goes_on = go_through_traced(run)
    trace_add(run, TRACE_LEFT, NOWHERE)
    return goes_on


# ---- the way

cdef void fill_fields(run_t* run, const address_t* source, const address_t* destination) noexcept nogil:
    """What the indexes of chains are asked with. A packet without a header that rules may ask for is not for them:
    Linux drops it at the first rule that does."""
    cdef const packet_t* p = run.p
    cdef packet_fields_t* f = &run.fields
    run.cursor_chain = NOWHERE
    run.indexable = vouched(p) or (p.l4proto and p.l4_off + HEADER_MOST <= p.cap_len)
    f.src, f.dst = <uint32_t>source.lo, <uint32_t>destination.lo
    f.src_hi, f.src_lo, f.dst_hi, f.dst_lo = source.hi, source.lo, destination.hi, destination.lo
    f.sport = f.dport = 0
    if p.l4_off + 4 <= p.cap_len:
        f.sport, f.dport = load_be16(p.data + p.l4_off), load_be16(p.data + p.l4_off + 2)
    f.protocol, f.ctstate = p.l4proto, run.r.state


cdef void find_routes(run_t* run, uint16_t from_if) noexcept nogil:
    """Where the packet comes from and goes to. ``from_if``: interface that the capture names, 0: none."""
    cdef packet_t* p = run.p
    cdef address_t source, destination
    packet_address(p, False, &source)
    run.source = route_find(run.routes, p.ip_version, &source)
    packet_address(p, True, &destination)
    run.destination = run.via if run.via != NULL else route_find(run.routes, p.ip_version, &destination)
    fill_fields(run, &source, &destination)
    run.from_if = from_if if from_if else run.source.interface


cdef bint rules_sent_here(const run_t* run, const packet_t* p) noexcept nogil:
    """Whether the host itself sends the packet: its checksums are not complete yet, and nobody asks for them."""
    cdef address_t address
    packet_address(p, False, &address)
    return run.routes.has_local and route_find(run.routes, p.ip_version, &address).type == ROUTE_LOCAL


cdef inline bint nat_is_due(run_t* run, uint16_t done) noexcept nogil:
    """The nat table is for connections that have not been through it."""
    cdef conn_t* c = run.r.conn
    if c == NULL or c.status & done or run.r.state == CT_STATE_ESTABLISHED:
        return False
    if run.r.state == CT_STATE_RELATED and run.p.l4proto == (PROTO_ICMP if run.p.ip_version == 4 else PROTO_ICMPV6):
        return False
    run.natted = True
    return True


cdef bint untranslated(run_t* run) noexcept nogil:
    """A redirect about a connection that the nat table has not been done with, which goes no further."""
    cdef const packet_t* p = run.p
    cdef uint16_t done = IPS_SRC_NAT_DONE | IPS_DST_NAT_DONE
    if run.r.conn == NULL or run.r.state != CT_STATE_RELATED or p.ip_version != 4 or p.l4proto != PROTO_ICMP:
        return False
    if p.data[p.l4_off] != ICMP_REDIRECT or run.r.conn.status & done == done:
        return False
    run.verdict, run.decided = RULE_DROP, NOWHERE
    return True


cdef bint call_nat(run_t* run, int hook, int table, uint16_t done) noexcept nogil:
    """The nat table at a hook: a connection has been through it when it has accepted a packet of that."""
    if not nat_is_due(run, done):
        return not untranslated(run)
    run.bypassed = False
    if not call_chain(run, hook, table):
        return False
    if not run.bypassed:
        run.r.conn.status |= done
    return True


cdef bint call_table(run_t* run, int hook, int table) noexcept nogil:
    """A table at a hook; False if that is the end of the packet's way."""
    run.base = run.program.base[hook][table]
    if run.base == NOWHERE:
        return True
    if table == TABLE_DNAT:
        return call_nat(run, hook, table, IPS_DST_NAT_DONE)
    if table == TABLE_SNAT:
        return call_nat(run, hook, table, IPS_SRC_NAT_DONE)
    return call_chain(run, hook, table)


cdef bint call_chain(run_t* run, int hook, int table) noexcept nogil:
    """``run.base``, which is a table's at a hook."""
    enter(run, hook, table)
    run.stack.at.chain, run.stack.at.next, run.stack.depth = run.base, 0, 0
    return traverse(run) if cython.likely(run.trace == NULL) else traverse_traced(run)


cdef inline void enter(run_t* run, int hook, int table) noexcept nogil:
    run.hook, run.table = <uint8_t>hook, <uint8_t>table
    run.in_if = 0 if run.way == WAY_OUTPUT else run.from_if
    if hook == HOOK_POSTROUTING and run.via != NULL:
        run.in_if = run.via.interface    # of a copy Linux says so
    run.out_if = 0
    if hook >= HOOK_FORWARD:
        run.out_if = run.routes.lo if run.destination.type == ROUTE_LOCAL else run.destination.interface


cdef bint route(run_t* run) noexcept nogil:
    """For this host, or for another; False if it goes no further."""
    if run.destination.type != ROUTE_UNICAST:
        run.way = WAY_INPUT
        return True
    if not run.ct.opts.value[OPT_IP_FORWARD]:
        run.p.reason = Reason.not_forwarded
    elif run.ttl <= 1:
        run.p.reason = Reason.ttl_exceeded
        answer_expired(run)
    else:
        put_ttl(run, run.ttl - 1)
        run.path.forwarded |= run.recording == RECORDING
        return True
    run.verdict = RULE_DROP
    run.decided = NOWHERE
    spoil(run)
    return False


cdef void walk_on(run_t* run) noexcept nogil:
    """From ``run.step`` on to the end."""
    cdef int step
    while True:
        step = STEPS[run.way][run.step]
        if step == STEP_END:
            return
        if step == STEP_ROUTE:
            if not route(run):
                return
        elif not call_table(run, step >> 4, step & 15):
            return
        run.step += 1


cdef void begin(run_t* run, uint16_t from_if) noexcept nogil:
    find_routes(run, from_if)
    run.way = WAY_OUTPUT if run.own != OWN_RETURNS and (run.own or run.source.type == ROUTE_LOCAL) else WAY_FORWARD
    run.step = 0
    run.ttl = time_to_live(run.p)
    run.verdict = RULE_ACCEPT
    run.decided = NOWHERE
    run.filtered = run.hotdrop = run.natted = False


cdef void rules_replay(run_t* run, const path_t* path, uint16_t from_if) noexcept nogil:
    """``rules_walk`` for a packet that has taken a path: what that did besides being counted, and where it ends, on
    live."""
    cdef const tail_t* tail = &run.program.memory.tails[path.tail]
    cdef int step = STEPS[tail.way][tail.step]
    run.recording = RECORDING_NOT
    begin(run, from_if)
    put_ttl(run, run.ttl - path.forwarded)
    run.mark, run.decided = path.mark, path.decided
    if path.connmark_after != path.marks >> 32:
        connmark_set(run.ct, run.r.conn, path.connmark_after)
    if path.verdict != RULE_CONTINUE:
        run.verdict = path.verdict
        return
    run.way, run.step, run.filtered = tail.way, tail.step, tail.filtered
    run.stack.at, run.stack.depth = tail.at, tail.depth
    memcpy(run.stack.callers, tail.callers, tail.depth * sizeof(place_t))
    run.base = run.program.base[step >> 4][step & 15]
    enter(run, step >> 4, step & 15)
    if traverse(run):
        run.step += 1
        walk_on(run)


cdef inline bint begins_path(const run_t* run) noexcept nogil:
    """Whether what the tables say of the packet may be remembered."""
    return (run.r.conn != NULL and run.p.kind == PACKET_TRACK and not run.p.self_inverse and not run.r.fresh
            and not run.own and not run.traced)


cdef void rules_walk(run_t* run, uint16_t from_if) noexcept nogil:
    """Behind conntrack, to the end: ``run.verdict``, ``decided``, ``mark`` and ``p.reason`` say what became of the
    packet. What there was to its way is remembered."""
    run.recording = RECORDING_TRACE if run.traced else RECORDING if begins_path(run) else RECORDING_NOT
    if run.recording == RECORDING:
        memset(&run.path, 0, sizeof(path_t))
        memset(&run.tail, 0, sizeof(tail_t))
        run.path.klass, run.path.flags_kept = path_class(run.program, run.r, from_if), ~<uint64_t>0
        run.path.marks = path_marks(run.program, run.ct, run.r.conn, run.mark)
    begin(run, from_if)
    walk_on(run)
    if not begins_path(run) or run.natted or run.path.trailed > TRAIL_MAX:
        return
    if run.recording == RECORDING:
        run.path.verdict, run.path.decided, run.path.mark = run.verdict, run.decided, run.mark
        run.path.connmark_after = path_connmark(run.program, run.ct, run.r.conn)
    run.path.plain = run.path.verdict != RULE_CONTINUE and run.path.connmark_after == run.path.marks >> 32
    memory_keep(run, run.r.conn, run.r.direction)


cdef void rules_raw(run_t* run, uint16_t from_if) noexcept nogil:
    """The raw table, before the packet is tracked; ``run.verdict`` is RULE_ACCEPT if it goes on."""
    run.recording = RECORDING_TRACE if run.traced else RECORDING_NOT
    begin(run, from_if)
    call_table(run, HOOK_OUTPUT if run.way == WAY_OUTPUT else HOOK_PREROUTING, TABLE_RAW)
