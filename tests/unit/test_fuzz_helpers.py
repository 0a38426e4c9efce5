"""Random and mutated payloads for every helper: no crash, nothing read past the packet, the same answer for the same
bytes. Under the sanitizer build this is the fuzz run of the helpers.

FASTCT_FUZZ_RUNS payloads per helper, from FASTCT_FUZZ_SEED on. What once failed is kept in ``KEPT``.
"""
import os
import random

import numpy as np
import pytest

import fastct
from fastct.capture.frames import frames_from_buffer
from fastct.conntrack.helper import TABLE
from tests import packets as p
from tests.dialogues import SAYS, mangled, says

RUNS = int(os.environ.get("FASTCT_FUZZ_RUNS", "3000"))
SEED = int(os.environ.get("FASTCT_FUZZ_SEED", "1"))
RAW = 101
START = 1_700_000_000 * 10**9
HELPERS = {f"{protocol}/{port}": name for name, (protocols, _, port, _) in TABLE.items()
           for protocol in protocols.split()}
OWN = b"167837697"

# By helper: payloads at the edges of what is read. They are starting points, too.
KEPT = {
    "ftp": [b"PORT 10,1,0,1,78,32\r", b"EPRT |2|" + b"f" * 46, b"229 (|||", b"227 " + b"9" * 50, b"EPRT |1|1.1.1.1|"],
    "tftp": [b"\0", b"\0\1"],
    "irc": [b"PRIVMSG x :\1DCC SEND t " + OWN + b" 5\1\n", b"PRIVMSG x :\1DCC SEND CHAT MOVE TSEND SCHAT",
            b" " * 40 + b" :\1DCC SEND xxxxxxxxxx\n", b"PRIVMSG x :\1DCC SEND t " + b"9" * 60 + b"\n", b" \n" * 10],
    "sane": [b"\0\0\0\7\0\0\0\0", bytes(8), bytes(7)],
    "amanda": [b"CONNECT DATA 5000\n", b"CONNECT DATA \n", b"CONNECT STATE", b"CONNECT INDEX 12345", b"CONNECT "],
    "netbios-ns": [b""],
}


def frame(data):
    """A packet in memory of exactly its size: a byte read beyond is seen by the sanitizer."""
    held = np.frombuffer(bytearray(data), dtype=np.uint8).copy()
    return frames_from_buffer(held, np.zeros(1, np.uint64), np.array([len(data)], np.uint32),
                              np.array([START], np.uint64), linktype=RAW)


class Conversation:
    """A connection to a helper's port that payloads are thrown into."""

    def __init__(self, helper, ends):
        self.tracker = fastct.Tracker(checksum="off", seed=1, helpers=HELPERS, local=["10.1.0.1/16"])
        protocols, _, self.port, _ = TABLE[helper]
        self.protocol = protocols.split()[0]
        self.ends, self.next = ends, [1, 1]
        if self.protocol == "tcp":
            for side, flags in ((0, p.SYN), (1, p.SYN | p.ACK), (0, p.ACK)):
                self.segment(side, flags, b"")
                self.next[side] += flags != p.ACK
            for side in (1, 0):
                self.say(side, b"\r\n")

    def segment(self, side, flags, data):
        """Track a segment; returns its row."""
        order = slice(None, None, -1 if side else 1)
        ports = (1000, self.port)[order]
        made = p.tcp(*self.ends[order], *ports, self.next[side] & 0xFFFFFFFF, self.next[1 - side] & 0xFFFFFFFF, flags,
                     data=data)
        return self.tracker.process(frame(made))[0]

    def say(self, side, data):
        """Track a payload; returns its row."""
        if self.protocol == "udp":
            order = slice(None, None, -1 if side else 1)
            made = p.udp(*self.ends[order], *(1000, self.port)[order], data)
            return self.tracker.process(frame(made))[0]
        row = self.segment(side, p.ACK, data)
        self.next[side] += len(data)
        return row


def payload(rng, helper, side, ends):
    """Something in the helper's own language, mutated up to five times, or a kept one, or noise."""
    kind = rng.randrange(10)
    if kind == 0:
        return rng.randbytes(rng.randrange(64))
    said = rng.choice(KEPT.get(helper, (b"",))) if kind < 3 or helper not in SAYS else says(
        rng, helper, side, ends, "10.1.0.3")
    for _ in range(rng.choice((0, 1, 1, 2, 5))):
        said = mangled(rng, said)
    return said[:5000]


def answers(helper, seed, runs):
    """What becomes of many payloads: verdicts, and how much is expected."""
    rng = random.Random(f"{helper} {seed}")
    seen = []
    for number in range(runs):
        if number % 50 == 0:
            six = rng.random() < 0.4 and TABLE[helper][1] == 3
            ends = ("fd00:1::1", "fd00:2::1") if six else ("10.1.0.1", rng.choice(("10.2.0.1", "10.1.255.255")))
            talk = Conversation(helper, ends)
        side = rng.randrange(2)
        data = payload(rng, helper, side, ends)
        if rng.random() < 0.7:
            data += b"\r\n"             # so that the next one begins a line
        row = talk.say(side, data)
        seen.append((int(row["verdict"]), int(row["reason"]), len(talk.tracker.expectations())))
    assert talk.tracker._engine.selfcheck() == []
    return seen


@pytest.mark.parametrize("helper", TABLE)
def test_fuzz(helper):
    first = answers(helper, SEED, RUNS)
    assert first == answers(helper, SEED, RUNS)
    if helper in SAYS:
        assert max(expected for *_, expected in first) > 0, "nothing was ever understood"


@pytest.mark.parametrize("helper", KEPT)
@pytest.mark.parametrize("side", [0, 1])
def test_every_cut_of_what_was_kept(helper, side):
    for said in KEPT[helper]:
        for length in range(len(said) + 1):
            Conversation(helper, ("10.1.0.1", "10.2.0.1")).say(side, said[:length])
