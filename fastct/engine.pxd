"""The engine: frames in, verdicts out."""
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

from fastct.capture.frames cimport frame_t
from fastct.conntrack.core cimport CT_STATES, ct_t, template_t
from fastct.conntrack.defrag cimport defrag_t
from fastct.records cimport packet_row_t
from fastct.rules.compiled cimport output_t, path_t, program_t, run_t
from fastct.wire.packet cimport packet_t, wire_opts_t
from fastct.wire.reason cimport Reason

cdef enum:
    BATCH = 32           # packets parsed ahead; more gains nothing
    FRAMES_AHEAD = 8     # frames between fetching the first bytes of one and parsing it
    GROUP = 4            # packets whose entries are fetched together, two groups before they are used
    GC_EVERY = 64        # packets between two steps of the sweep: some batches
    GC_LINES_MAX = 32    # buckets that one step visits at most
    SLOTS_MAX = 1 << 27  # connections that address space is reserved for when there is no limit

cdef enum checksum_mode:
    CHECKSUM_ON          # a wrong sum makes a packet INVALID
    CHECKSUM_OFF
    CHECKSUM_AUTO        # on until a packet shows that its sender leaves sums to the network card

cdef struct engine_stats_t:
    uint64_t packets
    uint64_t bytes                        # on the wire, link layer included
    uint64_t states[CT_STATES]            # packets by ctstate
    uint64_t reasons[<int>Reason.reasons]      # packets by reason
    uint64_t offload_packet               # number of the packet that switched verification off
    uint64_t first_ns                     # time of the first packet, and the highest time
    uint64_t last_ns

cdef struct engine_t:
    ct_t ct
    wire_opts_t wire
    uint8_t checksum                      # checksum_mode
    uint64_t gc_at                        # packet time of the last step of the sweep
    uint32_t gc_lines                     # most buckets of a step
    engine_stats_t stats
    packet_t batch[BATCH]
    template_t template                   # what packets are given before they are tracked, unless a rule says otherwise
    program_t* rules[8]                   # by IP version, 4 or 6; NULL: none
    uint32_t memo_base[8]                 # by IP version: no connection has a memo from here on, once there were rules
    uint8_t ruled                         # there are some
    uint16_t* from_if                     # by the interface that a frame is from: its number among those of the routes
    uint32_t n_from_if                    # how many are known
    path_t* taken                         # the path that the latest packet took; NULL: ``run`` says what became of it
    run_t run
    run_t sending                         # of what the host itself sends, and that
    packet_t sent
    output_t output
    defrag_t defrag                       # large, and rarely needed: behind what every packet touches

cdef void engine_batch(engine_t* e, const frame_t* frames, Py_ssize_t n, packet_row_t* rows) noexcept nogil
cdef void engine_release(engine_t* e) noexcept nogil
