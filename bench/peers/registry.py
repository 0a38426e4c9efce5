"""The table of programs: how each is installed, run and asked for its connections.

Python packages go to an environment of their own (``build/peers``), so that they change nothing in that of fastct.
"""
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
VENV = ROOT / "build" / "peers"
PYTHON = str(VENV / "bin" / "python")
MANY = 20_000_000           # flows that a peer with a limit may hold
LONG = 3600                 # seconds: no peer is to report a flow in pieces
NEVER = 86400


@dataclass(frozen=True)
class Run:
    """One run of a peer: what it reads, where it writes, what it printed."""
    capture: str
    directory: Path         # empty before the run, gone after it
    sink: str               # host:port of a socket that takes datagrams and drops them
    printed: str = ""


@dataclass(frozen=True)
class Peer:
    """A program that finds connections in a capture."""
    name: str
    apt: tuple[str, ...]                        # Debian packages
    pip: tuple[str, ...]                        # Python packages, named as their modules
    programs: tuple[str, ...]                   # what must be there
    command: Callable[[Run], list[str]]         # what is timed
    count: Callable[[Run], int]                 # connections found; not timed
    counts: str                                 # what it counts

    def missing(self):
        """Names of what is not installed."""
        absent = [program for program in self.programs if shutil.which(program) is None]
        return absent + [name for name in self.pip if not _importable(name)]


def _importable(module):
    command = [PYTHON, "-c", f"import {module}"]
    return Path(PYTHON).exists() and subprocess.run(command, capture_output=True).returncode == 0


def _asked(*command):
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def _number(pattern, text):
    found = re.search(pattern, text, re.MULTILINE)
    if found is None:
        raise ValueError(f"no {pattern!r} in: {text[-200:]}")
    return int(found[1])


def _lines(run):
    with open(run.directory / "connections.csv", "rb") as file:
        return sum(1 for _ in file) - 1         # without the head


def _argus_flows(run):
    """Records by protocol: their sum leaves out argus' own records about itself."""
    summary = _asked("racount", "-r", str(run.directory / "argus.out"), "-M", "proto").partition("Protocol Summary")[2]
    return sum(int(records) for records in re.findall(r"^ *\S+ +(\d+) ", summary, re.MULTILINE))


PEERS = {peer.name: peer for peer in (
    Peer("fastct", (), (), (),
         lambda run: [sys.executable, "-m", "fastct", "track", run.capture, "--quiet",
                      "-o", str(run.directory / "connections.csv")],
         _lines, "connections; states, windows and checksums as Linux; every connection written as CSV"),
    Peer("nfpcapd", ("nfdump",), (), ("nfpcapd", "nfdump"),
         lambda run: ["nfpcapd", "-r", run.capture, "-w", str(run.directory), "-e", f"{LONG},{LONG}"],
         lambda run: _number(r"^Flows: (\d+)", _asked("nfdump", "-R", str(run.directory), "-I")),
         "flows in one direction: two of a connection with answers; written as nfcapd files"),
    Peer("softflowd", ("softflowd",), (), ("softflowd",),
         lambda run: ["softflowd", "-d", "-r", run.capture, "-m", str(MANY), "-v", "10", "-b", "-n", run.sink,
                      "-p", str(run.directory / "pid"), "-c", "none", "-t", f"maxlife={NEVER}"],
         lambda run: _number(r"^Flows exported: (\d+)", run.printed),
         "flows of both directions; sent as IPFIX to a socket that drops them"),
    Peer("argus", ("argus-server", "argus-client"), (), ("argus", "racount"),
         lambda run: ["argus", "-X", "-r", run.capture, "-S", str(LONG), "-w", str(run.directory / "argus.out")],
         _argus_flows, "flows of both directions; written as argus records"),
    Peer("nfstream", (), ("nfstream",), (),
         lambda run: [PYTHON, str(ROOT / "bench" / "peers" / "nfstream_loop.py"), run.capture],
         lambda run: int(run.printed.split()[-1]),
         "flows of both directions; counted in Python, nothing written"),
    Peer("dpkt", (), ("dpkt",), (),
         lambda run: [PYTHON, str(ROOT / "bench" / "peers" / "dpkt_loop.py"), run.capture],
         lambda run: int(run.printed.split()[-1]),
         "tuples of TCP and UDP; no states, nothing written"),
)}


def install(peers):
    """Get what the peers need from Debian and PyPI."""
    debian = [package for peer in peers if peer.missing() for package in peer.apt]
    if debian:
        subprocess.run(["apt-get", "update", "-q"], check=True)
        subprocess.run(["apt-get", "install", "-y", "-q", "--no-install-recommends", *debian], check=True)
    python = [package for peer in peers if peer.missing() for package in peer.pip]
    if python:
        subprocess.run([sys.executable, "-m", "venv", str(VENV)], check=True)
        subprocess.run([PYTHON, "-m", "pip", "install", "-q", *python], check=True)
