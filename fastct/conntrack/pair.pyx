"""Connections whose reply's tuple is not the inverse of the original one's key, so that it has an entry of its own.

    original tuple ──► entry: the connection, CONN_PAIRED ◄── number ── entry: CONN_REPLY ◄── reply tuple

So it is where a zone counts in one direction only, and where addresses or ports are translated. The entry of the
reply's tuple is a ``conn_t`` that has no more than a key, and a deadline in the past: whoever meets it on the way of
ordinary packets believes it to be over and comes here. Neither entry is for the inverse of its tuple, so two
connections may have entries with one key, and packets of such connections choose here, too.

Linux gives a connection two entries, one per tuple; one matches a packet if the tuples are equal and the zones are, as
they count in that entry's direction. If a packet matches two, it goes to the latest.
"""
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memset

from fastct.conntrack.conn cimport (
    CONN_FLIP,
    CONN_PAIRED,
    CONN_REPLY,
    CONN_RIVAL,
    DIR_ORIGINAL,
    DIR_REPLY,
    NO_SLOT,
    conn_direction,
    conn_t,
)
from fastct.conntrack.core cimport ct_expire, ct_t
from fastct.conntrack.extra cimport extra_t, extras_of
from fastct.conntrack.table cimport MATCHES_MOST, table_insert, table_matches, table_remove
from fastct.wire.packet cimport key_hash, packet_t

# Which of Linux' two entries may match.
cdef enum:
    ORIGINALS = 1
    REPLIES = 2
    EITHER = 3

# Entries of this kind reckon with others of the same key.
cdef enum:
    KNOWING = CONN_PAIRED | CONN_REPLY | CONN_RIVAL


cdef inline void into_zone(const ct_t* ct, packet_t* p, uint16_t zone) noexcept nogil:
    p.key.zone = zone
    p.hash = key_hash(&ct.table.secret, &p.key)
    p.slot = NO_SLOT


# ---- finding

cdef bint fits(const conn_t* c, const packet_t* p, int sides) noexcept nogil:
    """Whether an entry with the packet's key has its tuple, and not only the inverse of that."""
    cdef int direction = conn_direction(c, p.flip)
    if c.flags & CONN_REPLY:
        return sides & REPLIES and (p.self_inverse or direction == DIR_REPLY)
    if c.flags & CONN_PAIRED:
        return sides & ORIGINALS and (p.self_inverse or direction == DIR_ORIGINAL)
    return p.self_inverse or sides & (REPLIES if direction == DIR_REPLY else ORIGINALS)


cdef inline uint32_t connection_of(const ct_t* ct, uint32_t slot) noexcept nogil:
    """The connection that an entry is of."""
    return ct.table.conns[slot].number if ct.table.conns[slot].flags & CONN_REPLY else slot


cdef uint32_t among(const ct_t* ct, const packet_t* p, int sides, uint64_t now, uint32_t* over) noexcept nogil:
    """The latest connection that has the packet's tuple in its zone, or NO_SLOT.

    => ``over``: one with this key that has ended by ``now``, or NO_SLOT.
    """
    cdef uint32_t slots[MATCHES_MOST]
    cdef uint32_t slot, found = NO_SLOT, age, least = 0
    cdef int i
    over[0] = NO_SLOT
    for i in range(table_matches(&ct.table, p, slots)):
        slot = connection_of(ct, slots[i])
        age = <uint32_t>ct.created - ct.table.conns[slot].number
        if ct.table.conns[slot].deadline_ns <= now:
            over[0] = slot
        elif fits(&ct.table.conns[slots[i]], p, sides) and (found == NO_SLOT or age < least):
            found, least = slot, age
    return found


cdef uint32_t live_among(ct_t* ct, const packet_t* p, int sides, uint64_t now) noexcept nogil:
    """As ``among``; what is over ends here."""
    cdef uint32_t over = NO_SLOT
    cdef uint32_t slot = among(ct, p, sides, now, &over)
    while over != NO_SLOT:
        ct_expire(ct, over)
        slot = among(ct, p, sides, now, &over)
    return slot


cdef uint32_t pair_live(ct_t* ct, const packet_t* p, uint64_t now) noexcept nogil:
    """The slot of the packet's connection, or NO_SLOT; all with its key that have ended by ``now`` are gone then."""
    return live_among(ct, p, EITHER, now)


cdef uint32_t pair_in_zones(ct_t* ct, packet_t* p) noexcept nogil:
    """As ``pair_live``, of a packet in the zones of the template: it is in that where it found its connection then."""
    cdef uint32_t slot
    if ct.template.zone == ct.template.reply_zone:
        return live_among(ct, p, EITHER, ct.now)
    into_zone(ct, p, ct.template.zone)
    slot = live_among(ct, p, ORIGINALS, ct.now)
    if slot == NO_SLOT:
        into_zone(ct, p, ct.template.reply_zone)
        slot = live_among(ct, p, REPLIES, ct.now)
        if slot == NO_SLOT:
            into_zone(ct, p, ct.template.zone)
    return slot


cdef uint32_t pair_known(const ct_t* ct, const packet_t* p) noexcept nogil:
    """As ``pair_live``, but nothing ends."""
    cdef uint32_t over = NO_SLOT
    return among(ct, p, EITHER, ct.now, &over)


cdef uint16_t pair_zone(const ct_t* ct, const conn_t* c) noexcept nogil:
    """The zone that a connection is in, in whichever direction that counts."""
    if c.flags & CONN_PAIRED and c.key.zone == 0:
        return ct.table.conns[ct.extras.items[c.extra].reply_slot].key.zone
    return c.key.zone


# ---- beginning and end

cdef bint is_taken(ct_t* ct, const packet_t* p, uint32_t slot, int sides) noexcept nogil:
    """Whether another connection than ``slot`` has a packet's tuple; it is told that it has a rival if it has not."""
    cdef uint32_t slots[MATCHES_MOST]
    cdef int i
    live_among(ct, p, sides, ct.now)
    for i in range(table_matches(&ct.table, p, slots)):
        if connection_of(ct, slots[i]) == slot:
            continue
        if fits(&ct.table.conns[slots[i]], p, sides):
            return True
        ct.table.conns[slots[i]].flags |= CONN_RIVAL
    return False


cdef bint have_one(const conn_t* a, const conn_t* b, packet_t* p) noexcept nogil:
    """Whether two entries with one key have a tuple in common, or do not know of each other. ``p`` has that key."""
    if not a.flags & KNOWING or not b.flags & KNOWING or not (a.flags | b.flags) & (CONN_PAIRED | CONN_REPLY):
        return True
    p.flip = a.flags & CONN_FLIP
    if not a.flags & CONN_REPLY and fits(b, p, ORIGINALS):
        return True
    p.flip ^= 1
    return not a.flags & CONN_PAIRED and fits(b, p, REPLIES)


cdef bint pair_is_taken(const ct_t* ct, const packet_t* p, const conn_t* c) noexcept nogil:
    """Whether an entry that is to be put in, with the key of ``p``, cannot be there beside those that are."""
    cdef uint32_t slots[MATCHES_MOST]
    cdef packet_t asked = p[0]
    cdef int i
    for i in range(table_matches(&ct.table, p, slots)):
        if have_one(c, &ct.table.conns[slots[i]], &asked):
            return True
    return False


cdef void pair_link(ct_t* ct, uint32_t slot, extra_t* x, uint32_t reply_slot) noexcept nogil:
    """Make an entry that is in the table that of a connection's reply."""
    x.reply_slot = reply_slot
    ct.table.conns[reply_slot].number = slot
    ct.table.conns[slot].flags |= CONN_PAIRED


cdef bint pair_begin(ct_t* ct, const packet_t* p, uint32_t slot, uint16_t reply_zone) noexcept nogil:
    """Give a new connection, whose first packet is ``p``, an entry for its reply's tuple if it needs one.

    => False if Linux could not enter it: another one has that tuple already. Also for want of memory.
    """
    cdef packet_t reply
    cdef uint32_t slots[MATCHES_MOST]
    if reply_zone == p.key.zone:
        if not ct.table.replies:
            return True
        live_among(ct, p, EITHER, ct.now)
        return table_matches(&ct.table, p, slots) == 1       # of others, one tuple or the other is one of its own
    reply = p[0]
    into_zone(ct, &reply, reply_zone)
    reply.flip = p.flip if p.self_inverse else 1 - p.flip
    return pair_translated(ct, p, slot, &reply)


cdef bint pair_translated(ct_t* ct, const packet_t* p, uint32_t slot, const packet_t* reply) noexcept nogil:
    """As ``pair_begin``, where the reply's tuple is that of a packet ``reply``."""
    cdef conn_t fresh
    cdef extra_t* x
    cdef uint32_t reply_slot
    cdef bint in_one_zone = p.key.zone == reply.key.zone
    if is_taken(ct, p, slot, EITHER if in_one_zone else ORIGINALS):
        return False
    if is_taken(ct, reply, slot, EITHER if in_one_zone else REPLIES):
        return False
    x = extras_of(&ct.extras, &ct.table.conns[slot])
    if x == NULL:
        return False
    memset(&fresh, 0, sizeof(fresh))
    fresh.key = reply.key
    fresh.flags = <uint8_t>(CONN_REPLY | (1 - reply.flip))
    reply_slot = table_insert(&ct.table, reply, &fresh, ct.now)
    if reply_slot == NO_SLOT:
        return False
    ct.table.count -= 1
    ct.table.replies += 1
    pair_link(ct, slot, x, reply_slot)
    return True


cdef void pair_end(ct_t* ct, const extra_t* x) noexcept nogil:
    """Take the entry of an ending connection's reply out of the table."""
    table_remove(&ct.table, x.reply_slot)
    ct.table.count += 1
    ct.table.replies -= 1
