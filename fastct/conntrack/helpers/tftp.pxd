from fastct.conntrack.helper cimport help_t

cdef bint tftp_help(help_t* h) noexcept nogil
