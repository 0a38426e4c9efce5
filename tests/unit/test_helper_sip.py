"""SIP: what its messages make fastct expect, what they end, and which packets Linux drops."""

import random
import time
from ipaddress import ip_address

import pytest

import fastct
from tests import packets as p
from tests.kernel.generator import CLIENT, SERVER
from tests.kernel.sip import Signalling, answer, contact, message, random_packets, request, sdp

RAW = 101
NS = 10**9
V4, V6 = ("10.1.0.1", "10.2.0.1"), ("fd00:1::1", "fd00:2::1")
C, S = V4
CLASSES = ("signalling", "audio", "video", "image")
HELPERS = {"udp/5060": "sip", "tcp/5060": "sip"}
PERMANENT, INACTIVE = 1, 2


def invite(*media, cseq=1, host=C, **more):
    """An INVITE with a description."""
    return request("INVITE", cseq, body=sdp(host, media or (("audio", 4000),), **more))


def register(*contacts, cseq=1, expires="Expires: 100"):
    """A REGISTER for contacts."""
    return request("REGISTER", cseq, *(f"Contact: {value}" for value in contacts), *filter(None, (expires,)))


def agreed(*contacts, cseq=1, code=200, expires="Expires: 100"):
    """The answer to it."""
    return answer(code, "REGISTER", cseq, *(f"Contact: {value}" for value in contacts), *filter(None, (expires,)))


ME = contact(C, 5060)
AUDIO = {("audio", C, 4000), ("audio", C, 4001)}
SIGNALLING = {("signalling", C, 5060)}
BACK = {("audio", S, 6000), ("audio", S, 6001)}

# name: messages as (side, bytes), all of which pass; what is expected afterwards as (class, address, port).
DIALOGUES = {
    "an offer": ([(CLIENT, invite())], AUDIO),
    "an odd port": ([(CLIENT, invite(("audio", 4001)))], AUDIO),
    "media of several kinds": (
        [(CLIENT, invite(("audio", 4000), ("video", 5000), ("image", 6000)))],
        AUDIO | {("video", C, 5000), ("video", C, 5001), ("image", C, 6000), ("image", C, 6001)},
    ),
    "three media are read, and only those Linux knows": (
        [(CLIENT, invite(("text", 3000), ("audio", 4000), ("audio", 4002), ("video", 0), ("video", 5000),
                         ("image", 6000)))],
        AUDIO | {("audio", C, 4002), ("audio", C, 4003), ("video", C, 5000), ("video", C, 5001)},
    ),
    "an answer": ([(CLIENT, invite()), (SERVER, answer(200, "INVITE", 1, body=sdp(S, (("audio", 6000),))))],
                  AUDIO | BACK),
    "a provisional answer": (
        [(CLIENT, request("INVITE", 1)), (SERVER, answer(183, "INVITE", 1, body=sdp(S, (("audio", 6000),))))], BACK
    ),
    "refused": ([(CLIENT, invite()), (SERVER, answer(486, "INVITE", 1))], set()),
    "an older call refused": ([(CLIENT, invite(cseq=2)), (SERVER, answer(486, "INVITE", 1))], AUDIO),
    "another offer replaces the first": (
        [(CLIENT, invite()), (CLIENT, invite(("audio", 4002), cseq=2))], {("audio", C, 4002), ("audio", C, 4003)}
    ),
    "an update adds": (
        [(CLIENT, invite()), (CLIENT, request("UPDATE", 2, body=sdp(C, (("video", 5000),))))],
        AUDIO | {("video", C, 5000), ("video", C, 5001)},
    ),
    "BYE": ([(CLIENT, invite()), (CLIENT, request("BYE", 2))], set()),
    "CANCEL ends nothing": ([(CLIENT, invite()), (CLIENT, request("CANCEL", 1))], AUDIO),
    "media for somebody else": ([(CLIENT, invite(host="10.9.9.9"))], set()),
    "an address of the medium's own": ([(CLIENT, invite(session=False, own=(C,)))], AUDIO),
    "no medium": ([(CLIENT, invite(("audio", 0)))], set()),
    "four of a class at most": (
        [(CLIENT, request("ACK", 1, body=sdp(C, [("audio", port) for port in (4000, 4002, 4004)])))],
        {("audio", C, port) for port in range(4002, 4006)},
    ),
    "a registration is asked for": ([(CLIENT, register(ME))], SIGNALLING),
    "a registration": ([(CLIENT, register(ME)), (SERVER, agreed(ME))], SIGNALLING),
    "a registration refused": ([(CLIENT, register(ME)), (SERVER, agreed(code=403))], set()),
    "a registration ended": (
        [(CLIENT, register(ME)), (SERVER, agreed(ME)), (CLIENT, register(ME, cseq=2, expires="Expires: 0")),
         (SERVER, agreed(ME, cseq=2, expires="Expires: 0"))],
        set(),
    ),
    "an answer to another registration": ([(CLIENT, register(ME, cseq=2)), (SERVER, agreed(code=403))], SIGNALLING),
    "registered elsewhere": ([(CLIENT, register(contact("10.9.9.9")))], set()),
    "over another transport": ([(CLIENT, register(ME + ";transport=sctp"))], set()),
    "the default port": ([(CLIENT, register(contact(C)))], SIGNALLING),
    "a port of no user": ([(CLIENT, register(contact(C, 80)))], set()),
    "the second contact can be read": ([(CLIENT, register("<sip:host>", ME))], SIGNALLING),
    "folded and short": (
        [(CLIENT, b"REGISTER sip:x SIP/2.0\r\ncseq : 3 REGISTER\r\nm:\r\n <sip:u@10.1.0.1\r\nExpires:\t9\r\n\r\n")],
        SIGNALLING,
    ),
    "what is no request": ([(CLIENT, b"INVITE\r\n\r\n and so on"), (CLIENT, b"hello, world, here I am")], set()),
}

# What Linux drops, alone or behind what came before.
DROPPED = {
    "no CSeq": [(CLIENT, message("INVITE sip:x SIP/2.0"))],
    "a CSeq without a number": [(CLIENT, request("INVITE", "x"))],
    "a CSeq too large": [(CLIENT, request("INVITE", 4294967296))],
    "an answer without a code": [(SERVER, message("SIP/2.0 abc", ("CSeq: 1 INVITE",)))],
    "an answer without CSeq": [(SERVER, message("SIP/2.0 200 OK"))],
    "a medium without an address": [(CLIENT, invite(session=False))],
    "a port of no user": [(CLIENT, invite(("audio", 80)))],
    "a port too large": [(CLIENT, invite(("audio", 65536)))],
    "how long a contact holds, unreadable": [(CLIENT, register(ME + ";expires=x"))],
    "the answer says so": [(CLIENT, register(ME)), (SERVER, agreed(ME + ";expires=x"))],
}


class Line:
    """A tracker and a signalling connection through it; a second passes between packets."""

    def __init__(self, proto=p.UDP, hosts=V4, port=2000, tracker=None):
        self.tracker = tracker or fastct.Tracker(helpers=HELPERS, checksum="on", seed=1)
        self.line = Signalling(*hosts, port, proto)
        self.now = max(NS, self.tracker.now)
        self.send(*self.line.handshake())

    def send(self, *packets):
        """The row of the last of some packets."""
        for packet in packets:
            self.now += NS
            row = self.tracker.process_bytes([packet.data], [self.now], linktype=RAW)[0]
        return row if packets else None

    def say(self, side, data):
        """Whether a message passes."""
        return self.send(self.line.say(side, data))["verdict"] == 0

    def expected(self):
        """(class, address, port) of what is expected."""
        return {(CLASSES[row["kind"]], str(ip_address(row["dst"].tobytes()[: 4 if row["l3proto"] == 4 else 16])),
                 int(row["dport"])) for row in self.tracker.expectations()}


@pytest.mark.parametrize("proto", [p.UDP, p.TCP], ids=["UDP", "TCP"])
@pytest.mark.parametrize("name", DIALOGUES)
def test_dialogue(name, proto):
    said, expected = DIALOGUES[name]
    if proto == p.TCP and name == "folded and short":
        expected = set()                 # it does not say how long it is
    line = Line(proto)
    for side, data in said:
        assert line.say(side, data)
    assert line.expected() == expected


@pytest.mark.parametrize("proto", [p.UDP, p.TCP], ids=["UDP", "TCP"])
@pytest.mark.parametrize("name", DROPPED)
def test_dropped(name, proto):
    line = Line(proto)
    *before, last = DROPPED[name]
    if proto == p.UDP and last[0] == SERVER and not before:
        line.say(CLIENT, b"hello, here I am")
    for side, data in before:
        assert line.say(side, data)
    assert not line.say(*last)


def test_ipv6():
    line = Line(hosts=V6)
    line.say(CLIENT, request("INVITE", 1, body=sdp(V6[0], (("audio", 4000),))))
    line.say(CLIENT, register(contact(V6[0], 5062)))
    assert line.expected() == {("audio", V6[0], 4000), ("audio", V6[0], 4001), ("signalling", V6[0], 5062)}


@pytest.mark.parametrize(("written", "read"), [
    ("fd00:1::1", True), ("FD00:0001:0:0:0:0:0:1", True), ("fd00:1:0:0:0:0:0.0.0.1", True), ("fd00:1::0.0.0.1", True),
    ("fd00:00001::1", True), ("fd00:1::1:", False), ("fd00:1:::1", False), ("fd00:1", False), (":fd00:1::1", False),
    ("fd00:1::1::", False), ("fd00:1:0:0:0:0:0:0:1", False), ("fd00:1::12345", False), ("fd00:1::0.0.1", False),
])
def test_ipv6_addresses(written, read):
    line = Line(hosts=V6)
    line.say(CLIENT, register(f"<sip:u@[{written}]:5060>"))
    assert bool(line.expected()) == read


@pytest.mark.parametrize(("written", "read"), [
    ("10.1.0.1", True), ("010.001.0.1", True), ("10.1.0.1:5060", True), ("10.1.0", False), ("10.1.0.1.1", False),
    ("10.1.0.256", False), ("10.1..1", False), ("10.1.0.1a", False), ("10.1.0.1:", False), ("10.1.0.1:123456", False),
    ("10.1.0.1:1023", False), ("10.1.0.1:65535", True), ("10.1.0.1/24", True),
])
def test_ipv4_addresses(written, read):
    line = Line()
    line.say(CLIENT, register(f"<sip:u@{written}>"))
    assert bool(line.expected()) == read


def test_media_are_related():
    line = Line()
    line.say(CLIENT, invite())
    row = line.send(line.line.media(SERVER, 4000))
    assert fastct.records.CTSTATES[row["ctstate"]] == "RELATED"
    assert line.expected() == {("audio", C, 4001)}
    child = line.tracker.connections()[-1]
    assert (child["master"], child["helper"]) == (1, 0)


def test_calls_of_the_registrar_are_related_once_it_has_agreed():
    line = Line()
    call = Signalling(S, C, 7000)
    line.say(CLIENT, register(ME))
    assert line.tracker.expectations()[0]["flags"] == PERMANENT | INACTIVE
    assert fastct.records.CTSTATES[line.send(call.say(CLIENT, b"early, much too early"))["ctstate"]] == "NEW"
    line.say(SERVER, agreed(ME + ";expires=60"))
    expected = line.tracker.expectations()[0]
    assert (expected["flags"], expected["timeout"]) == (PERMANENT, 60)
    call = Signalling(S, C, 7001)
    row = line.send(call.say(CLIENT, request("INVITE", 1, body=sdp(S, (("audio", 6000),)))))
    assert fastct.records.CTSTATES[row["ctstate"]] == "RELATED"
    assert line.expected() == SIGNALLING | BACK
    assert fastct.records.HELPERS[line.tracker.connections()[-1]["helper"]] == "sip"
    line.send(call.say(CLIENT, register(contact(S))))      # who was expected cannot register
    assert line.expected() == SIGNALLING | BACK


def test_any_message_lets_the_connection_live_for_an_hour():
    for proto in (p.UDP, p.TCP):
        line = Line(proto)
        row = line.send(line.line.say(CLIENT, b"x"))
        assert row["timeout"] == 3600


def test_the_same_media_from_another_connection():
    first = Line()
    first.say(CLIENT, invite())
    second = Line(port=2001, tracker=first.tracker)
    assert second.say(CLIENT, invite())
    assert second.say(CLIENT, request("BYE", 2))
    assert first.expected() == AUDIO
    third = Line(p.TCP, port=2002, tracker=first.tracker)      # another helper, to Linux; yet that will do
    assert third.say(CLIENT, invite())
    assert third.say(CLIENT, invite(("video", 4000)))
    assert first.expected() == AUDIO


def test_overlapping_registrations_of_two_connections():
    first = Line()
    first.say(CLIENT, register(ME))
    second = Line(port=2001, tracker=first.tracker)
    assert not second.say(CLIENT, register(ME))


def test_several_messages_in_a_segment():
    line = Line(p.TCP)
    assert line.say(CLIENT, invite() + register(ME) + invite(("video", 5000), cseq=2)[:-1])
    assert line.expected() == AUDIO | SIGNALLING
    assert not line.say(CLIENT, request("BYE", 3) + request("ACK", "x") + invite(("video", 5000), cseq=4))
    assert line.expected() == SIGNALLING


def test_a_message_in_two_segments_is_passed_over():
    line = Line(p.TCP)
    whole = invite()
    assert line.say(CLIENT, whole[:100])
    assert line.say(CLIENT, whole[100:])
    assert line.expected() == set()


def test_how_long_a_registration_holds_wraps_as_ticks_do():
    line = Line()
    line.say(CLIENT, register(ME))
    line.say(SERVER, agreed(ME, expires=f"Expires: {2**32 // 250 + 8}"))
    assert 7 <= line.tracker.expectations()[0]["timeout"] <= 8


@pytest.mark.parametrize("unit", [b"sip:", b"sip:@,", b",sip:10.1.0.1,", b"\r\nm:sip:x", b"\r\n\t", b"\r\nm=audio 0",
                                  b"\r\nm=x 1\r\nc=IN IP4 1", b"transport=", b"\r\nCSeq: ", b"l:0\r\n\r\nl:0\r\n\r\n"])
@pytest.mark.parametrize("start", [b"REGISTER x\r\nCSeq: 1\r\nm: ", b"SIP/2.0 200 x\r\nCSeq: 0 REGISTER\r\nm: ",
                                   b"INVITE x\r\nCSeq: 1\r\nv=0\r\nc=IN IP4 10.1.0.1\r\n"])
def test_no_message_takes_long(start, unit):
    data = (start + unit * 20_000)[:65_000]
    for proto in (p.UDP, p.TCP):
        line = Line(proto)
        line.say(CLIENT, b"hello, here I am")
        began = time.process_time()
        line.say(SERVER if start.startswith(b"SIP") else CLIENT, data)
        assert time.process_time() - began < 0.1


def test_conversations_at_random():
    tracker = fastct.Tracker(helpers=HELPERS, checksum="on", seed=1)
    for number, packet in enumerate(random_packets(random.Random(3), 20_000)):
        tracker.process_bytes([packet.data], [number * NS // 10], linktype=RAW)
    assert tracker._engine.selfcheck() == []
    assert tracker.stats["expect_create"] > 1000
