from libc.stdint cimport uint64_t

from fastct.conntrack.helper cimport help_t

cdef bint ftp_help(help_t* h) noexcept nogil
cdef bint ftp_is_sound(const uint64_t* state) noexcept nogil
