"""The tables of settings and of personalities; numbers are declared in ``opts.pxd``."""
from libc.stdint cimport uint32_t

from fastct.errors import ConfigError

SECONDS_MAX = 0x7FFFFFFF

# name (None: no sysctl), number, default, lowest, highest
_ROWS = (
    (None, OPT_TCP_TIMEOUT, 0, 0, 0),
    ("tcp_timeout_syn_sent", OPT_TCP_TIMEOUT + 1, 120, 0, SECONDS_MAX),
    ("tcp_timeout_syn_recv", OPT_TCP_TIMEOUT + 2, 60, 0, SECONDS_MAX),
    ("tcp_timeout_established", OPT_TCP_TIMEOUT + 3, 432000, 0, SECONDS_MAX),
    ("tcp_timeout_fin_wait", OPT_TCP_TIMEOUT + 4, 120, 0, SECONDS_MAX),
    ("tcp_timeout_close_wait", OPT_TCP_TIMEOUT + 5, 60, 0, SECONDS_MAX),
    ("tcp_timeout_last_ack", OPT_TCP_TIMEOUT + 6, 30, 0, SECONDS_MAX),
    ("tcp_timeout_time_wait", OPT_TCP_TIMEOUT + 7, 120, 0, SECONDS_MAX),
    ("tcp_timeout_close", OPT_TCP_TIMEOUT + 8, 10, 0, SECONDS_MAX),
    (None, OPT_TCP_TIMEOUT + 9, 120, 0, 0),  # SYN_SENT2
    (None, OPT_SCTP_TIMEOUT, 0, 0, 0),
    ("sctp_timeout_closed", OPT_SCTP_TIMEOUT + 1, 10, 0, SECONDS_MAX),
    ("sctp_timeout_cookie_wait", OPT_SCTP_TIMEOUT + 2, 3, 0, SECONDS_MAX),
    ("sctp_timeout_cookie_echoed", OPT_SCTP_TIMEOUT + 3, 3, 0, SECONDS_MAX),
    ("sctp_timeout_established", OPT_SCTP_TIMEOUT + 4, 210, 0, SECONDS_MAX),
    ("sctp_timeout_shutdown_sent", OPT_SCTP_TIMEOUT + 5, 3, 0, SECONDS_MAX),
    ("sctp_timeout_shutdown_recd", OPT_SCTP_TIMEOUT + 6, 3, 0, SECONDS_MAX),
    ("sctp_timeout_shutdown_ack_sent", OPT_SCTP_TIMEOUT + 7, 3, 0, SECONDS_MAX),
    ("sctp_timeout_heartbeat_sent", OPT_SCTP_TIMEOUT + 8, 30, 0, SECONDS_MAX),
    ("tcp_timeout_max_retrans", OPT_TCP_RETRANS, 300, 0, SECONDS_MAX),
    ("tcp_timeout_unacknowledged", OPT_TCP_UNACK, 300, 0, SECONDS_MAX),
    ("udp_timeout", OPT_UDP, 30, 0, SECONDS_MAX),
    ("udp_timeout_stream", OPT_UDP_STREAM, 120, 0, SECONDS_MAX),
    ("icmp_timeout", OPT_ICMP, 30, 0, SECONDS_MAX),
    ("icmpv6_timeout", OPT_ICMPV6, 30, 0, SECONDS_MAX),
    ("generic_timeout", OPT_GENERIC, 600, 0, SECONDS_MAX),
    ("gre_timeout", OPT_GRE, 30, 0, SECONDS_MAX),
    ("gre_timeout_stream", OPT_GRE_STREAM, 180, 0, SECONDS_MAX),
    ("tcp_loose", OPT_TCP_LOOSE, 1, 0, 1),
    ("tcp_be_liberal", OPT_TCP_BE_LIBERAL, 0, 0, 1),
    ("tcp_max_retrans", OPT_TCP_MAX_RETRANS, 3, 0, 255),
    ("tcp_ignore_invalid_rst", OPT_TCP_IGNORE_INVALID_RST, 0, 0, 1),
    ("checksum", OPT_CHECKSUM, 1, 0, 1),
    ("max", OPT_MAX, 0, 0, 0xFFFFFFFF),
    ("expect_max", OPT_EXPECT_MAX, 4096, 1, 0x7FFFFFFF),
    ("frag6_timeout", OPT_FRAG6_TIMEOUT, 60, 0, SECONDS_MAX),
    ("frag6_high_thresh", OPT_FRAG6_HIGH_THRESH, 4 << 20, 0, 0x7FFFFFFF),
    ("frag6_low_thresh", OPT_FRAG6_LOW_THRESH, 3 << 20, 0, 0x7FFFFFFF),  # no effect, in Linux neither
    ("ip_forward", OPT_IP_FORWARD, 1, 0, 1),
    ("ipfrag_time", OPT_IPFRAG_TIME, 30, 0, SECONDS_MAX),
    ("ipfrag_high_thresh", OPT_IPFRAG_HIGH_THRESH, 4 << 20, 0, 0x7FFFFFFF),
    ("ipfrag_low_thresh", OPT_IPFRAG_LOW_THRESH, 3 << 20, 0, 0x7FFFFFFF),
    ("ipfrag_max_dist", OPT_IPFRAG_MAX_DIST, 64, 0, 0x7FFFFFFF),
)
# What kernels and standards disagree about; "rfc" is Linux 6.18 where no standard says otherwise.
_PERSONALITY_OPTIONS = (OPT_TCP_RST_KEPT, OPT_UDPLITE_PSEUDO)
_PERSONALITY_ROWS = {
    "6.18": (OPT_TCP_TIMEOUT + 8, 17),      # CLOSE; the pseudo-header of UDP by mistake
    "6.12": (OPT_TCP_UNACK, 17),
    "rfc": (OPT_TCP_TIMEOUT + 8, 136),
}
PERSONALITIES = tuple(_PERSONALITY_ROWS)
"""Kernels to be like, the default first."""
PREFIX = "nf_conntrack_"


def full_name(name):
    """Linux' name of a row's setting: those of IP itself are not conntrack's."""
    return name if name.startswith("ip") else PREFIX + name


SYSCTLS = {full_name(row[0]): row[2] for row in _ROWS if row[0]}
"""Settings by Linux' name (without ``net.netfilter.`` or ``net.ipv4.``) and their defaults. ``nf_conntrack_max`` 0: no
limit."""


cdef int opts_set(ct_opts_t* opts, dict sysctls, str personality) except -1:
    """Defaults, then what ``sysctls`` says. Raises ConfigError for an unknown name or a bad value."""
    if personality not in PERSONALITIES:
        raise ConfigError(f"personality: expected {', '.join(PERSONALITIES)}, got {personality!r}")
    left = dict(sysctls)
    cdef uint32_t chosen
    for name, number, default, lowest, highest in _ROWS:
        value = left.pop(full_name(name), default) if name else default
        try:
            value = int(value)
        except (TypeError, ValueError):
            raise ConfigError(f"{full_name(name)}: expected a number, got {value!r}") from None
        if name and not lowest <= value <= highest:
            raise ConfigError(f"{full_name(name)}: expected {lowest} to {highest}, got {value}")
        chosen = value
        opts.value[<int>number] = chosen
    for number, value in zip(_PERSONALITY_OPTIONS, _PERSONALITY_ROWS[personality], strict=True):
        chosen = value
        opts.value[<int>number] = chosen
    if left:
        raise ConfigError(f"unknown sysctl {next(iter(left))!r}; known are {', '.join(SYSCTLS)}")
    return 0
