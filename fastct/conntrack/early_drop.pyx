"""Who goes when the table is full.

    early drop   on the way in: the oldest connection that is not ASSURED; never one that is
    pressure     when there is none, the sweep also ends what is closing anyway, as long as the table is nearly full

A connection is a candidate from its beginning on. Whoever is taken from the ring and has become ASSURED meanwhile, or
has ended, is simply passed over, so that nothing has to be done to the ring when that happens. Linux looks at the
entries that happen to lie near the new one and gives up several; giving up the oldest spares handshakes that are under
way, costs no search, and cannot be aimed at by whoever knows the hash.
"""
from libc.stdint cimport uint32_t, uint64_t

from fastct.conntrack.arena cimport arena_free, arena_grow, arena_init
from fastct.conntrack.conn cimport IPS_ASSURED, NO_SLOT, conn_is_one, conn_t
from fastct.conntrack.sctp cimport SCTP_SHUTDOWN_ACK_SENT, SCTP_SHUTDOWN_SENT
from fastct.conntrack.table cimport line_t, line_used, lowest_bit, table_line, table_t
from fastct.conntrack.tcp cimport TCP_CLOSE, TCP_FIN_WAIT
from fastct.wire.bytes cimport prefetch_r, prefetch_w
from fastct.wire.packet cimport PROTO_SCTP, PROTO_TCP, key_hash

cdef enum:
    FAR = 16             # candidates ahead whose entry is fetched
    NEAR = 8             # and whose place in the index is: its key is there by then


cdef int probation_init(probation_t* p, uint64_t slots_max) except -1:
    """Room for twice as many as there may be connections: those that have ended stay in the ring for a while."""
    cdef uint64_t places = 1024
    while places < 2 * slots_max:
        places *= 2
    if arena_init(&p.mem, places * sizeof(candidate_t), 0, NULL):
        raise MemoryError("no address space for early drop")
    p.ring = <candidate_t*>p.mem.base
    p.mask = places - 1
    return 0


cdef void probation_free(probation_t* p) noexcept:
    arena_free(&p.mem)


cdef inline bint is_candidate(const table_t* t, const candidate_t* a) noexcept nogil:
    cdef const conn_t* c = &t.conns[a.slot]
    return conn_is_one(c) and c.number == a.number and not c.status & IPS_ASSURED


cdef void probation_add(probation_t* p, const table_t* t, uint32_t slot) noexcept nogil:
    """A new connection. If the ring is full, its head is looked at again: the ended and the ASSURED go, others go
    to the back."""
    cdef candidate_t oldest
    if arena_grow(&p.mem, ((p.tail if p.tail < p.mask else p.mask) + 1) * sizeof(candidate_t)):
        return                           # no memory: it cannot be dropped early, that is all
    while p.tail - p.head > p.mask:
        oldest = p.ring[p.head & p.mask]
        p.head += 1
        if is_candidate(t, &oldest):
            p.ring[p.tail & p.mask] = oldest
            p.tail += 1
    p.ring[p.tail & p.mask].slot = slot
    p.ring[p.tail & p.mask].number = t.conns[slot].number
    p.tail += 1


cdef inline void fetch_ahead(const probation_t* p, const table_t* t) noexcept nogil:
    """In a flood one goes for every one that comes: have the next ones at hand."""
    cdef uint32_t slot
    if p.head + FAR < p.tail:
        prefetch_w(&t.conns[p.ring[(p.head + FAR) & p.mask].slot])
        slot = p.ring[(p.head + NEAR) & p.mask].slot
        prefetch_r(&t.lines[table_line(t, key_hash(&t.secret, &t.conns[slot].key))])


cdef uint32_t probation_take(probation_t* p, const table_t* t) noexcept nogil:
    """The oldest connection that is not ASSURED, or NO_SLOT."""
    cdef candidate_t oldest
    while p.head < p.tail:
        fetch_ahead(p, t)
        oldest = p.ring[p.head & p.mask]
        p.head += 1
        if is_candidate(t, &oldest):
            return oldest.slot
    return NO_SLOT


# ---- pressure

cdef inline bint is_closing(const conn_t* c) noexcept nogil:
    if c.key.l4proto == PROTO_SCTP:
        return SCTP_SHUTDOWN_SENT <= c.state <= SCTP_SHUTDOWN_ACK_SENT
    return c.key.l4proto == PROTO_TCP and TCP_FIN_WAIT <= c.state <= TCP_CLOSE


cdef int pressed_out(const table_t* t, uint32_t line_number, uint32_t* slots) noexcept nogil:
    """The entries of a bucket that go under pressure.

    => ``slots`` has room for PRESS_MOST; returns how many were found. With PRESS_MOST, there may be more.
    """
    cdef const line_t* line = &t.lines[line_number]
    cdef unsigned int used
    cdef uint32_t slot
    cdef int found = 0
    while True:
        used = line_used(line)
        while used and found < PRESS_MOST:
            slot = line.slot[lowest_bit(used)]
            used &= used - 1
            if conn_is_one(&t.conns[slot]) and (not t.conns[slot].status & IPS_ASSURED
                                                or is_closing(&t.conns[slot])):
                slots[found] = slot
                found += 1
        if line.next == 0 or found == PRESS_MOST:
            return found
        line = &t.overflow[line.next]
