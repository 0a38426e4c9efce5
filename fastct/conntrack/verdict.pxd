"""What a protocol's tracker says of a packet, the events it notes on the way, and how a connection ends."""

cdef enum ct_verdict:
    CT_ACCEPT    # belongs to the connection
    CT_INVALID   # does not; packet_t.reason says why
    CT_REPEAT    # the old connection is over: forget it and begin anew
    CT_KILL      # belongs to the connection, and ends it

# Event bits of a packet; several become one UPDATE.
cdef enum:
    EVENT_REPLY = 1
    EVENT_ASSURED = 2
    EVENT_PROTOINFO = 4

# How a connection ended: index into records.ENDS.
cdef enum ct_end:
    END_LIVE
    END_EXPIRED
    END_CLOSED
    END_RESET
    END_EVICTED
    END_DELETED
    ENDS_COUNT
