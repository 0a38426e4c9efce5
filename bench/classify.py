"""First matching rule of ClassBench rulesets: the index of a chain beside DPDK's rte_acl, round by round.

    python -m bench.classify DIRECTORY [--rounds N] [--packets N]

DIRECTORY has rulesets as ClassBench writes them. rte_acl is built when DPDK's development files are there (Debian:
libdpdk-dev). Packets: corners of random rules, as ClassBench's trace generator makes them, and uniformly random ones.
Time is CPU time of the thread. Both must find the same.
"""
import argparse
import ipaddress
import os
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np

from fastct.rules.classify import CONDITION_DTYPE, FIELDS_DTYPE, NONE, Classifier

ROOT = Path(__file__).resolve().parents[1]
NAMES = ("src", "dst", "sport", "dport", "protocol")
MOST = (2**32 - 1, 2**32 - 1, 2**16 - 1, 2**16 - 1, 2**8 - 1)


def read_rules(path):
    """Array of rules × five fields × (low, high). Flags are left out."""
    rules = []
    for line in path.read_text().splitlines():
        src, dst, sport, _, sport_high, dport, _, dport_high, protocol, *_ = line.lstrip("@").split()
        pairs = [(int(net[0]), int(net[-1])) for net in map(ipaddress.ip_network, (src, dst))]
        number, mask = (int(part, 16) for part in protocol.split("/"))
        rules.append([*pairs, (int(sport), int(sport_high)), (int(dport), int(dport_high)),
                      (number, number) if mask else (0, 255)])
    return np.array(rules, np.uint32)


def conditions_of(rules):
    """Conditions of the fields that a rule asks about."""
    rows = np.zeros(rules.shape[:2], CONDITION_DTYPE)
    rows["rule"], rows["field"] = np.arange(len(rules))[:, None], np.arange(len(NAMES))
    rows["low_lo"], rows["high_lo"] = rules[:, :, 0], rules[:, :, 1]
    return rows[(rules[:, :, 0] != 0) | (rules[:, :, 1] != np.array(MOST, np.uint32))]


def corners(rules, n, rng):
    rule = rng.integers(0, len(rules), n)
    return np.stack([rules[rule, field, rng.integers(0, 2, n)] for field in range(len(NAMES))], axis=1)


def anything(rules, n, rng):
    return np.stack([rng.integers(0, most + 1, n) for most in MOST], axis=1).astype(np.uint32)


class Ours:
    """The index of one chain with all rules."""
    name = "fastct"

    def __init__(self, rules, packets, directory):
        conditions = conditions_of(rules)
        begin = time.thread_time()
        self.classifier = Classifier(len(rules), conditions)
        self.build = time.thread_time() - begin
        self.packets = np.zeros(len(packets), FIELDS_DTYPE)
        for field, name in enumerate(NAMES):
            self.packets[name] = packets[:, field]

    def run(self):
        """Nanoseconds per packet, and what was found: packets with a rule, sum of the rules' numbers."""
        begin = time.thread_time()
        found = self.classifier.find(self.packets)
        taken = time.thread_time() - begin
        matched = found[found != NONE]
        return taken * 1e9 / len(found), (len(matched), int(matched.sum(dtype=np.uint64)))

    def close(self):
        pass


class RteAcl:
    """bench/peers/rte_acl.c, asked for a pass each round."""
    name = "rte_acl"

    def __init__(self, rules, packets, directory):
        path = Path(directory) / "input"
        with open(path, "wb") as file:
            np.array([len(rules), len(packets)], np.uint32).tofile(file)
            rules.tofile(file)
            packets.tofile(file)
        self.process = subprocess.Popen([str(Path(directory) / "rte_acl"), str(path)], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        while not (line := self._line()).startswith("ready "):      # the environment's own words
            pass
        self.build = float(line.split()[1])

    def _line(self):
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError("rte_acl ended")
        return line

    def run(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        ns, matched, total = self._line().split()
        return float(ns), (int(matched), int(total))

    def close(self):
        self.process.stdin.close()
        self.process.wait()

    @staticmethod
    def compile(directory):
        """Whether DPDK is here and the program was built."""
        asked = subprocess.run(["pkg-config", "--cflags", "--libs", "libdpdk"], capture_output=True, text=True)
        if asked.returncode:
            return False
        source = ROOT / "bench" / "peers" / "rte_acl.c"
        subprocess.run(["gcc", "-O3", "-o", f"{directory}/rte_acl", str(source), *asked.stdout.split()], check=True)
        return True


def compare(rules, packets, programs, rounds, directory):
    """Rows of a table: name, build time, median and least time per packet. All must find the same."""
    peers = [program(rules, packets, directory) for program in programs]
    taken = {peer.name: [] for peer in peers}
    answers = set()
    for number in range(rounds):
        for peer in peers if number % 2 else reversed(peers):
            ns, answer = peer.run()
            taken[peer.name].append(ns)
            answers.add(answer)
    for peer in peers:
        peer.close()
    if len(answers) != 1:
        raise RuntimeError(f"different answers: {answers}")
    ratios = [ours / theirs for ours, theirs in zip(taken["fastct"], taken[peers[-1].name], strict=True)]
    return peers, taken, statistics.median(ratios)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directory", type=Path, help="rulesets, one file each")
    parser.add_argument("--rounds", type=int, default=21)
    parser.add_argument("--packets", type=int, default=100_000)
    options = parser.parse_args()
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})     # the peers inherit it
    with tempfile.TemporaryDirectory() as directory:
        programs = [Ours, RteAcl] if RteAcl.compile(directory) else [Ours]
        print(f"{'ruleset':10} {'rules':>6} {'packets':8} {'program':8} {'build ms':>9} {'median':>9} {'least':>9} ns")
        for path in sorted(options.directory.iterdir(), key=lambda path: (path.stat().st_size, path.name)):
            rules, rng = read_rules(path), np.random.default_rng(1)
            for kind in (corners, anything):
                packets = kind(rules, options.packets, rng)
                peers, taken, ratio = compare(rules, packets, programs, options.rounds, directory)
                for peer in peers:
                    ns = taken[peer.name]
                    more = f"ratio {ratio:.2f}" if peer is not peers[0] else f"{peer.classifier.memory / 2**20:.2f} MiB"
                    print(f"{path.name:10} {len(rules):6} {kind.__name__:8} {peer.name:8} {peer.build * 1e3:9.1f}"
                          f" {statistics.median(ns):9.1f} {min(ns):9.1f}  {more}", flush=True)


if __name__ == "__main__":
    main()
