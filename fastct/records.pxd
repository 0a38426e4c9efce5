"""The records that cross from the engine to people: one row per connection, packet and event.

Each struct is the only declaration; ``records.pyx`` derives the NumPy dtype from it. Columns are
those of the command line's outputs, in their order. Later versions append, never reorder.
"""
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

cdef packed struct conn_row_t:
    uint64_t conn            # number of the connection, from 1 in order of creation
    uint8_t l3proto          # 4 or 6
    uint8_t l4proto          # IP protocol number
    uint16_t zone
    uint8_t orig_src[16]     # network order; IPv4 in the first four bytes, the rest zero
    uint8_t orig_dst[16]
    uint16_t orig_sport      # host order, as all ports and ids here; 0 where the protocol has none
    uint16_t orig_dport
    uint8_t reply_src[16]
    uint8_t reply_dst[16]
    uint16_t reply_sport
    uint16_t reply_dport
    uint8_t icmp_type        # of the original direction; 0 unless ICMP or ICMPv6
    uint8_t icmp_code
    uint16_t icmp_id
    uint8_t state            # index into STATES
    uint32_t status          # IPS_* bits
    uint64_t start_ns        # first packet, ns since the epoch
    uint64_t last_ns         # last packet that belonged to the connection
    uint64_t stop_ns         # when it ended; 0 while it lives
    uint64_t orig_packets
    uint64_t orig_bytes      # IP packet lengths, headers included
    uint64_t reply_packets
    uint64_t reply_bytes
    uint32_t mark
    uint8_t labels[16]
    uint8_t helper           # index into HELPERS, 0: none
    uint64_t master          # number of the master connection, 0: none
    uint32_t timeout         # whole seconds left, as conntrack prints them; 0 once expired
    uint8_t end              # index into ENDS
    uint32_t use             # who refers to it: the table, and the connections whose master it is
    uint8_t zone_dir         # index into ZONE_DIRS: where the zone counts
    uint16_t reply_icmp_id   # translation may have changed it

cdef packed struct expect_row_t:
    uint8_t l3proto          # 4 or 6
    uint8_t l4proto
    uint16_t zone
    uint8_t src[16]          # network order, as all addresses
    uint8_t dst[16]
    uint16_t sport           # host order, as all ports
    uint16_t dport
    uint8_t mask_src[16]
    uint16_t mask_sport
    uint8_t flags            # 1 PERMANENT, 2 INACTIVE, 4 USERSPACE
    uint8_t kind             # class
    uint8_t helper           # index into HELPERS
    uint8_t assign           # helper of the connection to come
    uint32_t timeout         # whole seconds left
    uint64_t master          # number of the master
    uint8_t master_src[16]   # its original tuple
    uint8_t master_dst[16]
    uint16_t master_sport
    uint16_t master_dport

cdef packed struct expect_event_row_t:
    uint64_t ts              # ns since the epoch
    uint8_t type             # index into EVENTS: NEW or DESTROY
    uint64_t after           # so many events of connections came before it
    expect_row_t row

cdef packed struct packet_row_t:
    uint64_t packet          # 1-based number in the input
    uint64_t ts              # ns since the epoch, as captured
    uint8_t ctstate          # index into CTSTATES
    uint8_t ctdir            # index into CTDIRS
    uint64_t conn            # number of the connection, 0: none
    uint8_t state            # index into STATES, after the packet
    uint32_t status          # IPS_* bits of the entry after the packet
    uint32_t timeout         # seconds left after the packet, rounded up
    uint32_t mark
    uint8_t verdict          # index into VERDICTS
    uint32_t decided         # index into the deciders of the run, 0: none
    uint8_t reason           # a Reason

cdef packed struct event_row_t:
    uint64_t ts              # ns since the epoch
    uint8_t type             # index into EVENTS
    conn_row_t row           # the connection as the event reports it; no state in an UPDATE that left it as it was
