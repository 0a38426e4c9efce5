"""Zones that count in one direction: a connection whose reply's tuple has an entry of its own."""
import random

import numpy as np
import pytest

import fastct
from fastct import Template
from fastct.export.lines import format_connections, format_events
from fastct.export.proc import proc_lines
from fastct.export.save import save_lines
from fastct.export.xml import xml_flows
from fastct.records import CTDIRS, CTSTATES, VERDICTS
from fastct.wire.reason import REASONS
from tests import packets as p
from tests.kernel.zones import TARGETS, random_packet
from tests.unit.test_conntrack import conntrack  # noqa: F401

RAW, S = 101, 10**9
A, B = "10.0.0.1", "10.0.0.2"
FORTH, BACK = p.udp(A, B, 1, 53), p.udp(B, A, 53, 1)
ORIG5, REPLY5, BOTH5 = Template(zone=5, zone_dir="orig"), Template(zone=5, zone_dir="reply"), Template(zone=5)
HALF = "src=10.0.0.1 dst=10.0.0.2 sport=1 dport=53"


def said(tracker, packet, template=None, seconds=0):
    row = tracker.process_bytes([packet], [(1000 + seconds) * S], RAW, template)[0]
    if VERDICTS[row["verdict"]] == "DROP":
        return REASONS[row["reason"]]
    return f"{CTSTATES[row['ctstate']]} {CTDIRS[row['ctdir']]}"


@pytest.mark.parametrize(("opener", "answers", "others"), [
    (ORIG5, (None, ORIG5), (BOTH5,)), (REPLY5, (BOTH5, REPLY5), (None, ORIG5))])
def test_the_reply_comes_in_another_zone(opener, answers, others):
    for answer in answers:
        tracker = fastct.Tracker(seed=1)
        assert said(tracker, FORTH, opener) == "NEW ORIGINAL"
        assert said(tracker, BACK, answer) == "ESTABLISHED REPLY"
        assert len(tracker) == 1
        assert tracker._engine.selfcheck() == []
    for other in others:
        tracker = fastct.Tracker(seed=1)
        said(tracker, FORTH, opener)
        assert said(tracker, BACK, other) in ("clash", "NEW ORIGINAL")


def test_a_reply_that_is_expected_twice_is_dropped():
    tracker = fastct.Tracker(seed=1)
    assert said(tracker, FORTH, ORIG5) == "NEW ORIGINAL"
    assert said(tracker, FORTH, Template(zone=7, zone_dir="orig")) == "clash"
    assert said(tracker, FORTH) == "clash"
    assert said(tracker, BACK, BOTH5) == "clash"
    assert (len(tracker), tracker.stats["connections"], tracker.stats["reason_clash"]) == (1, 1, 3)
    assert said(tracker, FORTH, None, seconds=31) == "NEW ORIGINAL"       # the first has expired
    assert len(tracker) == 1


def test_of_two_that_match_the_latest_counts():
    tracker = fastct.Tracker(seed=1)
    assert said(tracker, FORTH, BOTH5) == "NEW ORIGINAL"
    assert said(tracker, BACK, ORIG5) == "NEW ORIGINAL"
    assert said(tracker, BACK, BOTH5) == "NEW ORIGINAL"
    assert tracker.connections()["orig_packets"].tolist() == [1, 2]


def test_entries_of_replies_go_with_their_connection():
    tracker = fastct.Tracker(seed=1, max_entries=4, keep_ended=True)
    for port in range(200):
        said(tracker, p.udp(A, B, port, 53), ORIG5, seconds=port / 10)
        assert len(tracker) <= 4
    tracker.gc.sweep(2000 * S)
    assert len(tracker) == len(tracker.connections()) == len(tracker.handles()) == 0
    assert len(tracker.drain_ended()) == 200
    assert tracker._engine.selfcheck() == []


def test_zone_of_the_mark():
    tracker = fastct.Tracker(seed=1)
    row = tracker.process_bytes([FORTH], [S], RAW, Template(zone="mark", mark=0x30007))[0]
    assert row["mark"] == 0x30007
    assert tracker.connections()["zone"].tolist() == [7]
    with pytest.raises(fastct.ConfigError, match="zone_dir"):
        said(tracker, FORTH, Template(zone=1, zone_dir="both"))


def test_how_it_is_written():
    tracker = fastct.Tracker(seed=1, keep_events=True)
    said(tracker, FORTH, ORIG5)
    said(tracker, p.udp(A, B, 2, 53), REPLY5)
    rows = tracker.connections()
    first, second = format_connections(rows).decode().splitlines()
    assert f"{HALF} zone-orig=5 packets=1" in first and first.endswith("mark=0 use=1")
    assert " dport=2 zone-reply=5 packets=0" in second
    assert f"{HALF} zone-orig=5 [UNREPLIED]" in format_events(tracker.drain_events()).decode()
    assert "</layer4><zone>5</zone><counters>" in next(xml_flows(rows))
    assert [line.split(" -s ")[0].partition(" --")[2] for line in save_lines(rows)] == ["orig-zone 5", "reply-zone 5"]
    first = next(proc_lines(rows))
    assert f"{HALF} zone-orig=5 packets=1" in first and "mark=0 use=2" in first
    assert rows["zone_dir"].tolist() == [1, 2]


def zoned(seed, count):
    rng = random.Random(seed)
    packets = [random_packet(rng, number) for number in range(count)]
    return [(packet.data, (1000 + number * rng.choice((0, 1, 4))) * S, TARGETS[ttl][1])
            for number, (packet, ttl) in enumerate(packets)]


def run(tracker, packets):
    return [tracker.process_bytes([data], [now], RAW, template) for data, now, template in packets]


@pytest.mark.parametrize("new_key", [False, True])
def test_snapshots_hold_them(tmp_path, new_key):
    before, after = zoned(1, 500), zoned(2, 500)
    straight = fastct.Tracker(seed=1)
    run(straight, before)
    straight.save(tmp_path / "state")
    broken = fastct.Tracker.from_snapshot(tmp_path / "state", new_key=new_key)
    assert broken._engine.selfcheck() == []
    assert np.array_equal(straight.connections(), broken.connections())
    assert np.array_equal(run(straight, after), run(broken, after))
    assert np.array_equal(straight.connections(), broken.connections())
    assert {1, 2} <= set(straight.connections()["zone_dir"].tolist())


def test_conntrack_knows_them(conntrack):  # noqa: F811
    tuple_ = ("-p", "udp", "-s", A, "-d", B, "--sport", "1", "--dport", "53", "-t", "50")
    assert conntrack("-I", *tuple_, "--orig-zone", "5")[2] == "1 flow entries have been created.\n"
    assert conntrack("-I", *tuple_, "--orig-zone", "6")[0] == 1                 # the same reply
    assert conntrack("-I", *tuple_, "--reply-zone", "6")[2] == "1 flow entries have been created.\n"
    assert conntrack("-L", "-o", "save")[1].count(" --orig-zone 5 ") == 1
    for words, shown in ((("-w", "5"), 0), (("-w", "0"), 2), (("--orig-zone", "5"), 1), (("--orig-zone", "0"), 1),
                         (("--reply-zone", "6"), 1)):
        assert conntrack("-L", *words)[2] == f"{shown} flow entries have been shown.\n"
    assert conntrack("-D", "--orig-zone", "5")[2] == "1 flow entries have been deleted.\n"
    assert conntrack("-C")[1] == "1\n"
