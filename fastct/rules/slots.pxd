"""A hash table of bounded size for what rules keep per address, port or connection.

    key ─► index (open addressing, no tombstones) ─► item: slot_t, key, and what the owner keeps

All memory is reserved when it is made and touched as it fills; items never move.
"""
from libc.stdint cimport uint8_t, uint32_t, uint64_t

# What an item begins with; the key follows.
cdef struct slot_t:
    uint32_t hash
    uint32_t next_free       # LIVE while it is in use

cdef enum:
    LIVE = 0xFFFFFFFF

cdef struct slots_t:
    uint8_t* items           # numbered from 1
    uint32_t* index
    uint64_t secret
    uint32_t size            # of an item in bytes
    uint32_t key_words       # of 64 bits
    uint32_t capacity
    uint32_t mask            # of the index
    uint32_t used            # numbers ever given
    uint32_t free            # first of those given back, 0: none
    uint32_t count

cdef int slots_init(slots_t* s, uint32_t capacity, uint32_t key_words, uint32_t size) except -1
cdef void slots_free(slots_t* s) noexcept
cdef slot_t* slots_find(const slots_t* s, const uint64_t* key) noexcept nogil
cdef slot_t* slots_add(slots_t* s, const uint64_t* key) noexcept nogil
cdef void slots_remove(slots_t* s, slot_t* item) noexcept nogil


cdef inline slot_t* slots_item(const slots_t* s, uint32_t number) noexcept nogil:
    """An item by its number, 1 to ``used``; it may be free."""
    return <slot_t*>(s.items + <size_t>number * s.size)
