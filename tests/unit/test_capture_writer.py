"""Writing captures: what is written reads back, and only complete files appear."""
import io

import dpkt
import pytest

from fastct import capture
from fastct.errors import ConfigError
from tests import captures_build as build

PACKETS = build.packets(9, step_ns=1_000_000_001)
WRITERS = pytest.mark.parametrize("name", ["out.pcap", "out.pcapng"])


def read(path):
    with capture.open(path) as opened:
        return [frames[i] for frames in opened for i in range(len(frames))]


@WRITERS
def test_round_trip(tmp_path, name):
    path = tmp_path / name
    with capture.open_writer(path, 101) as writer:
        for ts, data in PACKETS:
            writer.write(ts, data, 2000)
        assert not path.exists()
    assert read(path) == [(ts, 2000, data) for ts, data in PACKETS]
    with path.open("rb") as file:
        assert [data for _, data in dpkt.pcap.UniversalReader(file)] == [data for _, data in PACKETS]
    assert [entry.name for entry in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("writer", [capture.PcapWriter, capture.PcapngWriter])
def test_snaplen(tmp_path, writer):
    with writer(tmp_path / "a", snaplen=5) as out:
        out.write(1000, b"0123456789")
    assert read(tmp_path / "a") == [(1000, 10, b"01234")]


def test_microseconds(tmp_path):
    with capture.PcapWriter(tmp_path / "a", ns=False) as out:
        out.write(1_999_999, b"x")
    assert read(tmp_path / "a") == [(1_999_000, 1, b"x")]


@WRITERS
def test_abort(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(b"old")
    with pytest.raises(RuntimeError), capture.open_writer(path):
        raise RuntimeError
    assert path.read_bytes() == b"old" and len(list(tmp_path.iterdir())) == 1


def test_file_object(tmp_path):
    out = io.BytesIO()
    with capture.PcapWriter(out) as writer:
        writer.write(0, b"x")
    (tmp_path / "a").write_bytes(out.getvalue())
    assert read(tmp_path / "a") == [(0, 1, b"x")]


def test_refused(tmp_path):
    for keywords in ({"linktype": 70000}, {"snaplen": 0}):
        with pytest.raises(ConfigError):
            capture.PcapWriter(tmp_path / "a", **keywords)
    with capture.PcapWriter(io.BytesIO()) as writer:
        for ts in (-1, 2**32 * 10**9):
            with pytest.raises(ConfigError):
                writer.write(ts, b"x")
    assert list(tmp_path.iterdir()) == []
