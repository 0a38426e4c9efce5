"""Events of expectations: when they are noted, in which order, and as which text."""
import fastct
from fastct.cli import main
from fastct.export.expectations import format_expect_events
from fastct.records import EVENTS
from tests import packets as p
from tests.unit.test_snapshot import RAW, dialogue

S = 10**9
ANNOUNCE = dialogue(2000)[:6]


def announced(**settings):
    """A tracker after an announcement, at 1000 s."""
    tracker = fastct.Tracker(seed=1, auto_helpers=True, keep_events=True, **settings)
    tracker.process_bytes(ANNOUNCE, [1000 * S] * len(ANNOUNCE), RAW)
    return tracker


def test_an_expectation_that_runs_out_ends_at_its_time():
    tracker = announced()
    assert [EVENTS[event["type"]] for event in tracker.drain_expect_events()] == ["NEW"]
    tracker.gc.sweep(5000 * S)
    for _ in range(1024):                     # a bucket of expectations each
        tracker.gc.step(1)
    event, = tracker.drain_expect_events()
    assert (EVENTS[event["type"]], event["ts"], event["row"]["timeout"]) == ("DESTROY", 1300 * S, 0)


def test_a_master_takes_its_expectations_with_it():
    tracker = announced()
    before = len(tracker.drain_events())
    tracker.drain_expect_events()
    tracker.delete(tracker.handles()[0])
    event, = tracker.drain_expect_events()
    assert EVENTS[event["type"]] == "DESTROY" and event["after"] == before + 1


def test_text():
    line, = format_expect_events(announced().drain_expect_events()).decode().splitlines()
    assert line.startswith("[1000    .0     ]\t    [NEW] 300 proto=6 src=10.9.0.2 dst=10.9.0.1 sport=0 dport=")
    assert line.endswith("sport=2000 dport=21 class=0 helper=ftp")


def test_nothing_is_kept_unasked():
    tracker = fastct.Tracker(auto_helpers=True)
    tracker.process_bytes(ANNOUNCE, [1000 * S] * len(ANNOUNCE), RAW)
    assert len(tracker.expectations()) == 1 and len(tracker.drain_expect_events()) == 0


def test_restoring_is_no_event(tmp_path):
    announced().save(tmp_path / "state")
    tracker = fastct.Tracker.from_snapshot(tmp_path / "state", keep_events=True)
    assert len(tracker.drain_expect_events()) == 0
    tracker.process_bytes([p.udp("10.0.0.1", "10.0.0.2", 1, 2)], [1400 * S], RAW)
    tracker.delete(tracker.handles()[0])
    assert len(tracker.drain_expect_events()) == 1


def test_command_line(capsys):
    assert main(["events", "pcaps/host_10.1.1.2.pcap", "--quiet", "--expect", "--helper", "tcp/21=ftp"]) == 0
    words = [line.split("]\t")[1].split()[0] for line in capsys.readouterr().out.splitlines()]
    assert words == ["[NEW]", "[DESTROY]"] * 2
    assert main(["events", "pcaps/host_10.1.1.2.pcap", "--quiet", "--expect", "--json"]) == 2
