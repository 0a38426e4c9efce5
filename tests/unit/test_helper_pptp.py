"""PPTP: what its messages make fastct expect, and what becomes of GRE packets."""

import random

import pytest

import fastct
from tests.kernel.generator import CLIENT, SERVER
from tests.kernel.pptp import GRE, Control, random_packets

RAW = 101
C, S = "10.1.0.1", "10.2.0.1"
NS = 10**9
OUT = [("out request", 0x11), ("out reply", 0x22, 0x11)]
IN = [("in request", 0x22), ("in reply", 0x11, 0x22), ("in connect", 0x11)]
BOTH = {(0x11, 0x22), (0x22, 0x11)}

# What is said once the session is confirmed; the calls (sender's, receiver's) that are expected then.
DIALOGUES = {
    "outgoing call": (OUT, BOTH),
    "outgoing call, answered again": ([*OUT, OUT[1]], BOTH),
    "outgoing call, refused": ([OUT[0], ("out reply", 0x22, 0x11, 2)], set()),
    "answer to another call": ([OUT[0], ("out reply", 0x22, 0x12)], set()),
    "answer to nothing": ([OUT[1]], set()),
    "incoming call": (IN, BOTH),
    "incoming call, connected again": ([*IN, IN[2]], BOTH),
    "incoming call, refused": ([IN[0], ("in reply", 0x11, 0x22, 2), IN[2]], set()),
    "incoming call, another connected": ([*IN[:2], ("in connect", 0x12)], set()),
    "clear alone ends nothing": ([*OUT, ("clear", 0x11)], BOTH),
    "clear and disconnect": ([*OUT, ("clear", 0x11), ("disconnect", 0x22)], set()),
    "another call while the keymap knows one": ([*OUT, ("out request", 0x13), ("out reply", 0x24, 0x13)], set()),
    "another call after a disconnect": (
        [*OUT, ("disconnect", 0x22), ("out request", 0x13), ("out reply", 0x24, 0x13)],
        {(0x13, 0x24), (0x24, 0x13)},
    ),
    "no call in a stopped session": ([("stop request", 0x100), *OUT], set()),
}


class Line:
    """A tracker and a control connection through it; a second passes between packets."""

    def __init__(self, **settings):
        self.tracker = fastct.Tracker(helpers={"tcp/1723": "pptp"}, checksum="on", seed=1, **settings)
        self.control = Control(C, S, 1000)
        self.now = NS

    def send(self, *packets):
        """The row of the last of some packets."""
        for packet in packets:
            self.now += NS
            row = self.tracker.process_bytes([packet.data], [self.now], linktype=RAW)[0]
        return row

    def say(self, name, *words):
        """A message; of its words those after the first two are results."""
        return self.send(self.control.say(name, *words[:2], result=(*words, 1, 1, 1)[2]))

    def calls(self):
        """The calls that are expected, (sender's, receiver's)."""
        rows = self.tracker.expectations()
        assert all(row["l4proto"] == GRE and row["mask_sport"] == 0xFFFF for row in rows)
        return {(int(row["sport"]), int(row["dport"])) for row in rows}

    def ctstate(self, packet):
        """What a packet is said to be."""
        return fastct.records.CTSTATES[self.send(packet)["ctstate"]]


def confirmed(**settings):
    """A line whose session is confirmed."""
    line = Line(**settings)
    line.send(*line.control.session())
    return line


@pytest.mark.parametrize("name", DIALOGUES)
def test_dialogue(name):
    said, expected = DIALOGUES[name]
    line = confirmed()
    for words in said:
        assert line.say(*words)["verdict"] == 0
    assert line.calls() == expected


def test_nothing_is_read_before_the_session_is_confirmed():
    line = Line()
    line.send(*line.control.handshake())
    for words in OUT:
        line.say(*words)
    assert line.calls() == set()


@pytest.mark.parametrize("wrong", [{"cookie": 1}, {"kind": 2}, {"cut": 1}])
def test_what_is_no_whole_control_message(wrong):
    line = confirmed()
    line.say(*OUT[0])
    line.send(line.control.say("out reply", 0x22, 0x11, **wrong))
    assert line.calls() == set()


def test_both_directions_are_one_connection():
    line = confirmed()
    for words in OUT:
        line.say(*words)
    assert line.ctstate(line.control.gre(CLIENT, 0x22)) == "RELATED"
    assert line.calls() == set()
    assert line.ctstate(line.control.gre(SERVER, 0x11)) == "ESTABLISHED"
    assert line.ctstate(line.control.unreachable(CLIENT, 0x22)) == "RELATED"
    gre = line.tracker.connections()[1]
    assert (gre["l4proto"], gre["orig_sport"], gre["orig_dport"]) == (GRE, 0x11, 0x22)
    assert (gre["orig_packets"], gre["reply_packets"], gre["master"]) == (1, 1, 1)


def test_timeouts_are_those_of_any_gre():
    line = confirmed(sysctls={"nf_conntrack_gre_timeout": 40})
    for words in OUT:
        line.say(*words)
    assert line.send(line.control.gre(CLIENT, 0x22))["timeout"] == 40
    line.send(line.control.gre(SERVER, 0x11))
    assert line.send(line.control.gre(CLIENT, 0x22))["timeout"] == 180


def test_a_disconnect_ends_the_call():
    line = confirmed(keep_ended=True)
    for words in OUT:
        line.say(*words)
    line.send(line.control.gre(CLIENT, 0x22))
    line.say("disconnect", 0x22)
    assert [row["l4proto"] for row in line.tracker.drain_ended()] == [GRE]
    assert line.ctstate(line.control.gre(CLIENT, 0x22)) == "NEW"
    assert line.ctstate(line.control.gre(SERVER, 0x11)) == "NEW"


@pytest.mark.parametrize("how", ["deleted", "expired"])
def test_a_call_ends_with_its_control_connection(how):
    line = confirmed(sysctls={"nf_conntrack_gre_timeout_stream": 10**6, "nf_conntrack_tcp_timeout_unacknowledged": 99})
    for words in OUT:
        line.say(*words)
    line.send(*(line.control.gre(side, call) for side, call in ((CLIENT, 0x22), (SERVER, 0x11), (CLIENT, 0x22))))
    if how == "deleted":
        line.tracker.delete(line.tracker.find("tcp", C, S, 1000, 1723))
        assert len(line.tracker.connections()) == 0
    else:
        line.now += 100 * NS
    assert line.ctstate(line.control.gre(CLIENT, 0x22)) == "NEW"
    assert [row["orig_sport"] for row in line.tracker.connections()] == [0]


def test_the_keymap_forgets_an_expired_call():
    line = confirmed(sysctls={"nf_conntrack_gre_timeout": 5})
    for words in OUT:
        line.say(*words)
    line.send(line.control.gre(CLIENT, 0x22))
    line.now += 5 * NS
    assert line.ctstate(line.control.gre(CLIENT, 0x22)) == "NEW"
    assert line.tracker.connections()[-1]["orig_sport"] == 0


def test_conversations_at_random():
    tracker = fastct.Tracker(helpers={"tcp/1723": "pptp"}, checksum="on", seed=1)
    for number, packet in enumerate(random_packets(random.Random(3), 20_000)):
        tracker.process_bytes([packet.data], [number * NS // 10], linktype=RAW)
    assert tracker._engine.selfcheck() == []
    assert tracker.stats["expect_create"] > 300
