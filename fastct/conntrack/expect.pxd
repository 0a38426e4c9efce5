"""Expectations: connections that a helper has seen announced, in the words of another connection (their master).

    helper ──► expects_add ──► bucket of (destination, protocol), list of the master ──► expects_take ──► RELATED

The destination is exact, the source has a mask. A first packet that fits takes the expectation out of the table,
unless it is permanent. All expectations of a connection go with it. Addresses and ports are in network order.
"""
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

from fastct.conntrack.arena cimport arena_t
from fastct.conntrack.conn cimport conn_t
from fastct.conntrack.extra cimport extra_t, extras_t
from fastct.wire.packet cimport hash_key_t, packet_t

cdef enum:
    NO_EXPECT = 0
    EXPECT_BUCKETS = 1024
    EXPECT_PERMANENT = 1
    EXPECT_INACTIVE = 2
    EXPECT_USERSPACE = 4
    EXPECT_FLAGS = 7         # those that people see
    EXPECT_EITHER_WAY = 8    # expected the other way round, too: with one fulfilled the other goes
    EXPECT_SHARED = 16       # if another master or class expects the very same, that will do

# Where a packet comes from and goes to.
cdef struct ends_t:
    uint8_t src[16]          # IPv4 in the first four bytes, the rest zero
    uint8_t dst[16]
    uint16_t sport
    uint16_t dport
    uint8_t l3proto          # 4 or 6
    uint8_t l4proto
    uint16_t zone

cdef struct expect_t:
    ends_t ends
    uint8_t mask[16]         # of the source address
    uint16_t sport_mask
    uint8_t flags            # EXPECT_*
    uint8_t kind             # class, in the helper's own table
    uint8_t helper           # who expects: index into records.HELPERS
    uint8_t via              # protocol of the connection in whose words it was announced
    uint8_t assign           # helper of the new connection, 0: none
    uint32_t timeout_s
    uint64_t deadline_ns
    uint64_t master          # number of the master
    uint32_t master_slot
    uint32_t master_extra    # index of its extra
    uint32_t next            # in its bucket; of the free list
    uint32_t older           # of the same master
    uint64_t serial          # in order of creation

# What expects_add says.
cdef enum expect_verdict:
    EXPECT_ADDED
    EXPECT_ALREADY           # EXPECT_SHARED, and somebody else expects it
    EXPECT_BUSY              # overlaps another one
    EXPECT_FULL              # the table, or the master's share of it

cdef struct expects_t:
    arena_t mem
    extras_t* extras         # of the masters
    const conn_t* conns      # by slot, the masters among them
    void* ct                 # whose they are, the ct_t; and what notes NEW (True) and DESTROY there, or NULL
    void (*tell)(void* ct, const expect_t* x, bint is_new) noexcept nogil
    expect_t* items          # item 0 is never used
    uint32_t used
    uint32_t free
    uint32_t count
    hash_key_t secret
    uint32_t heads[EXPECT_BUCKETS]
    uint64_t created
    uint64_t taken           # by the connection they announced
    uint64_t deleted
    uint32_t sweep           # bucket that is looked through next for expired ones

cdef void packet_ends(const packet_t* p, ends_t* ends) noexcept nogil
cdef void invert_ends(const ends_t* ends, ends_t* other) noexcept nogil
cdef int expects_init(expects_t* e, extras_t* extras, const conn_t* conns, const hash_key_t* secret) except -1
cdef void expects_free(expects_t* e) noexcept
cdef uint32_t expects_find(const expects_t* e, const ends_t* ends, uint64_t now) noexcept nogil
cdef uint32_t expects_known(const expects_t* e, const ends_t* ends, uint64_t now) noexcept nogil
cdef expect_verdict expects_add(expects_t* e, const expect_t* wanted, uint32_t class_max, uint32_t table_max,
                                uint64_t now) noexcept nogil
cdef void expects_remove(expects_t* e, uint32_t index) noexcept nogil
cdef void expects_forget(expects_t* e, extra_t* x) noexcept nogil
cdef bint expect_is_over(const expects_t* e, const expect_t* x, uint64_t now) noexcept nogil
cdef void expects_sweep(expects_t* e, uint32_t buckets, uint64_t now) noexcept nogil
