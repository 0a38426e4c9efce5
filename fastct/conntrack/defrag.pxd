"""Reassembly of fragments, before anything else is done with a packet (PREROUTING, priority -400).

    a fragment ──► queue of its datagram ──► held
                                         ├─► whole: the packet becomes the datagram, and goes on
                                         ├─► IPv6 only: goes on as it is
                                         └─► dropped, for a reason; the queue may die with it

Queues are found by source, destination, identification and, for IPv4, protocol; for IPv6 also by interface where
the destination means something only there. A queue lives ``ipfrag_time`` or ``nf_conntrack_frag6_timeout`` seconds
from its first piece. Each family has its own budget of memory (``*_high_thresh``), counted as Linux counts it; while
it is exceeded every fragment is refused, whichever its queue. Nothing is evicted: the low threshold has no effect,
in Linux neither. When more than ``ipfrag_max_dist`` fragments of an IPv4 source come between two of a datagram, its
earlier pieces are forgotten, since the source has reused the identification.
"""
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

from fastct.capture.frames cimport frame_t
from fastct.conntrack.blocks cimport blocks_t
from fastct.conntrack.chains cimport chains_t, link_t
from fastct.conntrack.fragqueue cimport piece_t, pieces_t
from fastct.conntrack.opts cimport ct_opts_t
from fastct.wire.packet cimport packet_t, wire_opts_t

cdef enum:
    DATAGRAM_BYTES = 65536 + 64   # the longest there is, and that its headers may come first

# An IPv4 source with queues: how many fragments came from it.
cdef struct peer_t:
    link_t link
    uint32_t address
    uint32_t queues
    uint32_t fragments

cdef struct queue_t:
    link_t link
    uint64_t addresses[4]
    uint32_t id
    uint16_t iface           # where it is part of the key, else 0
    uint8_t l4proto          # IPv4, else 0
    uint8_t family           # 4 or 6
    queue_t* older
    queue_t* newer
    uint64_t deadline_ns
    uint64_t charge          # bytes as Linux counts them
    peer_t* peer             # NULL: ipfrag_max_dist was 0 when the queue began
    uint32_t peer_fragments  # the peer's counter at the last piece
    uint32_t next_at         # IPv6: fragment_t.next_at of the first piece
    pieces_t pieces

# The queues of a family, and Linux' name for them.
cdef struct fqdir_t:
    chains_t queues
    queue_t* oldest          # in order of creation, which is that of their deadlines
    queue_t* newest
    uint64_t memory          # sum of the charges
    uint32_t count

cdef struct defrag_t:
    const ct_opts_t* opts
    const wire_opts_t* wire
    blocks_t blocks
    fqdir_t ip4
    fqdir_t ip6
    chains_t peers
    uint8_t keep_leaving     # keep the pieces of datagrams until defrag_release
    piece_t* leaving         # those, in the order of the packets that completed them
    piece_t* leaving_last
    piece_t* latest          # of those, the first of the latest datagram
    uint64_t datagrams       # reassembled
    uint64_t expired         # queues whose time ran out
    uint64_t far             # queues begun again because of ipfrag_max_dist
    uint8_t datagram[DATAGRAM_BYTES]

cdef int defrag_init(defrag_t* d, const ct_opts_t* opts, const wire_opts_t* wire) except -1
cdef int defrag_configure(defrag_t* d) except -1
cdef void defrag_free(defrag_t* d) noexcept
cdef bint defrag_in(defrag_t* d, packet_t* p, const frame_t* frame, uint64_t number, uint64_t now) noexcept nogil
cdef void defrag_expire(defrag_t* d, uint64_t now) noexcept nogil
cdef queue_t* defrag_take_queue(defrag_t* d, queue_t* image, bint counted, uint32_t peer_fragments) noexcept nogil
cdef piece_t* defrag_take_piece(defrag_t* d, queue_t* q, const piece_t* image, const uint8_t* frame,
                                bint is_run) noexcept nogil
cdef void defrag_release(defrag_t* d) noexcept nogil
