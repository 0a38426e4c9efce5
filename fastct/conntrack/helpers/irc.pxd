from fastct.conntrack.helper cimport help_t

cdef bint irc_help(help_t* h) noexcept nogil
