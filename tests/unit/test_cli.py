"""The command line as a user meets it: outputs, messages, exit statuses."""
import contextlib
import csv
import json
import os
import pty
import signal
import subprocess
import sys
import time

import pytest

import fastct
from fastct.capture import PcapWriter
from tests import captures_build as build

HOST = "pcaps/host_10.1.1.2.pcap"


def run(*args, **options):
    return subprocess.run([sys.executable, "-m", "fastct", *map(str, args)], capture_output=True, text=True, timeout=60,
                          **options)


def test_track_prints_connections_and_summary():
    done = run("track", HOST)
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert len(lines) == 5
    assert lines[0].startswith("udp      17 ")
    assert "src=10.1.1.2 dst=10.1.1.53" in lines[0]
    assert any("src=10.1.1.9 dst=10.1.1.2" in line and "dport=21" in line for line in lines)
    assert "connections  5: tcp 4 (TIME_WAIT 4), udp 1" in done.stderr


def test_quiet_leaves_the_listing():
    done = run("track", HOST, "--quiet")
    assert done.stderr == ""
    assert len(done.stdout.splitlines()) == 5


def test_outputs_agree(tmp_path):
    paths = {suffix: tmp_path / f"out.{suffix}" for suffix in ("csv", "jsonl", "txt", "arrow", "parquet")}
    for path in paths.values():
        assert run("track", HOST, "-o", path, "--packets", tmp_path / "p.csv", "--quiet").returncode == 0
    table = list(csv.DictReader(paths["csv"].open()))
    objects = [json.loads(line) for line in paths["jsonl"].open()]
    assert [row["orig_src"] for row in table] == [row["orig_src"] for row in objects]
    assert len(paths["txt"].read_text().splitlines()) == len(table) == 5
    parquet = pytest.importorskip("pyarrow.parquet")
    import pyarrow
    arrow = pyarrow.ipc.open_file(paths["arrow"]).read_all()
    assert arrow.to_pylist() == parquet.read_table(paths["parquet"]).to_pylist()
    assert arrow.column("orig_dport").to_pylist() == [int(row["orig_dport"]) for row in table]
    packets = list(csv.DictReader((tmp_path / "p.csv").open()))
    assert [int(row["packet"]) for row in packets] == list(range(1, 63))
    assert not list(tmp_path.glob("*.part"))


def test_at_a_time():
    lines = run("track", HOST, "--at", "+0.01", "--quiet").stdout.splitlines()
    assert len(lines) < 5


def test_options_are_shared(tmp_path):
    done = run("events", HOST, "--packets", tmp_path / "p.csv", "--events", tmp_path / "e.csv", "--quiet")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert len((tmp_path / "p.csv").read_text().splitlines()) == 63
    assert len((tmp_path / "e.csv").read_text().splitlines()) == 27


def test_unknown_link_type_further_on(tmp_path):
    path = tmp_path / "mixed.pcapng"
    path.write_bytes(build.pcapng(build.packets(9)) + build.interface(105) + build.enhanced(0, b"wlan", number=1))
    done = run("track", path, "--packets", tmp_path / "p.csv", "--quiet")
    assert done.returncode == 1
    assert "link type 105 (IEEE802_11) is not supported (after packet 9, at byte " in done.stderr
    assert len((tmp_path / "p.csv").read_text().splitlines()) == 10


def test_events():
    lines = run("events", HOST, "--quiet").stdout.splitlines()
    assert lines[0].split("\t")[1].startswith("    [NEW] udp")
    assert lines == sorted(lines, key=lambda line: line.split("]")[0])


@pytest.mark.parametrize(("make", "message"), [
    (lambda path: None, "no such file"),
    (lambda path: path.mkdir(), "is a directory"),
    (lambda path: path.write_bytes(b""), "empty file"),
    (lambda path: path.write_bytes(b"hello, world" * 9), "not a capture file"),
])
def test_unreadable_input(tmp_path, make, message):
    path = tmp_path / "input"
    make(path)
    done = run("track", path)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr == f"fastct: error: {path}: {message}" + done.stderr.partition(message)[2]
    assert done.stderr.count("\n") == 1


def test_link_type_is_named(tmp_path):
    path = tmp_path / "wlan.pcap"
    path.write_bytes(bytes.fromhex("d4c3b2a1020004000000000000000000ffff000069000000") + bytes(16))
    done = run("track", path)
    assert done.returncode == 2
    assert "105" in done.stderr
    assert "IEEE802_11" in done.stderr


def test_truncated_input_is_reported(tmp_path):
    path = tmp_path / "cut.pcap"
    with open(HOST, "rb") as whole:
        path.write_bytes(whole.read()[:-10])
    done = run("track", path)
    assert done.returncode == 1
    assert len(done.stdout.splitlines()) == 5
    assert "warning" in done.stderr
    assert "after packet 61, at byte" in done.stderr


@pytest.mark.parametrize("name", ["missing/out.csv", "out.xyz", "."])
def test_unwritable_output(tmp_path, name):
    refused(run("track", HOST, "-o", tmp_path / name))


def refused(done):
    """Assert that a command failed, with one line to say why; returns that line."""
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("fastct: error: ")
    assert done.stderr.count("\n") == 1
    return done.stderr


@pytest.mark.parametrize("option", ["-o", "--packets", "--events"])
def test_full_device(tmp_path, option):
    others = [] if option == "-o" else ["-o", tmp_path / "out.csv"]
    assert "no space left on device" in refused(run("track", HOST, "--quiet", option, "/dev/full", *others))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_full_standard_output(unbuffered):
    command = f"PYTHONUNBUFFERED={unbuffered} {sys.executable} -m fastct track {HOST} > /dev/full"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, timeout=60)
    assert "standard output: no space left on device" in refused(done)


@pytest.mark.parametrize(("redirection", "status", "errors"), [
    ("<&-", 2, "fastct: error: standard input: closed\n"),
    ("</dev/null", 2, "fastct: error: standard input: empty file\n"),
    (f"<{HOST} >&-", 2, "fastct: error: cannot write standard output: closed\n"),
    (f"<{HOST} 2>&-", 0, ""),
])
def test_closed_streams(redirection, status, errors):
    done = subprocess.run(f"{sys.executable} -m fastct track - {redirection}", shell=True, capture_output=True,
                          text=True, timeout=60)
    assert (done.returncode, done.stderr) == (status, errors)


@pytest.mark.parametrize("args", [["-o", "a.csv", "--packets", "a.csv"], ["-o", "a.csv", "--events", "./a.csv"],
                                  ["-o", "a.csv", "--packets", "missing/b.csv"], ["-o", ""], ["--packets", ""],
                                  ["--packets", "a.txt"], ["-o", "a.csv", "--json"]])
def test_outputs_that_cannot_be(tmp_path, args):
    refused(run("track", os.path.abspath(HOST), *args, cwd=tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_two_outputs_to_a_device():
    assert run("track", HOST, "-o", "/dev/null", "--packets", "/dev/null", "--quiet").returncode == 0


@pytest.mark.parametrize("args", [["track"], ["track", HOST, "--checksum", "maybe"], ["track", HOST, "--at", "noon"],
                                  ["track", HOST, "--personality", "2.4"],
                                  ["nonsense"], ["track", HOST, "--sysctl", "nf_conntrack_nonsense=1"], [],
                                  ["track", HOST, "--sysctl", "nf_conntrack_udp_timeout=soon"],
                                  ["track", HOST, "--at", "9999-12-31"], ["track", HOST, "--at", "1969-12-31"],
                                  ["track", HOST, "--at", "+99999999999999999999"], ["track", HOST, "--at", "9" * 30],
                                  ["track", HOST, "--max", "99999999999"], ["track", HOST, "--rules", "fw.rules"],
                                  ["track", HOST, "--quie"], ["track", ""], ["bench", "--connections", "0"],
                                  ["bench", "--packets", "0"], ["bench", "--protocol", "tcp,ipx"]])
def test_wrong_usage(args):
    done = run(*args)
    assert done.returncode == 2
    assert done.stderr
    assert "Traceback" not in done.stderr


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    """A capture with more connections than a pipe holds."""
    path = tmp_path_factory.mktemp("many") / "many.pcap"
    with PcapWriter(path) as writer:
        for block in fastct.open(HOST):
            data = bytearray(block[0][2])
            for number in range(20_000):
                data[26:30] = (0x0A000000 + number).to_bytes(4, "big")
                writer.write(number, bytes(data))
            break
    return path


def test_closed_pipe(many):
    done = subprocess.run(f"{sys.executable} -m fastct track --checksum off {many} | head -1; echo ${{PIPESTATUS[0]}}",
                          shell=True, executable="/bin/bash", capture_output=True, text=True, timeout=60)
    assert done.stdout.splitlines()[1:] == ["0"]
    assert done.stderr == ""


def test_closed_pipe_leaves_other_outputs_whole(many, tmp_path):
    command = f"{sys.executable} -m fastct track --checksum off --quiet {many} --packets {tmp_path}/p.csv | head -1"
    subprocess.run(command, shell=True, executable="/bin/bash", capture_output=True, timeout=60, check=True)
    assert len((tmp_path / "p.csv").read_text().splitlines()) == 20_001


def test_interrupted(tmp_path):
    with open(HOST, "rb") as whole:
        data = whole.read()
    process = subprocess.Popen([sys.executable, "-m", "fastct", "track", "-", "-o", tmp_path / "out.csv"],
                               stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=False)
    process.stdin.write(data)
    process.stdin.flush()
    time.sleep(1.5)
    os.kill(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 130
    assert b"interrupted" in errors
    assert b"Traceback" not in errors


@pytest.mark.parametrize("rich", [True, False])
@pytest.mark.parametrize("quiet", [True, False])
def test_progress_on_a_terminal(rich, quiet):
    """A capture that comes slowly, on a terminal that shows listing, progress and summary."""
    ours, theirs = pty.openpty()
    without = "import sys; sys.modules['rich'] = None; " * (not rich)
    args = ["track", "-", *["--quiet"] * quiet]
    program = f"{without}from fastct.cli import main; main({args})"
    process = subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=theirs, stderr=theirs,
                               env=os.environ | {"TERM": "xterm"})
    os.close(theirs)
    with open(HOST, "rb") as whole:
        for size, pause_s in ((2000, 2.5), (2000, 0.5), (-1, 0)):
            process.stdin.write(whole.read(size))
            process.stdin.flush()
            time.sleep(pause_s)
    process.stdin.close()
    seen = b""
    with contextlib.suppress(OSError):      # a terminal that nobody writes to any more
        while part := os.read(ours, 4096):
            seen += part
    os.close(ours)
    assert process.wait(timeout=30) == 0
    assert (b"M packets" in seen) == (not quiet)
    assert (b"connections  5" in seen) == (not quiet)
    assert seen.count(b"src=10.1.1.2 dst=10.1.1.80") == 1


def test_help_and_version():
    assert "examples:" in run("track", "-h").stdout
    assert run("--version").stdout == f"fastct {fastct.__version__}\n"


def test_save(tmp_path):
    path = tmp_path / "state.fct"
    done = run("track", HOST, "--save", path, "--quiet")
    assert (done.returncode, done.stderr) == (0, "")
    assert len(fastct.Tracker.from_snapshot(path)) == len(done.stdout.splitlines()) == 5
    done = run("track", HOST, "--save", tmp_path / "none" / "state.fct", "--quiet")
    assert done.returncode == 2
    assert "state.fct: cannot be written: no such file or directory" in done.stderr
    assert run("track", HOST, "--save", path, "-o", path).returncode == 2
