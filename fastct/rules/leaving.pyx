"""What leaves of a block of frames, once rules and the tracker have seen it."""
from libc.stdint cimport uint64_t

from fastct.capture.frames cimport frame_t
from fastct.conntrack.fragqueue cimport piece_frame, piece_t
from fastct.records cimport packet_row_t
from fastct.rules.compiled cimport made_t, output_t

cdef enum:
    VERDICT_ACCEPT = 0       # index into records.VERDICTS


cdef Py_ssize_t count_leaving(const piece_t* piece, const output_t* o, const packet_row_t* rows,
                              Py_ssize_t n) noexcept nogil:
    """No fewer than the frames that ``put_leaving`` makes."""
    cdef Py_ssize_t i, count = <Py_ssize_t>o.made.rows
    for i in range(n):
        count += rows[i].verdict == VERDICT_ACCEPT
    while piece != NULL:
        count += 1
        piece = piece.next
    return count


cdef inline void put_piece(frame_t* out, const piece_t* piece, uint64_t ts_ns) noexcept nogil:
    out.data = piece_frame(piece)
    out.ts_ns = ts_ns
    out.cap_len = piece.cap_len
    out.wire_len = piece.wire_len
    out.linktype = piece.linktype
    out.iface = piece.iface
    out.reserved = 0


cdef Py_ssize_t put_leaving(const piece_t* piece, const output_t* o, const frame_t* frames, const packet_row_t* rows,
                            Py_ssize_t n, frame_t* out) noexcept nogil:
    """The frames of a block that were accepted, as they are by now, each behind what the host sent because of it; for
    the one that completed a datagram, all its pieces.

    => ``piece``: those of the block's datagrams, in order. Returns how many frames that makes.
    """
    cdef const made_t* made = <const made_t*>o.made.mem.base
    cdef const made_t* end = made + o.made.rows
    cdef const frame_t* frame
    cdef Py_ssize_t i, count = 0
    for i in range(n):
        frame = frames + i
        while made != end and made.packet == rows[i].packet:
            if made.replaces:
                frame = &made.frame
            else:
                out[count] = made.frame
                count += 1
            made += 1
        if piece == NULL or piece.packet != rows[i].packet:
            if rows[i].verdict == VERDICT_ACCEPT:
                out[count] = frame[0]
                count += 1
            continue
        while piece != NULL and piece.packet == rows[i].packet:
            if rows[i].verdict == VERDICT_ACCEPT:
                put_piece(&out[count], piece, frames[i].ts_ns)
                count += 1
            piece = piece.next
    return count
