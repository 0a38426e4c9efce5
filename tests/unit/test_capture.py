"""Reading captures: formats, damage, merging, streams, memory."""
import csv
import gzip
import io
import os
import resource
import struct
import subprocess
import sys
import zlib

import dpkt
import pytest
import zstandard

from fastct import capture
from fastct.capture.linktypes import SUPPORTED, name_of
from fastct.errors import CaptureError, ConfigError, UnsupportedLinkType
from tests import captures_build as build
from tests.shared_data import SHARED, shared

BOTH_ORDERS = pytest.mark.parametrize("order", "<>")
INDEX = SHARED / "captures" / "INDEX.tsv"
ROWS = list(csv.DictReader(INDEX.open(), delimiter="\t")) if INDEX.exists() else []
PACKETS = build.packets(20)


def read(path, block=4096):
    """All packets as (ts, wire_len, bytes), and the capture."""
    with capture.open(path, block=block) as opened:
        found = [frames[i] for frames in opened for i in range(len(frames))]
    assert opened.packets == len(found)
    return found, opened


def expected(records):
    return [(ts, len(data), data) for ts, data in records]


@pytest.fixture
def file(tmp_path):
    def write(data, name="a.pcap"):
        path = tmp_path / name
        path.write_bytes(data)
        return path
    return write


@BOTH_ORDERS
@pytest.mark.parametrize("magic", [0xA1B2C3D4, 0xA1B23C4D, 0xA1B2CD34])
def test_pcap(file, order, magic):
    found, opened = read(file(build.pcap(PACKETS, magic, order)))
    assert found == expected(PACKETS)
    assert opened.damage == [] and opened.interfaces == [""]
    assert opened.bytes_done == opened.bytes_total


def test_pcap_fields(file):
    """The upper half of the link type is the frame check sequence; a wire length is at least the captured one."""
    found, _ = read(file(build.pcap([(5000, b"abc", 2), (6000, b"abc", 900)], linktype=0x1400_0001)))
    assert found == [(5000, 3, b"abc"), (6000, 900, b"abc")]


@BOTH_ORDERS
def test_pcapng(file, order):
    assert read(file(build.pcapng(PACKETS, order)))[0] == expected(PACKETS)


def test_pcapng_blocks(file):
    """Sections of both orders, old and simple packets, unknown blocks, names, resolutions, offsets."""
    ticks = 3 * 2**20 + 2**19
    data = (build.section(">") + build.interface(113, order=">", name=b"eth0")
            + build.enhanced(7, b"a" * 20, order=">") + build.block(0xBAD, b"x" * 1000, ">")
            + build.section() + build.interface(1, snaplen=4, name=b"wan", tsresol=0x80 | 20, tsoffset=-1)
            + build.interface(101, tsresol=3, tsoffset=2) + build.interface(101, tsresol=12)
            + build.enhanced(ticks, b"bb") + build.old_packet(5, b"ccc", 1) + build.enhanced(9999, b"d", 2)
            + build.simple(b"dddd", 60))
    with capture.open(file(data)) as opened:
        frames = next(opened)
        found = [frames[i] for i in range(len(frames))]
        found_types = list(frames.linktypes)
        for frames in opened:
            found += [frames[i] for i in range(len(frames))]
            found_types += list(frames.linktypes)
        assert opened.interfaces == ["eth0", "wan", "", ""] and opened.damage == []
    assert found == [(7000, 20, b"a" * 20), (2_500_000_000, 2, b"bb"), (2_005_000_000, 3, b"ccc"), (9, 1, b"d"),
                     (9, 60, b"dddd")]
    assert found_types == [113, 1, 101, 101, 1]


def test_many_unknown_bytes(file):
    """A block that is larger than every window is stepped over."""
    data = build.section() + build.interface() + build.block(0xBAD, bytes(9 << 20)) + build.enhanced(1, b"z")
    for name, stored in (("a", data), ("b", gzip.compress(data, 1))):
        found, opened = read(file(stored, name))
        assert found == [(1000, 1, b"z")] and opened.damage == []
    _, opened = read(file(data[:5 << 20]))
    assert "truncated" in str(opened.damage[0]) and opened.damage[0].offset == 28 + 24


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["file"])
def test_shared(row):
    path = shared("captures", row["file"])
    linktypes = {int(number) for number in row["linktypes"].replace(",", " ").split() if number.isdigit()}
    try:
        found, opened = read(path)
    except UnsupportedLinkType as error:
        assert error.number not in SUPPORTED and error.number in linktypes
        return
    # Some end in the middle of a packet; what is whole before that is all that was counted.
    assert len(found) == int(row["packets"])
    assert len(opened.damage) <= 1


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["file"])
def test_dpkt_agrees(row):
    """Bytes exactly; times as far as dpkt's floats go."""
    path = shared("captures", row["file"])
    with (gzip.open if path.suffix == ".gz" else open)(path, "rb") as stored:
        data = stored.read()
    try:
        theirs = list(dpkt.pcap.UniversalReader(io.BytesIO(data)))
    except Exception:  # noqa: BLE001  whatever dpkt cannot do
        pytest.skip("dpkt does not read it")
    try:
        ours, _ = read(path)
    except UnsupportedLinkType:
        pytest.skip("unsupported link type")
    if len(theirs) != len(ours):
        pytest.skip("dpkt does not read all of it")
    for (ts, data), mine in zip(theirs, ours, strict=True):
        assert mine[2] == data
        # dpkt applies the first interface's resolution to all.
        assert abs(float(ts) - mine[0] / 1e9) < 1e-5 or any(
            abs(float(ts) * scale - mine[0] / 1e9) < 1 for scale in (1e-3, 1e3))


@pytest.mark.parametrize("make", [build.pcap, build.pcapng])
def test_cut_everywhere(file, make):
    """All whole packets before the cut, and one damage unless the cut is between packets."""
    whole = make(PACKETS)
    ends = [len(make(PACKETS[:n])) for n in range(len(PACKETS) + 1)]
    header = 24 if make is build.pcap else 28
    for cut in range(header, len(whole)):
        found, opened = read(file(whole[:cut]))
        n = sum(end <= cut for end in ends[1:])
        assert found == expected(PACKETS[:n])
        clean = cut in ends or cut == 28 and header == 28
        assert len(opened.damage) == (not clean), cut
        for fault in opened.damage:
            assert fault.packet == n and fault.offset <= cut and "truncated" in str(fault)
    for cut in range(header):
        with pytest.raises(CaptureError):
            capture.open(file(whole[:cut]))


def test_damage_message(file):
    path = file(build.pcap(PACKETS)[:-1])
    fault = read(path)[1].damage[0]
    data = len(PACKETS[-1][1])
    assert str(fault) == f"truncated: packet 20 needs {16 + data} bytes, {15 + data} are left"
    assert fault.path == str(path) and fault.packet == 19


@pytest.mark.parametrize("make", [build.pcap, build.pcapng])
def test_gzip_cut_everywhere(file, make):
    whole = gzip.compress(make(PACKETS))
    for cut in range(2, len(whole)):
        plain = zlib.decompressobj(wbits=31).decompress(whole[:cut])
        path = file(whole[:cut])
        if len(plain) < (24 if make is build.pcap else 28):
            with pytest.raises(CaptureError):
                capture.open(path)
            continue
        expected_packets, _ = read(file(plain, "plain"))
        found, opened = read(path)
        assert found == expected_packets and len(opened.damage) == 1


@pytest.mark.parametrize("make", [build.pcap, build.pcapng])
def test_flipped_bits(file, make):
    whole = bytearray(make(PACKETS[:4]))
    for bit in range(8 * len(whole)):
        whole[bit // 8] ^= 1 << bit % 8
        try:
            found, opened = read(file(whole))
            assert len(found) <= 4 and len(opened.damage) <= 1
        except CaptureError:
            pass
        whole[bit // 8] ^= 1 << bit % 8


@pytest.mark.parametrize("length", [262145, 2**31, 2**32 - 1])
def test_length_field(file, length):
    data = build.pcap(PACKETS[:2]) + struct.pack("<IIII", 1, 1, length, length) + bytes(99)
    found, opened = read(file(data))
    assert found == expected(PACKETS[:2])
    assert str(length) in str(opened.damage[0]) and opened.damage[0].packet == 2
    data = build.pcapng(PACKETS[:2]) + build.enhanced(1, bytes(8), cap_len=length)
    assert len(read(file(data))[1].damage) == 1
    data = build.pcapng(PACKETS[:2]) + struct.pack("<II", 6, length & ~3) + bytes(99)
    assert len(read(file(data))[1].damage) == 1


@pytest.mark.parametrize("tail, message", [
    (build.enhanced(1, b"x", number=7), "interface 7, the section has 1"),
    (struct.pack("<III", 6, 12, 12), "too short"),
    (struct.pack("<III", 6, 12, 16), "different block lengths"),
    (struct.pack("<III", 0xBAD, 13, 13), "block length of 13"),
    (build.block(1, b""), "interface block"),
    (build.section()[:12] + struct.pack("<HH", 9, 0) + build.section()[16:], "version 9"),
])
def test_pcapng_damage(file, tail, message):
    found, opened = read(file(build.pcapng(PACKETS) + tail + build.enhanced(1, b"later")))
    assert found == expected(PACKETS)
    assert len(opened.damage) == 1 and message in str(opened.damage[0]) and opened.damage[0].packet == 20


@pytest.mark.parametrize("data, message", [
    (b"", "empty file"),
    (b"hello world", "not a capture file (begins with 68656c6c)"),
    (gzip.compress(b""), "empty file"),
    (build.pcap([], version=(3, 0)), "version 3.0"),
    (build.pcap([])[:10], "truncated"),
])
def test_refused(file, data, message):
    path = file(data)
    with pytest.raises(CaptureError) as caught:
        capture.open(path)
    assert message in str(caught.value) and caught.value.path == str(path)


def test_cannot_open(tmp_path):
    for path, message in ((tmp_path / "none", "no such file"), (tmp_path, "is a directory")):
        with pytest.raises(CaptureError, match=message):
            capture.open(path)
    for arguments in ({"paths": []}, {"paths": ["-", "-"]}, {"paths": "-", "block": 0}):
        with pytest.raises(ConfigError):
            capture.open(**arguments)


def test_linktypes(file):
    with pytest.raises(UnsupportedLinkType, match="IEEE802_11_RADIOTAP") as caught:
        capture.open(file(build.pcap([], linktype=127)))
    assert caught.value.number == 127 and name_of(147) == "USER0" and name_of(9999) == "unknown"
    with capture.open(file(build.pcapng(PACKETS[:3]) + build.interface(105) + build.enhanced(1, b"x", 1))) as opened:
        assert len(next(opened)) == 3
        with pytest.raises(UnsupportedLinkType, match="IEEE802_11") as caught:
            next(opened)
        assert caught.value.packet == 3 and caught.value.offset
        assert list(opened) == []


@pytest.mark.parametrize("block", [1, 7, 4096])
def test_blocks(file, block):
    records = build.packets(3000)
    path = file(build.pcap(records))
    assert read(path, block)[0] == expected(records)
    with capture.open(path, block=block) as opened:
        first = next(opened)
        assert len(first) == min(block, 3000) and first.first == 1
        second = next(opened, None)
        assert len(first) == 0
        assert second is None or second.first == block + 1
    assert second is None or len(second) == 0


def test_windows(file):
    """Packets that straddle mapped spans, of every kind of file."""
    records = [(i * 1000, bytes([i & 255]) * (200_000 + i)) for i in range(60)]
    whole = build.pcap(records)
    for stored in (whole, gzip.compress(whole, 1), zstandard.compress(whole), build.pcapng(records)):
        found, opened = read(file(stored))
        assert [packet[2] for packet in found] == [data for _, data in records] and opened.damage == []
        assert opened.bytes_done == opened.bytes_total


def test_gzip_members(file):
    whole = build.pcap(PACKETS)
    members = gzip.compress(whole[:100]) + gzip.compress(whole[100:])
    for tail, damage in ((b"", 0), (bytes(512), 0), (b"garbage", 1)):
        found, opened = read(file(members + tail))
        assert found == expected(PACKETS) and len(opened.damage) == damage


def test_zstd(file):
    whole = build.pcap(PACKETS)
    stored = zstandard.ZstdCompressor(write_checksum=True).compress(whole)
    assert read(file(stored + zstandard.compress(whole[24:])))[0] == expected(PACKETS * 2)
    for cut in range(4, len(stored)):
        try:
            opened = read(file(stored[:cut]))[1]
        except CaptureError as error:
            assert "truncated zstd" in str(error)
        else:
            assert "truncated zstd" in str(opened.damage[0])


def test_zstd_missing(file, monkeypatch):
    monkeypatch.setitem(sys.modules, "zstandard", None)
    with pytest.raises(CaptureError, match=r"fastct\[zstd\]"):
        capture.open(file(zstandard.compress(b"x")))


@pytest.mark.parametrize("block", [1, 7, 4096])
def test_merge(file, block):
    """By time of the heads, stable; no file is sorted in itself."""
    files = [[(t * 1000, b"%d-%d" % (number, i)) for i, t in enumerate(times)]
             for number, times in enumerate(([1, 5, 5, 3, 9], [5, 5, 6], [], [0, 2, 100], list(range(5000))))]
    paths = [file(build.pcap(records), f"{number}.pcap") for number, records in enumerate(files)]
    queues = [list(records) for records in files]
    merged = []
    while any(queues):
        queue = min((q for q in queues if q), key=lambda q: q[0][0])
        merged.append(queue.pop(0))
    found, opened = read(paths, block)
    assert found == expected(merged) and opened.damage == []
    assert opened.bytes_done == opened.bytes_total
    assert read(str(paths[0].parent / "*.pcap"), block)[0] == found


def test_merge_damage(file):
    paths = [file(build.pcap(PACKETS)[:-1], "a"), file(build.pcapng(PACKETS), "b"), file(build.pcap([]) + b"x", "c"),
             file(build.section() + build.interface(105) + build.enhanced(1, b"x"), "d")]
    found = []
    with capture.open(paths) as opened:
        with pytest.raises(UnsupportedLinkType):
            for frames in opened:
                found += [frames[i] for i in range(len(frames))]
        for frames in opened:
            found += [frames[i] for i in range(len(frames))]
    assert len(found) == 39
    assert sorted(fault.path for fault in opened.damage) == [str(paths[0]), str(paths[2])]


def test_stdin(file, monkeypatch):
    class Terminal:
        buffer = None
    for data in (build.pcap(PACKETS), gzip.compress(build.pcapng(PACKETS)), zstandard.compress(build.pcap(PACKETS))):
        Terminal.buffer = io.BytesIO(data)
        monkeypatch.setattr(sys, "stdin", Terminal)
        found, opened = read("-")
        assert found == expected(PACKETS) and opened.bytes_total is None
    Terminal.buffer = io.BytesIO(build.pcap(PACKETS))
    assert len(read(["-", file(build.pcap(PACKETS))])[0]) == 40


def test_pipe(tmp_path):
    """A live pipe gives its packets as they come."""
    reader, writer = os.pipe()
    os.write(writer, build.pcap(PACKETS[:3]))
    with capture.open(f"/dev/fd/{reader}") as opened:
        assert len(next(opened)) == 3
        os.write(writer, build.pcap(PACKETS[3:5])[24:])
        assert len(next(opened)) == 2
        os.close(writer)
        assert list(opened) == []
    os.close(reader)


MEASURE = """
import resource, sys
from fastct import capture
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
before = peak()
with capture.open(sys.argv[1]) as opened:
    touched = sum(frames[0][1] for frames in opened)
print(opened.packets, peak() - before)
"""


def test_memory(tmp_path):
    path = tmp_path / "big.pcap"
    record = struct.pack("<IIII", 1, 1, 60_000, 60_000)
    with path.open("wb") as out:
        out.write(build.pcap([]))
        for _ in range(5000):
            out.write(record)
            out.seek(60_000, os.SEEK_CUR)
        out.truncate()
    assert path.stat().st_size > 300 * 1000 * 1000 * 0.99
    result = subprocess.run([sys.executable, "-c", MEASURE, str(path)], capture_output=True, text=True, check=True)
    n, grown = map(int, result.stdout.split())
    assert n == 5000 and grown * 1024 // resource.getpagesize() <= (40 << 20) // resource.getpagesize()
