"""GRE: what a tunnel's tuple is, and that it keeps the timeouts it began with."""
import pytest

import fastct
from fastct.records import CTSTATES
from fastct.wire.reason import REASONS
from tests import packets as p

RAW = 101
C, S = "10.1.0.1", "10.2.0.1"


def gre(head, src=C, dst=S):
    return p.ip(src, dst, p.GRE, bytes.fromhex(head))


@pytest.mark.parametrize("head, key", [
    ("00000800", 0),
    ("20000800 00000007", 0),
    ("30000800 00000007 00000001", 0),
    ("", 0),
    ("3001880b 00040005 00000001", 5),
    ("3001880b", 0),
])
def test_key(head, key):
    tracker = fastct.Tracker(seed=1)
    row, = tracker.process_bytes([gre(head)], [1], linktype=RAW)
    assert CTSTATES[row["ctstate"]] == "NEW"
    assert tracker.find("gre", C, S, 0, key) is not None


def test_version_1_without_ppp():
    row, = fastct.Tracker(seed=1).process_bytes([gre("30010800 00040005")], [1], linktype=RAW)
    assert (CTSTATES[row["ctstate"]], REASONS[row["reason"]]) == ("INVALID", "gre_not_ppp")


def test_a_tunnel_keeps_its_timeouts():
    tracker = fastct.Tracker(seed=1)
    there, back = gre("00000800"), gre("00000800", S, C)
    tracker.process_bytes([there], [1], linktype=RAW)
    tracker.sysctls = {"nf_conntrack_gre_timeout": 5, "nf_conntrack_gre_timeout_stream": 6}
    rows = tracker.process_bytes([there, back, there], [2, 3, 4], linktype=RAW)
    assert rows["timeout"].tolist() == [30, 30, 180]


@pytest.mark.parametrize("cut, reason", [(2, "l4_header_cut"), (7, "l4_header_cut"), (8, "")])
def test_a_header_that_the_capture_cut(tmp_path, cut, reason):
    path = tmp_path / "cut.pcap"
    with fastct.capture.PcapWriter(path, snaplen=14 + 20 + cut) as out:
        out.write(1, bytes(12) + b"\x08\x00" + gre("3001880b 00040005 00000001"))
    assert REASONS[fastct.track(path, packets=True).packets[0]["reason"]] == reason
