"""NetBIOS name service: a question is broadcast, and whoever of the network knows answers to the one that asked.

Linux acts only on what a socket of its own sends to the broadcast address of the network it leaves by. Of a capture
that cannot be seen, so it is said: the networks of ``local``. A packet counts as sent here if its source is a local
address, and as broadcast if its destination is the last address of a local network.
"""
from libc.stdint cimport uint8_t
from libc.string cimport memset

from fastct.conntrack.expect cimport EXPECT_PERMANENT, expect_t
from fastct.conntrack.helper cimport help_expect, help_t
from fastct.conntrack.local cimport local_broadcast
from fastct.wire.bytes cimport swap16

cdef enum:
    NAME_SERVICE = 137
    MASTER_S = 3             # as long as answers are waited for


cdef bint netbios_ns_help(help_t* h) noexcept nogil:
    """A question: expect answers of the whole network. None is dropped for want of room for them."""
    cdef expect_t* e
    cdef int bits = local_broadcast(h.local, &h.ends[0]) if h.direction == 0 else 0
    if bits == 0:
        return True
    e = help_expect(h, 0)
    e.ends = h.ends[1]
    e.ends.sport = swap16(NAME_SERVICE)
    e.sport_mask = 0xFFFF
    memset(e.mask, 0xFF, bits // 8)
    if bits % 8:
        e.mask[bits // 8] = <uint8_t>(0xFF00 >> bits % 8)
    e.flags = EXPECT_PERMANENT
    h.refresh_s = MASTER_S
    h.refusal_passes = True
    return True
