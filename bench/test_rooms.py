"""Benchmarks of single rooms: reading, tracking, formatting. Run with ``python -m pytest bench --benchmark-enable``."""
import pytest

import fastct
from bench.traffic import write_capture
from fastct.benchmark import Traffic
from fastct.export.cells import CellFormat
from fastct.export.lines import format_connections

PACKETS, CONNECTIONS = 100_000, 10_000


@pytest.fixture(scope="module")
def capture(tmp_path_factory):
    path = tmp_path_factory.mktemp("bench") / "traffic.pcap"
    write_capture(path, PACKETS, CONNECTIONS)
    return path


@pytest.fixture(scope="module")
def connections(capture):
    return fastct.track(capture).connections


def test_capture(benchmark, capture):
    packets = benchmark(lambda: sum(len(frames) for frames in fastct.open(capture)))
    assert packets == PACKETS


@pytest.mark.parametrize("checksum", ["on", "off"])
def test_capture_to_table(benchmark, capture, checksum):
    def track():
        tracker = fastct.Tracker(seed=1, checksum=checksum)
        for frames in fastct.open(capture):
            tracker.process(frames, rows=False)
        return len(tracker)
    assert benchmark(track) == CONNECTIONS


@pytest.mark.parametrize("protocol", ["tcp", "udp", "tcp6"])
def test_established(benchmark, protocol):
    traffic = Traffic(protocol, CONNECTIONS)
    tracker = fastct.Tracker(seed=1)
    for block in traffic.establish():
        tracker.process(block, rows=False)
    block = next(traffic.conversation(PACKETS))
    benchmark(tracker.process, block, rows=False)
    assert len(tracker) == CONNECTIONS


def test_packet_rows(benchmark, capture):
    tracker = fastct.Tracker(seed=1)
    benchmark(lambda: [tracker.process(frames) for frames in fastct.open(capture)])


def test_conntrack_lines(benchmark, connections):
    assert benchmark(format_connections, connections).count(b"\n") == CONNECTIONS


@pytest.mark.parametrize("json", [False, True], ids=["csv", "jsonl"])
def test_cells(benchmark, connections, json):
    cells = CellFormat("connections", json)
    assert b"".join(benchmark(lambda: list(cells.format(connections)))).count(b"\n") == CONNECTIONS
