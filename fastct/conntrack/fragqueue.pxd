"""The pieces of one datagram.

    first ─► piece ─► piece ─► piece ─► last          by offset
             └──── run ────┘  └─ run ─┘               pieces that came one behind the other at the end are one run
             first      tail  first=tail

A new piece is compared with runs, as Linux does: inside one it is a duplicate, touching one otherwise it is an
overlap. Pieces that close a gap are runs of their own, so what spans two neighbours is an overlap although all its
bytes are there. Runs are found through a treap (a search tree kept shallow by random weights), so that no order of
arrival makes a queue slow.
"""
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

from fastct.wire.fragment cimport fragment_t
from fastct.wire.reason cimport Reason

cdef struct piece_t:
    piece_t* next          # by offset
    piece_t* left          # of a run: the tree
    piece_t* right
    piece_t* tail          # of a run: its last piece
    uint32_t weight        # of a run, random
    uint32_t offset        # bytes of the datagram
    uint32_t end
    uint32_t run_end       # of a run
    # what was captured: the frame lies behind this record
    uint32_t ip_off        # its IP header
    uint32_t payload_off   # first byte of the datagram's, from the IP header
    uint32_t cap_len
    uint32_t wire_len
    uint16_t linktype
    uint16_t iface
    uint64_t packet        # number of the packet with which it leaves

cdef enum:
    QUEUE_FIRST_IN = 1
    QUEUE_LAST_IN = 2

cdef struct pieces_t:
    piece_t* first
    piece_t* last
    piece_t* last_run
    piece_t* root
    uint32_t len           # bytes of the datagram's payload, as far as known
    uint32_t meat          # bytes that are there
    uint8_t flags          # QUEUE_*
    uint8_t ecn            # bits of fragment_t.ecn

cdef Reason pieces_end(pieces_t* q, fragment_t* f, uint8_t family, bint* fatal) noexcept nogil
cdef Reason pieces_place(pieces_t* q, piece_t* piece, uint32_t weight) noexcept nogil
cdef bint pieces_append(pieces_t* q, piece_t* piece, bint is_run, uint32_t weight) noexcept nogil
cdef uint32_t pieces_join(const pieces_t* q, uint8_t* out, uint32_t* cap_len) noexcept nogil


cdef inline const uint8_t* piece_frame(const piece_t* piece) noexcept nogil:
    return <const uint8_t*>(piece + 1)


cdef inline bint pieces_whole(const pieces_t* q) noexcept nogil:
    return q.flags == QUEUE_FIRST_IN | QUEUE_LAST_IN and q.meat == q.len
