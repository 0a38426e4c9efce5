"""The one table of reasons: why a packet is INVALID, ignored, held, dropped or not looked at.

Names are stable: they are the ``reason`` column, the counters of ``Result.stats`` and metric labels.
Numbers are not: never store them. Their sentences are in ``reason.pyx``.
"""

cpdef enum Reason:
    # no reason
    none = 0
    # never reaches the hooks
    not_ip
    link_header_cut
    ip_header_cut
    ip_version
    ip_header_length
    ip_total_length
    ip_checksum
    ip6_multicast_source
    ip6_mapped_source
    ip6_multicast_scope
    ip6_hop_options
    # held by defragmentation
    fragment
    # dropped by defragmentation
    fragment_duplicate
    fragment_overlap
    fragment_end
    fragment_empty
    fragment_oversize
    fragment_ecn
    fragment_header
    fragment_limit
    # INVALID: no tuple
    fragment_not_first
    ip6_extension_headers
    l4_truncated
    l4_header_cut
    gre_not_ppp
    # INVALID: protocol checks
    tcp_header_length
    tcp_checksum
    tcp_flags
    udp_length
    udp_checksum
    udplite_coverage
    udplite_no_checksum
    udplite_checksum
    sctp_checksum
    sctp_no_chunk
    sctp_chunk_order
    sctp_chunk_length
    icmp_truncated
    icmp_checksum
    icmp_type
    icmp_in_ipv6
    icmpv6_in_ipv4
    # INVALID: ICMP errors
    icmp_error_inner
    icmp_error_unknown
    icmp_error_spoofed
    icmpv6_redirect
    # INVALID: no entry may begin so
    icmp_not_request
    tcp_new_invalid
    tcp_new_not_loose
    sctp_new_invalid
    sctp_init_tag
    sctp_init_short
    # INVALID: an entry exists and says no
    tcp_state_invalid
    tcp_rst_invalid
    tcp_seq_over
    tcp_ack_over
    sctp_tag
    sctp_init_ack_tag
    sctp_state_invalid
    # accepted, but looked away from: no refresh, no count
    tcp_ignored
    tcp_challenge_ack
    tcp_overshoot
    tcp_seq_under
    tcp_ack_under
    tcp_syn_again
    sctp_init_again
    sctp_heartbeat_tag
    # dropped
    table_full
    clash
    helper_dropped
    rule_hotdrop
    not_forwarded
    ttl_exceeded
    # number of reasons
    reasons
