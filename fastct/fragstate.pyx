"""Fragments that wait for the rest of their datagram, as records of a snapshot, and out of them again.

    state_fragments    queues, those of IPv4 first, the oldest first, some to a block
                         queue_image_t │ piece_image_t, frame │ piece_image_t, frame │ ... by offset, for each
    take_fragments     puts a block in

Nothing that comes in is trusted: what no queue can hold raises ValueError.
"""
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

import numpy as np

from fastct.conntrack.defrag cimport defrag_t, defrag_take_piece, defrag_take_queue, queue_t
from fastct.conntrack.fragqueue cimport (
    QUEUE_FIRST_IN,
    QUEUE_LAST_IN,
    piece_frame,
    piece_t,
)
from fastct.face cimport Engine

cdef enum:
    BLOCK_BYTES = 1 << 20
    PAYLOAD_MOST = 1 << 17       # where a piece that IPv4 takes may end: beyond what a datagram may be

cdef uint64_t CHARGE_MOST = <uint64_t>1 << 32
cdef uint64_t TIMEOUT_MAX_NS = <uint64_t>0x7FFFFFFF * 1000000000

cdef packed struct queue_image_t:
    uint64_t addresses[4]
    uint64_t deadline_ns
    uint64_t charge
    uint32_t id
    uint32_t pieces          # how many follow
    uint32_t peer_total      # fragments of its source, if it counts them
    uint32_t peer_fragments  # at the last piece
    uint32_t next_at
    uint32_t len
    uint16_t iface
    uint8_t l4proto
    uint8_t family
    uint8_t counted          # it has a peer
    uint8_t last_in          # the end is known
    uint8_t ecn
    uint8_t reserved

cdef packed struct piece_image_t:
    uint32_t offset
    uint32_t end
    uint32_t ip_off
    uint32_t payload_off
    uint32_t cap_len         # bytes of the frame that follow
    uint32_t wire_len
    uint16_t linktype
    uint16_t iface
    uint8_t is_run
    uint8_t reserved[3]


# ---- out

cdef size_t put_piece(uint8_t* out, const piece_t* piece, bint is_run) noexcept nogil:
    """Write a piece; returns how many bytes that takes, and only that if ``out`` is NULL."""
    cdef piece_image_t* image = <piece_image_t*>out
    if out != NULL:
        memset(image, 0, sizeof(piece_image_t))
        image.offset, image.end, image.is_run = piece.offset, piece.end, is_run
        image.ip_off, image.payload_off = piece.ip_off, piece.payload_off
        image.cap_len, image.wire_len = piece.cap_len, piece.wire_len
        image.linktype, image.iface = piece.linktype, piece.iface
        memcpy(out + sizeof(piece_image_t), piece_frame(piece), piece.cap_len)
    return sizeof(piece_image_t) + piece.cap_len


cdef size_t put_queue(uint8_t* out, const queue_t* q) noexcept nogil:
    """As ``put_piece``, of a queue and its pieces."""
    cdef queue_image_t* image = <queue_image_t*>out
    cdef size_t size = sizeof(queue_image_t)
    cdef const piece_t* piece = q.pieces.first
    cdef const piece_t* tail = NULL          # of the run that the piece is in
    cdef uint32_t count = 0
    while piece != NULL:
        size += put_piece(out + size if out != NULL else NULL, piece, tail == NULL)
        if tail == NULL:
            tail = piece.tail
        if piece == tail:
            tail = NULL
        piece = piece.next
        count += 1
    if out != NULL:
        memset(image, 0, sizeof(queue_image_t))
        memcpy(image.addresses, q.addresses, sizeof(q.addresses))
        image.deadline_ns, image.charge, image.id, image.pieces = q.deadline_ns, q.charge, q.id, count
        image.iface, image.l4proto, image.family = q.iface, q.l4proto, q.family
        image.counted = q.peer != NULL
        image.peer_total = q.peer.fragments if q.peer != NULL else 0
        image.peer_fragments, image.next_at = q.peer_fragments, q.next_at
        image.len, image.ecn = q.pieces.len, q.pieces.ecn
        image.last_in = q.pieces.flags & QUEUE_LAST_IN != 0
    return size


def state_fragments(Engine engine not None):
    """Yield blocks of queues: lists of buffers. The engine must not change meanwhile."""
    cdef const defrag_t* d = &engine.e.defrag
    cdef const queue_t* q
    cdef int family
    block, total = [], 0
    for family in range(2):
        q = d.ip6.oldest if family else d.ip4.oldest
        while q != NULL:
            made = np.empty(put_queue(NULL, q), dtype=np.uint8)
            put_queue(<uint8_t*><size_t>made.ctypes.data, q)
            block.append(made)
            total += len(made)
            if total > BLOCK_BYTES:
                yield block
                block, total = [], 0
            q = q.newer
    if block:
        yield block


# ---- in

cdef bint queue_is_sound(const queue_image_t* image, uint64_t now) noexcept nogil:
    cdef int i
    if image.reserved or image.counted > (image.family == 4) or image.last_in > 1 or image.len > PAYLOAD_MOST:
        return False
    if image.deadline_ns > now and image.deadline_ns - now > TIMEOUT_MAX_NS:
        return False
    if image.charge > CHARGE_MOST or image.ecn > 15:
        return False
    if image.family == 6:
        return image.l4proto == 0
    for i in range(1, 4):
        if image.addresses[i]:
            return False
    return image.family == 4 and image.iface == 0


cdef bint piece_is_sound(const piece_image_t* image, const queue_image_t* queue) noexcept nogil:
    """Whether a piece may be one of a queue, for all that can be said without the others."""
    cdef uint32_t least = 20 if queue.family == 4 else 48
    cdef uint32_t most = 60 if queue.family == 4 else 0xFFFF
    return (image.is_run <= 1 and not (image.reserved[0] | image.reserved[1] | image.reserved[2])
            and image.offset % 8 == 0 and image.end <= queue.len and least <= image.payload_off <= most
            and image.ip_off <= image.cap_len and image.payload_off <= image.cap_len - image.ip_off)


cdef size_t take_piece(defrag_t* d, queue_t* q, const queue_image_t* queue, const uint8_t* data,
                       size_t size) noexcept nogil:
    """Put a piece in; returns its length, 0 if it cannot be one."""
    cdef const piece_image_t* image = <const piece_image_t*>data
    cdef piece_t piece
    if (size < sizeof(piece_image_t) or image.cap_len > size - sizeof(piece_image_t)
            or not piece_is_sound(image, queue)):
        return 0
    memset(&piece, 0, sizeof(piece))
    piece.offset, piece.end, piece.ip_off, piece.payload_off = image.offset, image.end, image.ip_off, image.payload_off
    piece.cap_len, piece.wire_len, piece.linktype = image.cap_len, image.wire_len, image.linktype
    piece.iface = image.iface
    if defrag_take_piece(d, q, &piece, data + sizeof(piece_image_t), image.is_run) == NULL:
        return 0
    return sizeof(piece_image_t) + piece.cap_len


cdef size_t take_queue(defrag_t* d, const uint8_t* data, size_t size, uint64_t now) noexcept nogil:
    """Put a queue with its pieces in; returns their length, 0 if they are none."""
    cdef const queue_image_t* image = <const queue_image_t*>data
    cdef queue_t key
    cdef queue_t* q
    cdef size_t at = sizeof(queue_image_t), length
    cdef uint32_t left
    if size < at or not queue_is_sound(image, now):
        return 0
    left = image.pieces
    memset(&key, 0, sizeof(key))
    memcpy(key.addresses, image.addresses, sizeof(key.addresses))
    key.id, key.iface, key.l4proto, key.family = image.id, image.iface, image.l4proto, image.family
    key.charge, key.deadline_ns = image.charge, image.deadline_ns
    q = defrag_take_queue(d, &key, image.counted, image.peer_total)
    if q == NULL:
        return 0
    q.peer_fragments, q.next_at = image.peer_fragments, image.next_at
    q.pieces.len, q.pieces.ecn = image.len, image.ecn
    while left:
        left -= 1
        length = take_piece(d, q, image, data + at, size - at)
        if length == 0:
            return 0
        at += length
    if q.pieces.first != NULL and q.pieces.first.offset == 0:
        q.pieces.flags |= QUEUE_FIRST_IN
    if image.last_in:
        q.pieces.flags |= QUEUE_LAST_IN
    return at                # it may be whole: an empty last fragment told the end, and was dropped itself


def take_fragments(Engine engine not None, const uint8_t[::1] block not None, order=None):
    """Put a block of queues in. ``order``: nothing to them.

    Raises
    ------
    ValueError
        For what no queue can hold. The engine is of no use then.
    """
    cdef size_t at = 0, length, size = block.shape[0]
    if size == 0:
        raise ValueError("fragments: not of the length they should have")
    while at < size:
        length = take_queue(&engine.e.defrag, &block[at], size - at, engine.e.ct.now)
        if length == 0:
            raise ValueError("fragments: what no queue can hold")
        at += length
