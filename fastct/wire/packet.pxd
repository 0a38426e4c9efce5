"""``packet_t``: all that later rooms know of a packet. wire/ fills it once and has proven every bound.

Tuple key
---------
A connection is found from both sides through one key. A packet's tuple and its inverse (addresses and
ids swapped, ICMP type answered) are two views of the same pair of end points; the smaller view, compared
as memory, is the *canonical* one and becomes the key. ``flip`` says whether the packet's own tuple was
the other view.

    bytes  0-7    IPv4: the two addresses.  IPv6: 64-bit keyed digest of the two addresses
           8-11   the two ids (ports; ICMP: identifier and type<<8|code; GRE: keys), network order
          12      IP protocol
          13      4 or 6
          14-15   zone
"""
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

from fastct.wire.bytes cimport load_u64
from fastct.wire.reason cimport Reason

cdef extern from "wire/hash.h" nogil:
    ctypedef struct hash_key_t:
        uint64_t k[8]
    uint64_t hash_pair(const hash_key_t* key, uint64_t a, uint64_t b) noexcept
    uint64_t hash_addresses(const hash_key_t* key, uint64_t a0, uint64_t a1, uint64_t b0, uint64_t b1) noexcept

cdef packed struct tuple_key_t:
    uint32_t addr[2]
    uint16_t id[2]
    uint8_t l4proto
    uint8_t l3proto
    uint16_t zone

# What kind of packet it is to the tracker.
cdef enum packet_kind:
    PACKET_NONE        # reaches no hook: not IP, or refused by the IP layer
    PACKET_FRAGMENT    # for defragmentation, which makes it another kind or keeps it
    PACKET_INVALID     # no tuple, or fails its protocol's checks; reason says why
    PACKET_UNTRACKED   # a type that is never tracked
    PACKET_TRACK       # has a tuple
    PACKET_ICMP_ERROR  # the key is that of the quoted packet
    PACKET_CALL        # as PACKET_TRACK, but the tuple's source id is to be found: GRE version 1
    PACKET_CALL_ERROR  # as PACKET_ICMP_ERROR, about such a packet
    PACKET_ZONES       # as PACKET_TRACK, in one zone or the other, as its connection has it
    PACKET_ODD         # as PACKET_TRACK, but it ends within a header in front of the transport header: rules see that

cdef enum packet_sum:
    SUM_UNKNOWN        # not looked at: cut, absent, or verification is off
    SUM_GOOD
    SUM_BAD
    SUM_OFFLOADED      # wrong in the way a sender leaves it that lets the network card finish it

# TCP flag bits as in byte 13 of the header.
cdef enum:
    TH_FIN = 0x01
    TH_SYN = 0x02
    TH_RST = 0x04
    TH_PSH = 0x08
    TH_ACK = 0x10
    TH_URG = 0x20
    TH_ECE = 0x40
    TH_CWR = 0x80

cdef enum:
    PROTO_ICMP = 1
    PROTO_TCP = 6
    PROTO_UDP = 17
    PROTO_DCCP = 33
    PROTO_GRE = 47
    PROTO_ICMPV6 = 58
    PROTO_SCTP = 132
    PROTO_UDPLITE = 136

cdef struct packet_t:
    const uint8_t* data      # first byte of the IP header
    uint64_t ts_ns           # capture time, ns since the epoch
    tuple_key_t key          # canonical; zone 0
    uint64_t hash            # keyed hash of key
    const uint8_t* addr6[2]  # IPv6: the two addresses in canonical order, else NULL
    uint32_t len             # IP packet length on the wire, header included
    uint32_t cap_len         # bytes of it that were captured, <= len
    uint32_t l4_off          # transport header, from data
    uint32_t line            # index line of its hash when that was fetched
    uint32_t slot            # candidate entry found ahead of time, or NO_SLOT
    uint32_t seq             # TCP, host order
    uint32_t ack
    uint32_t payload_len     # TCP: bytes after its header, on the wire
    uint16_t window          # TCP, as sent
    uint16_t options_len     # TCP: captured bytes of options behind the fixed header
    uint8_t flags            # TH_*
    uint8_t kind             # packet_kind
    uint8_t flip             # the packet's tuple is the inverse of the key
    uint8_t self_inverse     # tuple and inverse are the same
    uint8_t reason           # a Reason: why the kind is INVALID or NONE; later rooms set it too
    uint8_t sum              # packet_sum of the transport checksum
    uint8_t ip_sum           # packet_sum of the IPv4 header
    uint8_t ip_version       # 4 or 6; 0 when not IP
    uint8_t l4proto          # transport protocol, once the IP header has been walked

cdef struct wire_opts_t:
    hash_key_t hash_key
    uint8_t verify           # look at transport checksums
    uint8_t verify_ip        # look at the IPv4 header's
    uint8_t udplite_pseudo   # protocol in the pseudo-header of UDP-Lite's checksum
    uint8_t offload          # length 0 means "too long to say" (segmentation offload), not damage


cdef inline void packet_refuse(packet_t* p, packet_kind kind, Reason reason) noexcept nogil:
    p.kind = <uint8_t>kind
    p.reason = <uint8_t>reason


cdef inline uint64_t key_hash(const hash_key_t* secret, const tuple_key_t* key) noexcept nogil:
    return hash_pair(secret, load_u64(<const uint8_t*>key), load_u64(<const uint8_t*>key + 8))


cdef inline void packet_zone(packet_t* p, uint16_t zone, const wire_opts_t* opts) noexcept nogil:
    """Put a packet that has a key into another zone than 0."""
    p.key.zone = zone
    p.hash = key_hash(&opts.hash_key, &p.key)


cdef inline bint key_equal(const tuple_key_t* a, const tuple_key_t* b) noexcept nogil:
    return (load_u64(<const uint8_t*>a) == load_u64(<const uint8_t*>b)
            and load_u64(<const uint8_t*>a + 8) == load_u64(<const uint8_t*>b + 8))
