from fastct.conntrack.helper cimport help_t

cdef bint ftp_help(help_t* h) noexcept nogil
