"""Counters as conntrack -S prints them."""

# conntrack's names, and the counters that they are the sum of. What only parallel lookups can do stays 0.
COUNTERS = {
    "found": (), "invalid": ("invalid",), "insert": (), "insert_failed": ("full",), "drop": ("full",),
    "early_drop": ("evicted",), "error": ("reason_icmp_error_unknown",), "search_restart": (), "clash_resolve": (),
    "chaintoolong": ("chain_too_long",),
}


def statistics_line(stats, cpu=0):
    """The line of a processor, with the blank that ends it: one tracker is one processor."""
    pairs = "".join(f"{name}={sum(stats[each] for each in parts)} " for name, parts in COUNTERS.items())
    return f"cpu={cpu:<4}\t{pairs}"
