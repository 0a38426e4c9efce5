"""Replaying captures: until a time, and what is left of captures that cannot be read to their end."""
import datetime

import numpy as np
import pytest

import fastct
from fastct import offline
from fastct.capture.frames import frames_from_bytes
from tests import captures_build as build
from tests import packets as p

HOST = "pcaps/host_10.1.1.2.pcap"
WLAN = 105


@pytest.fixture(scope="module")
def first_ns():
    return fastct.track(HOST).summary.first_ns


def wlan(packets):
    """A pcapng file of Ethernet packets, then one from a wireless interface."""
    return build.pcapng(packets) + build.interface(WLAN) + build.enhanced(0, b"wlan", number=1)


@pytest.mark.parametrize("others", [[], [HOST]])
def test_unknown_link_type_further_on_is_damage(tmp_path, others):
    path = tmp_path / "a.pcapng"
    path.write_bytes(wlan(build.packets(9)))
    result = fastct.track([path, *others], packets=True)
    assert len(result.packets) == 9 + 62 * len(others)
    (error,) = result.damage
    assert isinstance(error, fastct.UnsupportedLinkType)
    assert (error.path, error.packet, error.number) == (str(path), 9, WLAN)


def test_unknown_link_type_from_the_start_is_refused(tmp_path):
    path = tmp_path / "a.pcapng"
    path.write_bytes(wlan([]))
    with pytest.raises(fastct.UnsupportedLinkType):
        fastct.track([path, HOST])


@pytest.mark.parametrize("at", ["noon", 1.5, -1, 1 << 64])
def test_wrong_time(at):
    with pytest.raises(fastct.ConfigError):
        fastct.track(HOST, at=at)


def test_time_may_be_any_integer(first_ns):
    assert len(fastct.track(HOST, at=np.uint64(first_ns), packets=True).packets) == 1


@pytest.mark.parametrize(("at", "packets"), [(datetime.timedelta.max, 62), (datetime.timedelta.min, 0),
                                             ((1 << 64) - 1, 62), (0, 0)])
def test_times_beyond_the_capture(at, packets):
    result = fastct.track(HOST, at=at, packets=True)
    assert len(result.packets) == packets
    assert len(result.connections) == 0


def test_span_is_that_of_the_packets():
    summary = fastct.track(HOST, at=datetime.timedelta(days=9)).summary
    assert summary.last_ns == summary.stats["last_ns"] == fastct.track(HOST).summary.last_ns


def test_rows_that_must_wait_are_not_sorted_at_every_block(monkeypatch):
    """In a capture whose time stands still nothing that ends can be handed on before the end."""
    monkeypatch.setattr(offline, "HELD_ROWS", 8)
    sorts = []
    order = offline._Events._order
    monkeypatch.setattr(offline._Events, "_order", staticmethod(lambda rows: sorts.append(len(rows)) or order(rows)))
    packets = [p.udp("10.0.0.1", "10.0.0.2", port, 53) for port in range(1, 1025)]
    tracker = fastct.Tracker(keep_events=True)
    blocks = [frames_from_bytes(packets[at:at + 4], [9] * 4, 101) for at in range(0, 1024, 4)]
    events = []
    offline.replay(Blocks(blocks), tracker, events=events.append)
    assert sum(map(len, events)) == 1024
    assert len(sorts) < 12


class Blocks:
    """Blocks of frames as a capture."""
    damage = interfaces = ()

    def __init__(self, blocks):
        self._blocks = iter(blocks)

    def __next__(self):
        return next(self._blocks)
