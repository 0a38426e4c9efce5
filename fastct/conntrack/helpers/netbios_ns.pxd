from fastct.conntrack.helper cimport help_t

cdef bint netbios_ns_help(help_t* h) noexcept nogil
