"""The table of the PPTP keymap; records and picture are in ``keymap.pxd``."""
from libc.stdint cimport uint16_t, uint32_t, uint64_t

from fastct.conntrack.arena cimport arena_free, arena_grow, arena_init
from fastct.wire.bytes cimport load_u32
from fastct.wire.packet cimport hash_pair

cdef enum:
    MOST = 1 << 20


cdef int keymap_init(keymap_t* k, const hash_key_t* secret) except -1:
    if arena_init(&k.mem, MOST * sizeof(call_t), 0, NULL):
        raise MemoryError("no address space for the PPTP keymap")
    k.items = <call_t*>k.mem.base
    k.used = 1
    k.secret = secret[0]
    return 0


cdef void keymap_free(keymap_t* k) noexcept:
    arena_free(&k.mem)


cdef uint32_t bucket_of(const keymap_t* k, uint32_t src, uint32_t dst, uint16_t dst_id) noexcept nogil:
    return <uint32_t>hash_pair(&k.secret, <uint64_t>src << 32 | dst, dst_id) & (KEYMAP_BUCKETS - 1)


cdef bint keymap_is(const keymap_t* k, uint32_t index, const ends_t* ends) noexcept nogil:
    """Whether an entry is about this sender, receiver and receiver's call."""
    cdef const call_t* call = &k.items[index]
    return (ends.l3proto == 4 and call.src == load_u32(ends.src) and call.dst == load_u32(ends.dst)
            and call.dst_id == ends.dport)


cdef uint32_t keymap_find(const keymap_t* k, const ends_t* ends) noexcept nogil:
    """The oldest entry about a packet between these ends, or NO_CALL."""
    cdef uint32_t index = k.heads[bucket_of(k, load_u32(ends.src), load_u32(ends.dst), ends.dport)]
    while index != NO_CALL and not keymap_is(k, index, ends):
        index = k.items[index].next
    return index


cdef uint32_t* link_to(keymap_t* k, uint32_t head, uint32_t index) noexcept nogil:
    """The link that leads to an entry of a bucket (NO_CALL: where the next new one goes)."""
    cdef uint32_t* link = &k.heads[head]
    while link[0] != index:
        link = &k.items[link[0]].next
    return link


cdef uint32_t keymap_add(keymap_t* k, const ends_t* ends, uint32_t master_slot) noexcept nogil:
    """A new entry; NO_CALL if there is no room."""
    cdef uint32_t index = k.free
    cdef call_t* call
    if index != NO_CALL:
        k.free = k.items[index].next
    elif k.used >= MOST or arena_grow(&k.mem, (k.used + <size_t>1) * sizeof(call_t)):
        return NO_CALL
    else:
        index = k.used
        k.used += 1
    call = &k.items[index]
    call.src, call.dst = load_u32(ends.src), load_u32(ends.dst)
    call.src_id, call.dst_id = ends.sport, ends.dport
    call.master_slot = master_slot
    call.next = NO_CALL
    link_to(k, bucket_of(k, call.src, call.dst, call.dst_id), NO_CALL)[0] = index
    k.count += 1
    return index


cdef void keymap_remove(keymap_t* k, uint32_t index) noexcept nogil:
    cdef call_t* call = &k.items[index]
    link_to(k, bucket_of(k, call.src, call.dst, call.dst_id), index)[0] = call.next
    call.next = k.free
    k.free = index
    k.count -= 1
