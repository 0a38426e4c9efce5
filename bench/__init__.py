"""Benchmarks; see README.md here."""

# Captures for the comparison: packets, connections, smallest and largest frame in bytes.
SETS = {"small": (4_000_000, 1_000_000, (64, 100)), "large": (1_000_000, 50_000, (590, 610))}
