"""Tracker and GarbageCollector as an embedder uses them."""
from datetime import timedelta

import pytest

import fastct
from tests import packets as p

RAW = 101
CLIENT, SERVER = "10.0.0.1", "10.0.0.2"
S = 10**9
ASK, ANSWER = p.udp(CLIENT, SERVER, 1000, 53, b"?"), p.udp(SERVER, CLIENT, 53, 1000, b"!")


@pytest.fixture
def tracker():
    tracker = fastct.Tracker(seed=1, keep_ended=True, keep_events=True)
    tracker.process_bytes([ASK, ANSWER], [S, 2 * S], RAW)
    return tracker


def test_found_by_either_direction(tracker):
    handle = tracker.find("udp", CLIENT, SERVER, 1000, 53)
    assert handle == tracker.find(17, SERVER, CLIENT, 53, 1000)
    assert tracker.get(handle)["reply_packets"] == 1
    assert tracker.find("udp", CLIENT, SERVER, 1001, 53) is None


def test_a_deleted_connection_is_gone(tracker):
    handle = tracker.find("udp", CLIENT, SERVER, 1000, 53)
    assert tracker.delete(handle)
    assert not tracker.delete(handle)
    assert tracker.get(handle) is None
    assert tracker.drain_ended()["conn"].tolist() == [1]
    assert len(tracker.connections()) == 0
    tracker.process_bytes([ASK], [3 * S], RAW)
    assert tracker.find("udp", CLIENT, SERVER, 1000, 53) != handle


@pytest.mark.parametrize("wrong", [("udp", "here", SERVER), ("udp", CLIENT, "fd00::1"), ("ipx", CLIENT, SERVER),
                                   (256, CLIENT, SERVER), ("udp", CLIENT, SERVER, 65536, 53),
                                   ("udp", CLIENT, SERVER, -1, 53)])
def test_wrong_tuples_are_refused(tracker, wrong):
    with pytest.raises(fastct.ConfigError):
        tracker.find(*wrong)
    with pytest.raises(fastct.ConfigError):
        tracker.find("icmp", CLIENT, SERVER, id=1 << 16)


@pytest.mark.parametrize("linktype", [105, 65536 + RAW, -1])
def test_link_types_are_checked(tracker, linktype):
    with pytest.raises(fastct.UnsupportedLinkType) as caught:
        tracker.process_bytes([ASK], linktype=linktype)
    assert caught.value.number == linktype


def test_settings_change_or_stay(tracker):
    tracker.sysctls = {"nf_conntrack_udp_timeout": 5}
    with pytest.raises(fastct.ConfigError):
        tracker.sysctls = {"nf_conntrack_udp_timeout": 6, "nonsense": 1}
    assert tracker.sysctls["nf_conntrack_udp_timeout"] == 5
    tracker.process_bytes([p.udp(CLIENT, SERVER, 7, 7)], [3 * S], RAW)
    assert tracker.connections()["timeout"].tolist() == [29, 5]


def test_garbage_collector(tracker):
    gc = tracker.gc
    assert len(gc.expiring(tracker.now)) == 0
    assert gc.expiring(tracker.now + 31 * S)["conn"].tolist() == [1]
    assert gc.sweep() == 0
    assert gc.sweep(tracker.now + 30 * S) == 1
    assert gc.figures["expired"] == 1
    assert len(tracker) == 0
    gc.budget = 7
    assert gc.budget == 7
    with pytest.raises(fastct.ConfigError):
        gc.budget = 0


def test_events_are_drained_once(tracker):
    assert len(tracker.drain_events()) == 2
    assert len(tracker.drain_events()) == 0


def test_the_same_seed_gives_the_same():
    runs = [fastct.track("pcaps/host_10.1.1.2.pcap", seed=3, max_entries=2, at=timedelta(seconds=9)) for _ in range(2)]
    assert (runs[0].connections == runs[1].connections).all()
