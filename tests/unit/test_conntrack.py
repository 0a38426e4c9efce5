"""``fastct conntrack`` on a snapshot, as far as it needs no kernel to compare with."""
import pytest

import fastct
from fastct.cli import main
from tests.unit.test_snapshot import RAW, dialogue

TUPLE = ("-p", "tcp", "-s", "10.0.0.1", "-d", "10.0.0.2", "--sport", "1000", "--dport", "80")
CREATE = ("-I", *TUPLE, "--state", "ESTABLISHED", "-t", "100")


@pytest.fixture
def conntrack(tmp_path, capsys):
    """What runs a command line on a snapshot: exit status, output, messages."""
    path = tmp_path / "state.fct"
    fastct.Tracker(seed=1).save(path)

    def run(*words):
        status = main(["conntrack", *words, "--snapshot", str(path)])
        out, err = capsys.readouterr()
        return status, out, err.replace("conntrack v1.4.7 (conntrack-tools): ", "")
    run.path = path
    return run


def test_life_of_an_entry(conntrack):
    assert conntrack(*CREATE) == (0, "", "1 flow entries have been created.\n")
    line = ("tcp      6 100 ESTABLISHED src=10.0.0.1 dst=10.0.0.2 sport=1000 dport=80 packets=0 bytes=0 [UNREPLIED] "
            "src=10.0.0.2 dst=10.0.0.1 sport=80 dport=1000 packets=0 bytes=0 mark=0 use=1\n")
    assert conntrack("-L", "-p", "tcp", "--state", "ESTABLISHED") == (0, line, "1 flow entries have been shown.\n")
    assert conntrack("-U", *TUPLE, "-t", "50", "-m", "7")[1].endswith(" mark=7 use=2\n")
    assert conntrack("-G", *TUPLE)[1].startswith("tcp      6 50 ESTABLISHED ")
    assert conntrack("-C") == (0, "1\n", "")
    assert conntrack("-D", "-m", "7")[2] == "1 flow entries have been deleted.\n"
    assert conntrack("-D", "-m", "7") == (1, "", "0 flow entries have been deleted.\n")


def test_what_fails_changes_nothing(conntrack):
    conntrack(*CREATE)
    before = conntrack.path.read_bytes()
    assert conntrack(*CREATE) == (1, "", "Operation failed: Such conntrack exists, try -U to update\n")
    assert conntrack("-D", "-p", "foo")[0] == 2
    assert conntrack.path.read_bytes() == before


def test_expectations(conntrack):
    tracker = fastct.Tracker(auto_helpers=True)
    for packet in dialogue(2000)[:6]:
        tracker.process_bytes([packet], [tracker.now], RAW)
    tracker.save(conntrack.path)
    status, out, err = conntrack("-L", "expect")
    assert (status, err) == (0, "1 expectations have been shown.\n")
    assert out.startswith("300 proto=6 src=10.9.0.2 dst=10.9.0.1 sport=0 dport=2000 ")
    assert out.endswith(" class=0 helper=ftp\n")
    assert conntrack("-C", "expect") == (0, "1\n", "")


def test_flush(conntrack):
    conntrack(*CREATE)
    assert conntrack("-F") == (0, "", "connection tracking table has been emptied.\n")
    assert conntrack("-L") == (0, "", "0 flow entries have been shown.\n")


def test_a_fixed_timeout_stays(conntrack):
    conntrack(*CREATE, "-u", "FIXED_TIMEOUT")
    assert conntrack("-U", *TUPLE, "-t", "5")[0] == 1
    assert conntrack("-G", *TUPLE)[1].startswith("tcp      6 100 ")


def test_translations_are_not_there_yet(conntrack):
    assert conntrack(*CREATE, "-n", "1.2.3.4")[2] == "Operation failed: Operation not supported\n"


@pytest.mark.parametrize("words", [("-E",), ("-L",)])
def test_what_needs_something_else(words, capsys):
    assert main(["conntrack", *words]) == 2
    assert capsys.readouterr().err.startswith("fastct: error: ")


def test_a_snapshot_that_is_none(conntrack):
    conntrack.path.write_text("nothing of the kind")
    status, out, err = conntrack("-L")
    assert (status, out) == (2, "")
    assert err == f"fastct: error: {conntrack.path}: not a snapshot\n"


def test_usage(capsys):
    assert main(["conntrack", "-h"]) == 0
    assert "--snapshot FILE" in capsys.readouterr().out


@pytest.mark.parametrize("command", ["ct", "nat"])
def test_in_cilium_columns(conntrack, command, capsys):
    conntrack(*CREATE)
    assert main([command, "list", "--snapshot", str(conntrack.path)]) == 0
    assert capsys.readouterr().out.startswith("TCP OUT 10.0.0.1:1000 -> 10.0.0.2:80 " if command == "ct" else "")


def test_counters_from_zero_and_nothing_expected(conntrack):
    tracker = fastct.Tracker(auto_helpers=True)
    for packet in dialogue(2000)[:6]:
        tracker.process_bytes([packet], [tracker.now], RAW)
    tracker.save(conntrack.path)
    assert " packets=0 " not in conntrack("-L", "-z")[1]
    assert conntrack("-L")[1].count(" packets=0 bytes=0 ") == 2
    assert conntrack("-L", "expect", "-f", "ipv6")[2] == "0 expectations have been shown.\n"
    assert conntrack("-C", "expect")[1] == "1\n"
    assert conntrack("-F", "expect") == (0, "", "expectation table has been emptied.\n")
    assert conntrack("-L", "expect") == (0, "", "0 expectations have been shown.\n")
    assert conntrack("-C")[1] == "1\n"
