"""The link layer: where does the IP header start, and of which version should it be?

Ethernet with any number of VLAN tags (802.1Q, 802.1ad, the older QinQ types), MPLS down to the bottom
of its stack, Linux cooked v1 and v2, BSD null and loop, PPP, and bare IP. Tunnels are not opened.
"""
from libc.stdint cimport uint8_t, uint16_t, uint32_t
from libc.string cimport memcmp

from fastct.capture.frames cimport frame_t
from fastct.wire.bytes cimport load_be16, load_be32, load_u32

cdef enum:
    LINKTYPE_NULL = 0
    LINKTYPE_PPP = 9
    LINKTYPE_RAW_12 = 12       # what LINKTYPE_RAW is called in files of some systems
    LINKTYPE_RAW_14 = 14
    LINKTYPE_PPP_HDLC = 50
    LINKTYPE_RAW = 101
    LINKTYPE_LOOP = 108
    LINKTYPE_LINUX_SLL = 113
    LINKTYPE_IPV4 = 228
    LINKTYPE_IPV6 = 229
    LINKTYPE_LINUX_SLL2 = 276

cdef enum:
    ARPHRD_ETHER = 1
    MAC = 6
    ETHERNET_HEADER = 14
    SLL_HEADER = 16
    SLL2_HEADER = 20

cdef enum:
    ETH_P_8021Q = 0x8100
    ETH_P_MPLS = 0x8847
    ETH_P_MPLS_MULTICAST = 0x8848
    ETH_P_8021AD = 0x88A8
    ETH_P_QINQ1 = 0x9100
    ETH_P_QINQ2 = 0x9200
    ETH_P_QINQ3 = 0x9300
    PPP_IP = 0x0021
    PPP_IPV6 = 0x0057
    PPP_MPLS = 0x0281


cdef int nibble(const uint8_t* frame, uint32_t cap_len, uint32_t offset) noexcept nogil:
    """The version field of what has no type of its own."""
    if offset >= cap_len:
        return LINK_CUT
    cdef int version = frame[offset] >> 4
    return version if version == 4 or version == 6 else LINK_NOT_IP


cdef int mpls_stack(const uint8_t* frame, uint32_t cap_len, uint32_t* offset) noexcept nogil:
    """Skip labels to the bottom of the stack; what follows has no type, so its nibble decides."""
    while True:
        if offset[0] + 4 > cap_len:
            return LINK_CUT
        offset[0] += 4
        if frame[offset[0] - 2] & 1:
            return nibble(frame, cap_len, offset[0])


cdef int ethertype_chain(const uint8_t* frame, uint32_t cap_len, uint32_t kind, uint32_t* offset) noexcept nogil:
    """``kind`` is the EtherType of what starts at ``offset``: follow tags until IP."""
    while True:
        if kind == ETH_P_IP:
            return 4
        if kind == ETH_P_IPV6:
            return 6
        if kind in (ETH_P_8021Q, ETH_P_8021AD, ETH_P_QINQ1, ETH_P_QINQ2, ETH_P_QINQ3):
            if offset[0] + 4 > cap_len:
                return LINK_CUT
            kind = load_be16(frame + offset[0] + 2)
            offset[0] += 4
        elif kind in (ETH_P_MPLS, ETH_P_MPLS_MULTICAST):
            return mpls_stack(frame, cap_len, offset)
        else:
            return LINK_NOT_IP


cdef int typed_header(const uint8_t* frame, uint32_t cap_len, uint32_t type_at, uint32_t header_len,
                      uint32_t* offset) noexcept nogil:
    """A header of fixed length with an EtherType in it."""
    if cap_len < header_len:
        return LINK_CUT
    offset[0] = header_len
    return ethertype_chain(frame, cap_len, load_be16(frame + type_at), offset)


cdef int family_word(const uint8_t* frame, uint32_t cap_len, uint32_t* offset) noexcept nogil:
    """BSD null and loop: an address family, in either byte order, of whichever system wrote it."""
    cdef uint32_t family
    if cap_len < 4:
        return LINK_CUT
    offset[0] = 4
    family = load_u32(frame)
    if family > 0xFFFF:
        family = load_be32(frame)
    if family == 2:
        return 4
    # AF_INET6: Linux 10, NetBSD and OpenBSD 24, FreeBSD 28, macOS 30
    return 6 if family in (10, 24, 28, 30) else LINK_NOT_IP


cdef int ppp_protocol(const uint8_t* frame, uint32_t cap_len, uint32_t* offset) noexcept nogil:
    """PPP with or without address and control bytes; the protocol field may be compressed to a byte."""
    cdef uint32_t at = 2 if cap_len >= 2 and frame[0] == 0xFF and frame[1] == 0x03 else 0
    cdef uint16_t protocol
    if at >= cap_len:
        return LINK_CUT
    protocol = frame[at]
    at += 1
    if not protocol & 1:
        if at >= cap_len:
            return LINK_CUT
        protocol = <uint16_t>(protocol << 8 | frame[at])
        at += 1
    offset[0] = at
    if protocol == PPP_IP:
        return 4
    if protocol == PPP_IPV6:
        return 6
    if protocol == PPP_MPLS:
        return mpls_stack(frame, cap_len, offset)
    return LINK_NOT_IP


cdef int link_other(const uint8_t* frame, uint32_t cap_len, uint16_t linktype, uint32_t* offset) noexcept nogil:
    """``link_network`` of everything but plain IP on Ethernet."""
    if linktype == LINKTYPE_ETHERNET:
        return typed_header(frame, cap_len, 12, 14, offset)
    if linktype == LINKTYPE_LINUX_SLL:
        return typed_header(frame, cap_len, 14, 16, offset)
    if linktype == LINKTYPE_LINUX_SLL2:
        return typed_header(frame, cap_len, 0, 20, offset)
    if linktype == LINKTYPE_NULL or linktype == LINKTYPE_LOOP:
        return family_word(frame, cap_len, offset)
    if linktype == LINKTYPE_PPP or linktype == LINKTYPE_PPP_HDLC:
        return ppp_protocol(frame, cap_len, offset)
    offset[0] = 0
    if linktype == LINKTYPE_IPV4:
        return 4
    if linktype == LINKTYPE_IPV6:
        return 6
    if linktype in (LINKTYPE_RAW, LINKTYPE_RAW_12, LINKTYPE_RAW_14):
        return nibble(frame, cap_len, 0)
    return LINK_NOT_IP


# ---- what else a frame says

cdef const uint8_t* link_source(const frame_t* frame) noexcept nogil:
    """The Ethernet address of who sent a frame, or NULL."""
    cdef const uint8_t* data = frame.data
    if frame.linktype == LINKTYPE_ETHERNET:
        return data + MAC if frame.cap_len >= ETHERNET_HEADER else NULL
    if frame.linktype == LINKTYPE_LINUX_SLL:
        if frame.cap_len >= SLL_HEADER and load_be16(data + 2) == ARPHRD_ETHER and load_be16(data + 4) == MAC:
            return data + 6
    elif frame.linktype == LINKTYPE_LINUX_SLL2:
        if frame.cap_len >= SLL2_HEADER and load_be16(data + 8) == ARPHRD_ETHER and data[11] == MAC:
            return data + 12
    return NULL


cdef uint8_t link_delivery(const frame_t* frame) noexcept nogil:
    """To whom a frame was sent, by Linux' numbers (PACKET_*). One to somebody else does not reach the IP layer, so what
    is to one host is to this one."""
    cdef const uint8_t* data = frame.data
    cdef uint16_t said = LINK_HOST
    if frame.linktype == LINKTYPE_LINUX_SLL and frame.cap_len >= SLL_HEADER:
        said = load_be16(data)
    elif frame.linktype == LINKTYPE_LINUX_SLL2 and frame.cap_len >= SLL2_HEADER:
        said = data[10]
    elif frame.linktype == LINKTYPE_ETHERNET and frame.cap_len >= ETHERNET_HEADER and data[0] & 1:
        said = LINK_BROADCAST if memcmp(data, b"\xFF\xFF\xFF\xFF\xFF\xFF", MAC) == 0 else LINK_MULTICAST
    return said if said == LINK_BROADCAST or said == LINK_MULTICAST else LINK_HOST
