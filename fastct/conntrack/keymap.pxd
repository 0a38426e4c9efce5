"""The PPTP keymap: which call of its sender a GRE packet belongs to.

    PPTP helper ──► keymap_add: (sender, receiver, receiver's call) to sender's call
    GRE version 1 packet ──► keymap_find ──► the source id that its tuple lacks

A GRE packet names the call of its receiver only, so both directions of a call look like strangers. Whoever has read
the control connection knows the pair. Two entries for each call, one for each direction; IPv4, as PPTP is.
"""
from libc.stdint cimport uint16_t, uint32_t, uint64_t

from fastct.conntrack.arena cimport arena_t
from fastct.conntrack.expect cimport ends_t
from fastct.wire.packet cimport hash_key_t

cdef enum:
    NO_CALL = 0
    KEYMAP_BUCKETS = 1024

cdef struct call_t:
    uint32_t src             # addresses and ids in network order
    uint32_t dst
    uint16_t src_id          # what is looked for
    uint16_t dst_id
    uint32_t master_slot     # of the control connection
    uint32_t next            # in its bucket, the oldest first; of the free list

cdef struct keymap_t:
    arena_t mem
    call_t* items            # item 0 is never used
    uint32_t used
    uint32_t free
    uint32_t count
    hash_key_t secret
    uint32_t heads[KEYMAP_BUCKETS]

cdef int keymap_init(keymap_t* k, const hash_key_t* secret) except -1
cdef void keymap_free(keymap_t* k) noexcept
cdef uint32_t keymap_find(const keymap_t* k, const ends_t* ends) noexcept nogil
cdef uint32_t keymap_add(keymap_t* k, const ends_t* ends, uint32_t master_slot) noexcept nogil
cdef bint keymap_is(const keymap_t* k, uint32_t index, const ends_t* ends) noexcept nogil
cdef void keymap_remove(keymap_t* k, uint32_t index) noexcept nogil
