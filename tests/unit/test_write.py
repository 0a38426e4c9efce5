"""What leaves: accepted packets as they came, datagrams as the fragments they came in."""

import io
import os
import threading

import pytest

import fastct
from fastct import capture
from fastct.capture.frames import frames_from_bytes
from fastct.cli import main
from fastct.errors import ConfigError
from tests import packets as p

S = 10**9
START = 1_700_000_000 * S
ETHERNET, RAW = 1, 101
ENDS = ("10.0.0.1", "10.0.1.1")
ENDS6 = ("fd00::1", "fd00:1::1")
ENDINGS = pytest.mark.parametrize("ending", ["pcap", "pcapng"])


def framed(packet):
    return bytes(12) + (b"\x08\x00" if packet[0] >> 4 == 4 else b"\x86\xdd") + packet


def read(path):
    with capture.open(path) as opened:
        return [(ts, data, int(link)) for frames in opened
                for (ts, _, data), link in zip(frames, frames.linktypes, strict=True)]


def pcap(path, packets):
    with capture.PcapWriter(path) as out:
        for number, data in enumerate(packets):
            out.write(START + number * S, data)


def traffic():
    """Packets, and the numbers of those that leave, in order of leaving; a datagram's pieces leave with its last."""
    first, middle, last = p.pieces(p.udp(*ENDS, 7, 8, bytes(60)), [16, 40])
    lonely = p.pieces(p.udp(*ENDS6, 7, 8, bytes(60)), [16])[0]
    bad_header = p.udp(*ENDS, 1, 2)[:10] + b"\1\1" + p.udp(*ENDS, 1, 2)[12:]
    packets = [p.udp(*ENDS, 1, 2), last, p.udp(*ENDS, 1, 2, bad_sum=True), first, lonely, first, bad_header, middle,
               p.udp(*ENDS6, 1, 2)]
    leave = [(0, 0), (2, 2), (3, 7), (7, 7), (1, 7), (8, 8), (9, 9)]
    return [*map(framed, packets), bytes(12) + b"\x08\x06" + bytes(28)], leave


@ENDINGS
@pytest.mark.parametrize("block", [1, 7, 64])
def test_what_leaves(tmp_path, ending, block):
    packets, leave = traffic()
    tracker = fastct.Tracker(checksum="on", seed=1, keep_leaving=True)
    path = tmp_path / f"out.{ending}"
    with capture.open_writer(path, None) as out:
        for at in range(0, len(packets), block):
            some = packets[at : at + block]
            frames = frames_from_bytes(some, [START + (at + i) * S for i in range(len(some))], ETHERNET)
            out.write_frames(tracker.leaving(frames, tracker.process(frames)))
    assert read(path) == [(START + when * S, packets[which], ETHERNET) for which, when in leave]


def test_leaving_points_into_the_frames():
    packets, _ = traffic()
    frames = frames_from_bytes(packets, [START] * len(packets))
    tracker = fastct.Tracker(checksum="on", seed=1)
    rows = tracker.process(frames)
    assert len(tracker.leaving(frames, rows)) == 5      # without keep_leaving, a datagram leaves with its last piece
    for wrong in (rows[1:], rows[::2], rows["ts"]):
        with pytest.raises(ConfigError):
            tracker.leaving(frames, wrong)


def test_a_refused_datagram_does_not_leave():
    packets = [p.udp(*ENDS, 1, 2), *p.pieces(p.udp(*ENDS, 7, 8, bytes(60)), [16])]
    packets = [packets[0], p.udp(*ENDS[::-1], 2, 1), *packets[1:]]
    tracker = fastct.Tracker(seed=1, max_entries=1, keep_leaving=True)
    times = [START, START + 3 * S, START + 3 * S, START + 3 * S]
    tracker.process(frames_from_bytes([packets[0], packets[1]], times[:2], RAW))
    tracker.process(frames_from_bytes([packets[1]], [START + 6 * S], RAW))      # ASSURED: cannot be evicted
    frames = frames_from_bytes(packets[2:], [START + 6 * S] * 2, RAW)
    rows = tracker.process(frames)
    assert rows["verdict"].tolist() == [4, 1] and len(tracker.leaving(frames, rows)) == 0


@ENDINGS
def test_command(tmp_path, ending, capsys):
    packets, leave = traffic()
    pcap(tmp_path / "in.pcap", packets)
    out = tmp_path / f"out.{ending}"
    assert main(["track", str(tmp_path / "in.pcap"), "--checksum", "on", "--quiet", "--write", str(out)]) == 0
    assert read(out) == [(START + when * S, packets[which], ETHERNET) for which, when in leave]
    again = tmp_path / "again.pcap"
    assert main(["track", str(out), "--checksum", "on", "--quiet", "--write", str(again)]) == 0
    assert [data for _, data, _ in read(again)] == [data for _, data, _ in read(out)]


@ENDINGS
def test_nothing_leaves(tmp_path, ending, capsys):
    pcap(tmp_path / "in.pcap", [])
    assert main(["track", str(tmp_path / "in.pcap"), "--write", str(tmp_path / f"out.{ending}")]) == 0
    assert read(tmp_path / f"out.{ending}") == []


def test_link_types(tmp_path, capsys):
    """pcapng has an interface for each; pcap has one."""
    pcap(tmp_path / "a.pcap", [framed(p.udp(*ENDS, 1, 2))])
    with capture.PcapWriter(tmp_path / "b.pcap", RAW) as out:
        out.write(START + S, p.udp(*ENDS, 3, 4))
    both = [str(tmp_path / "a.pcap"), str(tmp_path / "b.pcap")]
    assert main(["track", *both, "--write", str(tmp_path / "out.pcapng")]) == 0
    assert [link for _, _, link in read(tmp_path / "out.pcapng")] == [ETHERNET, RAW]
    assert main(["track", *both, "--write", str(tmp_path / "out.pcap")]) == 2
    assert "one link type" in capsys.readouterr().err and not (tmp_path / "out.pcap").exists()


def test_refused(tmp_path, capsys):
    pcap(tmp_path / "in.pcap", [])
    for arguments in (["--write", str(tmp_path / "none" / "out.pcap")], ["--write", str(tmp_path / "out.txt")],
                      ["--write", str(tmp_path / "x.csv"), "-o", str(tmp_path / "x.csv")], ["--write", "-"]):
        assert main(["track", str(tmp_path / "in.pcap"), *arguments]) == 2, arguments
    assert [entry.name for entry in tmp_path.iterdir()] == ["in.pcap"]


@ENDINGS
@pytest.mark.parametrize("count", [0, 1, 255, 256, 257, 1000])
def test_frames_as_single_packets(tmp_path, ending, count):
    """Blocks of frames and single packets make the same file, on disk and in memory."""
    packets = [bytes([i % 251]) * (1 + i % 70) for i in range(count)]
    times = [START + i for i in range(count)]
    writer = {"pcap": capture.PcapWriter, "pcapng": capture.PcapngWriter}[ending]
    single, blocks = io.BytesIO(), io.BytesIO()
    frames = frames_from_bytes(packets, times, ETHERNET)
    with writer(single, snaplen=60) as out:
        for ts, data in zip(times, packets, strict=True):
            out.write(ts, data)
    with writer(blocks, snaplen=60) as out:
        out.write_frames(frames)
    with writer(tmp_path / "file", snaplen=60) as out:
        out.write_frames(frames)
    assert blocks.getvalue() == single.getvalue() == (tmp_path / "file").read_bytes()


def test_slow_reader():
    """A pipe takes little at a time."""
    read_end, write_end = os.pipe()
    packets = [bytes(1000)] * 700
    got = []

    def drain():
        with open(read_end, "rb") as file:
            while data := file.read(777):
                got.append(data)

    thread = threading.Thread(target=drain)
    thread.start()
    with open(write_end, "wb") as file, capture.PcapWriter(file) as out:
        out.write_frames(frames_from_bytes(packets, [START] * 700))
    thread.join()
    assert len(b"".join(got)) == 24 + 700 * 1016


def test_time_out_of_range(tmp_path):
    with pytest.raises(ConfigError), capture.PcapWriter(tmp_path / "a") as out:
        out.write_frames(frames_from_bytes([b"x"], [2**32 * S]))
