"""Reassembly: finding a fragment's queue, its time and budget, and what becomes of the packet. See ``defrag.pxd``;
the pieces within a queue are ``fragqueue``'s.

Nothing is copied but fragments: their memory is the capture's and gone with the batch. A datagram is put together
in a buffer that lasts until the next one, long enough to be tracked.
"""
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

from fastct.capture.frames cimport frame_t
from fastct.conntrack.arena cimport memory_close, memory_open
from fastct.conntrack.blocks cimport block_give, block_take, blocks_free, blocks_init
from fastct.conntrack.chains cimport chains_add, chains_first, chains_free, chains_remove, chains_resize
from fastct.conntrack.conn cimport NO_SLOT
from fastct.conntrack.fragqueue cimport (
    QUEUE_FIRST_IN,
    piece_frame,
    piece_t,
    pieces_append,
    pieces_end,
    pieces_join,
    pieces_place,
    pieces_t,
    pieces_whole,
)
from fastct.conntrack.opts cimport (
    OPT_FRAG6_HIGH_THRESH,
    OPT_FRAG6_TIMEOUT,
    OPT_IPFRAG_HIGH_THRESH,
    OPT_IPFRAG_MAX_DIST,
    OPT_IPFRAG_TIME,
    ct_opts_t,
)
from fastct.wire.bytes cimport load_u32, load_u64
from fastct.wire.fragment cimport (
    ECN_CE,
    ECN_NOT_ECT,
    FRAGMENT_DATAGRAM_MAX,
    FRAGMENT_PASSES,
    FRAGMENT_PIECE,
    datagram_parse,
    fragment_kind,
    fragment_read,
    fragment_t,
)
from fastct.wire.packet cimport hash_addresses, hash_pair, packet_t, wire_opts_t
from fastct.wire.reason cimport Reason

cdef enum:
    NS_PER_S = 1000000000
    QUEUE_CHARGE_IP4 = 200    # what Linux charges for a queue, and at least for a piece
    QUEUE_CHARGE_IP6 = 184
    PIECE_CHARGE = 832


# ---- set-up

cdef int defrag_init(defrag_t* d, const ct_opts_t* opts, const wire_opts_t* wire) except -1:
    """=> ``d`` is zeroed. ``opts`` and ``wire`` stay where they are."""
    d.opts = opts
    d.wire = wire
    blocks_init(&d.blocks, <size_t>1 << 36)
    return defrag_configure(d)


cdef int defrag_configure(defrag_t* d) except -1:
    """The options have changed: have tables for as many queues as the budgets allow."""
    cdef uint64_t ip4 = d.opts.value[OPT_IPFRAG_HIGH_THRESH] // PIECE_CHARGE
    chains_resize(&d.ip4.queues, ip4)
    chains_resize(&d.peers, ip4)
    return chains_resize(&d.ip6.queues, d.opts.value[OPT_FRAG6_HIGH_THRESH] // PIECE_CHARGE)


cdef void defrag_free(defrag_t* d) noexcept:
    chains_free(&d.ip4.queues)
    chains_free(&d.ip6.queues)
    chains_free(&d.peers)
    blocks_free(&d.blocks)


# ---- memory

cdef uint64_t charge_of(uint32_t length) noexcept nogil:
    """What Linux charges for a packet from a TUN device; a network card's buffers may cost more."""
    cdef uint64_t data = 1024
    if length <= 192:
        return PIECE_CHARGE
    if length > 4032:                                       # the rest in pages
        return 256 + 4096 + ((<uint64_t>length - 3712 + 4095) & ~<uint64_t>4095)
    while data < length + 384:
        data *= 2
    return 256 + data


cdef inline uint64_t queue_charge(uint8_t family) noexcept nogil:
    return QUEUE_CHARGE_IP4 if family == 4 else QUEUE_CHARGE_IP6


cdef inline size_t piece_bytes(const piece_t* piece) noexcept nogil:
    return sizeof(piece_t) + piece.cap_len


cdef void forget_pieces(defrag_t* d, piece_t* piece) noexcept nogil:
    cdef piece_t* following
    while piece != NULL:
        following = piece.next
        block_give(&d.blocks, piece, piece_bytes(piece))
        piece = following


cdef void defrag_release(defrag_t* d) noexcept nogil:
    """Give back the pieces of datagrams that were kept."""
    forget_pieces(d, d.leaving)
    d.leaving = d.leaving_last = d.latest = NULL


# ---- queues

cdef inline fqdir_t* fqdir_of(defrag_t* d, uint8_t family) noexcept nogil:
    return &d.ip4 if family == 4 else &d.ip6


cdef uint64_t lifetime_ns(const defrag_t* d, uint8_t family) noexcept nogil:
    return d.opts.value[OPT_IPFRAG_TIME if family == 4 else OPT_FRAG6_TIMEOUT] * <uint64_t>NS_PER_S


cdef void line_up(fqdir_t* dir, queue_t* q) noexcept nogil:
    """Make a queue the newest."""
    q.older = dir.newest
    q.newer = NULL
    if dir.newest != NULL:
        dir.newest.newer = q
    else:
        dir.oldest = q
    dir.newest = q


cdef void step_out(fqdir_t* dir, queue_t* q) noexcept nogil:
    if q.older != NULL:
        q.older.newer = q.newer
    else:
        dir.oldest = q.newer
    if q.newer != NULL:
        q.newer.older = q.older
    else:
        dir.newest = q.older


cdef peer_t* peer_join(defrag_t* d, uint32_t address) noexcept nogil:
    """The counter of an IPv4 source, for one more queue; NULL for want of memory."""
    cdef uint64_t hash = hash_pair(&d.wire.hash_key, address, 4)
    cdef peer_t* peer = <peer_t*>chains_first(&d.peers, hash)
    while peer != NULL and peer.address != address:
        peer = <peer_t*>peer.link.next
    if peer == NULL:
        peer = <peer_t*>block_take(&d.blocks, sizeof(peer_t))
        if peer == NULL:
            return NULL
        memset(peer, 0, sizeof(peer_t))
        peer.address = address
        chains_add(&d.peers, &peer.link, hash)
    peer.queues += 1
    return peer


cdef void peer_leave(defrag_t* d, peer_t* peer) noexcept nogil:
    peer.queues -= 1
    if peer.queues == 0:
        chains_remove(&d.peers, &peer.link)
        block_give(&d.blocks, peer, sizeof(peer_t))


cdef void queue_kill(defrag_t* d, queue_t* q) noexcept nogil:
    cdef fqdir_t* dir = fqdir_of(d, q.family)
    chains_remove(&dir.queues, &q.link)
    step_out(dir, q)
    dir.memory -= q.charge
    dir.count -= 1
    if q.peer != NULL:
        peer_leave(d, q.peer)
    forget_pieces(d, q.pieces.first)
    block_give(&d.blocks, q, sizeof(queue_t))


cdef void fqdir_expire(defrag_t* d, fqdir_t* dir, uint64_t now) noexcept nogil:
    while dir.oldest != NULL and dir.oldest.deadline_ns <= now:
        d.expired += 1
        queue_kill(d, dir.oldest)


cdef void defrag_expire(defrag_t* d, uint64_t now) noexcept nogil:
    """Give up the datagrams whose time has run out."""
    fqdir_expire(d, &d.ip4, now)
    fqdir_expire(d, &d.ip6, now)


cdef void hash_queue(const defrag_t* d, queue_t* key) noexcept nogil:
    key.link.hash = hash_pair(&d.wire.hash_key,
                              hash_addresses(&d.wire.hash_key, key.addresses[0], key.addresses[1], key.addresses[2],
                                             key.addresses[3]),
                              key.id | <uint64_t>key.l4proto << 32 | <uint64_t>key.iface << 40)


cdef void queue_key(const defrag_t* d, queue_t* key, const packet_t* p, const fragment_t* f,
                    uint16_t iface) noexcept nogil:
    """Fill the key of a queue, and its hash."""
    cdef bint scoped                                        # a multicast or link-local destination
    memset(key, 0, sizeof(queue_t))
    key.family = p.ip_version
    key.id = f.id
    if p.ip_version == 4:
        key.addresses[0] = load_u64(f.addresses)
        key.l4proto = f.next_header
    else:
        memcpy(key.addresses, f.addresses, 32)
        scoped = f.addresses[16] == 0xFF or (f.addresses[16] == 0xFE and f.addresses[17] & 0xC0 == 0x80)
        key.iface = iface if scoped else 0
    hash_queue(d, key)


cdef inline bint same_key(const queue_t* a, const queue_t* b) noexcept nogil:
    return (a.link.hash == b.link.hash and a.id == b.id and a.l4proto == b.l4proto and a.iface == b.iface
            and a.addresses[0] == b.addresses[0] and a.addresses[1] == b.addresses[1]
            and a.addresses[2] == b.addresses[2] and a.addresses[3] == b.addresses[3])


cdef queue_t* queue_begin(defrag_t* d, const queue_t* key, uint64_t now) noexcept nogil:
    """A new queue, or NULL for want of memory."""
    cdef fqdir_t* dir = fqdir_of(d, key.family)
    cdef queue_t* q = <queue_t*>block_take(&d.blocks, sizeof(queue_t))
    if q == NULL:
        return NULL
    q[0] = key[0]
    if key.family == 4 and d.opts.value[OPT_IPFRAG_MAX_DIST]:
        q.peer = peer_join(d, <uint32_t>load_u32(<const uint8_t*>key.addresses))
    q.deadline_ns = now + lifetime_ns(d, key.family)
    q.charge = queue_charge(key.family)
    chains_add(&dir.queues, &q.link, key.link.hash)
    line_up(dir, q)
    dir.memory += q.charge
    dir.count += 1
    return q


cdef queue_t* queue_known(defrag_t* d, const queue_t* key) noexcept nogil:
    cdef queue_t* q = <queue_t*>chains_first(&fqdir_of(d, key.family).queues, key.link.hash)
    while q != NULL and not same_key(q, key):
        q = <queue_t*>q.link.next
    return q


cdef queue_t* queue_find(defrag_t* d, const queue_t* key, uint64_t now) noexcept nogil:
    """The queue with a key, a new one if there is none; NULL if the budget is exceeded."""
    cdef fqdir_t* dir = fqdir_of(d, key.family)
    cdef uint64_t budget = d.opts.value[OPT_IPFRAG_HIGH_THRESH if key.family == 4 else OPT_FRAG6_HIGH_THRESH]
    cdef queue_t* q
    if budget == 0 or dir.memory > budget:
        return NULL
    q = queue_known(d, key)
    if q != NULL and q.deadline_ns <= now:                  # its lifetime was set shorter than that of older ones
        d.expired += 1
        queue_kill(d, q)
        q = NULL
    return queue_begin(d, key, now) if q == NULL else q


cdef void restart_if_far(defrag_t* d, queue_t* q, uint64_t now) noexcept nogil:
    """Forget the pieces of a queue if its source has sent too many fragments since the last of them."""
    cdef uint32_t distance
    cdef fqdir_t* dir = fqdir_of(d, q.family)
    if q.peer == NULL or d.opts.value[OPT_IPFRAG_MAX_DIST] == 0:
        return
    q.peer.fragments += 1
    distance = q.peer.fragments - q.peer_fragments
    q.peer_fragments = q.peer.fragments
    if q.pieces.last == NULL or distance <= d.opts.value[OPT_IPFRAG_MAX_DIST]:
        return
    d.far += 1
    forget_pieces(d, q.pieces.first)
    memset(&q.pieces, 0, sizeof(pieces_t))
    dir.memory -= q.charge - queue_charge(q.family)
    q.charge = queue_charge(q.family)
    q.deadline_ns = now + lifetime_ns(d, q.family)
    step_out(dir, q)
    line_up(dir, q)


# ---- a fragment

cdef Reason queue_add(defrag_t* d, queue_t* q, const packet_t* p, const fragment_t* f,
                      const frame_t* frame) noexcept nogil:
    """Keep a fragment, whose end has been judged, as a piece; returns why not."""
    cdef uint32_t ip_off = <uint32_t>(p.data - frame.data)
    cdef uint32_t weight = <uint32_t>hash_pair(&d.wire.hash_key, q.link.hash, f.offset)
    cdef uint64_t charge = charge_of(frame.cap_len if frame.cap_len > ip_off + p.len else ip_off + p.len)
    cdef piece_t* piece = <piece_t*>block_take(&d.blocks, sizeof(piece_t) + frame.cap_len)
    cdef Reason reason
    if piece == NULL:
        return Reason.fragment_limit
    piece.cap_len = frame.cap_len
    piece.offset = f.offset
    piece.end = f.end
    reason = pieces_place(&q.pieces, piece, weight)
    if reason != Reason.none:
        block_give(&d.blocks, piece, piece_bytes(piece))
        return reason
    piece.ip_off = ip_off
    piece.payload_off = f.payload_off
    piece.wire_len = frame.wire_len
    piece.linktype = frame.linktype
    piece.iface = frame.iface
    memcpy(<uint8_t*>piece_frame(piece), frame.data, frame.cap_len)
    q.pieces.meat += f.end - f.offset
    q.pieces.ecn |= f.ecn
    q.charge += charge
    fqdir_of(d, q.family).memory += charge
    if f.offset == 0:
        q.pieces.flags |= QUEUE_FIRST_IN
        q.next_at = f.next_at
    return Reason.none


# ---- from a snapshot

cdef queue_t* defrag_take_queue(defrag_t* d, queue_t* image, bint counted, uint32_t peer_fragments) noexcept nogil:
    """A queue as another defrag had it, still without pieces, as the newest of its family.

    => ``counted``: it has a peer, with such a counter. NULL if it is there already, or for want of memory.
    """
    cdef queue_t* q
    hash_queue(d, image)
    q = queue_begin(d, image, 0) if queue_known(d, image) == NULL else NULL
    if q == NULL:
        return NULL
    if counted and q.peer == NULL:
        q.peer = peer_join(d, <uint32_t>q.addresses[0])
    elif q.peer != NULL and not counted:
        peer_leave(d, q.peer)
        q.peer = NULL
    if q.peer != NULL:
        q.peer.fragments = peer_fragments
    fqdir_of(d, q.family).memory += image.charge - q.charge
    q.charge, q.deadline_ns = image.charge, image.deadline_ns
    return q


cdef piece_t* defrag_take_piece(defrag_t* d, queue_t* q, const piece_t* image, const uint8_t* frame,
                                bint is_run) noexcept nogil:
    """A piece of a queue from defrag_take_queue, after those before it; NULL if it cannot be."""
    cdef uint32_t weight = <uint32_t>hash_pair(&d.wire.hash_key, q.link.hash, image.offset)
    cdef piece_t* piece = <piece_t*>block_take(&d.blocks, piece_bytes(image))
    if piece == NULL:
        return NULL
    piece[0] = image[0]
    if not pieces_append(&q.pieces, piece, is_run, weight):
        block_give(&d.blocks, piece, piece_bytes(piece))
        return NULL
    memcpy(<uint8_t*>piece_frame(piece), frame, piece.cap_len)
    return piece


# ---- the datagram

cdef uint32_t put_head(const queue_t* q, uint8_t* out, uint32_t payload_len) noexcept nogil:
    """The headers of a datagram: those of its first piece, without what made it a fragment; returns their length."""
    cdef const piece_t* first = q.pieces.first
    cdef const uint8_t* ip = piece_frame(first) + first.ip_off
    cdef uint32_t length, head_len = first.payload_off if q.family == 4 else first.payload_off - 8
    memcpy(out, ip, head_len)
    if q.family == 4:
        length = head_len + payload_len
        out[2], out[3] = <uint8_t>(length >> 8), <uint8_t>length
        out[6] = out[7] = 0
        if q.pieces.ecn & ECN_CE and q.pieces.ecn != ECN_CE:
            out[1] |= 3
        return head_len
    length = head_len - 40 + payload_len
    # Linux keeps the place in a byte: behind 256 bytes of headers it spoils another.
    out[q.next_at & 0xFF] = ip[head_len]
    out[4], out[5] = <uint8_t>(length >> 8), <uint8_t>length
    if q.pieces.ecn & ECN_CE and q.pieces.ecn != ECN_CE:
        out[1] |= 0x30
    return head_len


cdef Reason datagram_fault(const queue_t* q) noexcept nogil:
    """Why the datagram of a whole queue is given up after all, if it is."""
    cdef uint32_t head_len = q.pieces.first.payload_off
    if q.pieces.ecn & ECN_NOT_ECT and q.pieces.ecn != ECN_NOT_ECT:
        return Reason.fragment_ecn
    if q.family == 6:
        head_len -= 48                                      # it counts neither its header nor the fragment header
    return Reason.fragment_oversize if head_len + q.pieces.len > FRAGMENT_DATAGRAM_MAX else Reason.none


cdef void keep_leaving(defrag_t* d, queue_t* q, uint64_t number) noexcept nogil:
    """The pieces of a datagram leave with packet ``number``: they are the caller's until defrag_release."""
    cdef piece_t* piece = q.pieces.first
    d.latest = piece
    if d.leaving == NULL:
        d.leaving = piece
    else:
        d.leaving_last.next = piece
    d.leaving_last = q.pieces.last
    while piece != NULL:
        piece.packet = number
        piece = piece.next
    q.pieces.first = NULL


cdef void reassemble(defrag_t* d, queue_t* q, packet_t* p, uint64_t number) noexcept nogil:
    """The packet becomes the datagram; the queue is over."""
    cdef uint32_t cap_len, payload_len = q.pieces.len, head_len
    memory_open(d.datagram, DATAGRAM_BYTES)
    head_len = put_head(q, d.datagram, payload_len)
    pieces_join(&q.pieces, d.datagram + head_len, &cap_len)
    memory_close(d.datagram + head_len + cap_len, DATAGRAM_BYTES - head_len - cap_len)
    if d.keep_leaving:
        keep_leaving(d, q, number)
    queue_kill(d, q)
    d.datagrams += 1
    datagram_parse(p, d.datagram, head_len + cap_len, head_len + payload_len, d.wire)
    p.slot = NO_SLOT


cdef bint pass_on(const defrag_t* d, packet_t* p) noexcept nogil:
    """A fragment that goes on as it is."""
    datagram_parse(p, p.data, p.cap_len, p.len, d.wire)
    p.slot = NO_SLOT
    return True


cdef bint defrag_in(defrag_t* d, packet_t* p, const frame_t* frame, uint64_t number, uint64_t now) noexcept nogil:
    """Take a packet of kind PACKET_FRAGMENT, the frame it is in and its number.

    => Returns True if there is a packet to go on with: ``p`` is it, in memory that lasts until the next call or
       that of the frame. Else ``p.reason`` says whether it is held (``fragment``) or why it was dropped.
    """
    cdef fragment_t f
    cdef queue_t key
    cdef queue_t* q
    cdef bint fatal
    cdef fragment_kind kind = fragment_read(p, &f)
    if kind != FRAGMENT_PIECE:
        return kind == FRAGMENT_PASSES and pass_on(d, p)
    defrag_expire(d, now)
    queue_key(d, &key, p, &f, frame.iface)
    q = queue_find(d, &key, now)
    if q == NULL:
        p.reason = Reason.fragment_limit
        return False
    restart_if_far(d, q, now)
    if q.family == 6 and f.more and f.end & 7 and f.end <= FRAGMENT_DATAGRAM_MAX:
        queue_kill(d, q)
        return pass_on(d, p)
    p.reason = pieces_end(&q.pieces, &f, q.family, &fatal)
    if p.reason == Reason.none:
        p.reason = queue_add(d, q, p, &f, frame)
        fatal = p.reason == Reason.fragment_overlap
    if p.reason == Reason.none and pieces_whole(&q.pieces):
        p.reason = datagram_fault(q)
        if p.reason == Reason.none:
            reassemble(d, q, p, number)
            return True
        fatal = True
    if p.reason == Reason.none:
        p.reason = Reason.fragment
    elif fatal:
        queue_kill(d, q)
    return False
