"""What a ruleset costs per packet: ClassBench rules in FORWARD, with and without a first rule for what is established.

    python -m bench.rules RULESET... [--connections 1k,100k,1M] [--rounds N] [--kernel]

RULESET is a file as ClassBench writes it; each of its rules becomes a line of iptables that accepts. ``established``:
TCP packets of connections that are known, in blocks that go through a table without rules, one with the rules behind
``-m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT``, and one with the rules alone, in turns. ``new``: first packets
of connections. ``load``: reading the text and compiling it. Ratios are medians of the blocks' own ratios.

--kernel (root): datagrams that match no rule sent in a network namespace with and without the rules in OUTPUT, for
what the kernel's own walk costs.
"""
import argparse
import gc
import re
import socket
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np

from fastct.benchmark import SYN, Traffic
from fastct.rules import Ruleset
from fastct.rules.compile import compile_ruleset
from fastct.tracker import Tracker

ESTABLISHED = "-m conntrack --ctstate ESTABLISHED,RELATED"
LINE = re.compile(r"@(\S+)\s+(\S+)\s+(\d+ : \d+)\s+(\d+ : \d+)\s+0x(\w+)/0x(\w+)")
ANY_PORT = "0:65535"
TCP_UDP = (6, 17)
BLOCK = 8192
PACKETS = 1 << 17
KERNEL_PACKETS = 2000


def iptables_text(path, established, chain="FORWARD"):
    """The ruleset as iptables-restore takes it."""
    lines = ["*filter", ":INPUT ACCEPT [0:0]", ":FORWARD ACCEPT [0:0]", ":OUTPUT ACCEPT [0:0]"]
    if established:
        lines.append(f"-A {chain} {ESTABLISHED} -j ACCEPT")
    for source, target, *ports, protocol, mask in LINE.findall(Path(path).read_text()):
        number = int(protocol, 16) if int(mask, 16) else 0
        words = [f"-A {chain}"]
        words += [f"{option} {net}" for option, net in (("-s", source), ("-d", target)) if not net.endswith("/0")]
        words += [f"-p {number}"] * bool(number)
        if number in TCP_UDP:
            spans = zip(("--sport", "--dport"), (span.replace(" ", "") for span in ports), strict=True)
            words += [f"{option} {span}" for option, span in spans if span != ANY_PORT]
        lines.append(" ".join([*words, "-j ACCEPT"]))
    return "\n".join([*lines, "COMMIT", ""])


def spent(tracker, block):
    began = time.perf_counter_ns()
    tracker.process(block, rows=False)
    return (time.perf_counter_ns() - began) / len(block)


def turns(trackers, blocks):
    """ns per packet: array of blocks × trackers."""
    taken = []
    for block in blocks:
        for first in range(0, len(block), BLOCK):
            part = block.part(first, min(first + BLOCK, len(block)))
            taken.append([spent(tracker, part) for tracker in trackers])
    return np.array(taken)


def report(name, connections, taken):
    medians = np.median(taken, axis=0)
    ratios = np.median(taken / taken[:, :1], axis=0)
    cells = "".join(f" {ns:8.1f} {ratio:6.2f}" for ns, ratio in zip(medians[1:], ratios[1:], strict=True))
    print(f"{name:12} {connections:>9,} {medians[0]:8.1f}{cells}", flush=True)


def measure(path, counts, rounds):
    print(f"{Path(path).name + ', ns per packet':22} {'none':>8} {'behind':>8} {'ratio':>6} {'alone':>8} {'ratio':>6}")
    with tempfile.TemporaryDirectory() as directory:
        files = [Path(directory, name) for name in ("behind", "alone")]
        for file, established in zip(files, (True, False), strict=True):
            file.write_text(iptables_text(path, established))
        for connections in counts:
            traffic = Traffic("tcp", connections)
            trackers = [Tracker(seed=1, checksum="off", max_entries=2 * connections + PACKETS,
                                **({"rules": file} if file else {})) for file in (None, *files)]
            for block in traffic.establish():
                for tracker in trackers:
                    tracker.process(block, rows=False)
            report("established", connections, turns(trackers, traffic.conversation(rounds * PACKETS)))
            more = Traffic("tcp", PACKETS, first=100_000_000)
            more.ts = traffic.ts
            numbers = np.arange(PACKETS)
            taken = turns(trackers, [more.packets(numbers, np.zeros(PACKETS, bool), SYN)])
            report("new", connections, taken[len(taken) // 2:])        # by then their memory is there


def loading(path):
    text, taken = iptables_text(path, True), []
    with tempfile.NamedTemporaryFile("w", suffix=".rules") as file:
        file.write(text)
        file.flush()
        for _ in range(5):
            gc.collect()
            began = time.process_time()
            program = compile_ruleset(Ruleset.load(file.name).model)
            taken.append(time.process_time() - began)
            del program
    print(f"load         {statistics.median(taken):.2f} s CPU for {text.count('-A ')} rules")


def kernel_walk(path):
    """ns per datagram of the kernel, with the rules less without, and of a sender in that namespace."""
    text = iptables_text(path, False, "OUTPUT")
    script = (f"import socket,time\ns=socket.socket(socket.AF_INET,socket.SOCK_DGRAM)\nb=time.perf_counter_ns()\n"
              f"for _ in range({KERNEL_PACKETS}): s.sendto(b'x',('127.0.0.1',{socket.IPPORT_RESERVED}))\n"
              f"print((time.perf_counter_ns()-b)/{KERNEL_PACKETS})")
    shell = f"ip link set lo up; python3 -c \"{script}\"; iptables-legacy-restore; python3 -c \"{script}\""
    done = subprocess.run(["unshare", "-n", "sh", "-c", shell], input=text, capture_output=True, text=True, check=True)
    without, with_rules = map(float, done.stdout.split())
    print(f"kernel       {with_rules - without:,.0f} ns per packet for {text.count('-A ')} rules")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rulesets", nargs="+")
    parser.add_argument("--connections", default="1k,100k,1M")
    parser.add_argument("--rounds", type=int, default=8, help="of 131,072 packets")
    parser.add_argument("--kernel", action="store_true")
    options = parser.parse_args()
    counts = [int(word.replace("k", "000").replace("M", "000000")) for word in options.connections.split(",")]
    for path in options.rulesets:
        measure(path, counts, options.rounds)
        loading(path)
        if options.kernel:
            kernel_walk(path)


if __name__ == "__main__":
    main()
