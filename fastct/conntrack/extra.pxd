"""What few connections have: mark, labels, helper, master, timeouts of their own. One ``extra_t`` each, found through
``conn_t.extra``.

It is taken with the first of these and released with the connection. A plain connection has none and pays nothing.
"""
from libc.stdint cimport uint8_t, uint32_t, uint64_t

from fastct.conntrack.arena cimport arena_t
from fastct.conntrack.conn cimport conn_t

cdef enum:
    NO_EXTRA = 0
    EXPECT_CLASSES = 4       # kinds of expectations that one helper may have
    HELPER_WORDS = 5         # of 64 bits, that a helper may keep for a connection

cdef struct extra_t:
    uint64_t master          # number of the connection that expected this one, 0: none
    uint32_t master_slot     # where that was; another connection may be there by now
    uint32_t children        # connections whose master this one is
    uint32_t reply_slot      # of the entry of its reply's tuple, if it is CONN_PAIRED
    uint32_t mark
    uint32_t expects         # the latest of its expectations, 0: none
    uint8_t expecting[EXPECT_CLASSES]       # how many, by class
    uint8_t labels[16]
    uint8_t has_labels
    uint8_t helper           # index into records.HELPERS, 0: none
    uint8_t events           # EVENT_* of packets that the helper dropped: told with the next one
    uint8_t policy           # number of its timeout policy, if it has one
    uint64_t state[HELPER_WORDS]            # the helper's own
    uint32_t free            # next free one

cdef struct extras_t:
    arena_t mem
    extra_t* items           # item 0 is never used
    uint32_t used
    uint32_t free

cdef int extras_init(extras_t* e, uint64_t most) except -1
cdef void extras_free(extras_t* e) noexcept
cdef extra_t* extras_of(extras_t* e, conn_t* c) noexcept nogil
cdef void extras_release(extras_t* e, conn_t* c) noexcept nogil
