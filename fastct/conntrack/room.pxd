"""Room in the table; see ``room.pyx``."""
from libc.stdint cimport uint32_t

from fastct.conntrack.core cimport ct_t

cdef bint ct_make_room(ct_t* ct) noexcept nogil
cdef uint32_t ct_gc(ct_t* ct, uint32_t lines) noexcept nogil
