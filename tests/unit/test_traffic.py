"""The benchmarks' traffic is what it says: as many connections, in order, with right checksums, and the same again."""
from collections import defaultdict

import dpkt
import pytest

import fastct
from bench.traffic import SPAN_S, write_capture
from tests.packets import ACK, FIN, SYN, checksum

PACKETS, CONNECTIONS = 6000, 1000


@pytest.fixture(scope="module", params=[(64, 100), (600, 600), (65, 1514)], ids=str)
def capture(request, tmp_path_factory):
    path = tmp_path_factory.mktemp("traffic") / "traffic.pcap"
    write_capture(path, PACKETS, CONNECTIONS, request.param)
    return path, request.param


def packets_of(path):
    """Time, frame and IPv4 packet of each record, as dpkt reads them."""
    with open(path, "rb") as file:
        return [(ts, frame, dpkt.ethernet.Ethernet(frame).data) for ts, frame in dpkt.pcap.Reader(file)]


def test_packets_and_connections(capture):
    packets = packets_of(capture[0])
    assert len(packets) == PACKETS
    tuples = {(ip.p, *sorted([(ip.src, ip.data.sport), (ip.dst, ip.data.dport)])) for _, _, ip in packets}
    assert len(tuples) == CONNECTIONS
    assert sum(proto == dpkt.ip.IP_PROTO_UDP for proto, *_ in tuples) == CONNECTIONS // 2


def test_sizes_and_times(capture):
    path, (least, most) = capture
    packets = packets_of(path)
    data = [len(frame) for _, frame, ip in packets if ip.data.data]
    assert min(data) >= least
    assert max(data) <= most
    assert {len(frame) for _, frame, ip in packets if not ip.data.data} == {64}
    times = [ts for ts, _, _ in packets]
    assert times == sorted(times)
    assert times[-1] - times[0] < SPAN_S


def test_checksums(capture):
    for _, _, ip in packets_of(capture[0]):
        raw = bytes(ip)[:ip.len]        # dpkt keeps sums that are there
        assert checksum(raw[:20]) == 0
        pseudo = raw[12:20] + bytes([0, ip.p]) + (ip.len - 20).to_bytes(2, "big")
        assert ip.data.sum
        assert checksum(pseudo + raw[20:]) == 0


def test_tcp_in_step(capture):
    """Each side goes on where it stopped and acknowledges what it got; handshakes first, nothing after an end."""
    conversations = defaultdict(list)
    for _, _, ip in packets_of(capture[0]):
        if ip.p == dpkt.ip.IP_PROTO_TCP:
            ends = (ip.src, ip.data.sport), (ip.dst, ip.data.dport)
            conversations[tuple(sorted(ends))].append((ends[0], ip.data))
    closed = 0
    for segments in conversations.values():
        assert [segment.flags for _, segment in segments[:3]] == [SYN, SYN | ACK, ACK]
        ends = [segment.flags & FIN for _, segment in segments]
        assert ends in ([0] * len(ends), [0] * (len(ends) - 3) + [FIN, FIN, 0])
        closed += any(ends)
        expected = {}
        for sender, segment in segments:
            assert segment.seq == expected.get(sender, segment.seq)
            if segment.flags & ACK:
                assert [segment.ack] == [seq for side, seq in expected.items() if side != sender]
            used = len(segment.data) + bool(segment.flags & (SYN | FIN))
            expected[sender] = (segment.seq + used) % (1 << 32)
    assert 0 < closed < len(conversations)


def test_both_directions_of_udp(capture):
    senders = defaultdict(set)
    for _, _, ip in packets_of(capture[0]):
        if ip.p == dpkt.ip.IP_PROTO_UDP:
            senders[tuple(sorted([(ip.src, ip.data.sport), (ip.dst, ip.data.dport)]))].add(ip.src)
    assert all(len(sides) == 2 for sides in senders.values())


def test_valid_for_the_tracker(capture):
    tracker = fastct.Tracker(seed=1, checksum="on")
    for frames in fastct.open(capture[0]):
        tracker.process(frames, rows=False)
    assert tracker.stats["invalid"] == 0
    assert len(tracker) == CONNECTIONS


def test_same_for_the_same_seed(tmp_path):
    for name, seed in (("a", 7), ("b", 7), ("c", 8)):
        write_capture(tmp_path / name, 500, 100, seed=seed)
    a, b, c = ((tmp_path / name).read_bytes() for name in "abc")
    assert a == b
    assert a != c


@pytest.mark.parametrize("share", [0, 0.25, 1])
def test_share_of_udp(tmp_path, share):
    write_capture(tmp_path / "a.pcap", 800, 200, udp_share=share)
    tracker = fastct.Tracker(seed=1)
    for frames in fastct.open(tmp_path / "a.pcap"):
        tracker.process(frames, rows=False)
    assert (tracker.connections()["l4proto"] == 17).sum() == 200 * share


def test_a_packet_a_connection(tmp_path):
    write_capture(tmp_path / "a.pcap", 50, 50)
    assert len(packets_of(tmp_path / "a.pcap")) == 50


@pytest.mark.parametrize("arguments", [(10, 11), (10, 0), (10, 5, (60, 100)), (10, 5, (100, 90)), (10, 5, (64, 1515))])
def test_refused(tmp_path, arguments):
    with pytest.raises(ValueError, match="expected"):
        write_capture(tmp_path / "a.pcap", *arguments)
