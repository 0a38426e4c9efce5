"""What a fragment says of itself: which datagram it belongs to, and which bytes of it it has."""
from libc.stdint cimport uint8_t, uint16_t, uint32_t

from fastct.wire.packet cimport packet_t, wire_opts_t

cdef enum:
    FRAGMENT_DATAGRAM_MAX = 65535    # bytes that the length field of either family can count

cdef enum fragment_kind:
    FRAGMENT_PIECE     # goes to its queue
    FRAGMENT_PASSES    # IPv6: goes on as it is, to be tracked as what can be read of it
    FRAGMENT_REFUSED   # dropped; the packet's reason says why

cdef struct fragment_t:
    const uint8_t* addresses   # source and destination, one behind the other
    uint32_t id
    uint32_t offset            # bytes of the datagram's payload before it
    uint32_t end               # offset behind its last byte
    uint32_t payload_off       # its first byte, from the packet's IP header
    uint32_t head_len          # headers that the datagram gets if this is its first fragment
    uint32_t next_at           # IPv6: where in them the next header's number stands
    uint8_t next_header        # IPv4: the protocol. IPv6: what is behind the fragment header
    uint8_t more               # it is not the last
    uint8_t ecn                # a bit for its ECN code point

cdef enum:
    ECN_NOT_ECT = 1 << 0
    ECN_CE = 1 << 3

cdef fragment_kind fragment_read(packet_t* p, fragment_t* f) noexcept nogil
cdef void datagram_parse(packet_t* p, const uint8_t* ip, uint32_t cap_len, uint32_t length,
                         const wire_opts_t* opts) noexcept nogil
