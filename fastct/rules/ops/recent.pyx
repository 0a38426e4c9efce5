"""The condition on addresses seen lately.

A list has ENTRIES_MAX addresses; the one that was seen longest ago makes room. Each has its latest times, a power of
two of them, in a ring. Entries stand in the order in which they were seen, oldest first: the chain of numbers in
``entry_t``.
"""
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free

import ipaddress

from fastct.rules.compiled cimport HOOK_FORWARD, LIVES_PACKET, State, condition, op_t, run_t
from fastct.rules.route cimport ROUTE_LOCAL
from fastct.rules.slots cimport (
    slot_t,
    slots_add,
    slots_find,
    slots_free,
    slots_init,
    slots_item,
    slots_remove,
    slots_t,
)
from fastct.wire.bytes cimport load_u32, load_u64

cdef enum:
    ENTRIES_MAX = 100        # the kernel's ip_list_tot
    STAMPS = 32              # times that an entry has, unless a rule wants more hits
    KEY_WORDS = 3            # address, family
    ACTION_SET = 0
    ACTION_CHECK = 1
    ACTION_UPDATE = 2
    ACTION_REMOVE = 3
    FLAG_TTL = 4
    FLAG_REAP = 8
    FLAG_DEST = 16

JIFFY_NS = 4_000_000         # unit of the times in a list's text: a kernel of 250 ticks per second
ACTION_NUMBERS = {"set": ACTION_SET, "rcheck": ACTION_CHECK, "update": ACTION_UPDATE, "remove": ACTION_REMOVE}
FLAGS = {"rttl": FLAG_TTL, "reap": FLAG_REAP, "rdest": FLAG_DEST}

cdef struct entry_t:
    slot_t slot
    uint64_t key[KEY_WORDS]
    uint32_t older           # numbers, 0: none
    uint32_t newer
    uint32_t stamps          # how many there are
    uint32_t next            # where the next one goes, or behind the last
    uint8_t ttl

cdef struct recent_t:
    slots_t slots
    uint64_t mask[2]         # as in memory
    uint64_t* stamps         # ns, ``room`` for each number
    uint32_t room            # a power of two
    uint32_t oldest
    uint32_t newest


cdef class RecentList(State):
    """A list by its name; ``mask``: of addresses, as in memory, from the first rule that says the name."""
    cdef recent_t r

    def __cinit__(self, bytes mask not None):
        cdef const uint8_t* octets = mask
        slots_init(&self.r.slots, ENTRIES_MAX, KEY_WORDS, sizeof(entry_t))
        self.r.mask[0], self.r.mask[1] = load_u64(octets), load_u64(octets + 8)
        self.at = &self.r
        self.grow(STAMPS)

    def __dealloc__(self):
        slots_free(&self.r.slots)
        free(self.r.stamps)

    def grow(self, uint32_t hits):
        """Have room for as many times of each address; a list that was too small for that is emptied."""
        cdef uint32_t room = STAMPS
        while room < hits:
            room *= 2
        if room > self.r.room:
            self.flush()
            free(self.r.stamps)
            self.r.stamps = <uint64_t*>calloc((ENTRIES_MAX + 1) * <size_t>room, sizeof(uint64_t))
            self.r.room = room if self.r.stamps != NULL else 0
            if self.r.stamps == NULL:
                raise MemoryError

    def flush(self):
        """Forget all addresses."""
        while self.r.oldest:
            remove(&self.r, entry_at(&self.r, self.r.oldest))

    def write(self, str command, uint64_t now):
        """What ``/proc/net/xt_recent`` takes: ``+ADDRESS`` (seen at ``now``), ``-ADDRESS``, ``/`` for all."""
        cdef uint64_t key[KEY_WORDS]
        cdef entry_t* e
        if command == "/":
            self.flush()
            return
        if command[:1] not in ("+", "-"):
            raise ValueError(f"expected +ADDRESS, -ADDRESS or /, got {command!r}")
        address = ipaddress.ip_address(command[1:])
        packed = address.packed.ljust(16, b"\0")
        key[0], key[1] = load_u64(<const uint8_t*><bytes>packed), load_u64(<const uint8_t*><bytes>packed + 8)
        key[2] = address.version
        e = <entry_t*>slots_find(&self.r.slots, key)
        if command[0] == "-":
            if e != NULL:
                remove(&self.r, e)
        elif e == NULL:
            add(&self.r, key, 0, now)
        else:
            stamp(&self.r, e, now)

    def lines(self):
        """The lines of ``/proc/net/xt_recent/NAME``, the address seen longest ago first; times in jiffies of packet
        time."""
        cdef uint32_t number = self.r.oldest, i
        cdef entry_t* e
        cdef const uint64_t* stamps
        while number:
            e = entry_at(&self.r, number)
            packed = (<const uint8_t*>e.key)[:16]
            address = (ipaddress.IPv4Address(packed[:4]) if e.key[2] == 4
                       else ":".join(packed[i:i + 2].hex() for i in range(0, 16, 2)))
            stamps = &self.r.stamps[number * <size_t>self.r.room]
            times = [stamps[i] // JIFFY_NS for i in range(e.stamps)]
            last = times[(e.next - 1) & (self.r.room - 1)]
            yield (f"src={address} ttl: {e.ttl} last_seen: {last} oldest_pkt: {e.next} {', '.join(map(str, times))}")
            number = e.newer


cdef inline entry_t* entry_at(const recent_t* r, uint32_t number) noexcept nogil:
    return <entry_t*>slots_item(&r.slots, number)


cdef inline uint32_t number_of(const recent_t* r, const entry_t* e) noexcept nogil:
    return <uint32_t>((<const uint8_t*>e - r.slots.items) // sizeof(entry_t))


cdef void unchain(recent_t* r, entry_t* e) noexcept nogil:
    if e.older:
        entry_at(r, e.older).newer = e.newer
    else:
        r.oldest = e.newer
    if e.newer:
        entry_at(r, e.newer).older = e.older
    else:
        r.newest = e.older


cdef void chain_last(recent_t* r, entry_t* e) noexcept nogil:
    cdef uint32_t number = number_of(r, e)
    e.older, e.newer = r.newest, 0
    if r.newest:
        entry_at(r, r.newest).newer = number
    else:
        r.oldest = number
    r.newest = number


cdef void remove(recent_t* r, entry_t* e) noexcept nogil:
    unchain(r, e)
    slots_remove(&r.slots, &e.slot)


cdef void add(recent_t* r, const uint64_t* key, uint8_t ttl, uint64_t now) noexcept nogil:
    cdef entry_t* e
    if r.slots.count == ENTRIES_MAX:
        remove(r, entry_at(r, r.oldest))
    e = <entry_t*>slots_add(&r.slots, key)
    e.ttl = ttl
    e.stamps = e.next = 1
    r.stamps[number_of(r, e) * <size_t>r.room] = now
    chain_last(r, e)


cdef void stamp(recent_t* r, entry_t* e, uint64_t now) noexcept nogil:
    e.next &= r.room - 1
    r.stamps[number_of(r, e) * <size_t>r.room + e.next] = now
    e.next += 1
    if e.next > e.stamps:
        e.stamps = e.next
    unchain(r, e)
    chain_last(r, e)


cdef inline uint64_t latest(const recent_t* r, const entry_t* e) noexcept nogil:
    return r.stamps[number_of(r, e) * <size_t>r.room + e.next - 1]


cdef bint often(const recent_t* r, const entry_t* e, uint64_t seconds, int64_t since, uint64_t hits) noexcept nogil:
    """Whether an address was seen so many times since then."""
    cdef const uint64_t* stamps = &r.stamps[number_of(r, e) * <size_t>r.room]
    cdef uint64_t i, seen = 0
    for i in range(e.stamps):
        if seconds and <int64_t>stamps[i] < since:
            continue
        seen += 1
        if seen >= hits:
            return True
    return False


cdef void packet_key(const recent_t* r, const run_t* run, bint destination, uint64_t* key) noexcept nogil:
    cdef const uint8_t* data = run.p.data
    if run.p.ip_version == 4:
        key[0], key[1] = load_u32(data + (16 if destination else 12)), 0
    else:
        data += 24 if destination else 8
        key[0], key[1] = load_u64(data), load_u64(data + 8)
    key[0] &= r.mask[0]
    key[1] &= r.mask[1]
    key[2] = run.p.ip_version


cdef bint recent_test(const op_t* op, run_t* run) noexcept nogil:
    """a: action and FLAG_*, seconds, hits"""
    cdef recent_t* r = <recent_t*>op.state
    cdef uint64_t key[KEY_WORDS]
    cdef uint64_t now = run.ct.now
    cdef int64_t since = <int64_t>now - <int64_t>(op.a[1] * 1000000000)
    cdef int action = op.a[0] & 3
    cdef uint8_t ttl = run.ttl
    cdef entry_t* e
    cdef bint matched = True
    if run.hook >= HOOK_FORWARD and run.source.type != ROUTE_LOCAL:
        ttl += 1                         # as it was before it was forwarded
    packet_key(r, run, op.a[0] & FLAG_DEST != 0, key)
    e = <entry_t*>slots_find(&r.slots, key)
    if e != NULL and op.a[0] & FLAG_TTL and ttl and e.ttl and ttl != e.ttl:
        e = NULL
    if e == NULL:
        if action == ACTION_SET:
            add(r, key, ttl, now)
        return action == ACTION_SET
    if action == ACTION_REMOVE:
        remove(r, e)
        return True
    if action != ACTION_SET:
        matched = often(r, e, op.a[1], since, op.a[2])
    # Linux asks whether the rule matches, inversion included.
    if op.a[0] & FLAG_REAP:
        reap(r, e, since, action == ACTION_UPDATE and matched != op.invert)
    if action == ACTION_SET or action == ACTION_UPDATE and matched != op.invert:
        stamp(r, e, now)
        e.ttl = ttl
    return matched


cdef void reap(recent_t* r, const entry_t* working, int64_t since, bint updating) noexcept nogil:
    """Forget the address that was seen longest ago, if that was before ``since``."""
    cdef entry_t* e = entry_at(r, r.oldest)
    if not (e == working and updating) and <int64_t>latest(r, e) < since:
        remove(r, e)


OPS = {
    "recent": condition(recent_test, LIVES_PACKET),
}
