from libc.stdint cimport uint8_t, uint16_t, uint32_t

from fastct.capture.frames cimport frame_t
from fastct.wire.bytes cimport load_be16

# Where the network layer starts, or why it does not.
cdef enum:
    LINK_NOT_IP = 0
    LINK_CUT = -1

# To whom a frame was sent, by Linux' numbers.
cdef enum:
    LINK_HOST
    LINK_BROADCAST
    LINK_MULTICAST

cdef enum:
    LINKTYPE_ETHERNET = 1
    ETH_P_IP = 0x0800
    ETH_P_IPV6 = 0x86DD

cdef int link_other(const uint8_t* frame, uint32_t cap_len, uint16_t linktype, uint32_t* offset) noexcept nogil
cdef const uint8_t* link_source(const frame_t* frame) noexcept nogil
cdef uint8_t link_delivery(const frame_t* frame) noexcept nogil


cdef inline int link_network(const uint8_t* frame, uint32_t cap_len, uint16_t linktype,
                             uint32_t* offset) noexcept nogil:
    """Find the IP header.

    => ``offset`` is where it starts; the bytes there may be missing.
    => Returns the IP version that the link layer announces (4 or 6), LINK_NOT_IP or LINK_CUT.
    """
    cdef uint16_t kind
    if linktype == LINKTYPE_ETHERNET and cap_len >= 14:
        kind = load_be16(frame + 12)
        offset[0] = 14
        if kind == ETH_P_IP:
            return 4
        if kind == ETH_P_IPV6:
            return 6
    return link_other(frame, cap_len, linktype, offset)
