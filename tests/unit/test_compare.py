"""The comparison of programs: what it measures, counts and says, with programs that are there everywhere."""
import json
import sys
from dataclasses import replace

import pytest

from bench import compare
from bench.peers.registry import PEERS
from bench.traffic import write_capture


@pytest.fixture
def capture(tmp_path):
    path = tmp_path / "t.pcap"
    write_capture(path, 400, 100)
    return path


def script(name, text):
    """A peer that is a line of Python and counts what it prints."""
    return replace(PEERS["dpkt"], name=name, pip=(), command=lambda run: [sys.executable, "-c", text],
                   count=lambda run: int(run.printed))


def test_fastct_is_counted_and_measured(capture, capsys):
    assert compare.main(["--set", str(capture), "--peers", "fastct", "--rounds", "2", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    row, = told["peers"]
    assert row["connections"] == [100]
    assert row["ratio"] == 1
    assert len(row["runs"]) == 2
    assert all(run["wall_s"] > 0 and run["cpu_s"] > 0 and run["peak_bytes"] > 1e6 for run in row["runs"])


def test_failures_are_told_and_the_others_go_on(capture, monkeypatch, capsys):
    peers = {peer.name: peer for peer in (
        script("good", "print(7)"), script("ends", "raise SystemExit('no such thing')"), script("mute", ""),
        script("slow", "import time; time.sleep(60)"),
        replace(script("absent", ""), programs=("no-such-program",)))}
    monkeypatch.setattr(compare, "PEERS", peers)
    arguments = ["--set", str(capture), "--peers", ",".join(peers), "--rounds", "2", "--timeout", "1"]
    assert compare.main(arguments) == 1
    told = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines()[3:8])
    assert told["good"].split()[-1] == "7"
    assert told["ends"] == "exit status 1: no such thing"
    assert told["mute"].startswith("not counted")
    assert told["slow"].startswith("exit status -9")
    assert told["absent"] == "not installed: no-such-program"


@pytest.mark.parametrize("name", [name for name in PEERS if name != "fastct"])
def test_peers_find_the_connections(capture, name):
    """Whoever is installed counts as the registry says."""
    peer = PEERS[name]
    if peer.missing():
        pytest.skip("not installed: " + ", ".join(peer.missing()))
    results, failed = compare.compare([peer], capture, 1, 60)
    assert failed == {}
    assert results[name][0].connections == (200 if name == "nfpcapd" else 100)


@pytest.mark.parametrize("arguments", [["--peers", "fastct,nobody"], ["--rounds", "0"]])
def test_refused(arguments):
    with pytest.raises(SystemExit):
        compare.main(arguments)
