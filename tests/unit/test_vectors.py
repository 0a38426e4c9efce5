"""Replay of recorded kernel answers: class, state, ASSURED, UNREPLIED and timeout of every packet, and expectations."""
import json
import re

import pytest

import fastct
from fastct.export.expectations import format_expectations_proc
from fastct.records import CTSTATES, STATES
from tests.shared_data import SHARED, shared

SKIPPED = {"nat": "needs NAT", "trav": "needs rules", "iptables_rules": "command lines of iptables, no packets"}
FILES = ("tcp_table", "tcp2", "misc", "fuzz_tcp_1", "fuzz_tcp_2", "fuzz_tcp_3")
SYSCTL = re.compile(r"sysctl -qw net\.netfilter\.(\w+)=(\d+)")
HELPER = re.compile(r"-p (\w+) --dport (\d+) -j CT --helper (\w+)")
START_NS = 1_700_000_000 * 10**9


def entry_of(line):
    """What a /proc/net/nf_conntrack line says: timeout, state, UNREPLIED, ASSURED, and its original tuple."""
    words = line.split()
    state = words[5] if words[2] in ("tcp", "sctp") else ""
    pairs = dict(word.split("=", 1) for word in reversed(words) if "=" in word)
    return int(words[4]), state, "[UNREPLIED]" in words, "[ASSURED]" in words, pairs


def scenarios(path):
    """Lists of packets between flushes, with the settings in force."""
    current, sysctls = [], {}
    for line in path.read_text().splitlines():
        record = json.loads(line)
        if record["op"] == "flush":
            yield current
            current = []
        elif record["op"] == "pkt":
            current.append((record, dict(sysctls)))
        elif match := SYSCTL.search(record.get("cmd", "")):
            sysctls[match[1]] = int(match[2])
    yield current


def differences(packets, helpers=None):
    tracker = fastct.Tracker(checksum="on", seed=1, helpers=helpers)
    for number, (record, sysctls) in enumerate(packets, 1):
        tracker.sysctls = sysctls
        packet = bytes.fromhex(record["hex"])
        row = tracker.process_bytes([packet], [START_NS + int(record["t"] * 1e9)], linktype=101)[0]
        expected = "" if record["state"] == "NOT-FORWARDED" else record["state"]
        if CTSTATES[row["ctstate"]] != expected:
            yield number, record, f"class {CTSTATES[row['ctstate']]!r}, reason {row['reason']}"
            continue
        entries = tracker.connections()
        if len(entries) != len(record["ct"]):
            yield number, record, f"{len(entries)} entries"
            continue
        mine = sorted((int(e["timeout"]), STATES[e["state"]], not e["status"] & 2, bool(e["status"] & 4))
                      for e in entries)
        theirs = sorted(entry_of(line)[:4] for line in record["ct"])
        for ours, kernels in zip(mine, theirs, strict=True):
            if ours[1:] != kernels[1:] or abs(ours[0] - kernels[0]) > 1:
                yield number, record, f"entry {ours}, kernel {kernels}"
        expected, theirs = expectations(tracker), dict(map(parted, record.get("expect", ())))
        if expected.keys() != theirs.keys() or any(abs(expected[line] - theirs[line]) > 1 for line in theirs):
            yield number, record, f"expected {expected}"


def parted(line):
    """A line of nf_conntrack_expect without its seconds, and the seconds."""
    seconds, _, rest = line.partition(" ")
    return rest, int(seconds)


def expectations(tracker):
    return dict(map(parted, format_expectations_proc(tracker.expectations()).decode().splitlines()))


@pytest.mark.parametrize("name", FILES)
def test_replay(name):
    path = shared("vectors", f"{name}.jsonl")
    packets = 0
    found = []
    for scenario in scenarios(path):
        packets += len(scenario)
        found += differences(scenario)
    assert packets > 50
    assert not found, f"{len(found)} differences, first: {found[0]}"


@pytest.mark.parametrize("path", sorted((SHARED / "vectors").glob("*.json*")),
                         ids=lambda path: path.stem)
def test_every_file_is_replayed_or_there_is_a_reason(path):
    if path.stem in SKIPPED:
        pytest.skip(SKIPPED[path.stem])
    assert path.stem in (*FILES, "help")


def helped_scenarios():
    """Scenarios of help.jsonl: lists of packets, settings and helpers in force, and whether there is NAT."""
    helpers, sysctls, current, nat = {}, {}, [], False
    for line in shared("vectors", "help.jsonl").read_text().splitlines():
        record = json.loads(line)
        command = record.get("cmd", "")
        if record["op"] == "flush":
            if current:
                yield current
            current = []
        elif record["op"] == "pkt":
            current.append((record, dict(sysctls), dict(helpers), nat))
        elif match := HELPER.search(command):
            helpers[f"{match[1]}/{match[2]}"] = match[3]
        elif "sysctl" in command:
            sysctls |= {name: int(value) for name, value in re.findall(r"net\.netfilter\.(\w+)=(\d+)", command)}
        elif "raw -F" in command:
            helpers, nat = {}, False
        elif "SNAT" in command:
            nat = True
    yield current


@pytest.mark.parametrize("number", range(17))
def test_replay_helpers(number):
    scenario = list(helped_scenarios())[number]
    if any(nat for *_, nat in scenario):
        pytest.skip("needs NAT")
    found = list(differences([(record, sysctls) for record, sysctls, *_ in scenario], scenario[0][2]))
    assert not found, f"{len(found)} differences, first: {found[0]}"


def test_timeouts_are_compared():
    """The comparison itself must be able to fail."""
    packets = next(s for s in scenarios(shared("vectors", "tcp2.jsonl")) if s)
    wrong = [(record | {"state": "UNTRACKED"}, sysctls) for record, sysctls in packets]
    assert list(differences(wrong))
