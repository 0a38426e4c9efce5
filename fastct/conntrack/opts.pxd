"""The tracker's settings: Linux' ``nf_conntrack_*`` sysctls by number.

A TCP timeout's number is that of its state, so the state machine indexes the array directly. Names, defaults
and ranges are one table in ``opts.pyx``.
"""
from libc.stdint cimport uint32_t

cdef enum:
    # seconds; 0 to 9 are the TCP states
    OPT_TCP_TIMEOUT = 0
    OPT_TCP_RETRANS = 10
    OPT_TCP_UNACK = 11
    OPT_UDP = 12
    OPT_UDP_STREAM = 13
    OPT_ICMP = 14
    OPT_ICMPV6 = 15
    OPT_GENERIC = 16
    OPT_GRE = 17
    OPT_GRE_STREAM = 18
    # switches and counts
    OPT_TCP_LOOSE = 19
    OPT_TCP_BE_LIBERAL = 20
    OPT_TCP_MAX_RETRANS = 21
    OPT_TCP_IGNORE_INVALID_RST = 22
    OPT_CHECKSUM = 23
    OPT_MAX = 24
    OPT_EXPECT_MAX = 25
    OPT_COUNT = 26

cdef struct ct_opts_t:
    uint32_t value[OPT_COUNT]

cdef int opts_set(ct_opts_t* opts, dict sysctls) except -1
