"""``fastct diff``: connections with which new rules deal otherwise."""
import fcntl
import json
import signal
import struct
import subprocess
import sys
import termios
from pathlib import Path

import pytest

import fastct
from fastct.capture import PcapWriter
from fastct.capture.frames import frames_from_bytes
from fastct.differences import differences
from fastct.rules import Ruleset
from tests import packets as p
from tests.waiting import until

ROOT = Path(__file__).parents[2]
CAPTURE = ROOT / "pcaps" / "host_10.1.1.2.pcap"
OLD = """*filter
:INPUT DROP [0:0]
:FORWARD ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
-A INPUT -m state --state RELATED,ESTABLISHED -j ACCEPT
-A INPUT -p tcp -m tcp --dport 21 -j ACCEPT
COMMIT
"""
A, B, C = "10.0.0.1", "10.0.0.2", "10.0.0.3"
S = 10**9


def forward(*rules, nat=(), policy="ACCEPT"):
    """Rules in FORWARD, and in PREROUTING of nat."""
    table = "*nat\n" + "".join(f"-A {rule}\n" for rule in nat) + "COMMIT\n" if nat else ""
    text = "".join(f"-A FORWARD {rule}\n" for rule in rules)
    return Ruleset.parse(f"{table}*filter\n:FORWARD {policy} [0:0]\n{text}COMMIT\n")


@pytest.fixture
def compared(tmp_path):
    """The differences of two rulesets on packets, a second apart."""
    def compare(packets, old, new, **settings):
        with PcapWriter(tmp_path / "x.pcap", 101) as writer:
            writer.write_frames(frames_from_bytes(packets, [(1000 + i) * S for i in range(len(packets))], 101))
        with fastct.open(tmp_path / "x.pcap") as source:
            return differences(source, old, new, **settings)
    return compare


def told(found):
    """Of every change: both decisions, first packet, number of packets, and the connection's number."""
    return [(*map(str_of, (change.old, change.new)), change.first, change.packets,
             None if change.connection is None else int(change.connection["conn"])) for change in found.changes]


def str_of(decision):
    return " ".join((decision.verdict, decision.decided, *decision.nat))


WEB = (p.tcp(A, B, 1000, 80, 1, 0, p.SYN), p.tcp(B, A, 80, 1000, 1, 2, p.SYN | p.ACK),
       p.tcp(A, B, 1000, 80, 2, 2, p.ACK))
DNS = (p.udp(A, C, 5000, 53), p.udp(C, A, 53, 5000))


def test_a_rule_is_itself_wherever_it_stands(compared):
    rules = ["-p tcp --dport 80 -j ACCEPT", "-p udp -j ACCEPT"]
    assert told(compared([*WEB, *DNS], forward(*rules), forward("-s 1.1.1.1 -j DROP", *rules))) == []
    assert told(compared([*WEB, *DNS], forward(*rules), forward("-j DROP", *rules)))[0][2:] == (1, 3, 1)
    # The same verdict by another rule.
    found = compared([*WEB, *DNS], forward(*rules), forward("-p udp --dport 53 -j ACCEPT", *rules))
    assert told(found) == [("ACCEPT filter/FORWARD/2", "ACCEPT filter/FORWARD/1", 4, 1, 2)]
    assert (found.connections, found.packets) == (2, 5)
    assert found.rules[1]["filter/FORWARD/1"] == "-A FORWARD -p udp -m udp --dport 53 -j ACCEPT"


def test_policies_and_packets_of_no_connection(compared):
    odd = p.tcp(A, B, 1, 2, 1, 1, p.SYN | p.FIN)
    found = compared([odd, *DNS, odd], forward(), forward(policy="DROP"))
    assert told(found) == [("ACCEPT filter/FORWARD/policy", "DROP filter/FORWARD/policy", 1, 2, None),
                           ("ACCEPT filter/FORWARD/policy", "DROP filter/FORWARD/policy", 2, 2, 1)]


def test_translations(compared):
    nat = ["PREROUTING -p udp -j DNAT --to-destination 10.0.0.9", "POSTROUTING -p tcp -j ACCEPT"]
    assert told(compared([*WEB, *DNS], forward(), forward(nat=nat))) == [
        ("ACCEPT filter/FORWARD/policy", "ACCEPT filter/FORWARD/policy nat/PREROUTING/1", 4, 1, 2)]
    below = ["PREROUTING -p udp -s 1.1.1.1 -j DNAT --to-destination 10.0.0.8", *nat]
    assert told(compared([*WEB, *DNS], forward(nat=nat), forward(nat=below))) == []
    other = ["PREROUTING -p udp -j DNAT --to-destination 10.0.0.7"]
    assert told(compared([*WEB, *DNS], forward(nat=nat), forward(nat=other)))[0][1].endswith("nat/PREROUTING/1")


def test_chance_is_no_difference(compared):
    rules = forward("-m statistic --mode random --probability 0.5 -j DROP")
    packets = [p.udp(A, B, port, 53) for port in range(1000, 1100)]
    assert told(compared(packets, rules, rules)) == []
    assert len(told(compared(packets, rules, forward("-j ACCEPT")))) == 100


def test_connections_that_end_are_known(compared):
    packets = [p.udp(A, B, 1000 + i % 50, 53) for i in range(200)]      # each runs out before it is spoken to again
    found = compared(packets, forward(), forward("-p udp -j DROP"))
    assert [change[4] for change in told(found)] == list(range(1, 201))
    assert all(change.connection["orig_dport"] == 53 for change in found.changes)


def test_families_do_not_mix(compared):
    with pytest.raises(fastct.ConfigError):
        compared(WEB, forward(), Ruleset(6))


def run(*args):
    return subprocess.run([sys.executable, "-m", "fastct", "diff", *map(str, args)], capture_output=True, text=True,
                          timeout=60)


@pytest.fixture
def files(tmp_path):
    (tmp_path / "old").write_text(OLD)
    (tmp_path / "new").write_text(OLD.replace("dport 21 -j ACCEPT", "dport 21 -j DROP"))
    return tmp_path


def test_command_line(files):
    done = run(files / "old", files / "new", CAPTURE, "--local", "10.1.1.2")
    assert done.returncode == 1
    assert done.stdout.splitlines() == [
        "- ACCEPT filter/INPUT/2: -A INPUT -p tcp -m tcp --dport 21 -j ACCEPT",
        "+ DROP filter/INPUT/2: -A INPUT -p tcp -m tcp --dport 21 -j DROP", "  1 connection, 2 packets",
        "    tcp 10.1.1.9:36190 > 10.1.1.2:21: 2 packets from packet 16 on", ""]
    assert done.stderr.splitlines() == ["connections  5, 1 of them changes", "packets      62, 2 of them change"]
    same = run(files / "old", files / "old", CAPTURE, "--local", "10.1.1.2", "--quiet")
    assert (same.returncode, same.stdout, same.stderr) == (0, "", "")


def test_json(files):
    done = run(files / "old", files / "new", CAPTURE, "--local", "10.1.1.2", "--quiet", "--json")
    found, = map(json.loads, done.stdout.splitlines())
    assert (found["connection"], found["first"], found["packets"]) == ("tcp 10.1.1.9:36190 > 10.1.1.2:21", 16, 2)
    assert (found["old"]["verdict"], found["new"]["verdict"], found["new"]["decided"]) == (
        "ACCEPT", "DROP", "filter/INPUT/2")
    assert found["new"]["rule"].endswith("-j DROP")


def test_unusable_input(files):
    (files / "bad").write_text(OLD.replace("dport 21", "dport x"))
    (files / "empty").write_bytes(b"")
    for args, message in (((files / "none", files / "new", CAPTURE), "no such file"),
                          ((files / "old", files / "bad", CAPTURE), f"{files / 'bad'}:6:"),
                          ((files / "old", files / "new", files / "empty"), "empty file"),
                          ((files / "old", files / "new", files / "old"), "not a capture file"),
                          ((files / "old", files / "new", CAPTURE, "--local", "x"), "expected ADDRESS")):
        done = run(*args)
        assert (done.returncode, done.stdout) == (2, "") and message in done.stderr


def test_a_damaged_capture(files):
    (files / "cut.pcap").write_bytes(CAPTURE.read_bytes()[:-10])
    done = run(files / "old", files / "old", files / "cut.pcap", "--quiet")
    assert done.returncode == 1 and "after packet 61" in done.stderr


def waiting_in(pipe):
    """Bytes that nobody has read yet."""
    return struct.unpack("i", fcntl.ioctl(pipe, termios.FIONREAD, bytes(4)))[0]


def test_interrupt_and_closed_pipe(files):
    command = [sys.executable, "-m", "fastct", "diff", str(files / "old"), str(files / "new"), "-"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdin.write(CAPTURE.read_bytes()[:200])
        process.stdin.flush()
        assert until(lambda: waiting_in(process.stdin) == 0)        # it reads
        process.send_signal(signal.SIGINT)
        assert process.stderr.read() == b"fastct: interrupted\n"
    assert process.returncode == 130
    packets = [p.udp("10.1.1.9", "10.1.1.2", port, 21) for port in range(1, 5001)]
    with PcapWriter(files / "many.pcap", 101) as writer:
        writer.write_frames(frames_from_bytes(packets, [S] * len(packets), 101))
    (files / "all").write_text(OLD.replace("-p tcp -m tcp --dport 21 -j ACCEPT", "-j ACCEPT"))
    command = [sys.executable, "-m", "fastct", "diff", str(files / "old"), str(files / "all"),
               str(files / "many.pcap"), "--local", "10.1.1.2"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.readline()
        process.stdout.close()
        error = process.stderr.read()
    assert (process.returncode, error) == (0, b"")
