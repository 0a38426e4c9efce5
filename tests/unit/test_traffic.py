"""The traffic of the benchmarks is what it claims to be: valid, counted, repeatable."""
import dpkt
import numpy as np
import pytest

import fastct
from bench.traffic import write_capture
from fastct.benchmark import PROTOCOLS, Traffic


def checksum_is_right(ip):
    """dpkt computes the sum anew when it is zero."""
    before = ip.data.sum
    ip.data.sum = 0
    ip.sum = 0
    again = (dpkt.ip.IP if ip.v == 4 else dpkt.ip6.IP6)(bytes(ip))
    return again.data.sum == before


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_conversations_are_valid(protocol):
    traffic = Traffic(protocol, 300, seed=3)
    tracker = fastct.Tracker(checksum="on")
    rows = [tracker.process(block) for block in (*traffic.establish(), *traffic.conversation(5000))]
    assert len(tracker) == 300
    assert not np.concatenate(rows)["reason"].any()
    assert (tracker.connections()["status"] & 4).all()


def test_capture_is_counted_and_summed(tmp_path):
    path = tmp_path / "traffic.pcap"
    write_capture(path, 4000, 500, (64, 100), seed=2)
    tuples, sizes, packets = set(), set(), 0
    with path.open("rb") as file:
        for _, data in dpkt.pcap.Reader(file):
            packets += 1
            ip = dpkt.ethernet.Ethernet(data).data
            assert checksum_is_right(ip)
            tuples.add((ip.p, *sorted(((ip.src, ip.data.sport), (ip.dst, ip.data.dport)))))
            sizes.add(len(data))
    assert packets == 4000
    assert len(tuples) == 500
    assert min(sizes) >= 54
    assert max(sizes) <= 100
    assert len(fastct.track(path).connections) == 500


def test_same_seed_same_capture(tmp_path):
    paths = [tmp_path / name for name in ("a", "b", "c")]
    for path, seed in zip(paths, (1, 1, 2), strict=True):
        write_capture(path, 1000, 100, seed=seed)
    assert paths[0].read_bytes() == paths[1].read_bytes()
    assert paths[0].read_bytes() != paths[2].read_bytes()


def test_too_few_packets(tmp_path):
    with pytest.raises(ValueError, match="too few"):
        write_capture(tmp_path / "x.pcap", 100, 100)
