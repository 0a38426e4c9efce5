from fastct.conntrack.helper cimport help_t

cdef bint sip_help(help_t* h) noexcept nogil
