"""The same capture through fastct and through its peers, whole programs, in turn.

    python -m bench.compare [--set small|large|FILE] [--rounds N] [--peers NAME,...] [--scale F] [--install] [--json]

Each round runs every program once, one after the other, so that a slow minute hurts them all alike; medians count. The
capture is read once before, so it comes from the page cache. Wall and CPU time and peak memory are of the whole
process and its children; connections are counted as each program counts.
"""
import argparse
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from bench import SETS

PEERS_DIR = Path(__file__).parent / "peers"
PYTHON = sys.executable


class Peer(NamedTuple):
    """A program: how to get it, whether it is there, what to run, and how it says what it found."""
    apt: str
    pip: str
    needs: str                  # a program on the path, or a Python module
    command: tuple
    count: tuple                # a further command whose output (or the program's own, if empty) is searched
    pattern: str


PEERS = {
    "fastct": Peer("", "", "fastct", (PYTHON, "-m", "fastct", "track", "{capture}", "-o", "/dev/null"),
                   (), r"connections +(\d+)"),
    "nfpcapd": Peer("nfdump", "", "nfpcapd", ("nfpcapd", "-r", "{capture}", "-l", "{out}", "-e", "3600,3600"),
                    ("nfdump", "-R", "{out}", "-B", "-o", "line", "-N"), r"total flows: (\d+)"),
    "softflowd": Peer("softflowd", "", "softflowd",
                      ("softflowd", "-d", "-m", "8000000", "-n", "127.0.0.1:65534", "-c", "{out}/ctl", "-p",
                       "{out}/pid", "-r", "{capture}"), (), r"Flows expired: (\d+)"),
    "argus": Peer("argus-server argus-client", "", "argus",
                  ("argus", "-F", "/dev/null", "-S", "3600", "-r", "{capture}", "-w", "{out}/argus"),
                  ("racount", "-r", "{out}/argus"), r"sum\s+(\d+)"),
    "nfstream": Peer("", "nfstream", "nfstream", (PYTHON, PEERS_DIR / "nfstream_loop.py", "{capture}"), (), r"(\d+)"),
    "dpkt": Peer("", "dpkt", "dpkt", (PYTHON, PEERS_DIR / "dpkt_loop.py", "{capture}"), (), r"(\d+)"),
    "cat": Peer("", "", "cat", ("dd", "if={capture}", "of=/dev/null", "bs=1M"), (), r"^$"),
}


class Run(NamedTuple):
    """One run: seconds of wall and CPU, peak memory in MiB, connections found (None: not said)."""
    wall: float
    cpu: float
    memory: float
    connections: int | None


def available(peer):
    """Whether a program can be run here."""
    if shutil.which(peer.needs):
        return True
    return subprocess.run([PYTHON, "-c", f"import {peer.needs}"], capture_output=True, check=False).returncode == 0


def install(peer):
    """Get a program from the distribution or from PyPI."""
    if peer.apt:
        subprocess.run(["apt-get", "install", "-y", "-q", *peer.apt.split()], check=False)
    if peer.pip:
        subprocess.run([PYTHON, "-m", "pip", "install", "-q", peer.pip], check=False)


def run(peer, capture):
    """Run a program once."""
    with tempfile.TemporaryDirectory() as out:
        def filled(command):
            return [str(word).format(capture=capture, out=out) for word in command]

        with open(f"{out}/said", "w+") as said:
            began = time.perf_counter()
            process = subprocess.Popen(filled(peer.command), stdout=said, stderr=subprocess.STDOUT)
            _, status, used = os.wait4(process.pid, 0)
            wall = time.perf_counter() - began
            process.returncode = os.waitstatus_to_exitcode(status)
            said.seek(0)
            text = said.read()
        if process.returncode:
            raise RuntimeError(f"{peer.needs}: exit status {process.returncode}: {text[-300:]}")
        if peer.count:
            text = subprocess.run(filled(peer.count), capture_output=True, text=True, check=False).stdout
        found = re.findall(peer.pattern, text)
        connections = int(found[-1]) if found and found[-1] else None
        return Run(wall, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024, connections)


def compare(capture, names, rounds):
    """Medians of every program: name to Run."""
    runs = {name: [] for name in names}
    for _ in range(rounds):
        for name in list(runs):
            try:
                runs[name].append(run(PEERS[name], capture))
            except RuntimeError as error:
                print(f"{name}: {error}", file=sys.stderr)
                del runs[name]
    return {name: Run(*(statistics.median(values) if values[0] is not None else None
                        for values in zip(*results, strict=True))) for name, results in runs.items()}


def table(medians, packets):
    """Lines of the table; ratios are to fastct's wall time."""
    yield f"{'program':10} {'wall s':>8} {'Mpps':>7} {'CPU s':>8} {'peak MiB':>9} {'connections':>12} {'ratio':>7}"
    ours = medians.get("fastct")
    for name, m in medians.items():
        ratio = f"{m.wall / ours.wall:7.1f}" if ours else ""
        found = f"{m.connections:12.0f}" if m.connections is not None else " " * 12
        yield f"{name:10} {m.wall:8.3f} {packets / m.wall / 1e6:7.2f} {m.cpu:8.3f} {m.memory:9.0f} {found} {ratio}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--set", default="small", help="small, large, or a capture file")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--peers", default=",".join(PEERS), help=f"of {', '.join(PEERS)}")
    parser.add_argument("--scale", type=float, default=1.0, help="make the set smaller")
    parser.add_argument("--install", action="store_true", help="get missing programs through apt and pip")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    names = args.peers.split(",")
    for name in list(names):
        if args.install and not available(PEERS[name]):
            install(PEERS[name])
        if not available(PEERS[name]):
            print(f"{name}: not installed", file=sys.stderr)
            names.remove(name)
    with tempfile.TemporaryDirectory() as made:
        capture, packets = args.set, None
        if args.set in SETS:
            packets, connections, size = SETS[args.set]
            packets, connections = int(packets * args.scale), int(connections * args.scale)
            capture = f"{made}/{args.set}.pcap"
            # In a process of its own: the memory of this one would be counted as that of the programs it starts.
            subprocess.run([PYTHON, "-m", "bench.traffic", capture, "--packets", str(packets), "--connections",
                            str(connections), "--size", "{}-{}".format(*size)], check=True)
            print(f"{args.set}: {packets} packets in {connections} connections", file=sys.stderr)
        else:
            count = "import fastct, sys; print(sum(map(len, fastct.open(sys.argv[1]))))"
            packets = int(subprocess.run([PYTHON, "-c", count, capture], capture_output=True, text=True,
                                         check=True).stdout)
        with open(capture, "rb") as file:
            while file.read(1 << 24):
                pass
        medians = compare(capture, names, args.rounds)
    print(json.dumps({name: m._asdict() for name, m in medians.items()}) if args.json
          else "\n".join(table(medians, packets)))


if __name__ == "__main__":
    main()
