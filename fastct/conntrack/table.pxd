"""The connection table: a slab of ``conn_t`` and an index of cache lines over it.

    hash ──► line (8 places: tag, slot, coarse deadline) ──► overflow lines ──► slot ──► conns[slot]

The index grows by *linear hashing*: lines are added one at a time and each addition splits one old line in
two, so the load stays the same, memory follows the number of connections, and no packet ever waits for a
table to be copied. A full bucket goes on in an overflow line; removing pulls entries forward, so there are no
tombstones and no chain is longer than it must be.

A ``conn_t*`` is valid until its slot is released; slots never move.
"""
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

cimport cython

from fastct.conntrack.arena cimport arena_t, populator_t
from fastct.conntrack.conn cimport NO_SLOT, conn_t
from fastct.wire.bytes cimport load_u64, prefetch_r, prefetch_w
from fastct.wire.packet cimport hash_key_t, key_equal, packet_t

cdef extern from "conntrack/index.h" nogil:
    ctypedef struct line_t:
        uint16_t tag[8]
        uint32_t slot[8]
        uint8_t due[8]
        uint32_t next
        uint32_t reserved
    unsigned int line_match(const line_t* line, uint16_t tag) noexcept
    unsigned int line_used(const line_t* line) noexcept
    unsigned int line_due(const line_t* line, uint8_t now) noexcept
    int lowest_bit(unsigned int mask) noexcept

cdef enum:
    MATCHES_MOST = 8     # entries with one key: four at most, either direction of either side's connections
    FIRST_LINES = 64     # lines of an empty table
    LOAD_PERCENT = 50    # of the places; more makes chains, less wastes memory
    LINE_PLACES = 8
    SWEEP_BATCH = 32     # expired entries that one call of table_sweep reports at most

cdef packed struct addr6_t:
    uint64_t half[4]     # two addresses, canonical order, as in memory

cdef struct table_t:
    line_t* lines
    line_t* overflow     # line 0 is never used: 0 means "none"
    conn_t* conns
    addr6_t* addr6       # by slot; touched only for IPv6
    uint64_t* start_ns   # by slot
    hash_key_t secret
    uint64_t count       # connections in the table
    uint64_t replies     # and entries of replies' tuples, besides
    uint32_t n_lines     # lines in use
    uint32_t mask        # lines at the start of this round of splitting, minus 1
    uint32_t slots_used  # slots ever taken
    uint32_t slots_max
    uint32_t conns_max   # connections that there is room for
    uint32_t slot_free   # head of the list of released slots
    uint8_t reused       # a released slot has been taken again: slots are no longer in order of creation
    uint64_t chain_too_long  # new entries refused for the length of their bucket
    uint32_t overflow_used
    uint32_t overflow_free
    # the sweep for expired entries
    uint32_t sweep_line      # next line to visit
    uint64_t sweep_began     # when this sweep and the one before began, ns
    uint64_t sweep_began_before
    uint64_t swept           # sweeps finished
    uint64_t scanned         # entries visited
    populator_t populator
    arena_t lines_mem, overflow_mem, conns_mem, addr6_mem, start_mem

cdef int table_init(table_t* t, uint64_t conns_max, const hash_key_t* secret) except -1
cdef void table_free(table_t* t) noexcept

cdef uint32_t table_insert(table_t* t, const packet_t* p, const conn_t* fresh, uint64_t now) noexcept nogil
cdef bint table_lines(table_t* t, uint32_t n_lines) noexcept nogil
cdef uint32_t table_insert_at(table_t* t, const packet_t* p, const conn_t* fresh, uint64_t now,
                              int place) noexcept nogil
cdef void table_remove(table_t* t, uint32_t slot) noexcept nogil
cdef void table_hasten(table_t* t, uint32_t slot, uint64_t deadline_ns, uint64_t now) noexcept nogil
cdef int table_sweep(table_t* t, uint64_t now, uint32_t* lines_left, uint32_t* expired) noexcept nogil
cdef uint64_t table_memory(const table_t* t) noexcept nogil
cdef object table_selfcheck(table_t* t)
cdef uint32_t table_search(const table_t* t, const packet_t* p) noexcept nogil
cdef int table_matches(const table_t* t, const packet_t* p, uint32_t* slots) noexcept nogil


# ---- finding: what every packet does, in line

cdef inline uint16_t tag_of(uint64_t hash) noexcept nogil:
    cdef uint16_t tag = <uint16_t>(hash >> 48)
    return tag if tag else 1


cdef inline uint32_t table_line(const table_t* t, uint64_t hash) noexcept nogil:
    """The line of a hash: of the doubled range if that part of it has been split off already."""
    cdef uint32_t line = <uint32_t>hash & (t.mask * 2 + 1)
    return line if line < t.n_lines else line & t.mask


cdef inline void table_prefetch(const table_t* t, packet_t* p) noexcept nogil:
    """First step ahead of time: fetch the line."""
    p.line = table_line(t, p.hash)
    prefetch_r(&t.lines[p.line])


cdef inline void table_note(const table_t* t, const line_t* line, unsigned int mask, packet_t* p) noexcept nogil:
    """Note the first of the places in ``mask`` as the packet's candidate, and fetch its entry."""
    cdef uint32_t slot = line.slot[lowest_bit(mask)]
    p.slot = slot
    prefetch_w(&t.conns[slot])
    prefetch_w(<const char*>&t.conns[slot] + 64)
    if p.addr6[0] != NULL:
        prefetch_r(&t.addr6[slot])


cdef inline bint table_candidate(const table_t* t, packet_t* p) noexcept nogil:
    """Second step ahead of time: note the entry whose tag fits, and fetch it.

    => The bucket may have been split since the first step: then the candidate is a wrong one, or none.
    => Returns True if there is none here and the bucket goes on in an overflow line, which is under way then:
       table_candidate_beyond is due.
    """
    cdef const line_t* line = &t.lines[p.line]
    cdef unsigned int mask = line_match(line, tag_of(p.hash))
    p.slot = NO_SLOT
    if cython.likely(mask != 0):
        table_note(t, line, mask, p)
        return False
    if line.next:
        prefetch_r(&t.overflow[line.next])
    return line.next != 0


cdef inline void table_candidate_beyond(const table_t* t, packet_t* p) noexcept nogil:
    """Third step, for the few whose entry is not in the first line of its bucket.

    => The bucket may have changed since the second step.
    """
    cdef const line_t* line = &t.lines[p.line]
    cdef unsigned int mask
    if line.next:
        line = &t.overflow[line.next]
        mask = line_match(line, tag_of(p.hash))
        if mask:
            table_note(t, line, mask, p)


cdef inline bint is_same(const table_t* t, uint32_t slot, const packet_t* p) noexcept nogil:
    if not key_equal(&t.conns[slot].key, &p.key):
        return False
    if p.addr6[0] == NULL:
        return True
    cdef const addr6_t* a = &t.addr6[slot]
    return (a.half[0] == load_u64(p.addr6[0]) and a.half[1] == load_u64(p.addr6[0] + 8)
            and a.half[2] == load_u64(p.addr6[1]) and a.half[3] == load_u64(p.addr6[1] + 8))


cdef inline uint32_t table_find(const table_t* t, const packet_t* p) noexcept nogil:
    """The slot of the connection with the packet's key, or NO_SLOT.

    => ``p.slot`` is a candidate (or NO_SLOT): released or reused since, it simply does not match.
    """
    if cython.likely(p.slot != NO_SLOT and is_same(t, p.slot, p)):
        return p.slot
    return table_search(t, p)
