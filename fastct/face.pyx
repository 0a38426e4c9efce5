"""The face that the engine turns to Python: ``Engine``, one call per batch, arrays out. ``fastct.Tracker`` is its
comfortable form; arguments are checked there, and here where a wrong one would do harm."""
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memset

cimport cython

import numpy as np

from fastct.capture.frames cimport Frames, frame_t, frames_room
from fastct.conntrack.core cimport (
    CT_STATES,
    ON_FULL_DROP,
    ON_FULL_UNTRACKED,
    POLICIES_MAX,
    ct_destroy,
    ct_free,
    ct_init,
    ct_t,
    template_t,
)
from fastct.conntrack.conn cimport NO_SLOT, conn_is_one, conn_t
from fastct.conntrack.defrag cimport (
    defrag_configure,
    defrag_expire,
    defrag_free,
    defrag_init,
)
from fastct.conntrack.expect cimport expect_is_over, expect_t
from fastct.conntrack.describe cimport ct_expect_row, ct_row
from fastct.conntrack.extra cimport extra_t, extras_of
from fastct.conntrack.fragqueue cimport piece_t
from fastct.conntrack.helper cimport assignments_set
from fastct.conntrack.local cimport locals_set
from fastct.conntrack.log cimport log_t
from fastct.conntrack.opts cimport OPT_CHECKSUM, OPT_MAX, OPT_UDPLITE_PSEUDO, ct_opts_t, opts_set
from fastct.conntrack.pair cimport pair_known
from fastct.conntrack.room cimport ct_gc
from fastct.conntrack.table cimport table_memory, table_selfcheck
from fastct.conntrack.verdict cimport END_CLOSED, END_DELETED, END_EXPIRED, END_RESET, ENDS_COUNT
from fastct.engine cimport (
    CHECKSUM_AUTO,
    CHECKSUM_OFF,
    CHECKSUM_ON,
    GC_LINES_MAX,
    SLOTS_MAX,
    engine_batch,
    engine_release,
    engine_stats_t,
    engine_t,
)
from fastct.records cimport conn_row_t, expect_row_t, packet_row_t
from fastct.rules.compiled cimport LINE_LOG, LINE_NFLOG, LINE_TRACE, Program, line_t, run_t
from fastct.rules.leaving cimport count_leaving, put_leaving
from fastct.rules.lines cimport lines_free, lines_init
from fastct.rules.memory cimport MEMO_BASE_MAX, memory_forget_all
from fastct.rules.rewrite cimport output_free, output_init
from fastct.rules.route cimport Routes
from fastct.rules.trace cimport Trace, trace_over
from fastct.wire.bytes cimport swap32
from fastct.wire.packet cimport PROTO_SCTP, hash_key_t, packet_t
from fastct.wire.reason cimport Reason
from fastct.wire.tuples cimport tuple_of

from fastct.errors import ConfigError
from fastct.records import (
    CONNECTION_DTYPE,
    CTSTATES,
    ENDS,
    EVENT_DTYPE,
    EXPECT_EVENT_DTYPE,
    EXPECTATION_DTYPE,
    HELPERS,
    PACKET_DTYPE,
    ZONE_DIRS,
)
from fastct.rules.linetext import line_of
from fastct.wire.reason import REASONS

LINE_KINDS = {LINE_LOG: "LOG", LINE_NFLOG: "NFLOG", LINE_TRACE: "TRACE"}

cdef object drained(log_t* log, object dtype):
    """The rows of a log as an array of their own, and the log empty."""
    rows = np.empty(log.rows, dtype=dtype)
    if log.rows:
        memcpy(<void*><size_t>rows.ctypes.data, log.mem.base, log.rows * log.row_size)
    log.drained += log.rows
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
        output_init(&e.output)
        lines_init(&e.output)
        defrag_init(&e.defrag, &e.ct.opts, &e.wire)
        self.configure(sysctls, personality)
        assignments_set(&e.ct.assignments, helpers or {}, auto_helpers)
        locals_set(&e.ct.local, local)
        limit = e.ct.opts.value[OPT_MAX]
        ct_init(&e.ct, limit if 0 < limit < SLOTS_MAX else SLOTS_MAX)

    def __dealloc__(self):
        if self.e != NULL:
            output_free(&self.e.output)
            lines_free(&self.e.output)
            free(self.e.from_if)
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

    def template(self, uint16_t zone=0, bint notrack=False, str helper not None="", dict timeouts=None,
                 str zone_dir not None="", uint32_t mark=0):
        """What the packets of the next runs are given before they are tracked.

        Parameters
        ----------
        zone : int
        zone_dir : {"", "orig", "reply"}
            The direction whose tuples the zone counts for; "": both.
        mark : int
            Of the packets.
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
        if zone_dir not in ZONE_DIRS:
            raise ConfigError(f"zone_dir: expected orig or reply, got {zone_dir!r}")
        t.zone, t.reply_zone = zone * (zone_dir != "reply"), zone * (zone_dir != "orig")
        t.mark, t.notrack, t.helper = mark, notrack, HELPERS.index(helper)
        if timeouts:
            t.has_policy, t.policy = True, self._policy(timeouts)
        t.special = notrack or t.zone != t.reply_zone
        t.attaches = t.helper or t.has_policy or t.zone != t.reply_zone
        self.e.template = self.e.ct.template = t

    def rules(self, Program ipv4, Program ipv6, Routes routes not None):
        """The tables that packets run through from now on; None: no tables of that family. Connections stay."""
        self._attach(4, ipv4, self._ipv4)
        self._attach(6, ipv6, self._ipv6)
        self._ipv4, self._ipv6, self._routes = ipv4, ipv6, routes      # they live as long as they are in use
        self.e.taken = NULL
        self.e.ruled = ipv4 is not None or ipv6 is not None
        self._run_with(&self.e.run, routes)
        self._run_with(&self.e.sending, routes)
        self.name_interfaces(self._named or ())

    def name_interfaces(self, tuple names not None):
        """What the interfaces are called that frames say they are from, by their numbers; "": not known.

        A rule's ``-i`` is about that, where a frame has one, rather than about the route of the packet's source.
        """
        cdef uint16_t* numbers = <uint16_t*>calloc(len(names) or 1, sizeof(uint16_t))
        cdef Py_ssize_t i
        if numbers == NULL:
            raise MemoryError
        for i, name in enumerate(names):
            numbers[i] = self._routes.number(name) if self._routes is not None else 0
        free(self.e.from_if)
        self.e.from_if, self.e.n_from_if = numbers, <uint32_t>len(names)
        self._named = names

    cdef void _run_with(self, run_t* run, Routes routes):
        run.ct, run.routes, run.output = &self.e.ct, &routes.r, &self.e.output

    cdef int _attach(self, int family, Program program, Program before) except -1:
        """Have packets of a family run through a program; what connections remember of the one before is void."""
        cdef uint64_t base = 1
        if program is before:
            return 0
        if before is not None:
            base = <uint64_t>before.g.memory.base + before.g.memory.n_memos
        elif self.e.memo_base[family]:
            base = self.e.memo_base[family]
        if base > MEMO_BASE_MAX:
            memory_forget_all(&self.e.ct)
            base = 1
        self.e.memo_base[family] = <uint32_t>base
        if program is not None:
            program.g.memory.base = <uint32_t>base
        self.e.rules[family] = &program.g if program is not None else NULL
        return 0

    def trace(self, Trace trace not None, Frames frame not None):
        """As ``run``, for one frame, of whose way ``trace`` gets an account.

        => No path is remembered: who follows one meets no rules.
        """
        cdef run_t* run = &self.e.run
        run.trace, run.destination = &trace.t, NULL
        rows = self.run(frame)
        trace_over(&trace.t, self.e.batch, run if run.destination != NULL else NULL)
        run.trace = NULL
        return rows

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
            engine_release(e)
            engine_batch(e, block, n, out)
        return made

    @property
    def keep_leaving(self):
        """Whether pieces of datagrams are kept for ``leaving``."""
        return bool(self.e.defrag.keep_leaving)

    @keep_leaving.setter
    def keep_leaving(self, bint keep):
        self.e.defrag.keep_leaving = self.e.output.keep = keep

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
        made = frames_room(count_leaving(piece, &self.e.output, verdicts, n), (self, frames), frames.first)
        made.n = put_leaving(piece, &self.e.output, block, verdicts, n, made.frames)
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
            if conn_is_one(c):
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
            if slot < self.e.ct.table.slots_used and conn_is_one(&self.e.ct.table.conns[slot]):
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
        cdef uint8_t l3proto = ip[0] >> 4
        if len(ids) != 8 or len(header) != (20 if l3proto == 4 else 40):
            raise ConfigError("find: header or ids of the wrong length")
        if not tuple_of(&p, ip, l3proto, l4proto, l4, zone, &self.e.wire):
            return None
        p.slot = NO_SLOT
        slot = pair_known(&self.e.ct, &p)
        if slot == NO_SLOT:
            return None
        return <uint64_t>self.e.ct.table.conns[slot].number << 32 | slot

    def slot_of(self, uint64_t handle):
        """The slot behind a handle, or None when that connection is gone."""
        cdef uint32_t slot = <uint32_t>handle
        cdef const conn_t* c
        if slot >= self.e.ct.table.slots_used:
            return None
        c = &self.e.ct.table.conns[slot]
        if not conn_is_one(c) or c.number != handle >> 32 or c.deadline_ns <= self.e.ct.now:
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
                ct_expect_row(&self.e.ct, x, self.e.ct.now, &row[n])
                n += 1
        return made[:n]

    # -- what has ended, and what happened

    def drain_ended(self):
        """Connections that have ended since the last call: CONNECTION_DTYPE array."""
        return drained(&self.e.ct.ended_log, CONNECTION_DTYPE)

    def drain_events(self):
        """Events since the last call, in the order they were noticed: EVENT_DTYPE array."""
        return drained(&self.e.ct.event_log, EVENT_DTYPE)

    def drain_expect_events(self):
        """Events of expectations since the last call: EXPECT_EVENT_DTYPE array."""
        return drained(&self.e.ct.expect_log, EXPECT_EVENT_DTYPE)

    def drain_log(self):
        """What rules wrote to the log since the last call, in order: list of ``rules.linetext.Line``."""
        cdef const line_t* line
        cdef const char* text
        cdef uint64_t i
        names = self._routes.interfaces if self._routes is not None else ("",)
        found = []
        for i in range(self.e.output.lines.rows):
            line = <const line_t*>self.e.output.lines.mem.base + i
            text = self.e.output.texts.base + line.at
            found.append(line_of(
                line.packet, line.ts_ns, LINE_KINDS[line.kind], line.group, line.family, line.flags,
                text[:line.prefix_len], names[line.in_if], names[line.out_if], line.comes_in, line.linktype,
                text[line.prefix_len:line.prefix_len + line.link_len],
                text[line.prefix_len + line.link_len:line.prefix_len + line.link_len + line.cap_len],
                line.len, line.mark))
        self.e.output.lines.rows = self.e.output.text_used = 0
        return found

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
                   "lost_rows": self.e.ct.ended_log.lost + self.e.ct.event_log.lost + self.e.ct.expect_log.lost,
                   "lost_frames": self.e.output.lost, "lost_lines": self.e.output.lines_lost}
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
