"""The hash table of ``slots.pxd``: linear probing, and removal that pulls entries forward."""
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcmp, memcpy, memset

import secrets


cdef int slots_init(slots_t* s, uint32_t capacity, uint32_t key_words, uint32_t size) except -1:
    """Room for ``capacity`` items of ``size`` bytes, slot_t and key included."""
    cdef uint32_t places = 16
    memset(s, 0, sizeof(slots_t))
    while places < 2 * <uint64_t>capacity:
        places *= 2
    s.items = <uint8_t*>calloc(<size_t>capacity + 1, size)
    s.index = <uint32_t*>calloc(places, sizeof(uint32_t))
    if s.items == NULL or s.index == NULL:
        slots_free(s)
        raise MemoryError
    s.secret = secrets.randbits(64)
    s.size, s.key_words, s.capacity, s.mask = size, key_words, capacity, places - 1
    return 0


cdef void slots_free(slots_t* s) noexcept:
    free(s.items)
    free(s.index)
    memset(s, 0, sizeof(slots_t))


cdef uint32_t hash_of(const slots_t* s, const uint64_t* key) noexcept nogil:
    cdef uint64_t h = s.secret
    cdef uint32_t i
    for i in range(s.key_words):
        h = (h ^ key[i]) * <uint64_t>0x9E3779B97F4A7C15
        h ^= h >> 32
    return <uint32_t>(h ^ h >> 29)


cdef inline const uint64_t* key_of(const slot_t* item) noexcept nogil:
    return <const uint64_t*>(item + 1)


cdef slot_t* slots_find(const slots_t* s, const uint64_t* key) noexcept nogil:
    """The item of a key, or NULL."""
    cdef uint32_t hash = hash_of(s, key)
    cdef uint32_t place = hash & s.mask
    cdef slot_t* item
    while s.index[place]:
        item = slots_item(s, s.index[place])
        if item.hash == hash and memcmp(key_of(item), key, s.key_words * sizeof(uint64_t)) == 0:
            return item
        place = (place + 1) & s.mask
    return NULL


cdef slot_t* slots_add(slots_t* s, const uint64_t* key) noexcept nogil:
    """A new item, all zero but its key; NULL: there is no room. => The key is not there yet."""
    cdef uint32_t number = s.free, hash = hash_of(s, key)
    cdef uint32_t place = hash & s.mask
    cdef slot_t* item
    if number:
        s.free = slots_item(s, number).next_free
    elif s.used == s.capacity:
        return NULL
    else:
        s.used += 1
        number = s.used
    item = slots_item(s, number)
    memset(item, 0, s.size)
    item.hash, item.next_free = hash, LIVE
    memcpy(item + 1, key, s.key_words * sizeof(uint64_t))
    while s.index[place]:
        place = (place + 1) & s.mask
    s.index[place] = number
    s.count += 1
    return item


cdef void slots_remove(slots_t* s, slot_t* item) noexcept nogil:
    cdef uint32_t number = <uint32_t>((<uint8_t*>item - s.items) // s.size)
    cdef uint32_t gap = item.hash & s.mask, place, home
    while s.index[gap] != number:
        gap = (gap + 1) & s.mask
    place = gap
    while True:
        s.index[gap] = 0
        while True:                      # the next entry that may stand in the gap
            place = (place + 1) & s.mask
            if not s.index[place]:
                item.next_free = s.free
                s.free = number
                s.count -= 1
                return
            home = slots_item(s, s.index[place]).hash & s.mask
            if (place - home & s.mask) >= (place - gap & s.mask):
                break
        s.index[gap] = s.index[place]
        gap = place
