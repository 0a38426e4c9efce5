"""Helpers: what reads the words of a connection to learn which others it announces.

    packet accepted ──► helper_run ──► ftp_help, tftp_help, ... ──► expectations ──► core adds them
                                                              └──► False: Linux drops the packet

A helper sees one packet and its connection through ``help_t``, keeps up to HELPER_WORDS words of its own, and says
what it expects:

    help_expect   what is expected if the packet passes: most helpers need no more
    help_add      expect something at once, for those whose next step depends on whether there was room
    help_end      a connection that ends with this packet, or is not expected any more

It reads no byte that was not captured.
"""
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

from fastct.conntrack.conn cimport conn_t
from fastct.conntrack.expect cimport ends_t, expect_t, expect_verdict, expects_add, expects_t
from fastct.conntrack.extra cimport EXPECT_CLASSES, extra_t
from fastct.conntrack.keymap cimport keymap_t
from fastct.conntrack.local cimport locals_t
from fastct.wire.packet cimport packet_t

cdef enum:
    HELPER_FOUND_MAX = 8     # expectations from one packet
    HELPER_ENDS_MAX = 2      # connections that end with one
    HELPERS_MAX = 32
    ASSIGNMENTS_MAX = 64

cdef struct helper_t

cdef struct help_t:
    const packet_t* p        # NULL in ``helper_ended``, as ``data``
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
    uint64_t number          # of the connection
    uint32_t slot            # where it is
    const helper_t* row      # of its helper
    uint32_t expect_max      # nf_conntrack_expect_max
    expects_t* expects
    keymap_t* keymap
    ends_t over[HELPER_ENDS_MAX]
    int n_over

ctypedef bint (*help_fn)(help_t* h) noexcept nogil
ctypedef void (*ended_fn)(help_t* h) noexcept nogil
ctypedef bint (*sound_fn)(const uint64_t* state) noexcept nogil

# What Linux allows a helper, by class of expectation.
cdef struct helper_t:
    help_fn help
    ended_fn ended           # the connection is over: what ends with it. NULL: nothing
    sound_fn sound           # whether words of its own, from a file, are such as it makes; NULL: it keeps none
    uint8_t tcp              # it is for TCP
    uint8_t udp
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


cdef inline void help_expectation(const help_t* h, expect_t* e, uint8_t kind) noexcept nogil:
    """Begin an expectation of a class: zeros, but for who expects it."""
    memset(e, 0, sizeof(expect_t))
    e.kind = kind
    e.helper, e.via = h.x.helper, h.ends[0].l4proto
    e.ends.l3proto = h.ends[0].l3proto
    e.ends.zone = h.ends[0].zone
    e.master, e.master_slot, e.master_extra = h.number, h.slot, h.c.extra


cdef inline expect_t* help_expect(help_t* h, uint8_t kind) noexcept nogil:
    """One more expectation of a class, to be filled in: zeros, but for who expects it. NULL if there were too many."""
    cdef expect_t* e
    if h.n == HELPER_FOUND_MAX:
        return NULL
    e = &h.found[h.n]
    h.n += 1
    help_expectation(h, e, kind)
    return e


cdef inline void aim(expect_t* e, uint8_t l4proto, const uint8_t* src, const uint8_t* dst,
                     uint16_t dport) noexcept nogil:
    """From an address, whatever the port, to an address and a port (network order): what nearly all expect."""
    e.ends.l4proto = l4proto
    memcpy(e.ends.src, src, 16)
    memcpy(e.ends.dst, dst, 16)
    e.ends.dport = dport
    memset(e.mask, 0xFF, 16)


cdef inline expect_verdict help_add(help_t* h, expect_t* e) noexcept nogil:
    """Expect something from now on, within what Linux allows this helper."""
    if not e.timeout_s:
        e.timeout_s = h.row.timeout_s[e.kind]
    return expects_add(h.expects, e, h.row.max_expected[e.kind], h.expect_max, h.now)


cdef inline void help_end(help_t* h, const ends_t* ends) noexcept nogil:
    """A connection is over, once the helper has returned; if there is none, nobody expects it any more."""
    h.over[h.n_over] = ends[0]
    h.n_over += 1
