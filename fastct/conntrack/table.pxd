"""The connection table: a slab of ``conn_t`` and an index of cache lines over it.

    hash ──► line (8 places: tag, slot, coarse deadline) ──► overflow lines ──► slot ──► conns[slot]

The index grows by *linear hashing*: lines are added one at a time and each addition splits one old line in
two, so the load stays the same, memory follows the number of connections, and no packet ever waits for a
table to be copied. A full bucket goes on in an overflow line; removing pulls entries forward, so there are no
tombstones and no chain is longer than it must be.

A ``conn_t*`` is valid until its slot is released; slots never move.
"""
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

from fastct.conntrack.arena cimport arena_t
from fastct.conntrack.conn cimport conn_t
from fastct.wire.packet cimport hash_key_t, packet_t

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
    uint32_t n_lines     # lines in use
    uint32_t mask        # lines at the start of this round of splitting, minus 1
    uint32_t slots_used  # slots ever taken
    uint32_t slots_max
    uint32_t slot_free   # head of the list of released slots
    uint32_t overflow_used
    uint32_t overflow_free
    # the sweep for expired entries
    uint32_t sweep_line      # next line to visit
    uint64_t sweep_began     # when this sweep and the one before began, ns
    uint64_t sweep_began_before
    uint64_t swept           # sweeps finished
    uint64_t scanned         # entries visited
    arena_t lines_mem, overflow_mem, conns_mem, addr6_mem, start_mem

cdef int table_init(table_t* t, uint64_t slots_max, const hash_key_t* secret) except -1
cdef void table_free(table_t* t) noexcept

cdef void table_prefetch(const table_t* t, const packet_t* p) noexcept nogil
cdef void table_candidate(const table_t* t, packet_t* p) noexcept nogil
cdef uint32_t table_find(const table_t* t, const packet_t* p) noexcept nogil
cdef uint32_t table_insert(table_t* t, const packet_t* p, const conn_t* fresh, uint64_t now) noexcept nogil
cdef void table_remove(table_t* t, uint32_t slot) noexcept nogil
cdef void table_hasten(table_t* t, uint32_t slot, uint64_t deadline_ns, uint64_t now) noexcept nogil
cdef int table_sweep(table_t* t, uint64_t now, uint32_t* lines_left, uint32_t* expired) noexcept nogil
cdef uint32_t table_line(const table_t* t, uint64_t hash) noexcept nogil
cdef uint64_t table_memory(const table_t* t) noexcept nogil
cdef object table_selfcheck(table_t* t)
