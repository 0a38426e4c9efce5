"""The table of expectations; records and picture are in ``expect.pxd``."""
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcmp, memcpy, memset

from fastct.conntrack.arena cimport arena_free, arena_grow, arena_init
from fastct.conntrack.conn cimport conn_t
from fastct.conntrack.extra cimport extra_t, extras_t
from fastct.wire.bytes cimport load_u64
from fastct.wire.packet cimport hash_addresses, hash_key_t, packet_t

cdef enum:
    MOST = 1 << 20               # whatever nf_conntrack_expect_max says


cdef int expects_init(expects_t* e, extras_t* extras, const conn_t* conns, const hash_key_t* secret) except -1:
    if arena_init(&e.mem, MOST * sizeof(expect_t), 0, NULL):
        raise MemoryError("no address space for expectations")
    e.items = <expect_t*>e.mem.base
    e.used = 1
    e.extras = extras
    e.conns = conns
    e.secret = secret[0]
    return 0


cdef void expects_free(expects_t* e) noexcept:
    arena_free(&e.mem)


# ---- ends

cdef void packet_ends(const packet_t* p, ends_t* ends) noexcept nogil:
    """Where a packet comes from and goes to: the key, put back into the packet's own order."""
    cdef int first = p.flip
    memset(ends, 0, sizeof(ends_t))
    if p.addr6[0] == NULL:
        memcpy(ends.src, &p.key.addr[first], 4)
        memcpy(ends.dst, &p.key.addr[1 - first], 4)
    else:
        memcpy(ends.src, p.addr6[first], 16)
        memcpy(ends.dst, p.addr6[1 - first], 16)
    ends.sport = p.key.id[first]
    ends.dport = p.key.id[1 - first]
    ends.l3proto = p.key.l3proto
    ends.l4proto = p.key.l4proto
    ends.zone = p.key.zone


cdef void invert_ends(const ends_t* ends, ends_t* other) noexcept nogil:
    """The same, seen from the other side."""
    other[0] = ends[0]
    memcpy(other.src, ends.dst, 16)
    memcpy(other.dst, ends.src, 16)
    other.sport, other.dport = ends.dport, ends.sport


# ---- what fits what

cdef uint32_t bucket_of(const expects_t* e, const ends_t* ends) noexcept nogil:
    """By what every expectation says exactly: destination and protocol."""
    cdef uint64_t rest = <uint64_t>ends.dport << 32 | <uint32_t>ends.l4proto << 8 | ends.l3proto
    return hash_addresses(&e.secret, load_u64(ends.dst), load_u64(ends.dst + 8), rest,
                          ends.zone) & <uint64_t>(EXPECT_BUCKETS - 1)


cdef bint same_target(const ends_t* a, const ends_t* b) noexcept nogil:
    return (a.dport == b.dport and a.l4proto == b.l4proto and a.l3proto == b.l3proto and a.zone == b.zone
            and memcmp(a.dst, b.dst, 16) == 0)


cdef bint same_source(const ends_t* a, const ends_t* b, const uint8_t* mask, const uint8_t* mask2,
                      uint16_t port_mask) noexcept nogil:
    """Equal where both masks have ones."""
    cdef int i
    if (a.sport ^ b.sport) & port_mask:
        return False
    for i in range(16):
        if (a.src[i] ^ b.src[i]) & mask[i] & mask2[i]:
            return False
    return True


cdef bint expect_is_over(const expects_t* e, const expect_t* x, uint64_t now) noexcept nogil:
    """Whether its time or its master's has passed, noticed or not."""
    return x.deadline_ns <= now or e.conns[x.master_slot].deadline_ns <= now


cdef uint32_t find(const expects_t* e, const ends_t* ends, uint8_t without, uint64_t now) noexcept nogil:
    """The latest expectation that a packet between these ends fits, of those without some flags, or NO_EXPECT."""
    cdef uint32_t index = e.heads[bucket_of(e, ends)]
    cdef const expect_t* x
    while index != NO_EXPECT:
        x = &e.items[index]
        if (not x.flags & without and same_target(&x.ends, ends)
                and same_source(&x.ends, ends, x.mask, x.mask, x.sport_mask) and not expect_is_over(e, x, now)):
            return index
        index = x.next
    return NO_EXPECT


cdef uint32_t expects_find(const expects_t* e, const ends_t* ends, uint64_t now) noexcept nogil:
    """The active expectation that a packet between these ends fulfils, or NO_EXPECT."""
    return find(e, ends, EXPECT_INACTIVE, now)


cdef uint32_t expects_known(const expects_t* e, const ends_t* ends, uint64_t now) noexcept nogil:
    """As ``expects_find``, and be it inactive."""
    return find(e, ends, 0, now)


# ---- changing

cdef void unlink_bucket(expects_t* e, uint32_t index) noexcept nogil:
    cdef uint32_t* link = &e.heads[bucket_of(e, &e.items[index].ends)]
    while link[0] != index:
        link = &e.items[link[0]].next
    link[0] = e.items[index].next


cdef void unlink_master(expects_t* e, uint32_t index) noexcept nogil:
    cdef extra_t* x = &e.extras.items[e.items[index].master_extra]
    cdef uint32_t* link = &x.expects
    while link[0] != index:
        link = &e.items[link[0]].older
    link[0] = e.items[index].older
    x.expecting[e.items[index].kind] -= 1


cdef void expects_remove(expects_t* e, uint32_t index) noexcept nogil:
    """Take one out."""
    if e.tell != NULL:
        e.tell(e.ct, &e.items[index], False)
    unlink_bucket(e, index)
    unlink_master(e, index)
    e.items[index].ends.l3proto = 0
    e.items[index].next = e.free
    e.free = index
    e.count -= 1
    e.deleted += 1


cdef void expects_forget(expects_t* e, extra_t* x) noexcept nogil:
    """All of a master, which is about to end."""
    while x.expects != NO_EXPECT:
        expects_remove(e, x.expects)


cdef void expects_sweep(expects_t* e, uint32_t buckets, uint64_t now) noexcept nogil:
    """Look through some more buckets for what has expired: until then it only takes up room."""
    cdef uint32_t index, next
    while buckets:
        index = e.heads[e.sweep]
        while index != NO_EXPECT:
            next = e.items[index].next
            if expect_is_over(e, &e.items[index], now):
                expects_remove(e, index)
            index = next
        e.sweep = (e.sweep + 1) & (EXPECT_BUCKETS - 1)
        buckets -= 1


cdef uint32_t oldest_of(const expects_t* e, const extra_t* x, uint8_t kind, uint64_t now) noexcept nogil:
    """The one to make room: one that is over, if there is any."""
    cdef uint32_t index = x.expects, found = NO_EXPECT
    while index != NO_EXPECT:
        if e.items[index].kind == kind:
            found = index
            if expect_is_over(e, &e.items[index], now):
                break
        index = e.items[index].older
    return found


cdef expect_verdict make_way(expects_t* e, const expect_t* wanted, uint64_t now) noexcept nogil:
    """Compare with what is expected already: the same again is replaced, an overlap is refused.

    The same from another master or class is an overlap, too, unless ``wanted`` may be shared.
    """
    cdef uint32_t index = e.heads[bucket_of(e, &wanted.ends)], next
    cdef const expect_t* other
    while index != NO_EXPECT:
        other = &e.items[index]
        next = other.next
        if expect_is_over(e, other, now):
            expects_remove(e, index)
        elif (same_target(&other.ends, &wanted.ends)
                and same_source(&other.ends, &wanted.ends, other.mask, wanted.mask,
                                other.sport_mask & wanted.sport_mask)):
            if other.sport_mask != wanted.sport_mask or memcmp(other.mask, wanted.mask, 16):
                return EXPECT_BUSY
            if other.master != wanted.master or other.kind != wanted.kind:
                return EXPECT_ALREADY if wanted.flags & EXPECT_SHARED else EXPECT_BUSY
            expects_remove(e, index)
        index = next
    return EXPECT_ADDED


cdef uint32_t take_item(expects_t* e) noexcept nogil:
    cdef uint32_t index = e.free
    if index != NO_EXPECT:
        e.free = e.items[index].next
        return index
    if e.used >= MOST or arena_grow(&e.mem, (e.used + <size_t>1) * sizeof(expect_t)):
        return NO_EXPECT
    e.used += 1
    return e.used - 1


cdef expect_verdict expects_add(expects_t* e, const expect_t* wanted, uint32_t class_max, uint32_t table_max,
                                uint64_t now) noexcept nogil:
    """Expect something; ``wanted`` says of which master.

    => ``class_max``: how many of this class one master may have, 0: any number; the oldest makes room.
    => ``table_max``: how many there may be in all.
    """
    cdef extra_t* x = &e.extras.items[wanted.master_extra]
    cdef uint32_t index, bucket
    cdef expect_verdict verdict = make_way(e, wanted, now)
    if verdict != EXPECT_ADDED:
        return verdict
    if class_max and x.expecting[wanted.kind] >= class_max:
        expects_remove(e, oldest_of(e, x, wanted.kind, now))
    if e.count >= table_max:
        expects_sweep(e, EXPECT_BUCKETS, now)
        if e.count >= table_max:
            return EXPECT_FULL
    index = take_item(e)
    if index == NO_EXPECT:
        return EXPECT_FULL
    bucket = bucket_of(e, &wanted.ends)
    e.items[index] = wanted[0]
    e.items[index].deadline_ns = now + wanted.timeout_s * <uint64_t>1000000000
    e.items[index].next = e.heads[bucket]
    e.heads[bucket] = index
    e.items[index].older = x.expects
    x.expects = index
    x.expecting[wanted.kind] += 1
    e.count += 1
    e.created += 1
    e.items[index].serial = e.created
    if e.tell != NULL:
        e.tell(e.ct, &e.items[index], True)
    return EXPECT_ADDED
