"""The compiled ruleset: what a packet runs through. ``compile.py`` makes it of the model; ``evaluate.pyx`` runs it.

    hooks ► steps (a table at a hook) ► chain ► rules ► conditions, an effect, a verdict

All of it is arrays, made once per ruleset and read by packets, except counters, the state of conditions that keep some,
and memory of paths (``memory.pxd``).
"""
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

from fastct.capture.frames cimport frame_t
from fastct.conntrack.arena cimport arena_t
from fastct.conntrack.core cimport ct_result_t, ct_t, template_t
from fastct.conntrack.log cimport log_t
from fastct.rules.classify cimport classifier_t, cursor_t, packet_fields_t
from fastct.rules.route cimport route_t, routes_t
from fastct.wire.packet cimport packet_t

cdef enum:
    STACK_MAX = 256          # jumps within jumps; a ruleset that has more is refused
    TRAIL_MAX = 48           # rules that a remembered path counts, at most
    NOWHERE = 0xFFFFFFFF

cdef enum hook:
    HOOK_PREROUTING
    HOOK_INPUT
    HOOK_FORWARD
    HOOK_OUTPUT
    HOOK_POSTROUTING
    HOOKS

cdef enum way:
    WAY_FORWARD              # until it is routed, a packet that comes in is on this way
    WAY_INPUT
    WAY_OUTPUT

# The tables in the order in which a hook calls them, so that a step's place says which comes first.
cdef enum table:
    TABLE_RAW
    TABLE_MANGLE
    TABLE_DNAT               # nat at PREROUTING and OUTPUT
    TABLE_FILTER
    TABLE_SECURITY
    TABLE_SNAT               # nat at INPUT and POSTROUTING
    TABLES

# What a rule says of a packet. Those from VERDICT_ACCEPT on end the table.
cdef enum rule_verdict:
    RULE_CONTINUE
    RULE_JUMP
    RULE_GOTO
    RULE_RETURN
    RULE_ACCEPT
    RULE_DROP
    RULE_REJECT
    RULE_QUEUE
    RULE_STOLEN

# What the answer of a condition, or the work of an effect, depends on.
cdef enum lives:
    LIVES_PATH               # on nothing that changes while the path of a connection is the same
    LIVES_FLAGS              # on the TCP flags, and else on nothing
    LIVES_PACKET             # on the packet, on time, on state of its own: has to be asked every time

cdef struct run_t
cdef struct op_t

ctypedef bint (*test_fn)(const op_t* op, run_t* run) noexcept nogil
ctypedef rule_verdict (*effect_fn)(const op_t* op, run_t* run) noexcept nogil

# A condition or an effect.
cdef struct op_t:
    test_fn test             # NULL: an effect
    effect_fn effect
    uint64_t a[4]            # arguments
    const uint8_t* blob      # what does not fit there
    void* state              # its own, or shared by a name; NULL: none
    uint8_t invert
    uint8_t lives

cdef struct rule_t:
    uint32_t op              # its conditions
    uint16_t ops
    uint8_t verdict          # rule_verdict, if it has no effect
    uint8_t effect_lives     # of its effect
    uint32_t effect          # index of that in ``ops``, or NOWHERE
    uint32_t chain           # where it jumps or goes

cdef struct counters_t:
    uint64_t packets
    uint64_t bytes

cdef struct chain_t:
    uint32_t first           # its rules
    uint32_t n
    const classifier_t* index            # NULL: it is short, and gone through
    uint32_t policy_counter  # base chains: index of the counter of the policy, behind those of the rules
    uint8_t policy           # RULE_ACCEPT, RULE_DROP
    const uint8_t* name      # "filter:INPUT", zero at the end

# Where traversal is: which rule of which chain comes next.
cdef struct place_t:
    uint32_t chain
    uint32_t next

cdef struct stack_t:
    place_t at
    uint32_t depth
    place_t callers[STACK_MAX]

# What is remembered of the ways that packets took, so that the next one of a connection need not ask again:
#
#     conn_t.memo ─► memo_t ─► one path_t per direction ─► verdict, marks, and how often it was taken
#
# A *path* is what the tables said of a packet, as far as it depends only on things that stay the same for a connection,
# a direction, a class of ctstate, interfaces and marks. From the first condition on that has to be asked every time (a
# limit, a length, a time) packets are walked live again, from the path's ``resume`` on. Which rules a path counts is
# its ``trail``; how often it was taken is added to their counters when somebody reads those.
#
# Paths and memos are interned: connections that are treated alike share them, so there are few, and they stay in the
# cache. Their numbers are never used again (``base`` moves on): another ruleset, or a full memory, forgets all of them
# by that, without touching a connection.
cdef enum:
    PATHS_MAX = 1 << 16
    MEMOS_MAX = 1 << 20
    NO_PATH = 0              # path 0 and memo 0 are never taken
    CALLERS_KEPT = 8

cdef struct path_t:
    uint64_t klass           # what must be the same
    uint64_t flags_kept      # TCP flags with which it is the same, bit by bit
    uint64_t packets         # that took it since they were last added to the counters
    uint64_t bytes
    uint64_t marks           # of the connection (upper half) and the packet, before
    uint32_t connmark_after
    uint32_t mark            # of the packet, after
    uint32_t decided         # as in run_t
    uint8_t verdict          # RULE_CONTINUE: goes on live, as its tail says
    uint8_t forwarded        # has to have a TTL beyond 1
    uint8_t trailed
    uint8_t plain            # it says all there is: nothing is set, nothing goes on live
    uint32_t tail            # index into the tails

cdef struct tail_t:
    uint32_t trail[TRAIL_MAX]
    uint8_t way              # where it goes on
    uint8_t step
    uint8_t filtered
    uint8_t depth
    place_t at
    place_t callers[CALLERS_KEPT]

cdef struct memo_t:
    uint32_t path[2]         # by direction, NO_PATH: none yet

cdef struct memory_t:
    path_t* paths
    tail_t* tails
    memo_t* memos
    uint32_t* path_index     # hash tables of what is interned: numbers, NO_PATH: free
    uint32_t* memo_index
    uint32_t n_paths         # used, the first included
    uint32_t n_memos
    uint32_t paths_max       # PATHS_MAX and MEMOS_MAX, unless somebody wants less: powers of two; 0: remember nothing
    uint32_t memos_max
    uint32_t base            # a connection's memo is this and the number here
    uint64_t forgotten       # how often it was full

cdef struct program_t:
    uint8_t family           # 4 or 6
    uint32_t n_rules
    uint32_t n_ops
    uint32_t n_chains
    uint32_t n_counters      # rules, then policies
    rule_t* rules
    op_t* ops
    chain_t* chains
    counters_t* counters
    uint32_t* deciders       # of each counter: the number of its name in the run
    uint32_t base[HOOKS][TABLES]      # chain of a table at a hook, or NOWHERE
    uint8_t has_raw
    uint8_t has_nat
    uint16_t status_asked    # IPS_* bits that a condition looks at
    uint8_t connmark_asked   # marks of connections matter to a rule
    uint64_t random          # of the seeded generator
    memory_t memory

# What packets of a block have become, or have caused, besides verdicts. Memory is given back with the next block, of
# lines when they are drained.
cdef struct output_t:
    arena_t bytes            # copies of packets that were rewritten, answers
    size_t used
    log_t made               # made_t
    log_t lines              # line_t
    arena_t texts            # what lines are made of
    size_t text_used
    uint64_t lost            # frames that there was no room for
    uint64_t lines_lost
    uint8_t keep             # frames are wanted

# A frame that leaves: instead of that of a packet, or in front of it.
cdef struct made_t:
    frame_t frame
    uint64_t packet          # number
    uint8_t replaces

# What a line of a log is about; its words are made of it when somebody reads them.
cdef enum line_kind:
    LINE_LOG
    LINE_NFLOG
    LINE_TRACE

cdef struct line_t:
    uint64_t packet          # number
    uint64_t ts_ns
    size_t at                # of its bytes: prefix, link header, packet
    uint32_t mark
    uint32_t len             # of the packet on the wire
    uint16_t prefix_len
    uint16_t link_len
    uint16_t cap_len
    uint16_t in_if
    uint16_t out_if
    uint16_t group           # NFLOG's, or LOG's level
    uint16_t flags           # LOG's
    uint16_t linktype
    uint8_t kind             # line_kind
    uint8_t family
    uint8_t comes_in         # its hook has an incoming interface

# What a packet met on its way, step by step (``trace.pxd``), for whoever wants an account of it.
cdef struct trace_t:
    log_t rows               # trace_row_t
    arena_t bytes            # the packet as it was, again whenever it has changed
    size_t used

cdef enum:
    SENT_MAX = 8             # packets that the host itself sends because of one, at most

# A packet that the host sends because of the one on its way: an answer, or a copy.
cdef struct sent_t:
    frame_t frame
    const route_t* via       # NULL: where its destination is
    uint8_t answers          # else it is a copy
    uint8_t duplicate        # it is a copy, or about one
    uint8_t traced           # of a copy, as the packet was then
    uint32_t mark
    ct_result_t cause        # what conntrack said of the packet that it is about

cdef enum:
    OWN_NOT
    OWN_LEAVES               # the host sends it
    OWN_RETURNS              # … to itself: it comes in by lo

cdef enum:
    RECORDING_NOT
    RECORDING                # what is said of the packet is remembered
    RECORDING_TRACE          # it is written to the log, rule by rule

# A packet on its way through the tables.
cdef struct run_t:
    packet_t* p
    const frame_t* frame     # that it came in, the last one if it came in fragments
    ct_t* ct
    ct_result_t* r
    program_t* program
    const routes_t* routes
    template_t template      # what conntrack is to give the packet
    uint32_t mark            # of the packet
    const route_t* source    # the routes of its addresses
    const route_t* destination
    const route_t* via       # where it is sent instead; NULL: where its destination is
    uint16_t from_if         # number of the interface it came in by, 0: none
    uint16_t in_if           # what it has of these at ``hook``, 0: none
    uint16_t out_if
    uint8_t way
    uint8_t step             # of that way
    uint8_t hook             # of that step
    uint8_t table
    uint32_t base            # chain of that table
    uint8_t ttl              # or hop limit, as it is by now
    uint8_t hotdrop          # a condition wants the packet gone
    uint8_t natted           # the nat table was called
    uint8_t bypassed         # … but had the packet queued, for nobody
    uint8_t assigned         # the raw table has given it a template
    uint8_t own              # OWN_*
    uint8_t duplicate        # because of TEE
    uint8_t traced           # TRACE has taken it
    # its bytes, and what else leaves
    uint64_t number
    output_t* output
    uint8_t* copy            # the packet in memory of its own, from the IP header on; NULL: as it came
    uint8_t datagram         # it was put together of fragments
    uint8_t n_sent
    sent_t sent[SENT_MAX]
    trace_t* trace           # NULL: nobody wants an account
    # what becomes of it
    uint8_t verdict          # rule_verdict
    uint8_t filtered         # the filter table has let it pass
    uint32_t decided         # counter of the rule or policy that decided, or NOWHERE
    # for the indexes of chains
    uint8_t indexable        # the fields are there: no header ends early
    packet_fields_t fields
    cursor_t cursor          # of the latest chain with an index
    uint32_t cursor_chain
    # recording of the path, as far as it depends on nothing that changes
    uint8_t recording        # RECORDING_*
    path_t path
    tail_t tail
    stack_t stack

cdef class OpKind:
    cdef test_fn test
    cdef effect_fn effect
    cdef readonly uint8_t lives
    cdef readonly size_t keeps
    cdef readonly bint drops
    cdef readonly bint connmark

# What an op keeps beyond plain memory, or shares with others.
cdef class State:
    cdef void* at            # what the op finds as its state
    cdef object __weakref__

cdef class Program:
    cdef program_t g
    cdef readonly list names
    cdef readonly list notes             # what the rules ask for that nobody knows here
    cdef list _counts
    cdef list _kept
    cdef dict _shared

    cdef void* _state(self, size_t size, key) except NULL


cdef inline uint32_t random_u32(program_t* g) noexcept nogil:
    """The next number of the program's generator."""
    cdef uint64_t z
    g.random += <uint64_t>0x9E3779B97F4A7C15
    z = (g.random ^ g.random >> 30) * <uint64_t>0xBF58476D1CE4E5B9
    z = (z ^ z >> 27) * <uint64_t>0x94D049BB133111EB
    return <uint32_t>(z >> 32)


cdef OpKind condition(test_fn test, lives lives_=*, size_t keeps=*)
cdef OpKind dropping(test_fn test, lives lives_=*)
cdef OpKind of_connmark(OpKind kind)
cdef OpKind effect(effect_fn work, lives lives_=*, size_t keeps=*)
