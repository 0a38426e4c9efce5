"""Helpers and what they expect, through the running kernel and through fastct: no difference after any packet.

FASTCT_KERNEL_PACKETS and FASTCT_KERNEL_SEED choose how many, and which; the seed is printed.
"""

import os
import random
import socket
import subprocess

import pytest

from tests import packets as p
from tests.kernel import compare
from tests.kernel.generator import CLIENT, SERVER, Flow, Packet
from tests.kernel.helper_dialogues import HELPERS
from tests.kernel.kernel import Kernel
from tests.kernel.namespace import isolated, unavailable
from tests.kernel.observation import expectations_of
from tests.kernel.settings import Settings
from tests.kernel.subject import Subject

PACKETS = int(os.environ.get("FASTCT_KERNEL_PACKETS", "10000"))
SEED = int(os.environ.get("FASTCT_KERNEL_SEED", random.randrange(1 << 32)))
V4, V6 = ("10.1.0.1", "10.2.0.1"), ("fd00:1::1", "fd00:2::1")
SYSCTLS = ({}, {"nf_conntrack_tcp_be_liberal": 1, "nf_conntrack_tcp_loose": 0})

pytestmark = [pytest.mark.kernel, pytest.mark.skipif(bool(unavailable()), reason=unavailable() or "available")]


@pytest.mark.parametrize("sysctls", SYSCTLS, ids=("defaults", "liberal"))
def test_no_difference(sysctls):
    print(f"seed {SEED}")
    result = isolated(compare.compare_helped, SEED, PACKETS, sysctls)
    assert compare.found(result) == [], f"seed {SEED}"


def agree(theirs, ours):
    """Whether two listings are the same but for their order and a second."""
    theirs, ours = (expectations_of("\n".join(lines)) for lines in (theirs, ours))
    return theirs.keys() == ours.keys() and all(abs(theirs[line] - ours[line]) <= 1 for line in theirs)


def spoken():
    """Packets after which every helper expects something."""

    def session(ends, port, says):
        ports = (1000, port)
        for side, flags, seq, data in (
            (CLIENT, p.SYN, 99, b""),
            (SERVER, p.SYN | p.ACK, 99, b""),
            (CLIENT, p.ACK, 100, b"USER\r\n"),
            *((side, p.ACK, 106, data) for side, data in says),
        ):
            order = slice(None, None, -1 if side else 1)
            yield Packet(side, p.tcp(*ends[order], *ports[order], seq, 100, flags, data=data), None, "")

    yield from session(V4, 21, [(CLIENT, b"PORT 10,1,0,1,78,32\r\n")])
    yield from session(V6, 21, [(CLIENT, b"EPRT |2|fd00:1::1|20000|\r\n")])
    yield from session(V4, 6667, [(CLIENT, b"PRIVMSG b :\1DCC SEND t 167837697 5555\1\r\n")])
    yield Packet(CLIENT, p.udp(*V6, 6000, 69, b"\0\1x"), None, "")
    yield Packet(CLIENT, p.udp(*V4, 900, 10080, b""), None, "")
    yield Packet(SERVER, p.udp(*V4[::-1], 10080, 900, b"CONNECT DATA 5 MESG 6 INDEX 7 STATE 8\n"), None, "")


def texts():
    """What is expected after the same packets, as conntrack(8) and as fastct print it."""
    settings = Settings(helpers=HELPERS)
    kernel, subject = Kernel(settings), Subject(settings)
    for packet in spoken():
        _, now = kernel.send(packet)
        subject.send(packet, now)
    return kernel.listing("expect"), subject.expected()


def test_text():
    theirs, ours = isolated(texts)
    assert len(theirs) == 8
    assert agree(theirs, ours), "\n".join([*theirs, *ours])


def questions():
    """A name asked for by a socket of the namespace itself: expectations, entries and text of both sides."""
    settings = Settings(helpers={"udp/137": "netbios-ns"})
    kernel, subject = Kernel(settings), Subject(settings, local=["10.1.0.1/16"])
    subprocess.run(["ip", "addr", "add", "10.1.0.1/16", "brd", "+", "dev", "f0"], check=True)
    asker = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    asker.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    asker.bind(("10.1.0.1", 137))
    found = []
    for destination in ("10.1.255.255", "10.2.0.9"):
        asker.sendto(b"name?", (destination, 137))
        flow = Flow(p.address("10.1.0.1"), p.address(destination), p.UDP, 137, 137)
        question = Packet(CLIENT, p.udp("10.1.0.1", destination, 137, 137, b"name?"), flow, "")
        found.append((kernel.seen(flow), subject.send(question, kernel.now())))
    for source, sport in (("10.1.0.5", 137), ("10.1.9.9", 137), ("10.1.0.5", 138), ("10.2.0.5", 137)):
        flow = Flow(p.address(source), p.address("10.1.0.1"), p.UDP, sport, 137)
        side = CLIENT if source.startswith("10.1.") else SERVER
        answer = Packet(side, p.udp(source, "10.1.0.1", sport, 137, b"me"), flow, "")
        theirs, now = kernel.send(answer)
        found.append((theirs, subject.send(answer, now)))
    return found, kernel.listing("expect"), subject.expected()


def test_broadcast_questions():
    found, theirs, ours = isolated(questions)
    for kernel, subject in found:
        # What the host itself sends and gets passes no hook that would tell its class.
        assert not kernel.differs(subject._replace(ctstate="", direction="")), f"{kernel}\n{subject}"
    assert len(theirs) == 1
    assert agree(theirs, ours), "\n".join([*theirs, *ours])
