"""A capture of 200 packets, cut at every byte and with every header bit flipped: no crash, nothing before the
fault is lost. Under the sanitizer build this is also the fuzz run of the readers and of wire/."""
import random

import pytest

import fastct
from fastct.capture import PcapWriter

HEADER, RECORD = 24, 16


@pytest.fixture(scope="module")
def capture(tmp_path_factory):
    """The bytes of a 200-packet capture, and where each record ends."""
    path = tmp_path_factory.mktemp("damage") / "200.pcap"
    frames = [(ts, data) for name in ("host_10.1.1.2", "icmp_errors", "tcp_closes", "ping6", "vlan")
              for block in fastct.open(f"pcaps/{name}.pcap") for ts, _, data in block]
    frames = sorted((frames * 3)[:200])
    with PcapWriter(path) as writer:
        for ts, data in frames:
            writer.write(ts, data)
    ends = [HEADER]
    for _, data in frames:
        ends.append(ends[-1] + RECORD + len(data))
    return path.read_bytes(), ends


def track(data, path):
    path.write_bytes(data)
    tracker = fastct.Tracker(seed=1)
    with fastct.open(path) as source:
        for frames in source:
            tracker.process(frames)
        return tracker, source


def test_cut_at_every_byte(capture, tmp_path):
    data, ends = capture
    assert len(ends) == 201
    path = tmp_path / "cut.pcap"
    whole = 0
    for size in range(HEADER, len(data), 1 if len(data) < 30_000 else 3):
        while ends[whole + 1] <= size:
            whole += 1
        tracker, source = track(data[:size], path)
        assert tracker.stats["packets"] == whole
        assert len(source.damage) == (size != ends[whole])
        if source.damage:
            assert source.damage[0].packet == whole
            assert source.damage[0].offset >= ends[whole]


def test_every_header_bit_flipped(capture, tmp_path):
    """The first packets' headers, record headers included: what is before the flip is counted."""
    data, ends = capture
    path = tmp_path / "flip.pcap"
    for number in range(0, 200, 20):
        for offset in range(ends[number], min(ends[number] + RECORD + 14 + 60, ends[number + 1])):
            for bit in range(8):
                changed = bytearray(data)
                changed[offset] ^= 1 << bit
                tracker, source = track(bytes(changed), path)
                counted = tracker.stats["packets"]
                assert counted >= number
                assert counted == 200 or source.damage or offset < ends[number] + RECORD


def test_noise(capture, tmp_path):
    data, _ = capture
    rng = random.Random(7)
    for _ in range(300):
        changed = bytearray(data)
        for _ in range(rng.randrange(1, 200)):
            changed[rng.randrange(HEADER, len(data))] = rng.randrange(256)
        tracker, _ = track(bytes(changed), tmp_path / "noise.pcap")
        assert tracker._engine.selfcheck() == []
