from libc.stdint cimport uint64_t

from fastct.conntrack.helper cimport help_t

cdef bint sane_help(help_t* h) noexcept nogil
cdef bint sane_is_sound(const uint64_t* state) noexcept nogil
