"""Events of expectations, among those of connections: what the kernel says over netlink, in its order."""
import re
import signal
import socket
import struct
import subprocess
import time

import pytest

from fastct.export.expectations import format_expect_events
from fastct.records import EVENTS
from tests import packets as p
from tests.kernel.flows import CLIENT, SERVER, Packet
from tests.kernel.kernel import Kernel
from tests.kernel.namespace import isolated, unavailable
from tests.kernel.settings import Settings
from tests.kernel.stepped import Stepped
from tests.kernel.subject import Subject

pytestmark = [pytest.mark.kernel, pytest.mark.skipif(bool(unavailable()), reason=unavailable() or "available")]

C, S = "10.1.0.1", "10.2.0.1"
NETLINK_NETFILTER, SOL_NETLINK, ADD_MEMBERSHIP = 12, 270, 1
GROUPS = (1, 2, 3, 4, 6)       # NEW, UPDATE, DESTROY; NEW and DESTROY of expectations
NLM_F_CREATE, NEWLY = 0x400, 0
WORDS = {(1, NEWLY): ("UPDATE", "NEW"), (1, 2): ("DESTROY",) * 2, (2, NEWLY): ("expect NEW",) * 2,
         (2, 2): ("expect DESTROY",) * 2}


def listener():
    """A socket that hears all events, in the order in which they happen."""
    heard = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_NONBLOCK, NETLINK_NETFILTER)
    heard.bind((0, 0))
    for group in GROUPS:
        heard.setsockopt(SOL_NETLINK, ADD_MEMBERSHIP, group)
    return heard


def heard_by(sock):
    """The words for what a socket has heard."""
    words = []
    while True:
        try:
            data = sock.recv(65536)
        except BlockingIOError:
            return words
        while data:
            length, kind, flags = struct.unpack_from("IHH", data)
            words.append(WORDS[kind >> 8, kind & 255][bool(flags & NLM_F_CREATE)])
            data = data[length + -length % 4:]


def said_in_order(events, expect_events, before):
    """The words for what a tracker has noted; ``before``: its events of connections so far."""
    words = [EVENTS[event["type"]] for event in events]
    for event in expect_events[::-1]:
        words.insert(int(event["after"]) - before, f"expect {EVENTS[event['type']]}")
    return words


def conversation():
    """An FTP client that announces, again, something else, is called, and says goodbye."""
    ftp = Stepped(C, S, 3000, 21)
    yield from ftp.handshake()
    yield ftp.segment(CLIENT, p.ACK, b"USER x\r\n")
    for port in (10, 10, 11):
        yield ftp.segment(CLIENT, p.ACK, b"PORT 10,1,0,1,20,%d\r\n" % port)
    yield Packet(SERVER, p.tcp(S, C, 20, 20 * 256 + 11, 1, 0, p.SYN), None, "data")
    yield ftp.segment(CLIENT, p.ACK, b"PORT 10,1,0,1,20,12\r\n")
    yield ftp.segment(CLIENT, p.ACK, b"PORT 10,1,0,1\r\n")          # cut short: dropped
    yield ftp.segment(SERVER, p.RST | p.ACK)


def compare():
    """After every packet: its label, the kernel's words, fastct's. Then the lines of both."""
    settings = Settings(helpers={"tcp/21": "ftp"})
    kernel, subject = Kernel(settings), Subject(settings, keep_events=True)
    words, lines, before = [], [], 0
    with subprocess.Popen(["conntrack", "-E", "expect"], stdout=subprocess.PIPE, text=True) as program:
        heard = listener()
        time.sleep(1)           # until conntrack listens, too

        def note(label):
            nonlocal before
            events, expect_events = subject.event_rows(), subject.tracker.drain_expect_events()
            words.append((label, heard_by(heard), said_in_order(events, expect_events, before)))
            lines.extend(format_expect_events(expect_events, timestamps=False).decode().splitlines())
            before += len(events)

        for packet in conversation():
            _, now = kernel.send(packet)
            subject.send(packet, now)
            note(packet.label)
        subprocess.run(["conntrack", "-F"], check=True, capture_output=True)
        subject.flush()
        note("flush")
        program.send_signal(signal.SIGINT)
        theirs = program.stdout.read().splitlines()
    return words, theirs, lines


def test_events_come_in_the_kernels_order():
    words, theirs, ours = isolated(compare)
    for label, heard, said in words[:-1]:
        assert heard == said, label
    *_, (_, heard, said) = words         # Linux flushes its buckets, whose order means nothing
    assert sorted(heard) == sorted(said)
    assert sum("expect" in word for _, heard, _ in words for word in heard) == 8
    timeout = re.compile(r"\] \d+ ")
    assert [timeout.sub("] ", line) for line in theirs] == [timeout.sub("] ", line) for line in ours]
