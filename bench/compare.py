"""The same capture through fastct and through other programs, as whole processes.

    python -m bench.compare --install                   get the other programs (Debian, PyPI), then compare
    python -m bench.compare --set large --rounds 5
    python -m bench.compare --set dump.pcap --peers fastct,argus --json

Every round runs each program once, beginning with another one each time; the ratio is the median of the rounds' own
ratios, so that a machine that changes its pace between rounds changes nothing. Wall time, CPU time and peak memory are
the kernel's (``wait4``). Counting what a program found is not timed.

This file imports nothing large and has captures made by another process: a child's peak memory begins with that of the
process it was forked from.
"""
import argparse
import json
import os
import platform
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from bench.peers.registry import PEERS, ROOT, Run, install

CAPTURES = ROOT / "build" / "bench"
SETS = {"small": (4_000_000, 1_000_000, "64-100"), "large": (1_000_000, 50_000, "560-640")}
READ = 1 << 20


@dataclass(frozen=True)
class Result:
    """What one run took and found."""
    wall_s: float
    cpu_s: float
    peak_bytes: int         # of the largest process
    connections: int


class PeerError(Exception):
    """A peer ended other than well."""


def make_capture(name, scale, seed):
    """Path of a set's capture, made if it is not there."""
    packets, connections, size = SETS[name]
    packets, connections = max(1, round(packets * scale)), max(1, round(connections * scale))
    path = CAPTURES / f"{name}-{packets}-{connections}-{size}-{seed}.pcap"
    if not path.exists():
        CAPTURES.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part")
        subprocess.run([sys.executable, "-m", "bench.traffic", str(part), "--packets", str(packets), "--connections",
                        str(connections), "--size", size, "--seed", str(seed)], check=True, cwd=ROOT, stdout=sys.stderr)
        part.rename(path)
    return path


def warm(path):
    """Read the file once, so that every program finds it in memory."""
    with open(path, "rb", buffering=0) as file:
        while file.read(READ):
            pass


def measure(peer, capture, sink, timeout):
    """Run a peer once."""
    with tempfile.TemporaryDirectory(prefix="fastct-bench-") as directory, tempfile.TemporaryFile("w+") as output:
        out = Path(directory, "out")
        out.mkdir()
        run = Run(str(capture), out, sink)
        command = peer.command(run)
        began = time.perf_counter()
        # A session of its own: a peer that is given up is ended with all its processes.
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, cwd=ROOT,
                                   start_new_session=True)
        watch = threading.Timer(timeout, os.killpg, (process.pid, signal.SIGKILL))
        watch.start()
        try:
            _, status, usage = os.wait4(process.pid, 0)
            wall = time.perf_counter() - began
        except KeyboardInterrupt:
            os.killpg(process.pid, signal.SIGKILL)
            raise
        finally:
            watch.cancel()
        process.returncode = os.waitstatus_to_exitcode(status)      # waited for already
        output.seek(0)
        printed = output.read()
        if process.returncode:
            raise PeerError(f"exit status {process.returncode}: {printed.strip()[-200:] or 'nothing printed'}")
        try:
            found = peer.count(replace(run, printed=printed))
        except (ValueError, IndexError, OSError, subprocess.CalledProcessError) as error:
            raise PeerError(f"not counted: {error}") from error
    return Result(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024, found)


def compare(peers, capture, rounds, timeout):
    """Results by peer, in the order of rounds; and the words of those that failed, which are not run again."""
    results, failed = {peer.name: [] for peer in peers}, {}
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as drop:
        drop.bind(("127.0.0.1", 0))
        sink = f"127.0.0.1:{drop.getsockname()[1]}"
        for number in range(rounds):
            first = number % len(peers)
            for peer in peers[first:] + peers[:first]:
                if peer.name in failed:
                    continue
                try:
                    results[peer.name].append(measure(peer, capture, sink, timeout))
                except PeerError as error:
                    failed[peer.name] = str(error)
    return results, failed


def report(peers, results, failed):
    """One row per peer: medians, and how many times fastct's time it took."""
    rows = []
    for peer in peers:
        runs, row = results.get(peer.name, []), {"peer": peer.name, "counts": peer.counts}
        if peer.name in failed:
            row["failed"] = failed[peer.name]
        elif runs:
            row |= {key: statistics.median(getattr(run, key) for run in runs)
                    for key in ("wall_s", "cpu_s", "peak_bytes")}
            row["connections"] = sorted({run.connections for run in runs})
            row["runs"] = [asdict(run) for run in runs]
            base = results.get("fastct", [])
            if base and "fastct" not in failed:
                row["ratio"] = statistics.median(run.wall_s / mine.wall_s
                                                 for run, mine in zip(runs, base, strict=True))
        else:
            row["failed"] = "not installed: " + ", ".join(peer.missing())
        rows.append(row)
    return rows


def show(rows):
    """The rows as a table for people."""
    print(f"{'':10} {'wall s':>8} {'CPU s':>8} {'peak MB':>8} {'found':>10} {'times fastct':>13}")
    for row in rows:
        if "failed" in row:
            print(f"{row['peer']:10} {row['failed']}")
            continue
        found = "/".join(map(str, row["connections"]))
        ratio = f"{row['ratio']:.2f}" if "ratio" in row else ""
        print(f"{row['peer']:10} {row['wall_s']:8.2f} {row['cpu_s']:8.2f} {row['peak_bytes'] / 1e6:8.0f} {found:>10} "
              f"{ratio:>13}")
    print()
    for row in rows:
        print(f"{row['peer']:10} counts {row['counts']}")


def parse(argv):
    parser = argparse.ArgumentParser(prog="python -m bench.compare", description=__doc__.partition("\n")[0])
    parser.add_argument("--set", default="small", metavar="small|large|FILE", help="what is read; default small")
    parser.add_argument("--peers", default=",".join(PEERS), metavar="NAME,...", help=f"of {', '.join(PEERS)}")
    parser.add_argument("--rounds", type=int, default=3, metavar="N")
    parser.add_argument("--scale", type=float, default=1.0, metavar="X", help="of the set's packets and connections")
    parser.add_argument("--seed", type=int, default=1, metavar="N")
    parser.add_argument("--timeout", type=float, default=600, metavar="S", help="of one run; default 600")
    parser.add_argument("--install", action="store_true", help="get the other programs first (needs root)")
    parser.add_argument("--json", action="store_true", help="medians and every run as JSON")
    args = parser.parse_args(argv)
    unknown = set(args.peers.split(",")) - set(PEERS)
    if unknown or args.rounds < 1:
        parser.error(f"no such peers: {', '.join(sorted(unknown))}" if unknown else "--rounds: expected 1 or more")
    return args


def main(argv=None):
    args = parse(argv)
    peers = [PEERS[name] for name in args.peers.split(",")]
    if args.install:
        install(peers)
    capture = make_capture(args.set, args.scale, args.seed) if args.set in SETS else Path(args.set).resolve()
    warm(capture)
    present = [peer for peer in peers if not peer.missing()]
    results, failed = compare(present, capture, args.rounds, args.timeout) if present else ({}, {})
    rows = report(peers, results, failed)
    if args.json:
        print(json.dumps({"capture": capture.name, "bytes": capture.stat().st_size, "rounds": args.rounds,
                          "machine": f"{platform.machine()}, {os.cpu_count()} cores, {platform.release()}",
                          "python": platform.python_version(), "peers": rows}, indent=1))
    else:
        print(f"{capture.name}: {capture.stat().st_size / 1e6:,.0f} MB, {args.rounds} rounds, medians\n")
        show(rows)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
