"""The connection table; its picture and its records are in ``table.pxd``."""
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memset

from fastct.conntrack.arena cimport arena_free, arena_grow, arena_init, populator_stop
from fastct.conntrack.conn cimport CONN_REPLY, NO_SLOT, conn_t
from fastct.wire.bytes cimport load_u64, prefetch_r, prefetch_w
from fastct.wire.packet cimport hash_key_t, key_hash, packet_t

cdef enum:
    AHEAD = 1 << 17            # connections that memory is made present for before they come
    CHAIN_MOST = 9             # overflow lines of a bucket that takes one more: Linux' bound is 50 to 80 entries
    CHAIN_ANY = 1 << 30        # what is in the table stays in it
    DUE_SHIFT = 29             # unit of a coarse deadline: 2**29 ns, 0.54 s
    DUE_AHEAD = 127            # farthest deadline that eight bits can tell from one in the past
    DUE_TRUST = 120            # units between two visits of a line within which they are unambiguous


# ---- set-up

cdef int table_init(table_t* t, uint64_t conns_max, const hash_key_t* secret) except -1:
    """An empty table for at most ``conns_max`` connections, and as many entries of replies' tuples. Reserves addresses,
    takes no memory."""
    cdef uint64_t slots_max = 2 * conns_max
    memset(t, 0, sizeof(table_t))
    t.conns_max = <uint32_t>conns_max
    t.secret = secret[0]
    t.slot_free = NO_SLOT
    t.overflow_used = 1
    cdef size_t lines = slots_max * 100 // (LOAD_PERCENT * 8) + FIRST_LINES
    if (arena_init(&t.conns_mem, slots_max * sizeof(conn_t), AHEAD * sizeof(conn_t), &t.populator)
            or arena_init(&t.lines_mem, lines * sizeof(line_t), AHEAD * sizeof(line_t) // 4, &t.populator)
            or arena_init(&t.overflow_mem, lines * sizeof(line_t), 0, NULL)
            or arena_init(&t.addr6_mem, slots_max * sizeof(addr6_t), AHEAD * sizeof(addr6_t), &t.populator)
            or arena_init(&t.start_mem, slots_max * sizeof(uint64_t), AHEAD * sizeof(uint64_t), &t.populator)
            or arena_grow(&t.lines_mem, FIRST_LINES * sizeof(line_t))):
        table_free(t)
        raise MemoryError("no address space for the connection table")
    t.slots_max = <uint32_t>min(slots_max, t.conns_mem.reserved // sizeof(conn_t),
                                t.addr6_mem.reserved // sizeof(addr6_t), t.start_mem.reserved // sizeof(uint64_t))
    t.lines = <line_t*>t.lines_mem.base
    t.overflow = <line_t*>t.overflow_mem.base
    t.conns = <conn_t*>t.conns_mem.base
    t.addr6 = <addr6_t*>t.addr6_mem.base
    t.start_ns = <uint64_t*>t.start_mem.base
    t.n_lines = FIRST_LINES
    t.mask = FIRST_LINES - 1
    return 0


cdef void table_free(table_t* t) noexcept:
    populator_stop(&t.populator)
    arena_free(&t.conns_mem)
    arena_free(&t.lines_mem)
    arena_free(&t.overflow_mem)
    arena_free(&t.addr6_mem)
    arena_free(&t.start_mem)


cdef uint64_t table_memory(const table_t* t) noexcept nogil:
    """Bytes of memory in use by entries and index, page rounding apart."""
    return (t.slots_used * <uint64_t>(sizeof(conn_t) + sizeof(uint64_t))
            + (t.n_lines + t.overflow_used) * <uint64_t>sizeof(line_t))


# ---- finding

cdef uint32_t table_search(const table_t* t, const packet_t* p) noexcept nogil:
    """``table_find`` when the candidate is not it."""
    cdef uint16_t tag = tag_of(p.hash)
    cdef const line_t* line = &t.lines[table_line(t, p.hash)]
    cdef unsigned int mask
    cdef uint32_t slot
    while True:
        mask = line_match(line, tag)
        while mask:
            slot = line.slot[lowest_bit(mask)]
            if is_same(t, slot, p):
                return slot
            mask &= mask - 1
        if line.next == 0:
            return NO_SLOT
        line = &t.overflow[line.next]


cdef int table_matches(const table_t* t, const packet_t* p, uint32_t* slots) noexcept nogil:
    """All entries with the packet's key; ``slots`` has room for MATCHES_MOST."""
    cdef uint16_t tag = tag_of(p.hash)
    cdef const line_t* line = &t.lines[table_line(t, p.hash)]
    cdef unsigned int mask
    cdef int found = 0
    while True:
        mask = line_match(line, tag)
        while mask and found < MATCHES_MOST:
            slots[found] = line.slot[lowest_bit(mask)]
            found += is_same(t, slots[found], p)
            mask &= mask - 1
        if line.next == 0 or found == MATCHES_MOST:
            return found
        line = &t.overflow[line.next]


# ---- changing

cdef uint8_t due_of(uint64_t deadline_ns, uint64_t now) noexcept nogil:
    """The coarse deadline; what has passed is due now: a snapshot may bring what has for long."""
    cdef uint64_t due = deadline_ns >> DUE_SHIFT, earliest = now >> DUE_SHIFT
    if due < earliest:
        return <uint8_t>earliest
    return <uint8_t>(due if due < earliest + DUE_AHEAD else earliest + DUE_AHEAD)


cdef uint32_t take_slot(table_t* t, bint is_ip6) noexcept nogil:
    cdef uint32_t slot = t.slot_free
    if slot != NO_SLOT:
        t.slot_free = t.conns[slot].number
        t.reused = True
    else:
        slot = t.slots_used
        if (slot >= t.slots_max or arena_grow(&t.conns_mem, (<size_t>slot + 1) * sizeof(conn_t))
                or arena_grow(&t.start_mem, (<size_t>slot + 1) * sizeof(uint64_t))):
            return NO_SLOT
        t.slots_used += 1
    if is_ip6 and arena_grow(&t.addr6_mem, (<size_t>slot + 1) * sizeof(addr6_t)):
        release_slot(t, slot)
        return NO_SLOT
    return slot


cdef void release_slot(table_t* t, uint32_t slot) noexcept nogil:
    t.conns[slot].key.l3proto = 0
    t.conns[slot].number = t.slot_free
    t.slot_free = slot


cdef uint32_t take_overflow(table_t* t) noexcept nogil:
    """A cleared overflow line, or 0."""
    cdef uint32_t line = t.overflow_free
    if line:
        t.overflow_free = t.overflow[line].next
    else:
        line = t.overflow_used
        if arena_grow(&t.overflow_mem, (<size_t>line + 1) * sizeof(line_t)):
            return 0
        t.overflow_used += 1
    memset(&t.overflow[line], 0, sizeof(line_t))
    return line


cdef void release_overflow(table_t* t, uint32_t line) noexcept nogil:
    t.overflow[line].next = t.overflow_free
    t.overflow_free = line


cdef bint chain_add(table_t* t, line_t* line, uint16_t tag, uint32_t slot, uint8_t due, int most) noexcept nogil:
    """Put an entry into the first free place of a bucket, whose chain may get ``most`` overflow lines."""
    cdef unsigned int free = line_match(line, 0)
    cdef int place
    while free == 0:
        if most == 0:
            t.chain_too_long += 1
            return False
        most -= 1
        if line.next == 0:
            line.next = take_overflow(t)
            if line.next == 0:
                return False
        line = &t.overflow[line.next]
        free = line_match(line, 0)
    place = lowest_bit(free)
    line.tag[place] = tag
    line.slot[place] = slot
    line.due[place] = due
    return True


cdef void redistribute(table_t* t, const line_t* old, uint32_t low, uint32_t high, uint32_t bit) noexcept nogil:
    """Put the entries of a line that is no longer in the index back, each where its hash now says."""
    cdef unsigned int used = line_used(old)
    cdef int place
    cdef uint64_t hash
    while used:
        place = lowest_bit(used)
        used &= used - 1
        hash = key_hash(&t.secret, &t.conns[old.slot[place]].key)
        chain_add(t, &t.lines[high if hash & bit else low], old.tag[place], old.slot[place], old.due[place],
                  CHAIN_ANY)


cdef void split_line(table_t* t) noexcept nogil:
    """Grow the index by one line: split the next line of this round in two."""
    cdef uint32_t high = t.n_lines, bit = t.mask + 1, low = high - bit, rest, ahead
    cdef unsigned int used
    cdef line_t old
    if arena_grow(&t.lines_mem, (<size_t>high + 1) * sizeof(line_t)):
        return                        # out of memory: buckets grow longer instead
    t.n_lines += 1
    old = t.lines[low]
    memset(&t.lines[low], 0, sizeof(line_t))
    redistribute(t, &old, low, high, bit)
    while old.next:
        rest = old.next
        old = t.overflow[rest]
        release_overflow(t, rest)
        redistribute(t, &old, low, high, bit)
    if t.n_lines == bit * 2:          # the round is complete
        t.mask = t.mask * 2 + 1
        low = <uint32_t>-1
    # The next split reads this line's entries: have them at hand by then.
    ahead = low + 1
    used = line_used(&t.lines[ahead])
    while used:
        prefetch_r(&t.conns[t.lines[ahead].slot[lowest_bit(used)]])
        used &= used - 1
    prefetch_r(&t.lines[(ahead + 2) & t.mask])


cdef inline void fill_slot(table_t* t, uint32_t slot, const packet_t* p, const conn_t* fresh,
                           uint64_t now) noexcept nogil:
    """A slot that the index holds becomes a connection."""
    t.conns[slot] = fresh[0]
    t.start_ns[slot] = now
    if p.addr6[0] != NULL:
        t.addr6[slot].half[0] = load_u64(p.addr6[0])
        t.addr6[slot].half[1] = load_u64(p.addr6[0] + 8)
        t.addr6[slot].half[2] = load_u64(p.addr6[1])
        t.addr6[slot].half[3] = load_u64(p.addr6[1] + 8)
    if t.sweep_began == 0:
        t.sweep_began = t.sweep_began_before = now      # nothing is older: coarse deadlines can be trusted
    t.count += 1


cdef uint32_t table_insert(table_t* t, const packet_t* p, const conn_t* fresh, uint64_t now) noexcept nogil:
    """Copy a new connection into the table.

    => No connection with the packet's key is in the table, or it is known to be a rival (``pair.pyx``).
    => Returns its slot, or NO_SLOT when no memory or slot is left.
    """
    cdef uint32_t slot = take_slot(t, p.addr6[0] != NULL)
    if slot == NO_SLOT:
        return NO_SLOT
    if not chain_add(t, &t.lines[table_line(t, p.hash)], tag_of(p.hash), slot, due_of(fresh.deadline_ns, now),
                     CHAIN_MOST):
        release_slot(t, slot)
        return NO_SLOT
    fill_slot(t, slot, p, fresh, now)
    if (t.count + t.replies) * 100 > t.n_lines * <uint64_t>(8 * LOAD_PERCENT):
        split_line(t)
    return slot


cdef bint table_lines(table_t* t, uint32_t n_lines) noexcept nogil:
    """Give an empty table an index of so many lines, at least those it has; False for want of memory."""
    if n_lines < t.n_lines or arena_grow(&t.lines_mem, n_lines * sizeof(line_t)):
        return False
    while t.mask * 2 + 1 < n_lines:
        t.mask = t.mask * 2 + 1
    t.n_lines = n_lines
    return True


cdef bint chain_add_at(table_t* t, line_t* line, uint16_t tag, uint32_t slot, uint8_t due, int place) noexcept nogil:
    """Put an entry at a place behind all others of its bucket, as they lay in another table.

    => False if that leaves a hole before an overflow line, or for want of memory.
    """
    cdef unsigned int used
    while line.next:
        line = &t.overflow[line.next]
    used = line_used(line)
    if used >> place:                 # no room behind the others: the bucket goes on in a new line
        if used != 0xFF:
            return False
        line.next = take_overflow(t)
        if line.next == 0:
            return False
        line = &t.overflow[line.next]
    line.tag[place] = tag
    line.slot[place] = slot
    line.due[place] = due
    return True


cdef uint32_t table_insert_at(table_t* t, const packet_t* p, const conn_t* fresh, uint64_t now,
                              int place) noexcept nogil:
    """``table_insert`` at a place of the last line of its bucket, behind all others; the index does not grow.

    => NO_SLOT also if it cannot be there.
    """
    cdef uint32_t slot = take_slot(t, p.addr6[0] != NULL)
    if slot == NO_SLOT:
        return NO_SLOT
    if not chain_add_at(t, &t.lines[table_line(t, p.hash)], tag_of(p.hash), slot, due_of(fresh.deadline_ns, now),
                        place):
        release_slot(t, slot)
        return NO_SLOT
    fill_slot(t, slot, p, fresh, now)
    return slot


cdef line_t* place_of(table_t* t, uint32_t slot, int* place) noexcept nogil:
    """Where the index holds a slot."""
    cdef uint64_t hash = key_hash(&t.secret, &t.conns[slot].key)
    cdef line_t* line = &t.lines[table_line(t, hash)]
    cdef uint16_t tag = tag_of(hash)
    cdef unsigned int mask
    while True:
        mask = line_match(line, tag)
        while mask:
            place[0] = lowest_bit(mask)
            if line.slot[place[0]] == slot:
                return line
            mask &= mask - 1
        if line.next == 0:
            return NULL
        line = &t.overflow[line.next]


cdef void pull_forward(table_t* t, line_t* line, int hole) noexcept nogil:
    """Fill the hole at a place from the end of the chain, and give up the last line once it is empty."""
    cdef line_t* before = line
    cdef line_t* last
    cdef unsigned int used
    cdef int place
    if line.next == 0:
        return
    last = &t.overflow[line.next]
    while last.next:
        before = last
        last = &t.overflow[last.next]
    used = line_used(last)
    place = lowest_bit(used)
    line.tag[hole] = last.tag[place]
    line.slot[hole] = last.slot[place]
    line.due[hole] = last.due[place]
    last.tag[place] = 0
    if used & (used - 1) == 0:
        release_overflow(t, before.next)
        before.next = 0


cdef void drop_empty_tail(table_t* t, line_t* emptied, uint64_t hash) noexcept nogil:
    """Unlink an overflow line that has just lost its last entry (it is the last of its chain)."""
    cdef line_t* line = &t.lines[table_line(t, hash)]
    while line.next:
        if &t.overflow[line.next] == emptied:
            release_overflow(t, line.next)
            line.next = 0
            return
        line = &t.overflow[line.next]


cdef void table_remove(table_t* t, uint32_t slot) noexcept nogil:
    """Take a connection out of the index and release its slot."""
    cdef int place = 0
    cdef line_t* line = place_of(t, slot, &place)
    line.tag[place] = 0
    if line.next:
        pull_forward(t, line, place)
    elif line_used(line) == 0:
        drop_empty_tail(t, line, key_hash(&t.secret, &t.conns[slot].key))
    t.count -= 1
    release_slot(t, slot)


cdef void table_hasten(table_t* t, uint32_t slot, uint64_t deadline_ns, uint64_t now) noexcept nogil:
    """A deadline has come nearer: the sweep must not rely on the old one."""
    cdef int place = 0
    cdef line_t* line = place_of(t, slot, &place)
    line.due[place] = due_of(deadline_ns, now)


# ---- sweeping

cdef int table_sweep(table_t* t, uint64_t now, uint32_t* lines_left, uint32_t* expired) noexcept nogil:
    """Visit up to ``lines_left`` buckets for expired entries; the index alone tells nearly all of them apart.

    An entry is read only when its coarse deadline has passed; one that was refreshed meanwhile gets a new
    coarse deadline. If the last visit is so long ago that eight bits are ambiguous, every entry is read.

    => ``expired`` has room for SWEEP_BATCH slots. Returns how many were found; with SWEEP_BATCH, call again.
    => ``lines_left`` is lowered by the buckets visited.
    """
    cdef int found = 0
    cdef line_t* line
    cdef uint8_t coarse = <uint8_t>(now >> DUE_SHIFT)
    cdef bint trust
    while lines_left[0]:
        if t.sweep_line >= t.n_lines:
            t.sweep_line = 0
            t.swept += 1
            t.sweep_began_before = t.sweep_began
            t.sweep_began = now
        trust = now - t.sweep_began_before < (<uint64_t>DUE_TRUST << DUE_SHIFT)
        line = &t.lines[t.sweep_line]
        prefetch_r(line + 8)
        while True:
            found = sweep_one(t, line, now, coarse, trust, expired, found)
            if found == SWEEP_BATCH:
                return found            # the same bucket again next time
            if line.next == 0:
                break
            line = &t.overflow[line.next]
        t.sweep_line += 1
        lines_left[0] -= 1
    return found


cdef int sweep_one(table_t* t, line_t* line, uint64_t now, uint8_t coarse, bint trust, uint32_t* expired,
                   int found) noexcept nogil:
    cdef unsigned int due = line_due(line, coarse) if trust else line_used(line)
    cdef unsigned int rest = due
    cdef int place
    cdef const conn_t* c
    t.scanned += 8
    if due == 0:
        return found
    while rest & (rest - 1):           # several: let their misses overlap
        prefetch_r(&t.conns[line.slot[lowest_bit(rest)]])
        rest &= rest - 1
    while due and found < SWEEP_BATCH:
        place = lowest_bit(due)
        due &= due - 1
        c = &t.conns[line.slot[place]]
        if c.flags & CONN_REPLY:        # goes with its connection
            line.due[place] = due_of(<uint64_t>-1, now)
        elif c.deadline_ns <= now:
            expired[found] = line.slot[place]
            prefetch_w(<const char*>c + 64)
            found += 1
        else:
            line.due[place] = due_of(c.deadline_ns, now)
    return found


# ---- checking

cdef object table_selfcheck(table_t* t):
    """Every invariant of the table; returns a list of the violations (for tests)."""
    faults = []
    seen = set()
    cdef uint32_t i, slot, chained = 0, free = t.slot_free, free_lines = t.overflow_free
    cdef line_t* line
    cdef unsigned int used
    cdef uint64_t hash
    cdef int place
    for i in range(t.n_lines):
        line = &t.lines[i]
        while True:
            used = line_used(line)
            if line.next and used != 0xFF:
                faults.append(f"line {i}: a hole before an overflow line")
            if line != &t.lines[i] and used == 0:
                faults.append(f"line {i}: an empty overflow line")
            while used:
                place = lowest_bit(used)
                used &= used - 1
                slot = line.slot[place]
                hash = key_hash(&t.secret, &t.conns[slot].key)
                if slot in seen or t.conns[slot].key.l3proto == 0:
                    faults.append(f"line {i}: slot {slot} is listed twice or free")
                if table_line(t, hash) != i or tag_of(hash) != line.tag[place]:
                    faults.append(f"line {i}: slot {slot} does not belong here")
                seen.add(slot)
            if line.next == 0:
                break
            chained += 1
            line = &t.overflow[line.next]
    while free != NO_SLOT:
        if free in seen:
            faults.append(f"slot {free} is both free and in use")
        seen.add(free)
        free = t.conns[free].number
    while free_lines:
        chained += 1
        free_lines = t.overflow[free_lines].next
    if len(seen) != t.slots_used:
        faults.append(f"{t.slots_used - len(seen)} slots lost")
    if chained + 1 != t.overflow_used:
        faults.append("overflow lines lost")
    return faults
