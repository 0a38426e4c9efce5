"""Records of a snapshot; ``state.pyx`` says how they follow each other."""
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

from fastct.conntrack.conn cimport conn_t
from fastct.conntrack.expect cimport ends_t
from fastct.conntrack.extra cimport HELPER_WORDS
from fastct.engine cimport engine_t

cdef enum:
    LINES_SPARE = 1 << 20    # lines of the index that an emptied table may have kept: 64 MiB

cdef packed struct conn_image_t:
    conn_t conn              # as in memory; extra: 1 if it has one
    uint64_t start_ns
    uint8_t place            # in its line of the index
    uint8_t reserved[7]

cdef packed struct extra_image_t:
    uint64_t master          # number, 0: none
    uint64_t state[HELPER_WORDS]
    uint32_t mark
    uint8_t labels[16]
    uint8_t has_labels
    uint8_t helper
    uint8_t policy           # number of its timeout policy, if it has one
    uint8_t reserved

cdef packed struct expect_image_t:
    uint64_t master          # number
    uint64_t deadline_ns
    uint32_t timeout_s
    ends_t ends
    uint8_t mask[16]
    uint16_t sport_mask
    uint8_t flags            # EXPECT_*
    uint8_t kind
    uint8_t helper
    uint8_t assign
    uint8_t reserved[2]

cdef packed struct call_image_t:
    uint64_t master          # number of the control connection
    uint32_t src             # as in memory, as all here
    uint32_t dst
    uint16_t src_id
    uint16_t dst_id
    uint8_t direction        # of the call, as the control connection counts it
    uint8_t reserved[3]

cdef uint64_t* number_at(engine_t* e, int i) noexcept
cdef uint64_t* counters_at(engine_t* e, str group) noexcept
