"""The same packets through the kernel and through fastct, compared after every one.

python -m tests.kernel.compare [--packets N] [--seed N] [--sysctl NAME=VALUE ...] [--kind KIND ... | --helpers]
"""

import argparse
import re
import subprocess
import sys
import time
from collections import defaultdict

from tests.kernel.fragments import random_fragments
from tests.kernel.generator import KINDS, random_packets
from tests.kernel.helper_dialogues import HELPERS, helped_packets
from tests.kernel.kernel import Kernel
from tests.kernel.namespace import isolated
from tests.kernel.subject import Subject

KEPT = 12  # differences that are reported
SHOWN = 100  # bytes of a packet in such a report
# Nothing expires meanwhile: when Linux notices, and what was expected goes with its master, is left to chance.
LASTING = {
    f"nf_conntrack_{name}": 3600
    for name in (
        "udp_timeout",
        "udp_timeout_stream",
        "tcp_timeout_syn_sent",
        "tcp_timeout_syn_recv",
        "tcp_timeout_fin_wait",
        "tcp_timeout_close_wait",
        "tcp_timeout_last_ack",
        "tcp_timeout_time_wait",
        "tcp_timeout_close",
    )
}
TIMEOUT = re.compile(r"^((?:ipv\d +\d+ )?\w+ +\d+) (\d+) ")


def run(packets, sysctls, helpers=None):
    """Send packets through both; returns differences (as text), counts and speed. In a namespace of its own."""
    kernel, subject = Kernel(), Subject(helpers=helpers)
    kernel.assign(helpers or {})
    kernel.configure(sysctls)
    subject.configure(sysctls)
    history, differences, flows = defaultdict(list), [], set()
    began = time.monotonic()
    for number, packet in enumerate(packets, 1):
        theirs, now = kernel.send(packet)
        ours = subject.send(packet, now)
        flows.add(packet.flow)
        line = f"{number} side {packet.side} {packet.label}: kernel {theirs[:3]}"
        if packet.flow:
            history[packet.flow].append(line)
        if theirs.differs(ours):
            # /proc is walked in several reads, and all namespaces share what is walked: a line may have been missed.
            theirs = theirs._replace(expectations=kernel.expectations())
        if theirs.differs(ours):
            differences.append(
                "\n".join(
                    [
                        *history[packet.flow][-9:-1],
                        f"{line}",
                        f"    fastct {ours[:3]}",
                        *theirs.unlike(ours),
                        f"    {packet.data[:SHOWN].hex()}",
                    ]
                )
            )
            if packet.flow:
                history[packet.flow].append("    (differed)")
    spent = time.monotonic() - began
    listed = kernel.listing()
    return {
        "packets": number,
        "connections": len(flows),
        "differences": differences,
        "listing": listing_differences(listed, subject.listing(time.time_ns())),
        "lines": len(listed),
        "rate": number / spent,
    }


def listing_differences(theirs, ours):
    """Lines of one listing that the other lacks, a second of timeout apart allowed."""

    def parsed(lines):
        rows = {}
        for line in lines:
            match = TIMEOUT.match(line)
            # conntrack prints use=2 while it looks at an entry itself
            rows[TIMEOUT.sub(r"\1 ", line).replace("use=2", "use=1")] = int(match[2]) if match else 0
        return rows

    theirs, ours = parsed(theirs), parsed(ours)
    # What is about to expire may have done so in between.
    found = [f"kernel only: {line}" for line in theirs if line not in ours and theirs[line] > 1]
    found += [f"fastct only: {line}" for line in ours if line not in theirs and ours[line] > 1]
    found += [
        f"timeout {theirs[line]}, fastct {ours[line]}: {line}"
        for line in theirs
        if line in ours and abs(theirs[line] - ours[line]) > 1
    ]
    return found


def compare_random(seed, count, sysctls, kinds=tuple(KINDS)):
    """``count`` random packets of some kinds of conversations; as ``run``."""
    return run(random_packets(seed, count, kinds), sysctls)


def compare_fragments(seed, count, sysctls):
    """``count`` random fragments; as ``run``."""
    return run(random_fragments(seed, count), sysctls)


def compare_helped(seed, count, sysctls):
    """``count`` random packets of connections with helpers; as ``run``."""
    return run(helped_packets(seed, count), LASTING | sysctls, HELPERS)


def shortest(packets, sysctls):
    """The shortest part of a failing sequence that still fails: packets are left out one after the other."""
    packets = list(packets)
    at = 0
    while at < len(packets):
        tried = packets[:at] + packets[at + 1 :]
        if tried and isolated(run, tried, sysctls)["differences"]:
            packets = tried
        else:
            at += 1
    return packets


def main(argv):
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--packets", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--fragments", action="store_true", help="nothing but fragments")
    parser.add_argument("--sysctl", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--kind", action="append", choices=KINDS, help="kinds of conversations, instead of all")
    parser.add_argument("--helpers", action="store_true", help="connections with helpers, instead of all")
    args = parser.parse_args(argv)
    sysctls = {name: int(value) for name, value in (text.split("=") for text in args.sysctl)}
    if args.fragments:
        result = isolated(compare_fragments, args.seed, args.packets, sysctls)
    elif args.helpers:
        result = isolated(compare_helped, args.seed, args.packets, sysctls)
    else:
        result = isolated(compare_random, args.seed, args.packets, sysctls, args.kind or tuple(KINDS))
    for text in result["differences"][:KEPT]:
        print(text, end="\n\n")
    for text in result["listing"][:KEPT]:
        print(text)
    print(
        f"seed {args.seed}: {result['packets']} packets, {result['connections']} connections, "
        f"{len(result['differences'])} differences; {result['lines']} lines listed, {len(result['listing'])} differ; "
        f"{result['rate']:.0f} packets/s"
    )
    return 1 if result["differences"] or result["listing"] else 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except subprocess.CalledProcessError as error:
        sys.exit(f"{error}")
