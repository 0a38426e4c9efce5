"""Traffic that means harm: floods on a full table, time that jumps."""
import numpy as np
import pytest

import fastct
from fastct.benchmark import ACK, SYN, Traffic
from fastct.capture.frames import frames_from_bytes
from tests import packets as p

MOST = 20_000
ASSURED = 0x4
HANDSHAKES = 100            # begun together
FLOOD = 10 * HANDSHAKES     # attack packets for them, in three parts


def conns(first, n):
    return np.arange(first, first + n)


def ways(n, reply=False):
    return np.full(n, reply)


class Siege:
    """A full table, half of it ASSURED, under a SYN flood of ten to one."""

    def __init__(self):
        self.tracker = fastct.Tracker(max_entries=MOST, seed=1)
        self.good = Traffic("tcp", MOST // 2, first=0)
        self.flood = Traffic("tcp", 500_000, first=10_000_000)
        self.late = Traffic("tcp", 10_000, first=1_000_000)
        self.sent = 0
        for block in self.good.establish():
            self.tracker.process(block, rows=False)
        self.attack(MOST // 2)

    def attack(self, n):
        self.flood.ts = self.tracker.now + 1000
        self.tracker.process(self.flood.packets(conns(self.sent, n), ways(n), SYN), rows=False)
        self.sent += n
        assert len(self.tracker) <= MOST

    def step(self, first, reply, flags):
        self.late.ts = self.tracker.now + 1000
        rows = self.tracker.process(self.late.packets(conns(first, HANDSHAKES), ways(HANDSHAKES, reply), flags))
        assert len(self.tracker) <= MOST
        self.attack(FLOOD // 3)
        return rows

    def handshakes(self, first):
        """How many of those begun together end ASSURED."""
        self.step(first, False, SYN)
        self.step(first, True, SYN | ACK)
        return int(np.count_nonzero(self.step(first, False, ACK)["status"] & ASSURED))


def test_a_flood_on_a_full_table():
    siege = Siege()
    assert len(siege.tracker) == MOST
    assured = set(siege.tracker.connections()["conn"][siege.tracker.connections()["status"] & ASSURED > 0].tolist())
    memory = None
    done = 0
    for first in range(0, 5000, HANDSHAKES):
        done += siege.handshakes(first)
        memory = memory or siege.tracker._engine.memory()
    rows = siege.tracker.connections()
    left = set(rows["conn"][rows["status"] & ASSURED > 0].tolist())
    assert assured <= left
    assert done >= 0.99 * 5000
    assert siege.tracker._engine.memory() <= memory * 1.05
    assert siege.tracker._engine.selfcheck() == []


def full_of_assured(**settings):
    tracker = fastct.Tracker(max_entries=1000, seed=1, **settings)
    traffic = Traffic("tcp", 1000)
    for block in traffic.establish():
        tracker.process(block, rows=False)
    return tracker, traffic


def test_assured_connections_are_never_evicted():
    tracker, traffic = full_of_assured()
    more = Traffic("tcp", 500, first=5000)
    more.ts = traffic.ts
    rows = tracker.process(more.packets(conns(0, 500), ways(500), SYN))
    assert set(rows["verdict"].tolist()) == {1}
    assert tracker.stats["full"] >= 100 and tracker.stats["reason_table_full"] == 500
    assert len(tracker) == 1000 and tracker.stats["evicted"] == 0


def test_what_finds_no_room_can_pass_untracked():
    tracker, traffic = full_of_assured(on_full="untracked")
    more = Traffic("tcp", 10, first=5000)
    more.ts = traffic.ts
    rows = tracker.process(more.packets(conns(0, 10), ways(10), SYN))
    assert set(rows["verdict"].tolist()) == {0} and set(rows["ctstate"].tolist()) == {5}
    with pytest.raises(fastct.ConfigError):
        fastct.Tracker(on_full="panic")


def test_under_pressure_the_sweep_ends_what_is_closing():
    tracker, traffic = full_of_assured()
    fin = 0x11
    traffic.ts = tracker.now + 1000
    tracker.process(traffic.packets(conns(0, 300), ways(300), fin), rows=False)     # FIN_WAIT, ASSURED still
    more = Traffic("tcp", 500, first=5000)
    more.ts = tracker.now + 1000
    tracker.process(more.packets(conns(0, 5), ways(5), SYN), rows=False)
    assert tracker.stats["full"] >= 1
    tracker.gc.step(10_000)
    assert tracker.stats["pressure"] == 0
    assert 50 <= tracker.stats["evicted"] <= 60        # until less than 95 in 100 are taken
    assert tracker._engine.selfcheck() == []


def test_colliding_tuples_do_not_collide():
    """Tuples that a hash without a key would put into one bucket are spread, whoever chose them."""
    tracker = fastct.Tracker()
    frames = [p.udp(f"10.{i >> 8 & 255}.{i & 255}.1", "10.0.0.1", 0xFFFF - (i * 7 & 0xFFF), 53) for i in range(20_000)]
    tracker.process(frames_from_bytes(frames, list(range(1, len(frames) + 1)), 101), rows=False)
    assert len(tracker) == len(frames)
    assert tracker.stats["chain_too_long"] == 0


@pytest.mark.parametrize("jump", (-3600 * 10**9, 10 * 365 * 86400 * 10**9))
def test_time_jumps(jump):
    """Back: time stands still. Forward: everything has expired, and what comes is new."""
    tracker = fastct.Tracker(seed=1)
    start = 1_700_000_000 * 10**9
    packet = p.udp("10.0.0.1", "10.0.0.2", 1000, 53)
    tracker.process_bytes([packet], [start], linktype=101)
    row = tracker.process_bytes([packet], [start + jump], linktype=101)[0]
    assert tracker.now == max(start, start + jump)
    assert row["conn"] == (1 if jump < 0 else 2)
    assert tracker.gc.sweep() == 0 and len(tracker) == 1
    assert tracker._engine.selfcheck() == []


def test_an_invalid_first_packet_takes_a_place_as_in_linux():
    """Early drop comes before any look at checksums and flags; only who has no tuple is spared it."""
    spoilt = p.tcp("10.0.0.9", "10.0.0.2", 1, 80, 1, 0, p.SYN, bad_sum=True)
    for packet, left in ((spoilt, 0), (p.tcp("10.0.0.9", "10.0.0.2", 1, 80, 1, 0, p.SYN | p.FIN), 0),
                         (p.udplite("10.0.0.9", "10.0.0.2", 1, 2, bad_sum=True), 0),
                         (p.icmp("10.0.0.9", "10.0.0.2", 8, 0, bytes(4), bad_sum=True), 1)):
        tracker = fastct.Tracker(max_entries=1, checksum="on")
        tracker.process_bytes([p.udp("10.0.0.1", "10.0.0.2", 1, 2), packet], [1, 2], 101)
        assert (len(tracker), tracker.stats["invalid"]) == (left, 1)
    tracker = fastct.Tracker(max_entries=1, checksum="on")
    ends = ("10.0.0.1", "10.0.0.2", 1, 80)
    opening = [p.tcp(*ends, 1, 0, p.SYN), p.tcp(ends[1], ends[0], 80, 1, 9, 2, p.SYN | p.ACK),
               p.tcp(*ends, 2, 10, p.ACK)]
    row = tracker.process_bytes([*opening, spoilt], [1, 2, 3, 4], 101)[-1]
    assert (len(tracker), tracker.stats["full"], row["ctstate"]) == (1, 1, 0)         # ASSURED: Linux drops, too
    assert tracker.process_bytes([p.tcp(*ends, 2, 10, p.ACK, bad_sum=True)], [5], 101)[0]["ctstate"] == 4
