"""The table against a slow obvious model: UDP between few hosts, at random times, with any batch size."""
import dpkt
from hypothesis import given, settings
from hypothesis import strategies as st

import fastct
from fastct.records import CTSTATES

S = 10**9
START = 1_700_000_000 * S


class Model:
    """UDP connection tracking in a dictionary."""

    def __init__(self):
        self.entries, self.created = {}, 0

    def packet(self, src, dst, length, now):
        """Class, direction and number that Linux gives the packet."""
        for key, entry in list(self.entries.items()):
            if entry["deadline"] <= now:
                del self.entries[key]
        entry, reply = self.entries.get((src, dst)), False
        if entry is None and (dst, src) in self.entries:
            entry, reply = self.entries[dst, src], True
        if entry is None:
            self.created += 1
            self.entries[src, dst] = {"number": self.created, "seen": False, "assured": False, "stream": now + 2 * S,
                                      "deadline": now + 30 * S, "packets": [1, 0], "bytes": [length, 0]}
            return "NEW", 0, self.created
        state = "ESTABLISHED" if reply or entry["seen"] else "NEW"
        stream = entry["seen"] and now > entry["stream"]
        entry["assured"] |= stream
        entry["deadline"] = now + (120 if entry["assured"] else 30) * S
        entry["packets"][reply] += 1
        entry["bytes"][reply] += length
        entry["seen"] |= reply
        return state, int(reply), entry["number"]


END_POINTS = st.tuples(st.integers(1, 4), st.integers(1, 3))
STEPS = st.sampled_from((0, 1, S, 3 * S, 29 * S, 31 * S))
PACKETS = st.lists(st.tuples(END_POINTS, END_POINTS, st.integers(0, 40), STEPS), max_size=60)


def frame(src, dst, payload):
    udp = dpkt.udp.UDP(sport=src[1], dport=dst[1], data=bytes(payload))
    udp.ulen = len(udp)
    return bytes(dpkt.ip.IP(src=bytes((10, 0, 0, src[0])), dst=bytes((10, 0, 0, dst[0])), p=17, data=udp))


@settings(max_examples=300, deadline=None)
@given(PACKETS, st.integers(1, 9))
def test_against_the_model(packets, batch):
    model, tracker = Model(), fastct.Tracker(checksum="off")
    now, frames, times, expected = START, [], [], []
    for src, dst, payload, step in packets:
        if src == dst:
            continue
        now += step
        frames.append(frame(src, dst, payload))
        times.append(now)
        expected.append(model.packet(src, dst, len(frames[-1]), now))
    got = []
    for begin in range(0, len(frames), batch):
        rows = tracker.process_bytes(frames[begin:begin + batch], times[begin:begin + batch], linktype=101)
        got += [(CTSTATES[row["ctstate"]], row["ctdir"] - 1, row["conn"]) for row in rows]
    assert got == expected
    live = [entry for entry in model.entries.values() if entry["deadline"] > now]
    rows = tracker.connections()
    assert [(row["conn"], row["orig_packets"], row["reply_packets"], row["orig_bytes"], row["reply_bytes"],
             bool(row["status"] & 4)) for row in rows] == [
        (entry["number"], *entry["packets"], *entry["bytes"], bool(entry["assured"])) for entry in live]
    assert tracker._engine.selfcheck() == []


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 6000), st.integers(0, 2**32))
def test_growth_and_expiry(connections, seed):
    """Whatever the size: every connection is found again, and all are gone after their time."""
    tracker = fastct.Tracker(seed=seed, checksum="off")
    packets = [frame((n % 250 + 1, n // 250 + 1), (251, 53), 0) for n in range(connections)]
    tracker.process_bytes(packets, [START] * connections, linktype=101)
    assert len(tracker) == connections
    assert tracker._engine.selfcheck() == []
    again = tracker.process_bytes(packets, [START + S] * connections, linktype=101)
    assert list(again["conn"]) == list(range(1, connections + 1))
    assert tracker.gc.sweep(START + 60 * S) == connections
    assert len(tracker) == 0
    assert tracker._engine.selfcheck() == []
