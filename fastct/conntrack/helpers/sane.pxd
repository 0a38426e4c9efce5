from fastct.conntrack.helper cimport help_t

cdef bint sane_help(help_t* h) noexcept nogil
