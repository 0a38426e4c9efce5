from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

from fastct.conntrack.helper cimport help_t
from fastct.conntrack.keymap cimport keymap_t

# What the helper keeps of a control connection, in ``extra_t.state``. Call ids in network order.
cdef struct pptp_t:
    uint32_t keymap[2]       # entries for the two directions, 0: none
    uint16_t pns_call        # of the client
    uint16_t pac_call        # of the server
    uint8_t session          # session_state
    uint8_t call             # call_state

cdef bint pptp_help(help_t* h) noexcept nogil
cdef bint pptp_is_sound(const uint64_t* state) noexcept nogil
cdef void pptp_ended(help_t* h) noexcept nogil
cdef void pptp_forget_keys(pptp_t* s, keymap_t* keymap) noexcept nogil
