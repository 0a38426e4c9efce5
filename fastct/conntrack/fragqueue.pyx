"""The pieces of one datagram: judging a new one, putting it in its place, joining them. See ``fragqueue.pxd``."""
from libc.stdint cimport uint8_t, uint32_t
from libc.string cimport memcpy

from fastct.wire.fragment cimport FRAGMENT_DATAGRAM_MAX, fragment_t
from fastct.wire.reason cimport Reason


# ---- the end of the datagram

cdef Reason pieces_end(pieces_t* q, fragment_t* f, uint8_t family, bint* fatal) noexcept nogil:
    """Judge where a piece ends, and note how long the datagram is by it.

    IPv4 gives a datagram up for what IPv6 only refuses, and the other way round; IPv4 uses as much of a piece as is
    a multiple of 8 bytes.

    => ``f.end`` is cut for IPv4. Returns a reason to drop the piece, and whether the queue dies of it.
    """
    fatal[0] = family == 4
    if family == 6 and f.end > FRAGMENT_DATAGRAM_MAX:
        return Reason.fragment_oversize
    if not f.more:
        if f.end < q.len or (q.flags & QUEUE_LAST_IN and f.end != q.len):
            return Reason.fragment_end
        q.flags |= QUEUE_LAST_IN
        q.len = f.end
    else:
        f.end &= ~<uint32_t>7
        if f.end > q.len:
            if q.flags & QUEUE_LAST_IN:
                return Reason.fragment_end
            q.len = f.end
    return Reason.fragment_empty if f.end == f.offset else Reason.none


# ---- its place

cdef void run_begin(piece_t* piece, uint32_t weight) noexcept nogil:
    piece.left = piece.right = NULL
    piece.tail = piece
    piece.weight = weight
    piece.run_end = piece.end


cdef void tree_insert(piece_t** at, piece_t* run) noexcept nogil:
    """Put a run into the tree below ``at``: above all of less weight, which are parted by its offset."""
    cdef piece_t* rest
    cdef piece_t** less = &run.left
    cdef piece_t** more = &run.right
    while at[0] != NULL and at[0].weight >= run.weight:
        at = &at[0].left if run.offset < at[0].offset else &at[0].right
    rest = at[0]
    at[0] = run
    while rest != NULL:
        if rest.offset < run.offset:
            less[0] = rest
            less = &rest.right
            rest = rest.right
        else:
            more[0] = rest
            more = &rest.left
            rest = rest.left
    less[0] = more[0] = NULL


cdef Reason place_last(pieces_t* q, piece_t* piece, uint32_t weight) noexcept nogil:
    """A piece that ends behind all others."""
    if q.last != NULL and piece.offset < q.last.end:
        return Reason.fragment_overlap
    if q.last == NULL:
        q.first = piece
    else:
        q.last.next = piece
    if q.last != NULL and piece.offset == q.last.end:
        q.last_run.run_end = piece.end
        q.last_run.tail = piece
    else:
        run_begin(piece, weight)
        tree_insert(&q.root, piece)
        q.last_run = piece
    q.last = piece
    return Reason.none


cdef Reason pieces_place(pieces_t* q, piece_t* piece, uint32_t weight) noexcept nogil:
    """Put a piece, its offset and end set, where it belongs.

    => ``weight`` is random. Returns why not: a duplicate or an overlap.
    """
    cdef piece_t* run = q.root
    cdef piece_t* before = NULL
    piece.next = NULL
    if q.last == NULL or q.last.end < piece.end:
        return place_last(q, piece, weight)
    while run != NULL:
        if piece.end <= run.offset:
            run = run.left
        elif piece.offset >= run.run_end:
            before = run
            run = run.right
        elif piece.offset >= run.offset and piece.end <= run.run_end:
            return Reason.fragment_duplicate
        else:
            return Reason.fragment_overlap
    run_begin(piece, weight)
    tree_insert(&q.root, piece)
    if before == NULL:
        piece.next = q.first
        q.first = piece
    else:
        piece.next = before.tail.next
        before.tail.next = piece
    return Reason.none


cdef bint pieces_append(pieces_t* q, piece_t* piece, bint is_run, uint32_t weight) noexcept nogil:
    """Put a piece behind all others, as it lay in another queue, where it began a run or did not.

    => False if it cannot have lain there.
    """
    if piece.end <= piece.offset or (piece.offset < q.last.end if q.last != NULL else not is_run):
        return False
    if not is_run and piece.offset != q.last.end:
        return False
    piece.next = NULL
    if is_run:
        run_begin(piece, weight)
        tree_insert(&q.root, piece)
        q.last_run = piece
    else:
        q.last_run.run_end = piece.end
        q.last_run.tail = piece
    if q.last == NULL:
        q.first = piece
    else:
        q.last.next = piece
    q.last = piece
    q.meat += piece.end - piece.offset
    return True


# ---- the whole

cdef uint32_t pieces_join(const pieces_t* q, uint8_t* out, uint32_t* cap_len) noexcept nogil:
    """Copy the payloads, one behind the other.

    => Every byte is there: ``pieces_whole``. Returns how many; ``cap_len`` is how many come before the first that a
       capture cut off, all if none was.
    """
    cdef const piece_t* piece = q.first
    cdef uint32_t begin, size, captured
    cdef bint cut = False
    cap_len[0] = 0
    while piece != NULL and not cut:
        begin = piece.ip_off + piece.payload_off
        size = piece.end - piece.offset
        captured = piece.cap_len - begin if piece.cap_len > begin else 0
        cut = captured < size
        memcpy(out + piece.offset, piece_frame(piece) + begin, captured if cut else size)
        cap_len[0] = piece.offset + (captured if cut else size)
        piece = piece.next
    return q.len
