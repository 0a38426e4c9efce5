"""Helpers: what reads the words of a connection to learn which others it announces.

    packet accepted ──► helper_run ──► ftp_help, tftp_help, ... ──► expectations ──► core adds them
                                                              └──► False: Linux drops the packet

A helper sees one packet and its connection through ``help_t``, keeps up to HELPER_WORDS words of its own, and says
what it expects. It never touches a table, and reads no byte that was not captured.
"""
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memset

from fastct.conntrack.conn cimport conn_t
from fastct.conntrack.expect cimport ends_t, expect_t
from fastct.conntrack.extra cimport EXPECT_CLASSES, extra_t
from fastct.conntrack.local cimport locals_t
from fastct.wire.packet cimport packet_t

cdef enum:
    HELPER_FOUND_MAX = 8     # expectations from one packet
    HELPERS_MAX = 32
    ASSIGNMENTS_MAX = 64

cdef struct help_t:
    const packet_t* p
    const uint8_t* data      # what the packet carries for the application, all of it
    uint32_t len
    conn_t* c
    extra_t* x
    ends_t ends[2]           # the connection's tuples: original, reply
    int direction
    uint8_t established      # the packet's ctstate is ESTABLISHED
    uint64_t now
    const locals_t* local
    uint32_t refresh_s       # set: the connection lives so long from now on
    uint8_t refusal_passes   # set: the packet is not dropped if there is no room for what it announces
    expect_t found[HELPER_FOUND_MAX]
    int n

ctypedef bint (*help_fn)(help_t* h) noexcept nogil
ctypedef bint (*sound_fn)(const uint64_t* state) noexcept nogil

# What Linux allows a helper, by class of expectation.
cdef struct helper_t:
    help_fn help
    sound_fn sound           # whether words of its own, from a file, are such as it makes; NULL: it keeps none
    uint8_t l4proto
    uint8_t families         # 1: IPv4, 2: IPv6, 3: both
    uint16_t port            # usual one, host order
    uint16_t max_expected[EXPECT_CLASSES]
    uint32_t timeout_s[EXPECT_CLASSES]

# New connections to a port get a helper, as the CT target would give it to them.
cdef struct assignment_t:
    uint16_t port            # network order
    uint8_t l4proto
    uint8_t helper

cdef struct assignments_t:
    assignment_t rows[ASSIGNMENTS_MAX]
    int n

cdef helper_t* helper_rows() noexcept nogil
cdef uint8_t helper_for(const assignments_t* a, uint8_t l3proto, uint8_t l4proto, uint16_t dport) noexcept nogil
cdef bint helper_run(help_t* h) noexcept nogil
cdef bint helper_is_sound(const extra_t* x, uint8_t l3proto, uint8_t l4proto) noexcept nogil
cdef int assignments_set(assignments_t* a, dict wanted, bint usual) except -1


cdef inline expect_t* help_expect(help_t* h, uint8_t kind) noexcept nogil:
    """One more expectation of a class, to be filled in: zeros, but for who expects it. NULL if there were too many."""
    cdef expect_t* e
    if h.n == HELPER_FOUND_MAX:
        return NULL
    e = &h.found[h.n]
    h.n += 1
    memset(e, 0, sizeof(expect_t))
    e.kind = kind
    e.helper = h.x.helper
    e.ends.l3proto = h.ends[0].l3proto
    e.ends.zone = h.ends[0].zone
    return e
