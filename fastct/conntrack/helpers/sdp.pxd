from fastct.conntrack.helper cimport help_t
from fastct.conntrack.helpers.sip_text cimport sip_text_t

# Classes of expectations of the helper sip.
cdef enum sip_class:
    SIGNALLING
    AUDIO
    VIDEO
    IMAGE

cdef bint sdp_read(help_t* h, const sip_text_t* s) noexcept nogil
