from libc.stdint cimport uint8_t, uint32_t

from fastct.wire.packet cimport packet_t, wire_opts_t

cdef enum:
    EXT_CUT = -3        # the capture ends inside the headers
    EXT_FRAGMENT = -2   # a fragment other than an atomic one
    EXT_BAD = -1        # the walk fails: no transport protocol

cdef int ip4_parse(packet_t* p, const wire_opts_t* opts, uint32_t cap_left, uint32_t wire_left) noexcept nogil
cdef int ip6_parse(packet_t* p, const wire_opts_t* opts, uint32_t cap_left, uint32_t wire_left) noexcept nogil
cdef int ip6_skip_extensions(const packet_t* p, uint32_t* offset, uint8_t next_header) noexcept nogil
