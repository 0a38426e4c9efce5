"""An engine as new for every input, and the frames that it is given.

Python makes an engine once for each set of settings; before every input the memory it has used becomes zero and closed
again, which is many times faster than another engine. Frames have memory of exactly their size, so that the sanitizer
sees a byte read beyond.
"""
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdio cimport fprintf, stderr
from libc.stdlib cimport abort, free, malloc
from libc.string cimport memcpy, memset

from fastct.conntrack.arena cimport arena_t, memory_close, memory_open
from fastct.conntrack.chains cimport chains_t, link_t
from fastct.conntrack.defrag cimport defrag_expire, defrag_release
from fastct.conntrack.room cimport ct_gc
from fastct.conntrack.table cimport table_selfcheck
from fastct.engine cimport engine_batch, engine_t

from fastct.face import Engine as new_engine

# What packets may be given, by number.
TEMPLATES = (
    {}, {"zone": 7}, {"zone": 7, "zone_dir": "orig"}, {"zone": 7, "zone_dir": "reply"}, {"notrack": True},
    {"helper": "ftp", "mark": 5}, {"timeouts": {"nf_conntrack_udp_timeout": 1}},
    {"zone": 8, "zone_dir": "orig", "helper": "sip", "timeouts": {"nf_conntrack_udp_timeout": 1}},
)

cdef uint64_t DAY_NS = <uint64_t>86_400 * 1_000_000_000
cdef uint64_t LONGEST_NS = <uint64_t>0xFFFFFFFF * 1_000_000_000      # a timeout has 32 bits

KEY = bytes(range(1, 65))
SLOTS = 4096
# Small: what an engine has for fragments is made anew every time, too.
BUDGETS = {"ipfrag_high_thresh": 60_000, "nf_conntrack_frag6_high_thresh": 60_000}


cdef void fail(const char* why) noexcept nogil:
    """A finding that no sanitizer sees."""
    fprintf(stderr, "fuzz: %s\n", why)
    abort()


cdef class Fresh:
    """An engine to be had as new any number of times."""

    def __init__(self, uint64_t limit=0, bint keep_leaving=False, dict sysctls=None,
                 str personality="6.18", **settings):
        sysctls = BUDGETS | (sysctls or {})
        self.engine = new_engine(KEY, sysctls | {"nf_conntrack_max": limit or SLOTS}, **settings)
        self.engine.configure(sysctls | {"nf_conntrack_max": limit}, personality)
        for number, template in enumerate(TEMPLATES):
            self.engine.template(**template)
            self.templates[<int>number] = self.engine.e.ct.template
        self.engine.template()
        cdef engine_t* e = self.engine.e
        e.defrag.keep_leaving = keep_leaving
        self.made = <uint8_t*>malloc(sizeof(engine_t))
        if self.made == NULL:
            raise MemoryError
        memcpy(self.made, e, sizeof(engine_t))

    def __dealloc__(self):
        free(self.made)

    cdef engine_t* again(self) except NULL:
        """The engine, as new."""
        cdef engine_t* e = self.engine.e
        cdef arena_t** arenas = [
            &e.ct.table.conns_mem, &e.ct.table.lines_mem, &e.ct.table.overflow_mem, &e.ct.table.addr6_mem,
            &e.ct.table.start_mem, &e.ct.probation.mem, &e.ct.extras.mem, &e.ct.expects.mem, &e.ct.keymap.mem,
            &e.ct.ended_log.mem, &e.ct.event_log.mem, &e.ct.expect_log.mem, &e.defrag.blocks.mem]
        cdef chains_t** chains = [&e.defrag.ip4.queues, &e.defrag.ip6.queues, &e.defrag.peers]
        for arena in arenas[:13]:
            memory_open(arena.base, arena.usable)
            memset(arena.base, 0, arena.usable)
            memory_close(arena.base, arena.usable)
        for chain in chains[:3]:
            memset(chain.heads, 0, (chain.mask + 1) * sizeof(link_t*))
        memcpy(e, self.made, sizeof(engine_t) - sizeof(e.defrag.datagram))
        for arena in arenas[:13]:
            memory_open(arena.base, arena.usable)
        return e


# ---- frames

cdef void stage_open(stage_t* s) noexcept nogil:
    s.n = 0
    s.now = START_NS
    s.template = 0


cdef uint8_t* stage_room(stage_t* s, uint32_t cap_len, uint32_t wire_len, uint16_t linktype) noexcept nogil:
    """One more frame, to be filled in; NULL if there are too many."""
    cdef frame_t* f
    cdef uint8_t* made
    if s.n == FRAMES_MAX:
        return NULL
    made = <uint8_t*>malloc(cap_len if cap_len else 1)
    f = &s.frames[s.n]
    s.templates[s.n] = s.template
    s.n += 1
    memset(f, 0, sizeof(frame_t))
    f.data = made
    f.ts_ns, f.cap_len, f.wire_len, f.linktype = s.now, cap_len, wire_len, linktype
    return made


cdef void stage_put(stage_t* s, const uint8_t* packet, uint32_t cap_len, uint32_t wire_len) noexcept nogil:
    """One more frame, a copy of an IP packet."""
    cdef uint8_t* made = stage_room(s, cap_len, wire_len, RAW)
    if made != NULL:
        memcpy(made, packet, cap_len)


cdef void stage_close(stage_t* s) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(s.n):
        free(<void*>s.frames[i].data)
    s.n = 0


cdef void stage_run(stage_t* s, Fresh f, Py_ssize_t at_once) noexcept:
    """Track all frames, so many at a time of those with one template; fills the rows."""
    cdef engine_t* e = f.engine.e
    cdef Py_ssize_t at = 0, n
    memset(s.rows, 0, sizeof(s.rows[0]) * <size_t>s.n)
    while at < s.n:
        n = 1
        while n < at_once and at + n < s.n and s.templates[at + n] == s.templates[at]:
            n += 1
        e.ct.template = f.templates[s.templates[at]]
        defrag_release(&e.defrag)
        engine_batch(e, &s.frames[at], n, &s.rows[at])
        at += n


# ---- what must hold

cdef void check_table(engine_t* e):
    faults = table_selfcheck(&e.ct.table)
    if faults:
        for fault in faults:
            print(fault, flush=True)
        fail("the table is not sound")


cdef void wind_down(engine_t* e) noexcept nogil:
    """Let everything expire: in the end nothing may be left."""
    cdef int _round
    e.ct.now += LONGEST_NS
    for _round in range(4):
        e.ct.now += DAY_NS
        ct_gc(&e.ct, e.ct.table.n_lines)
        defrag_expire(&e.defrag, e.ct.now)
    if e.ct.table.count or e.ct.table.replies:
        fail("connections are left when all have expired")
    if e.ct.expects.count:
        fail("expectations are left when all connections are gone")
    if e.ct.keymap.count:
        fail("calls are left when all connections are gone")
    if e.defrag.ip4.count or e.defrag.ip6.count or e.defrag.ip4.memory or e.defrag.ip6.memory:
        fail("fragments are left when all have expired")
