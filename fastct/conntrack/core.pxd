"""The tracker itself: which connection does a packet belong to, and what does it do to it."""
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

cimport cython

from fastct.conntrack.conn cimport conn_t
from fastct.conntrack.early_drop cimport probation_t
from fastct.conntrack.expect cimport expect_t, expects_t
from fastct.conntrack.extra cimport extras_t
from fastct.conntrack.helper cimport assignments_t
from fastct.conntrack.keymap cimport keymap_t
from fastct.conntrack.local cimport locals_t
from fastct.conntrack.log cimport log_t
from fastct.conntrack.opts cimport ct_opts_t
from fastct.conntrack.table cimport table_t
from fastct.conntrack.verdict cimport ENDS_COUNT, ct_end
from fastct.records cimport conn_row_t, expect_row_t
from fastct.wire.packet cimport packet_t
from fastct.wire.reason cimport Reason

# Index into records.CTSTATES.
cdef enum ct_state:
    CT_STATE_NONE
    CT_STATE_NEW
    CT_STATE_ESTABLISHED
    CT_STATE_RELATED
    CT_STATE_INVALID
    CT_STATE_UNTRACKED
    CT_STATES

# What becomes of a packet whose connection finds no room.
cdef enum ct_on_full:
    ON_FULL_DROP             # as Linux
    ON_FULL_UNTRACKED

# Index into records.EVENTS.
cdef enum ct_event:
    CT_EVENT_NEW
    CT_EVENT_UPDATE
    CT_EVENT_DESTROY

cdef enum:
    POLICIES_MAX = 16        # timeout policies at a time

# What packets are given before they are tracked, as by the raw table's CT target.
cdef struct template_t:
    uint16_t zone            # in which an original tuple counts,
    uint16_t reply_zone      # and a reply's
    uint32_t mark            # of the packets themselves
    uint8_t special          # no tracking, or two zones
    uint8_t attaches         # something, to the connections that packets begin
    uint8_t notrack
    uint8_t helper           # of the connections they begin, 0: none
    uint8_t has_policy
    uint8_t policy           # number of a timeout policy

cdef struct ct_t:
    table_t table
    probation_t probation    # filled only while there is a limit
    extras_t extras
    expects_t expects
    assignments_t assignments
    template_t template
    locals_t local
    ct_opts_t opts
    ct_opts_t policies[POLICIES_MAX]
    uint64_t now             # packet time, ns; never goes back
    uint64_t created         # connections so far: the number of the latest
    uint64_t ended[ENDS_COUNT]
    uint8_t on_full          # ct_on_full
    uint8_t pressure         # early drop has found nobody: the sweep ends more than it must
    uint64_t full            # packets that found no room for their connection
    uint8_t keep_ended       # log what ends
    uint8_t keep_events      # log NEW, UPDATE and DESTROY, and what becomes of expectations
    log_t ended_log          # conn_row_t
    log_t event_log          # event_row_t
    log_t expect_log         # expect_event_row_t, of expectations
    conn_t fresh             # where a new connection is prepared
    keymap_t keymap          # last: large, and rarely looked at

# Who dropped a packet, if anybody did.
cdef enum ct_drop:
    DROP_NOT
    DROP_FULL                # there is no room for its connection
    DROP_HELPER
    DROP_CLASH               # another connection has its reply's tuple

# What happens to a connection once the packet has passed the rules.
cdef enum:
    CT_DUE_UPDATE = 7        # EVENT_*: an UPDATE is told
    CT_DUE_NEW = 8           # a NEW is told
    CT_DUE_HELP = 16         # its helper reads the packet

# What the tracker says of one packet.
cdef struct ct_result_t:
    conn_t* conn             # NULL: no entry. Of an entry that this packet ended, what was left of it.
    uint64_t number          # of the connection
    uint32_t slot            # of ``conn``
    uint8_t state            # ct_state
    uint8_t direction        # 0 original, 1 reply
    uint8_t dropped          # ct_drop
    uint8_t fresh            # this packet began the connection, which is there for good once it passes
    uint8_t due              # CT_DUE_*: what happens if it passes

cdef int ct_init(ct_t* ct, uint64_t slots_max) except -1
cdef void ct_free(ct_t* ct) noexcept
cdef void ct_in(ct_t* ct, packet_t* p, ct_result_t* r) noexcept nogil
cdef void ct_in_zones(ct_t* ct, packet_t* p, ct_result_t* r) noexcept nogil
cdef void ct_settle(ct_t* ct, packet_t* p, ct_result_t* r) noexcept nogil
cdef void ct_dropped(ct_t* ct, ct_result_t* r) noexcept nogil
cdef void ct_refused(ct_t* ct, packet_t* p, ct_result_t* r) noexcept nogil
cdef void ct_call(ct_t* ct, packet_t* p, bint quoted) noexcept nogil
cdef void ct_icmp_error(ct_t* ct, packet_t* p, ct_result_t* r) noexcept nogil
cdef void ct_destroy(ct_t* ct, uint32_t slot, uint64_t when, ct_end end) noexcept nogil
cdef void ct_expire(ct_t* ct, uint32_t slot) noexcept nogil


cdef inline void ct_out(ct_t* ct, packet_t* p, ct_result_t* r) noexcept nogil:
    """A packet has passed the rules: its helper reads it, and its events are told. ``r.dropped`` if that drops it."""
    if cython.unlikely(r.due):
        ct_settle(ct, p, r)


cdef inline uint64_t ct_number(const ct_t* ct, const conn_t* c) noexcept nogil:
    """The full number of a connection, from the 32 bits it keeps: the latest that ends in them."""
    return ct.created - <uint32_t>(<uint32_t>ct.created - c.number)
