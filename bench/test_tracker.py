"""The tracker on packets in memory, from empty table to all connections, by the number of packets in a batch."""
import pytest

import fastct
from fastct.capture.frames import frames_from_bytes


@pytest.fixture(scope="module")
def packets(capture):
    """Packets and times of the capture, one bytes object each, as Python programs have them."""
    with fastct.open(capture[0]) as source:
        rows = [(ts, data) for frames in source for ts, _, data in frames]
    return [data for _, data in rows], [ts for ts, _ in rows]


def process(tracker, blocks, rows):
    for frames in blocks:
        tracker.process(frames, rows=rows)
    return tracker


@pytest.mark.parametrize("rows", [False, True], ids=["quiet", "rows"])
@pytest.mark.parametrize("batch", [64, 4096])
def test_process(packets, per_packet, batch, rows):
    data, ts = packets
    blocks = [frames_from_bytes(data[at:at + batch], ts[at:at + batch]) for at in range(0, len(data), batch)]
    tracker = per_packet(len(data), process, lambda: (fastct.Tracker(seed=1), blocks, rows))
    assert tracker.stats["packets"] == len(data)
    assert tracker.stats["invalid"] == 0


@pytest.mark.parametrize("batch", [64, 4096])
def test_frames_from_bytes(packets, per_packet, batch):
    data, ts = packets
    parts = [(data[at:at + batch], ts[at:at + batch]) for at in range(0, len(data), batch)]

    def build():
        return sum(len(frames_from_bytes(*part)) for part in parts)

    assert per_packet(len(data), build, tuple) == len(data)
