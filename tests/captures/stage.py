"""Where dialogues are held: a client and a server, on two sides of a router that sees, and may track, all they say.

    client 10.1.0.2, fd00:1::2 ─ eth0 router eth1 ─ 10.2.0.2, fd00:2::2 server
"""
import contextlib
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from tests.captures.network import Host, Network

# All but the reports of multicast listeners, which come when they like.
SAID = "ip or (ip6 and ip6[6] != 0)"
CLIENT, CLIENT6 = "10.1.0.2", "fd00:1::2"
SERVER, SERVER6 = "10.2.0.2", "fd00:2::2"


class Stage(NamedTuple):
    """The hosts, and a directory that all programs may read and write."""

    client: Host
    router: Host
    server: Host
    files: Path

    def file(self, name, content):
        """A file for the programs; returns its path."""
        path = self.files / name
        path.write_text(content)
        path.chmod(0o666)
        return path


class Dialogue(NamedTuple):
    """What a client and a server say on a stage."""

    speak: Callable[[Stage], None]
    helpers: dict           # as ``fastct.Tracker`` takes them
    programs: tuple         # that it needs


@contextlib.contextmanager
def one_cpu():
    """All packets of this process and of those it starts on one CPU: they pass a router in the order of a capture."""
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(allowed)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, allowed)


@contextlib.contextmanager
def stage():
    """A stage; all is gone when it is left."""
    with one_cpu(), tempfile.TemporaryDirectory() as files, Network() as network:
        os.chmod(files, 0o777)  # servers give up being root
        yield Stage(*network.routed(), Path(files))
