"""The tracker's settings: Linux' ``nf_conntrack_*`` and ``ipfrag_*`` sysctls by number.

The number of a TCP or SCTP timeout is that of its state, so the state machines index the array directly. Names,
defaults and ranges are one table in ``opts.pyx``, and so is what a *personality* (a kernel to be like) decides.
"""
from libc.stdint cimport uint32_t

cdef enum:
    # seconds; 0 to 9 are the TCP states, 10 to 18 those of SCTP
    OPT_TCP_TIMEOUT = 0
    OPT_SCTP_TIMEOUT = 10
    OPT_TCP_RETRANS = 19
    OPT_TCP_UNACK = 20
    OPT_UDP = 21
    OPT_UDP_STREAM = 22
    OPT_ICMP = 23
    OPT_ICMPV6 = 24
    OPT_GENERIC = 25
    OPT_GRE = 26
    OPT_GRE_STREAM = 27
    # switches and counts
    OPT_TCP_LOOSE = 28
    OPT_TCP_BE_LIBERAL = 29
    OPT_TCP_MAX_RETRANS = 30
    OPT_TCP_IGNORE_INVALID_RST = 31
    OPT_CHECKSUM = 32
    OPT_MAX = 33
    OPT_EXPECT_MAX = 34
    # the personality's
    OPT_TCP_RST_KEPT = 35       # number of the timeout after a RST that does not close yet
    OPT_UDPLITE_PSEUDO = 36     # protocol in the pseudo-header of UDP-Lite's checksum
    # reassembly of fragments: seconds, bytes and a count
    OPT_IPFRAG_TIME = 37
    OPT_IPFRAG_HIGH_THRESH = 38
    OPT_IPFRAG_LOW_THRESH = 39
    OPT_IPFRAG_MAX_DIST = 40
    OPT_FRAG6_TIMEOUT = 41
    OPT_FRAG6_HIGH_THRESH = 42
    OPT_FRAG6_LOW_THRESH = 43
    # what is for another host is sent on
    OPT_IP_FORWARD = 44
    OPT_COUNT = 45

cdef struct ct_opts_t:
    uint32_t value[OPT_COUNT]

cdef int opts_set(ct_opts_t* opts, dict sysctls, str personality) except -1
