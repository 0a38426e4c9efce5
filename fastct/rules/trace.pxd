"""What a packet met on its way through the tables, step by step, and how it was at each.

A row says how the packet was when a step began; what a step did to it shows in the row after that. Each table that a
packet is sent through has rows from TRACE_TABLE to TRACE_LEFT; TRACE_OVER is there for packets that met no table, too.
"""
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

from fastct.rules.compiled cimport run_t, trace_t
from fastct.wire.packet cimport packet_t

cdef enum trace_kind:
    TRACE_TABLE              # a table begins
    TRACE_RULE               # a rule is tried
    TRACE_END                # a chain is at its end, and there is one to go back to
    TRACE_POLICY             # the base chain is, and its policy counts
    TRACE_LEFT               # the table is left
    TRACE_OVER               # the way is at its end: of its connection this row says nothing

cdef packed struct trace_row_t:
    uint8_t kind             # trace_kind
    uint8_t hook
    uint8_t table
    uint8_t way
    uint16_t depth           # jumps within jumps
    uint32_t counter         # of the rule or policy
    uint8_t held             # all of the rule's conditions
    uint32_t test            # else: the first that did not
    uint8_t verdict          # rule_verdict of the rule or policy
    uint8_t hotdrop          # a condition wanted the packet gone
    uint8_t ttl
    uint8_t l4proto
    uint8_t ctstate          # index into CTSTATES
    uint8_t ctdir            # index into CTDIRS
    uint8_t source_type      # route_type of its addresses
    uint8_t destination_type
    uint8_t sent             # answers and copies so far
    uint16_t in_if           # numbers of interfaces
    uint16_t out_if
    uint32_t mark
    uint32_t connmark
    uint32_t status          # IPS_* bits of its connection
    uint64_t master          # number of its connection's master, 0: none
    uint64_t at              # of the packet's bytes
    uint32_t cap_len         # how many there are
    uint32_t len             # and were on the wire
    uint32_t l4_off          # transport header

cdef class Trace:
    cdef trace_t t

cdef void trace_over(trace_t* t, const packet_t* p, const run_t* run) noexcept nogil
cdef trace_row_t* trace_add(run_t* run, trace_kind kind, uint32_t counter) noexcept nogil
