from fastct.conntrack.helper cimport help_t

cdef bint amanda_help(help_t* h) noexcept nogil
