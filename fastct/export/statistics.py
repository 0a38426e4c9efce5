"""Counters as conntrack -S prints them."""

# Why an ICMP packet is no good in itself or in what it quotes: Linux counts it as an error, and not as invalid.
ICMP_REASONS = ("icmp_truncated", "icmp_checksum", "icmp_type", "icmp_error_inner", "icmp_error_unknown",
                "icmp_error_spoofed", "icmpv6_redirect")
# conntrack's names, and the counters behind them. What only parallel lookups can do stays 0.
COUNTERS = {
    "found": "", "invalid": "invalid", "insert": "", "insert_failed": "full", "drop": "full", "early_drop": "evicted",
    "error": "error", "search_restart": "", "clash_resolve": "", "chaintoolong": "chain_too_long",
}


def linux_stats(stats):
    """``Tracker.stats`` as Linux counts: with ``error``, which ``invalid`` is without."""
    error = sum(stats[f"reason_{reason}"] for reason in ICMP_REASONS)
    return stats | {"error": error, "invalid": stats["invalid"] - error}


def statistics_line(stats, cpu=0):
    """The line of a processor, with the blank that ends it: one tracker is one processor."""
    counted = linux_stats(stats)
    pairs = "".join(f"{name}={counted[counter] if counter else 0} " for name, counter in COUNTERS.items())
    return f"cpu={cpu:<4}\t{pairs}"


def expect_statistics_line(stats, cpu=0):
    """The same of expectations, as ``conntrack -S expect`` prints them."""
    pairs = "".join(f"{name}={stats[name]} " for name in ("expect_new", "expect_create", "expect_delete"))
    return f"cpu={cpu:<4}\t{pairs}"
