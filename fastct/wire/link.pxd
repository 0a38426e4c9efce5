from libc.stdint cimport uint8_t, uint16_t, uint32_t

# Where the network layer starts, or why it does not.
cdef enum:
    LINK_NOT_IP = 0
    LINK_CUT = -1

cdef int link_network(const uint8_t* frame, uint32_t cap_len, uint16_t linktype, uint32_t* offset) noexcept nogil
