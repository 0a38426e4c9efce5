"""Frames cut by the capture's snap length: what is not there is not judged, and a missing header makes INVALID."""

import pytest

import fastct
from fastct import capture
from fastct.records import CTSTATES
from fastct.wire.reason import REASONS
from tests import packets as p

ETHERNET = {4: bytes(12) + b"\x08\x00", 6: bytes(12) + b"\x86\xdd"}
V4, V6 = ("10.0.0.1", "10.0.1.1"), ("fd00::1", "fd00:1::1")


def classes(path, frame, lengths):
    """Class and reason of the first bytes of a frame, for each number of bytes."""
    for length in lengths:
        with capture.PcapWriter(path, snaplen=length) as out:
            out.write(1_000_000_000, frame)
        row = fastct.track(path, checksum="on", packets=True).packets[0]
        yield length, CTSTATES[row["ctstate"]], REASONS[row["reason"]]


def expected(length, ip_header, transport_header):
    """``classes`` of a packet that would be NEW."""
    if length < 14:
        return length, "", "link_header_cut"
    if length < 14 + ip_header:
        return length, "INVALID", "ip_header_cut"
    if length < 14 + ip_header + transport_header:
        return length, "INVALID", "l4_header_cut"
    return length, "NEW", ""


@pytest.mark.parametrize("ends, ip_header", [(V4, 20), (V6, 40)], ids=["ipv4", "ipv6"])
@pytest.mark.parametrize("proto, header", [("tcp", 24), ("udp", 8)])
def test_every_snap_length(tmp_path, ends, ip_header, proto, header):
    if proto == "tcp":
        packet = p.tcp(*ends, 1000, 80, 1, 0, p.SYN, options=b"\x02\x04\x05\xb4")
    else:
        packet = p.udp(*ends, 1000, 53, bytes(9))
    frame = ETHERNET[packet[0] >> 4] + packet
    lengths = range(1, len(frame) + 1)
    found = list(classes(tmp_path / "cut.pcap", frame, lengths))
    assert found == [expected(length, ip_header, header) for length in lengths]


def test_ipv4_options_cut(tmp_path):
    packet = p.ip(*V4, p.UDP, p.udp(*V4, 1000, 53)[20:], options=b"\x01" * 8)
    found = classes(tmp_path / "cut.pcap", ETHERNET[4] + packet, (14 + 27, 14 + 28))
    assert list(found) == [(14 + 27, "INVALID", "ip_header_cut"), (14 + 28, "INVALID", "l4_header_cut")]


def test_header_shorter_than_the_wire_says(tmp_path):
    """Too short on the wire already: the IP layer refuses it before any hook."""
    found = classes(tmp_path / "short.pcap", ETHERNET[4] + p.udp(*V4, 1000, 53)[:19], (14 + 19, 14 + 10))
    assert [row[1:] for row in found] == [("", "ip_total_length")] * 2
