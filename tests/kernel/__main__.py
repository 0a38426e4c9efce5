"""Random packets of every kind through the kernel and through fastct.

    python -m tests.kernel [--packets N] [--runs N] [--seed N] [--sysctl NAME=VALUE ...] [--only KIND ... | --timed]

Every run has the next seed, and settings of its own: sysctls at random but for those that are given. When packets
differ, the shortest part of them that still does is left in tests/regressions: a test from then on.
"""

import argparse
import random
import subprocess
import sys

from tests.kernel.compare import FOUND, compare_mixed, compare_timed, found
from tests.kernel.mixed import MIXED, mixed_packets
from tests.kernel.namespace import isolated
from tests.kernel.recorded import record, shortest
from tests.kernel.settings import ALL_HELPERS, LASTING, RANGES, SHORT, Settings, drawn

KEPT = 12  # differences that are reported


def report(seed, result):
    """Print what a run has found, and its counts."""
    for kind in FOUND:
        for text in result[kind][:KEPT]:
            print(text, end="\n\n" if kind == "differences" else "\n")
    classes = " ".join(f"{name or 'none'} {count}" for name, count in sorted(result["classes"].items()))
    print(
        f"seed {seed}: {result['packets']} packets ({classes}), {result['connections']} connections, "
        f"{result['lines']} lines listed, at most {result['most']} expected, {result['rate']:.0f} packets/s: "
        f"{len(found(result))} differences",
        flush=True,
    )


def one_run(seed, args, given):
    """A run; returns whether something differed."""
    sysctls = drawn(random.Random(seed), SHORT if args.timed else LASTING) | given
    kinds = tuple(args.only or MIXED)
    if args.timed:
        result = isolated(compare_timed, seed, args.packets, sysctls)
    else:
        result = isolated(compare_mixed, seed, args.packets, sysctls, kinds)
    report(seed, result)
    if not found(result):
        return False
    print(f"sysctls {sysctls}")
    if not args.timed:
        settings = Settings(sysctls, ALL_HELPERS, RANGES)
        packets = shortest(list(mixed_packets(seed, args.packets, kinds)), settings)
        print(f"{len(packets)} packets of them differ, too: {record(f'seed_{seed}', packets, settings)}", flush=True)
    return True


def main(argv):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--packets", type=int, default=12_000)
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--sysctl", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--only", action="append", choices=MIXED, help="kinds of conversations, instead of all")
    parser.add_argument("--timed", action="store_true", help="short timeouts, and pauses; no helpers")
    args = parser.parse_args(argv)
    given = {name: int(value) for name, value in (text.split("=") for text in args.sysctl)}
    failed = sum(one_run(seed, args, given) for seed in range(args.seed, args.seed + args.runs))
    return 1 if failed else 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except subprocess.CalledProcessError as error:
        sys.exit(f"{error}")
