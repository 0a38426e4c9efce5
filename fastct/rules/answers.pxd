"""What the host itself says to a packet: ICMP errors, resets of TCP; and copies for somebody else."""
from libc.stdint cimport uint8_t, uint32_t

from fastct.rules.compiled cimport run_t
from fastct.rules.route cimport address_t

cdef enum:
    ICMP_UNREACHABLE = 3
    ICMP_TIME_EXCEEDED = 11
    ICMPV6_UNREACHABLE = 1
    ICMPV6_TIME_EXCEEDED = 3

cdef void answer_error(run_t* run, uint8_t type, uint8_t code, bint verified) noexcept nogil
cdef void answer_reset(run_t* run) noexcept nogil
cdef void answer_expired(run_t* run) noexcept nogil
cdef void send_copy(run_t* run, const address_t* gateway) noexcept nogil
cdef void transport_sum(const uint8_t* ip, uint8_t proto, const uint8_t* l4, uint32_t length,
                        uint8_t* at) noexcept nogil
