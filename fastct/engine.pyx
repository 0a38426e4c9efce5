"""The walk of a packet, top to bottom.

    engine_batch   a batch ahead, stateless:   parse ► prefetch bucket ► prefetch entry
                   then packet by packet:      walk
    walk           never reaches a hook?       ► done
                   a fragment?                 ► defrag_in: held, dropped, or the datagram walks on
                   wrong checksum?             ► INVALID
                   ICMP error                  ► (about a GRE call? ct_call) ► ct_icmp_error
                   has a tuple                 ► (a GRE call? ct_call) ► ct_in
    every GC_EVERY packets                     a bounded step of the sweep for expired connections

Parsing may run ahead because it depends on the packet alone; everything stateful runs in packet order, and
the sweep is placed by packet number, so the result does not depend on how packets are batched. Python is
called per batch: the ``Engine`` class at the end is all it sees.
"""
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memset

cimport cython

import numpy as np

from fastct.capture.frames cimport Frames, frame_t, frames_room
from fastct.conntrack.core cimport (
    CT_STATE_INVALID,
    CT_STATE_NONE,
    CT_STATE_UNTRACKED,
    CT_STATES,
    DROP_HELPER,
    DROP_NOT,
    ON_FULL_DROP,
    ON_FULL_UNTRACKED,
    POLICIES_MAX,
    ct_call,
    ct_destroy,
    ct_free,
    ct_gc,
    ct_icmp_error,
    ct_in,
    ct_init,
    ct_refused,
    ct_result_t,
    ct_t,
    template_t,
)
from fastct.conntrack.conn cimport NO_SLOT, conn_t
from fastct.conntrack.defrag cimport (
    defrag_configure,
    defrag_expire,
    defrag_free,
    defrag_in,
    defrag_init,
    defrag_release,
)
from fastct.conntrack.expect cimport expect_is_over, expect_t
from fastct.conntrack.describe cimport ct_expect_row, ct_row
from fastct.conntrack.extra cimport extra_t, extras_of
from fastct.conntrack.fragqueue cimport piece_frame, piece_t
from fastct.conntrack.helper cimport assignments_set
from fastct.conntrack.local cimport locals_set
from fastct.conntrack.log cimport log_t
from fastct.conntrack.opts cimport OPT_CHECKSUM, OPT_MAX, OPT_UDPLITE_PSEUDO, ct_opts_t, opts_set
from fastct.conntrack.table cimport (
    table_candidate,
    table_candidate_beyond,
    table_find,
    table_memory,
    table_prefetch,
    table_selfcheck,
)
from fastct.conntrack.verdict cimport END_CLOSED, END_DELETED, END_EXPIRED, END_RESET, ENDS_COUNT
from fastct.records cimport conn_row_t, expect_row_t, packet_row_t
from fastct.wire.bytes cimport load_u16, prefetch_r, swap32
from fastct.wire.packet cimport (
    PACKET_CALL,
    PACKET_CALL_ERROR,
    PACKET_FRAGMENT,
    PACKET_ICMP_ERROR,
    PACKET_INVALID,
    PACKET_NONE,
    PACKET_TRACK,
    PACKET_UNTRACKED,
    PROTO_ICMP,
    PROTO_ICMPV6,
    PROTO_SCTP,
    PROTO_TCP,
    PROTO_UDP,
    PROTO_UDPLITE,
    SUM_BAD,
    SUM_OFFLOADED,
    hash_key_t,
    packet_t,
    packet_zone,
)
from fastct.wire.parse cimport packet_parse
from fastct.wire.reason cimport Reason
from fastct.wire.tuples cimport tuple_icmp, tuple_ports

from fastct.errors import ConfigError
from fastct.records import CONNECTION_DTYPE, CTSTATES, ENDS, EVENT_DTYPE, EXPECTATION_DTYPE, HELPERS, PACKET_DTYPE
from fastct.wire.reason import REASONS

cdef enum:
    NS_PER_S = 1000000000
    SLOTS_MAX = 1 << 27          # connections that address space is reserved for when there is no limit
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


cdef void refused(engine_t* e, packet_t* p) noexcept nogil:
    """What an INVALID packet does where something is expected, of the protocols that helpers expect."""
    cdef const uint8_t* ports = p.data + p.l4_off
    if (p.l4proto == PROTO_TCP or p.l4proto == PROTO_UDP) and p.l4_off + 4 <= p.cap_len and p.cap_len == p.len:
        p.slot = NO_SLOT
        tuple_ports(p, p.data, p.ip_version, p.l4proto, load_u16(ports), load_u16(ports + 2), &e.wire)
        if e.ct.template.zone:
            packet_zone(p, e.ct.template.zone, &e.wire)
        ct_refused(&e.ct, p)


cdef inline void raw(engine_t* e, packet_t* p) noexcept nogil:
    """PREROUTING, raw. Conntrack is the first to ask for transport checksums: who is not tracked is not asked."""
    sums_pass(e, p)
    if cython.unlikely(e.ct.template.notrack and p.kind >= PACKET_INVALID):
        p.kind = PACKET_UNTRACKED
        p.reason = Reason.none


cdef void walk_other(engine_t* e, packet_t* p, const frame_t* frame, ct_result_t* r) noexcept nogil:
    """The walk of all but plain packets. The datagram that a fragment completes is one packet, and walks on here."""
    if p.kind == PACKET_FRAGMENT and defrag_in(&e.defrag, p, frame, number_of(e, p), e.ct.now):
        if e.ct.template.zone and p.kind >= PACKET_TRACK:
            packet_zone(p, e.ct.template.zone, &e.wire)
        raw(e, p)
    if p.kind == PACKET_TRACK:
        ct_in(&e.ct, p, r)
    elif p.kind == PACKET_ICMP_ERROR:
        ct_icmp_error(&e.ct, p, r)
    elif p.kind == PACKET_INVALID:
        if cython.unlikely(e.ct.expects.count):
            refused(e, p)
        no_entry(r, CT_STATE_INVALID)
    elif p.kind == PACKET_UNTRACKED:
        no_entry(r, CT_STATE_UNTRACKED)
    elif p.kind == PACKET_CALL:
        ct_call(&e.ct, p, False)
        ct_in(&e.ct, p, r)
    elif p.kind == PACKET_CALL_ERROR:
        ct_call(&e.ct, p, True)
        ct_icmp_error(&e.ct, p, r)
    else:
        no_entry(r, CT_STATE_NONE)


cdef inline void walk(engine_t* e, packet_t* p, const frame_t* frame, ct_result_t* r) noexcept nogil:
    """One packet through the hooks; ``p.reason`` and ``r`` say what became of it."""
    if p.ts_ns > e.ct.now:
        e.ct.now = p.ts_ns
    raw(e, p)
    if cython.likely(p.kind == PACKET_TRACK):
        ct_in(&e.ct, p, r)
    else:
        walk_other(e, p, frame, r)


cdef void fill_row(const engine_t* e, const packet_t* p, const ct_result_t* r, packet_row_t* row) noexcept nogil:
    """The packet's row of the ``--packets`` output, except its number."""
    row.ts = p.ts_ns
    row.ctstate = r.state
    row.ctdir = r.direction + 1 if r.conn != NULL else 0
    row.conn = r.number
    row.state = row.mark = row.status = row.timeout = 0
    row.verdict = VERDICT_ACCEPT
    row.decided = 0
    row.reason = p.reason
    if r.conn != NULL:
        row.state = r.conn.state
        row.status = r.conn.status
        if r.conn.deadline_ns > e.ct.now:
            row.timeout = <uint32_t>((r.conn.deadline_ns - e.ct.now + <uint64_t>(NS_PER_S - 1)) // <uint64_t>NS_PER_S)
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
            if cython.unlikely(e.ct.template.zone):
                packet_zone(p, e.ct.template.zone, &e.wire)
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


# ---- what leaves

cdef Py_ssize_t count_leaving(const piece_t* piece, const packet_row_t* rows, Py_ssize_t n) noexcept nogil:
    """No fewer than the frames that ``put_leaving`` makes."""
    cdef Py_ssize_t i, count = 0
    for i in range(n):
        count += rows[i].verdict == VERDICT_ACCEPT
    while piece != NULL:
        count += 1
        piece = piece.next
    return count


cdef inline void put_piece(frame_t* out, const piece_t* piece, uint64_t ts_ns) noexcept nogil:
    out.data = piece_frame(piece)
    out.ts_ns = ts_ns
    out.cap_len = piece.cap_len
    out.wire_len = piece.wire_len
    out.linktype = piece.linktype
    out.iface = piece.iface
    out.reserved = 0


cdef Py_ssize_t put_leaving(const piece_t* piece, const frame_t* frames, const packet_row_t* rows, Py_ssize_t n,
                            frame_t* out) noexcept nogil:
    """The frames of a block that were accepted; for the one that completed a datagram, all its pieces.

    => ``piece``: those of the block's datagrams, in order. Returns how many frames that makes.
    """
    cdef Py_ssize_t i, count = 0
    for i in range(n):
        if piece == NULL or piece.packet != rows[i].packet:
            if rows[i].verdict == VERDICT_ACCEPT:
                out[count] = frames[i]
                count += 1
            continue
        while piece != NULL and piece.packet == rows[i].packet:
            if rows[i].verdict == VERDICT_ACCEPT:
                put_piece(&out[count], piece, frames[i].ts_ns)
                count += 1
            piece = piece.next
    return count


# ---- the Python face

cdef object drained(log_t* log, object dtype):
    """The rows of a log as an array of their own, and the log empty."""
    rows = np.empty(log.rows, dtype=dtype)
    if log.rows:
        memcpy(<void*><size_t>rows.ctypes.data, log.mem.base, log.rows * log.row_size)
    log.rows = 0
    return rows


cdef class Engine:
    """The compiled tracker; ``fastct.Tracker`` is its comfortable face.

    Parameters
    ----------
    secret : bytes
        64 bytes: the key of the hash.
    sysctls : dict
        ``nf_conntrack_*`` names to numbers.
    checksum : {"on", "off", "auto"}
    personality : str
        One of ``fastct.conntrack.opts.PERSONALITIES``.
    keep_ended, keep_events : bool
        Log connections that end, and events, until they are drained.
    helpers : dict
        "tcp/21" to "ftp": new connections to the port get the helper.
    auto_helpers : bool
        Every helper on its usual port, too.
    on_full : {"drop", "untracked"}
        What becomes of a packet whose connection finds no room.
    local : sequence of str
        Addresses of the host itself, with the length of their network's prefix: "10.1.1.2/24".

    Raises
    ------
    ConfigError
        For an argument that cannot be used.
    """

    def __cinit__(self, bytes secret not None, dict sysctls not None, str checksum not None="auto",
                  str personality not None="6.18", bint keep_ended=False, bint keep_events=False, dict helpers=None,
                  bint auto_helpers=False, str on_full not None="drop", local=()):
        modes = {"on": CHECKSUM_ON, "off": CHECKSUM_OFF, "auto": CHECKSUM_AUTO}
        if len(secret) != sizeof(hash_key_t):
            raise ConfigError(f"the hash key has {sizeof(hash_key_t)} bytes, got {len(secret)}")
        policies = {"drop": ON_FULL_DROP, "untracked": ON_FULL_UNTRACKED}
        if on_full not in policies:
            raise ConfigError(f"on_full: expected drop or untracked, got {on_full!r}")
        if checksum not in modes:
            raise ConfigError(f"checksum: expected on, off or auto, got {checksum!r}")
        self.e = <engine_t*>calloc(1, sizeof(engine_t))
        if self.e == NULL:
            raise MemoryError
        self.policies = []
        cdef engine_t* e = self.e
        cdef uint32_t limit
        memcpy(&e.wire.hash_key, <const char*>secret, sizeof(hash_key_t))
        e.ct.table.secret = e.wire.hash_key
        e.ct.keep_ended = keep_ended
        e.ct.keep_events = keep_events
        e.ct.on_full = policies[on_full]
        e.checksum = modes[checksum]
        e.gc_lines = GC_LINES_MAX
        e.wire.offload = e.checksum != CHECKSUM_ON
        defrag_init(&e.defrag, &e.ct.opts, &e.wire)
        self.configure(sysctls, personality)
        assignments_set(&e.ct.assignments, helpers or {}, auto_helpers)
        locals_set(&e.ct.local, local)
        limit = e.ct.opts.value[OPT_MAX]
        ct_init(&e.ct, limit if 0 < limit < SLOTS_MAX else SLOTS_MAX)

    def __dealloc__(self):
        if self.e != NULL:
            defrag_free(&self.e.defrag)
            ct_free(&self.e.ct)
            free(self.e)

    def configure(self, dict sysctls not None, str personality not None="6.18"):
        """Settings from now on; entries keep the timeout they have until their next packet."""
        cdef engine_t* e = self.e
        cdef ct_opts_t opts
        opts_set(&opts, sysctls, personality)
        e.ct.opts = opts
        self.sysctls, self.personality = sysctls, personality
        for number, timeouts in enumerate(self.policies):
            opts_set(&e.ct.policies[<int>number], sysctls | timeouts, personality)
        defrag_configure(&e.defrag)
        e.wire.verify_ip = e.checksum != CHECKSUM_OFF
        e.wire.udplite_pseudo = <uint8_t>opts.value[OPT_UDPLITE_PSEUDO]
        e.wire.verify = e.wire.verify_ip and opts.value[OPT_CHECKSUM]

    def template(self, uint16_t zone=0, bint notrack=False, str helper not None="", dict timeouts=None):
        """What the packets of the next runs are given before they are tracked.

        Parameters
        ----------
        zone : int
        notrack : bool
        helper : str
            Of the connections that they begin; "": none.
        timeouts : dict, optional
            Timeouts of the connections that they begin, by the sysctls' names, instead of those in force.
        """
        cdef template_t t
        memset(&t, 0, sizeof(template_t))
        if helper not in HELPERS:
            raise ConfigError(f"unknown helper {helper!r}; known are {', '.join(HELPERS[1:])}")
        t.zone, t.notrack, t.helper = zone, notrack, HELPERS.index(helper)
        if timeouts:
            t.has_policy, t.policy = True, self._policy(timeouts)
        self.e.ct.template = t

    cdef uint8_t _policy(self, dict timeouts) except? 255:
        """Number of a timeout policy; there is one for each different set of timeouts."""
        cdef ct_opts_t opts
        if timeouts in self.policies:
            return self.policies.index(timeouts)
        wrong = next((name for name in timeouts if "_timeout" not in name), None)
        if wrong is not None:
            raise ConfigError(f"template: {wrong} is not a timeout")
        opts_set(&opts, self.sysctls | timeouts, self.personality)
        if len(self.policies) == POLICIES_MAX:
            raise ConfigError(f"more than {POLICIES_MAX} sets of timeouts")
        self.policies.append(dict(timeouts))
        self.e.ct.policies[<int>len(self.policies) - 1] = opts
        return <uint8_t>(len(self.policies) - 1)

    def run(self, Frames frames not None, bint rows=True):
        """Track a block of frames; with ``rows`` returns a PACKET_DTYPE array of shape (n,), else None."""
        cdef packet_row_t* out = NULL
        cdef engine_t* e = self.e
        cdef const frame_t* block = frames.frames
        cdef Py_ssize_t n = frames.n
        made = np.empty(n, dtype=PACKET_DTYPE) if rows else None
        if rows:
            out = <packet_row_t*><size_t>made.ctypes.data
        with cython.critical_section(self), nogil:
            defrag_release(&e.defrag)
            engine_batch(e, block, n, out)
        return made

    @property
    def keep_leaving(self):
        """Whether pieces of datagrams are kept for ``leaving``."""
        return bool(self.e.defrag.keep_leaving)

    @keep_leaving.setter
    def keep_leaving(self, bint keep):
        self.e.defrag.keep_leaving = keep

    def leaving(self, Frames frames not None, rows not None):
        """The frames that leave, after the latest ``run`` made ``rows`` of ``frames``; valid until the next."""
        cdef const packet_row_t* verdicts
        cdef const piece_t* piece = self.e.defrag.leaving
        cdef const frame_t* block = frames.frames
        cdef Py_ssize_t n = frames.n
        cdef Frames made
        if rows.dtype != PACKET_DTYPE or rows.shape != (n,) or not rows.flags.c_contiguous:
            raise ConfigError("leaving: expected the rows of these frames")
        verdicts = <const packet_row_t*><size_t>rows.ctypes.data
        made = frames_room(count_leaving(piece, verdicts, n), (self, frames), frames.first)
        made.n = put_leaving(piece, block, verdicts, n, made.frames)
        return made

    @property
    def now(self):
        """Packet time, ns since the epoch: the highest time stamp so far."""
        return self.e.ct.now

    def advance(self, uint64_t now):
        """Let packet time go on to ``now`` (ns); it never goes back."""
        if now > self.e.ct.now:
            self.e.ct.now = now

    @property
    def count(self):
        """Entries in the table, expired ones that the sweep has not met yet included."""
        return self.e.ct.table.count

    @property
    def created(self):
        """Connections so far: the number of the latest."""
        return self.e.ct.created

    # -- what is in the table

    def order(self):
        """The connections in the table in order of creation: uint64 array; of free slots ``rows`` makes nothing.

        The low 32 bits of each are its slot; only the order says anything about the rest.
        """
        if not self.e.ct.table.reused:
            return np.arange(self.e.ct.table.slots_used, dtype=np.uint64)
        return self._sorted()

    @property
    def slots_in_order(self):
        """How many slots were ever used, if they are in order of creation; else None."""
        return None if self.e.ct.table.reused else self.e.ct.table.slots_used

    cdef object _sorted(self):
        cdef uint32_t slot
        cdef Py_ssize_t n = 0
        cdef uint32_t oldest = <uint32_t>self.e.ct.created + 1    # numbers wrap; none is older than this
        cdef const conn_t* c
        order = np.empty(self.e.ct.table.count, dtype=np.uint64)
        cdef uint64_t[::1] view = order
        for slot in range(self.e.ct.table.slots_used):
            c = &self.e.ct.table.conns[slot]
            if c.key.l3proto:
                view[n] = <uint64_t><uint32_t>(c.number - oldest) << 32 | slot
                n += 1
        order.sort()
        return order

    def rows(self, const uint64_t[::1] order not None):
        """CONNECTION_DTYPE rows, as of now, of slots (low 32 bits of ``order``); free ones are left out."""
        made = np.empty(order.shape[0], dtype=CONNECTION_DTYPE)
        cdef conn_row_t* row = <conn_row_t*><size_t>made.ctypes.data
        cdef Py_ssize_t i, n = 0
        cdef uint32_t slot
        for i in range(order.shape[0]):
            slot = <uint32_t>order[i]
            if slot < self.e.ct.table.slots_used and self.e.ct.table.conns[slot].key.l3proto:
                ct_row(&self.e.ct, slot, self.e.ct.now, &row[n])
                n += 1
        return made[:n]

    def find(self, bytes header not None, uint8_t l4proto, bytes ids not None, uint16_t zone=0):
        """The handle of the connection that a packet would belong to, or None.

        Parameters
        ----------
        header : bytes
            An IPv4 header of 20 bytes or an IPv6 header of 40: only its addresses count.
        l4proto : int
        ids : bytes
            8 bytes as at the start of the transport header: ports, or ICMP type, code, sum and identifier.
        """
        cdef packet_t p
        cdef const uint8_t* ip = <const uint8_t*><const char*>header
        cdef const uint8_t* l4 = <const uint8_t*><const char*>ids
        cdef uint32_t slot
        p.ip_version = ip[0] >> 4
        if len(ids) != 8 or len(header) != (20 if p.ip_version == 4 else 40):
            raise ConfigError("find: header or ids of the wrong length")
        p.slot = NO_SLOT
        if l4proto == (PROTO_ICMP if p.ip_version == 4 else PROTO_ICMPV6):
            if not tuple_icmp(&p, ip, p.ip_version, l4proto, l4, &self.e.wire):
                return None
        else:
            tuple_ports(&p, ip, p.ip_version, l4proto, load_u16(l4), load_u16(l4 + 2), &self.e.wire)
        if zone:
            packet_zone(&p, zone, &self.e.wire)
        slot = table_find(&self.e.ct.table, &p)
        if slot == NO_SLOT or self.e.ct.table.conns[slot].deadline_ns <= self.e.ct.now:
            return None
        return <uint64_t>self.e.ct.table.conns[slot].number << 32 | slot

    def slot_of(self, uint64_t handle):
        """The slot behind a handle, or None when that connection is gone."""
        cdef uint32_t slot = <uint32_t>handle
        cdef const conn_t* c
        if slot >= self.e.ct.table.slots_used:
            return None
        c = &self.e.ct.table.conns[slot]
        if c.key.l3proto == 0 or c.number != handle >> 32 or c.deadline_ns <= self.e.ct.now:
            return None
        return slot

    def sctp_tags(self, uint64_t handle):
        """The verification tags of an SCTP association, by direction; None when it is gone or is no association."""
        cdef const conn_t* c
        slot = self.slot_of(handle)
        if slot is None:
            return None
        c = &self.e.ct.table.conns[<uint32_t>slot]
        if c.key.l4proto != PROTO_SCTP:
            return None
        return swap32(c.proto.sctp.tag[0]), swap32(c.proto.sctp.tag[1])

    def delete(self, uint64_t handle):
        """End a connection; False when it is gone already."""
        slot = self.slot_of(handle)
        if slot is None:
            return False
        ct_destroy(&self.e.ct, slot, self.e.ct.now, END_DELETED)
        return True

    cdef extra_t* _extra_of(self, uint64_t handle) except? NULL:
        cdef uint32_t slot = NO_SLOT
        found = self.slot_of(handle)
        if found is None:
            return NULL
        slot = found
        return extras_of(&self.e.ct.extras, &self.e.ct.table.conns[slot])

    def mark(self, uint64_t handle, uint32_t mark):
        """Set the mark of a connection; False when it is gone."""
        cdef extra_t* x = self._extra_of(handle)
        if x != NULL:
            x.mark = mark
        return x != NULL

    def label(self, uint64_t handle, bytes labels not None):
        """Set the labels of a connection, 16 bytes; False when it is gone."""
        if len(labels) != 16:
            raise ConfigError(f"labels are 16 bytes, got {len(labels)}")
        cdef extra_t* x = self._extra_of(handle)
        if x != NULL:
            memcpy(x.labels, <const char*>labels, 16)
            x.has_labels = True
        return x != NULL

    def expectations(self):
        """What is expected now, in no particular order: EXPECTATION_DTYPE array."""
        cdef Py_ssize_t n = 0
        cdef uint32_t i
        cdef const expect_t* x
        made = np.zeros(self.e.ct.expects.count, dtype=EXPECTATION_DTYPE)
        cdef expect_row_t* row = <expect_row_t*><size_t>made.ctypes.data
        for i in range(self.e.ct.expects.used - 1, 0, -1):
            x = &self.e.ct.expects.items[i]
            if x.ends.l3proto and not expect_is_over(&self.e.ct.expects, x, self.e.ct.now):
                ct_expect_row(&self.e.ct, x, &row[n])
                n += 1
        return made[:n]

    # -- what has ended, and what happened

    def drain_ended(self):
        """Connections that have ended since the last call: CONNECTION_DTYPE array."""
        return drained(&self.e.ct.ended_log, CONNECTION_DTYPE)

    def drain_events(self):
        """Events since the last call, in the order they were noticed: EVENT_DTYPE array."""
        return drained(&self.e.ct.event_log, EVENT_DTYPE)

    # -- the sweep

    def gc(self, lines=None):
        """Visit ``lines`` buckets of the index (None: all of them); returns how many connections had expired."""
        cdef engine_t* e = self.e
        cdef uint32_t budget = e.ct.table.n_lines if lines is None else lines
        cdef uint32_t expired
        with cython.critical_section(self), nogil:
            expired = ct_gc(&e.ct, budget)
            defrag_expire(&e.defrag, e.ct.now)
        return expired

    @property
    def gc_budget(self):
        """Buckets that one step of the sweep visits at most; a step is due every 64 packets."""
        return self.e.gc_lines

    @gc_budget.setter
    def gc_budget(self, uint32_t lines):
        self.e.gc_lines = lines

    def gc_figures(self):
        """Figures of the sweep: ``scanned`` places, ``expired`` entries, ``sweeps`` finished, ``lag_ns``."""
        cdef const ct_t* ct = &self.e.ct
        return {"scanned": ct.table.scanned, "expired": ct.ended[<int>END_EXPIRED] + ct.ended[<int>END_CLOSED]
                + ct.ended[<int>END_RESET], "sweeps": ct.table.swept,
                "lag_ns": ct.now - ct.table.sweep_began_before if ct.table.swept > 1 else 0}

    # -- figures

    def stats(self):
        """Counters by name: packets, by ctstate and by reason; connections, by how they ended."""
        cdef const engine_stats_t* s = &self.e.stats
        cdef int i
        counted = {"packets": s.packets, "bytes": s.bytes,
                   "ip_packets": s.packets - s.reasons[<int>Reason.not_ip] - s.reasons[<int>Reason.link_header_cut],
                   "connections": self.e.ct.created, "live": self.e.ct.table.count,
                   "first_ns": s.first_ns, "last_ns": self.e.ct.now, "offload_packet": s.offload_packet,
                   "full": self.e.ct.full, "pressure": int(self.e.ct.pressure),
                   "chain_too_long": self.e.ct.table.chain_too_long,
                   "expect_new": self.e.ct.expects.taken, "expect_create": self.e.ct.expects.created,
                   "expect_delete": self.e.ct.expects.deleted,
                   "lost_rows": self.e.ct.ended_log.lost + self.e.ct.event_log.lost}
        counted |= {"fragment_datagrams": self.e.defrag.datagrams, "fragment_queues_expired": self.e.defrag.expired,
                    "fragment_queues_far": self.e.defrag.far,
                    "fragment_queues": self.e.defrag.ip4.count + self.e.defrag.ip6.count,
                    "fragment_memory": self.e.defrag.ip4.memory + self.e.defrag.ip6.memory,
                    "fragment_held": self.e.defrag.blocks.used}
        for i in range(<int>CT_STATES):
            counted[CTSTATES[i].lower() or "none"] = s.states[i]
        for i in range(1, <int>ENDS_COUNT):
            counted[ENDS[i]] = self.e.ct.ended[i]
        for i in range(1, <int>Reason.reasons):
            counted["reason_" + REASONS[i]] = s.reasons[i]
        return counted

    def memory(self):
        """Bytes in use by the table: entries, start times, index."""
        return table_memory(&self.e.ct.table)

    def selfcheck(self):
        """Check every invariant of the table (slow); returns a list of faults, empty if all is well."""
        return table_selfcheck(&self.e.ct.table)
