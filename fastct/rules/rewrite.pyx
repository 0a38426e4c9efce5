"""Private copies of packets, and the frames that rules have made; what it is about is in ``rewrite.pxd``."""
from libc.stdint cimport uint8_t, uint16_t, uint32_t
from libc.string cimport memcpy

from fastct.capture.frames cimport frame_t
from fastct.conntrack.arena cimport arena_free, arena_grow, arena_init
from fastct.conntrack.fragqueue cimport piece_frame, piece_t
from fastct.conntrack.log cimport log_free, log_init, log_row
from fastct.rules.compiled cimport made_t, output_t, run_t
from fastct.rules.memory cimport time_to_live
from fastct.wire.bytes cimport load_u16, swap16
from fastct.wire.link cimport link_network
from fastct.wire.packet cimport packet_t

cdef enum:
    OUTPUT_MAX = 1 << 30     # bytes of copies and answers of a block
    SPARE = 64               # bytes that a packet may grow by
    STEP = 8                 # what is taken begins at multiples of it


cdef int output_init(output_t* o) except -1:
    if arena_init(&o.bytes, OUTPUT_MAX, 0, NULL):
        raise MemoryError("no address space for packets that are rewritten")
    return log_init(&o.made, sizeof(made_t))


cdef void output_free(output_t* o) noexcept:
    arena_free(&o.bytes)
    log_free(&o.made)


cdef uint8_t* output_room(output_t* o, uint32_t size) noexcept nogil:
    """Memory until the block's frames have left; NULL when there is none, which is counted."""
    cdef uint8_t* room
    size = (size + STEP - 1) & ~<uint32_t>(STEP - 1)
    if o.used + size > OUTPUT_MAX or arena_grow(&o.bytes, o.used + size):
        o.lost += 1
        return NULL
    room = <uint8_t*>o.bytes.base + o.used
    o.used += size
    return room


cdef made_t* output_frame(const run_t* run, const uint8_t* data, uint32_t cap_len, uint32_t wire_len) noexcept nogil:
    """Note a frame that leaves with the packet of ``run``; NULL when there is no memory."""
    cdef output_t* o = run.output
    cdef made_t* made = <made_t*>log_row(&o.made)
    if made == NULL:
        o.lost += 1
        return NULL
    made.frame.data, made.frame.cap_len, made.frame.wire_len = data, cap_len, wire_len
    made.frame.ts_ns, made.frame.reserved = run.frame.ts_ns, 0
    made.frame.linktype, made.frame.iface = run.frame.linktype, run.frame.iface
    made.packet = run.number
    made.replaces = False
    return made


cdef void output_packet(run_t* run) noexcept nogil:
    """The packet of ``run``, which has a frame of its own, leaves as it is by now."""
    cdef uint32_t link = link_length(run.frame)
    output_frame(run, run.p.data - link, link + run.p.cap_len, link + run.p.len)


cdef uint32_t link_length(const frame_t* frame) noexcept nogil:
    """Bytes in front of the packet in a frame that one came in."""
    cdef uint32_t length = 0
    link_network(frame.data, frame.cap_len, frame.linktype, &length)
    return length


cdef uint8_t* writable(run_t* run) noexcept nogil:
    """The packet, from its IP header on, in memory of its own; NULL when there is none left."""
    cdef packet_t* p = run.p
    cdef uint32_t link
    cdef uint8_t* room
    if run.copy != NULL:
        return run.copy
    link = link_length(run.frame)
    run.datagram = <size_t>(p.data - run.frame.data) >= run.frame.cap_len
    room = output_room(run.output, link + p.cap_len + SPARE)
    if room == NULL:
        return NULL
    memcpy(room, run.frame.data, link)
    run.copy = room + link
    memcpy(run.copy, p.data, p.cap_len)
    p.data = run.copy
    if run.ttl != time_to_live(p):
        put_ttl(run, run.ttl)
    return run.copy


cdef void put_ttl(run_t* run, uint8_t ttl) noexcept nogil:
    """Give the packet a TTL or hop limit, in its bytes if those are a copy."""
    run.ttl = ttl
    if run.copy != NULL:
        put_ttl_at(run.copy, ttl)


cdef void put_ttl_at(uint8_t* ip, uint8_t ttl) noexcept nogil:
    """The same for a copy of an IP header."""
    if ip[0] >> 4 == 4:
        sum_replace16(ip + 10, swap16(<uint16_t>(ip[8] << 8)), swap16(<uint16_t>(ttl << 8)))
        ip[8] = ttl
    else:
        ip[7] = ttl


cdef void put_leaving_copy(run_t* run, piece_t* pieces) noexcept nogil:
    """A packet that was rewritten, or forwarded, leaves as its copy instead of its frame.

    => ``pieces``: of a datagram, the first of those that leave for it, else NULL.
    """
    cdef packet_t* p = run.p
    cdef uint32_t link = link_length(run.frame)
    cdef made_t* made
    if run.copy == NULL and run.ttl == time_to_live(p):
        return
    if writable(run) == NULL:
        return
    if run.datagram:
        patch_pieces(run, pieces)
        return
    made = output_frame(run, run.copy - link, link + p.cap_len, link + p.len)
    if made != NULL:
        made.replaces = True


cdef void patch_pieces(run_t* run, piece_t* piece) noexcept nogil:
    """Put into the pieces of a datagram what has become of it.

    => Nothing was added to it.
    """
    cdef const packet_t* p = run.p
    cdef const piece_t* first = piece
    cdef uint32_t head, begin, size
    cdef uint8_t* ip
    while piece != NULL and piece.packet == run.number:
        ip = <uint8_t*>piece_frame(piece) + piece.ip_off
        if p.ip_version == 4:
            head = (run.copy[0] & 15) * 4
            sum_replace16(ip + 10, load_u16(ip), load_u16(run.copy))
            sum_replace16(ip + 10, load_u16(ip + 8), load_u16(run.copy + 8))
            ip[1], ip[8] = run.copy[1], run.copy[8]
        else:
            head = first.payload_off - 8                 # without the fragment header
            memcpy(ip, run.copy, 4)
            memcpy(ip + 7, run.copy + 7, 33)
        begin = piece.ip_off + piece.payload_off
        size = piece.end - piece.offset
        if head + piece.end <= p.cap_len and begin + size <= piece.cap_len:
            memcpy(<uint8_t*>piece_frame(piece) + begin, run.copy + head + piece.offset, size)
        piece = piece.next
