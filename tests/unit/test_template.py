"""What packets are given before they are tracked: zones, no tracking, helpers, timeouts; marks and labels."""
import pytest

import fastct
from fastct import Template, Tracker
from fastct.export.lines import format_connections
from fastct.records import CTSTATES
from tests import packets as p

START = 1_700_000_000 * 10**9
ASK = p.udp("10.0.0.1", "10.0.0.2", 1000, 53, b"?")
ANSWER = p.udp("10.0.0.2", "10.0.0.1", 53, 1000, b"!")
ASK6 = p.udp("fd00::1", "fd00::2", 1000, 53, b"?")


def send(tracker, packet, template=None, seconds=0):
    return tracker.process_bytes([packet], [START + seconds * 10**9], linktype=101, template=template)[0]


def state(row):
    return CTSTATES[row["ctstate"]]


def test_a_tuple_in_another_zone_is_another_connection():
    tracker = Tracker(seed=1)
    for packet in (ASK, ASK6):
        assert state(send(tracker, packet)) == "NEW"
        assert state(send(tracker, packet, Template(zone=7))) == "NEW"
    assert state(send(tracker, ANSWER, Template(zone=8))) == "NEW"
    assert state(send(tracker, ANSWER, Template(zone=7))) == "ESTABLISHED"
    assert sorted(tracker.connections()["zone"].tolist()) == [0, 0, 7, 7, 8]
    assert state(send(tracker, ANSWER)) == "ESTABLISHED"
    assert tracker.get(tracker.find("udp", "10.0.0.1", "10.0.0.2", 1000, 53, zone=7))["zone"] == 7
    assert tracker.find("udp", "10.0.0.1", "10.0.0.2", 1000, 53, zone=9) is None
    assert b"zone=7" in format_connections(tracker.connections())
    assert tracker._engine.selfcheck() == []


def test_errors_belong_to_the_zone_of_what_they_quote():
    tracker = Tracker(seed=1)
    send(tracker, ASK, Template(zone=7))
    error = p.icmp("10.0.0.2", "10.0.0.1", 3, 3, bytes(4) + ASK)
    assert state(send(tracker, error)) == "INVALID"
    assert state(send(tracker, error, Template(zone=7))) == "RELATED"


def test_notrack():
    tracker = Tracker(seed=1, checksum="on")
    crooked = p.tcp("10.0.0.1", "10.0.0.2", 1, 2, 3, 4, 0xFF)
    spoilt = p.udp("10.0.0.1", "10.0.0.2", 1, 2, b"x", bad_sum=True)
    for packet in (ASK, crooked, spoilt, ASK6):
        row = send(tracker, packet, Template(notrack=True))
        assert state(row) == "UNTRACKED" and row["conn"] == 0 and row["reason"] == 0
    assert len(tracker) == 0
    assert state(send(tracker, ASK)) == "NEW"


def test_timeouts_of_its_own():
    tracker = Tracker(seed=1)
    template = Template(timeouts={"nf_conntrack_udp_timeout": 5, "nf_conntrack_udp_timeout_stream": 50})
    assert send(tracker, ASK, template)["timeout"] == 5
    assert send(tracker, ANSWER, seconds=1)["timeout"] == 5         # it is the connection's, not the packet's
    assert send(tracker, ASK, seconds=4)["timeout"] == 50
    assert send(tracker, ASK6)["timeout"] == 30
    tracker.sysctls = {"nf_conntrack_udp_timeout": 40, "nf_conntrack_udp_timeout_stream": 140}
    assert send(tracker, ASK, seconds=5)["timeout"] == 50


def test_a_helper():
    tracker = Tracker(seed=1)
    read = p.udp("10.0.0.1", "10.0.0.2", 1000, 69, b"\x00\x01file\x00octet\x00")
    send(tracker, read)
    assert len(tracker.expectations()) == 0
    tracker = Tracker(seed=1)
    send(tracker, read, Template(helper="tftp", zone=3))
    assert tracker.expectations()[0]["zone"] == 3
    block = p.udp("10.0.0.2", "10.0.0.1", 4711, 1000, b"\x00\x03")
    assert state(send(tracker, block)) == "NEW"
    assert state(send(tracker, block, Template(zone=3))) == "RELATED"


def test_marks_and_labels():
    tracker = Tracker(seed=1)
    send(tracker, ASK)
    handle = tracker.find("udp", "10.0.0.1", "10.0.0.2", 1000, 53)
    assert tracker.mark(handle, 0x17) and tracker.label(handle, bytes(range(16)))
    row = tracker.get(handle)
    assert row["mark"] == 0x17 and bytes(row["labels"]) == bytes(range(16))
    assert b"mark=23 " in format_connections(tracker.connections())
    assert tracker.delete(handle)
    assert not tracker.mark(handle, 1) and not tracker.label(handle, bytes(16))
    send(tracker, ASK, seconds=1)
    assert tracker.connections()["mark"].tolist() == [0]


@pytest.mark.parametrize("template", (
    Template(helper="nobody"),
    Template(timeouts={"nf_conntrack_udp_timeout": -1}),
    Template(timeouts={"nf_conntrack_max": 1}),
    Template(timeouts={"nf_conntrack_no_timeout": 1}),
), ids=str)
def test_refused(template):
    with pytest.raises(fastct.ConfigError):
        send(Tracker(), ASK, template)


def test_sets_of_timeouts_are_counted():
    tracker = Tracker(seed=1)
    for seconds in range(1, 17):
        for _ in range(2):
            send(tracker, ASK, Template(timeouts={"nf_conntrack_udp_timeout": seconds}))
    with pytest.raises(fastct.ConfigError):
        send(tracker, ASK, Template(timeouts={"nf_conntrack_udp_timeout": 17}))
