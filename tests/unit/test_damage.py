"""A capture of 200 packets, cut at every byte and with every header bit flipped: no crash, nothing before the
fault is lost. Noise is for ``tests/fuzz``."""
import os

import numpy as np
import pytest

import fastct
from fastct.capture import PcapWriter
from fastct.capture.frames import frames_from_buffer

HEADER, RECORD = 24, 16
COPIES = 3          # of each packet, one after the other
HEADERS = 94        # Ethernet, VLAN, IPv6 and TCP with options


@pytest.fixture(scope="module")
def capture(tmp_path_factory):
    """The bytes of a 200-packet capture, and where each record ends."""
    path = tmp_path_factory.mktemp("damage") / "200.pcap"
    frames = [(ts, data) for name in ("host_10.1.1.2", "icmp_errors", "tcp_closes", "ping6", "vlan")
              for block in fastct.open(f"pcaps/{name}.pcap") for ts, _, data in block]
    frames = sorted((frames * COPIES)[:200])
    with PcapWriter(path) as writer:
        for ts, data in frames:
            writer.write(ts, data)
    ends = [HEADER]
    for _, data in frames:
        ends.append(ends[-1] + RECORD + len(data))
    return path.read_bytes(), ends


def track(path):
    tracker = fastct.Tracker(seed=1)
    with fastct.open(path) as source:
        for frames in source:
            tracker.process(frames)
        return tracker, source


def test_cut_at_every_byte(capture, tmp_path):
    data, ends = capture
    assert len(ends) == 201
    path = tmp_path / "cut.pcap"
    path.write_bytes(data)
    whole = 200
    for size in range(len(data), HEADER - 1, -1):
        os.truncate(path, size)
        while ends[whole] > size:
            whole -= 1
        tracker, source = track(path)
        assert tracker.stats["packets"] == whole
        assert len(source.damage) == (size != ends[whole])
        if source.damage:
            assert source.damage[0].packet == whole
            assert source.damage[0].offset >= ends[whole]


def test_every_bit_of_file_and_record_headers_flipped(capture, tmp_path):
    """What is before the flip is counted, or the file is refused."""
    data, ends = capture
    path = tmp_path / "flip.pcap"
    path.write_bytes(data)
    with path.open("r+b", buffering=0) as file:
        for number, begin in [(0, 0), *enumerate(ends[:-1:COPIES])]:
            for offset in range(begin, begin + (RECORD if begin else HEADER)):
                for bit in range(8):
                    os.pwrite(file.fileno(), bytes((data[offset] ^ 1 << bit,)), offset)
                    try:
                        tracker, _ = track(path)
                    except fastct.CaptureError:
                        assert offset < HEADER
                        continue
                    assert tracker.stats["packets"] >= number * COPIES
                os.pwrite(file.fileno(), data[offset:offset + 1], offset)


def test_every_bit_of_packet_headers_flipped(capture):
    """The packets before the flip fare as they did, and every packet has its row."""
    data, ends = capture
    changed = bytearray(data)
    begins = np.array(ends[:-1], dtype=np.uint64) + np.uint64(RECORD)
    lengths = np.diff(ends).astype(np.uint32) - np.uint32(RECORD)
    frames = frames_from_buffer(changed, begins, lengths, np.arange(200, dtype=np.uint64))
    unharmed = fastct.Tracker(seed=1).process(frames)
    for number in range(0, 200, COPIES):
        for offset in range(int(begins[number]), int(begins[number]) + min(int(lengths[number]), HEADERS)):
            tracker = fastct.Tracker(seed=1)
            for bit in range(8):
                changed[offset] ^= 1 << bit
                rows = tracker.process(frames)
                assert bit or (rows[:number] == unharmed[:number]).all()
                assert len(rows) == 200
                changed[offset] ^= 1 << bit
            assert tracker._engine.selfcheck() == []
