"""Explanations: what is explained is what is done, rule by rule, and the words say what is so."""
import json
import random
import re
import subprocess
import sys
from pathlib import Path

import pytest

import fastct
from fastct.capture.frames import frames_from_bytes
from fastct.cli import main
from fastct.explaining import explain, explain_described
from fastct.export.explained import dot_lines, text_lines
from fastct.records import CTDIRS, CTSTATES, STATES, VERDICTS
from fastct.rules import Ruleset
from fastct.rules.compile import CONDITIONS
from fastct.rules.met import PORT_FIELDS, TESTS
from fastct.wire.reason import REASONS
from tests.kernel.gateway import OWN, Gateway
from tests.kernel.generator import KINDS, conversation, interleaved
from tests.kernel.rulesets_random import RandomRulesets

ROOT = Path(__file__).parents[2]
HOST = ROOT / "pcaps" / "host_10.1.1.2.pcap"
STEP_NS = 3_000_000
PLACES = {"interfaces": [(name, own) for name, owns in OWN.items() for own in list(owns)[:30]]}
OWN_WAY = ("OUTPUT", "POSTROUTING")
RULESETS = {
    "host": """*filter
:INPUT DROP [0:0]
:IN_WEB - [0:0]
-A INPUT -m state --state ESTABLISHED,RELATED -j ACCEPT
-A INPUT -p tcp -m tcp --dport 80 -j IN_WEB
-A INPUT -p tcp -m tcp --dport 21 -m limit --limit 1/hour -j ACCEPT
-A INPUT -p tcp -j REJECT --reject-with tcp-reset
-A IN_WEB -s 10.0.0.0/8 -j ACCEPT
COMMIT
""",
    "marks": """*raw
-A PREROUTING -p icmp -j NOTRACK
-A PREROUTING -j CT --helper ftp -p tcp --dport 21
COMMIT
*mangle
-A PREROUTING -p tcp -j MARK --set-mark 1
-A PREROUTING -m mark --mark 1 -j CONNMARK --save-mark
-A PREROUTING -m connmark --mark 1 -j TTL --ttl-dec 1
-A POSTROUTING -p tcp -m tcp --tcp-flags SYN SYN -j TCPMSS --set-mss 500
COMMIT
*nat
-A PREROUTING -p tcp -m tcp --dport 80 -j DNAT --to-destination 10.9.9.9
-A POSTROUTING -j MASQUERADE
COMMIT
*filter
:FORWARD DROP [0:0]
:a - [0:0]
:b - [0:0]
-A FORWARD -m conntrack --ctstate INVALID -j DROP
-A FORWARD -m statistic --mode nth --every 3 --packet 0 -j a
-A FORWARD -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT
-A FORWARD -g b
-A a -p udp -j RETURN
-A a -m length --length 60
-A b -m quota --quota 900 -j ACCEPT
COMMIT
""",
    "long": "*filter\n" + "".join(f"-A FORWARD -p tcp -m tcp --dport {port} -j DROP\n" for port in range(22, 200, 2))
            + "COMMIT\n",
}


def columns(row, tracker):
    """A packet's row in the words of an Explanation."""
    return {"packet": int(row["packet"]), "ts": int(row["ts"]), "verdict": VERDICTS[row["verdict"]],
            "decided": tracker.deciders[row["decided"]], "reason": REASONS[row["reason"]],
            "row": {"ctstate": CTSTATES[row["ctstate"]], "ctdir": CTDIRS[row["ctdir"]], "state": STATES[row["state"]],
                    **{name: int(row[name]) for name in ("conn", "status", "timeout", "mark")}}}


def tried_in(explanation):
    """The rules and policies that a packet met, with their tables."""
    return [(step.what, tried) for step in explanation.steps for tried in step.rules if tried.kind != "end"]


def counters(ruleset):
    """Packets of each rule and policy that has counted some, by table, chain and number."""
    found = {}
    for name in ruleset.tables:
        for chain in map(ruleset.table(name).chain, ruleset.table(name).chains):
            found[name, chain.name, None] = chain.counters.packets
            found |= {(name, chain.name, number): rule.counters.packets for number, rule in enumerate(chain.rules, 1)}
    return {place: count for place, count in found.items() if count}


def assert_agrees(explanation):
    """Assert that the rules of an explanation lead to its verdict, and that its words are those of its rules."""
    tried = tried_in(explanation)
    for table, each in tried:
        assert each.did if each.held else each.test in each.text and each.packet, each
        assert table in {"raw", "mangle", "nat", "filter", "security"}
    stopped = [(table, each) for table, each in tried if each.verdict in {"DROP", "REJECT", "QUEUE"}]
    assert len(stopped) <= 1
    for table, each in stopped:
        assert (table, each) == tried[-1]
        assert explanation.decided == f"{table}/{each.chain}/{each.number or 'policy'}"
        assert explanation.verdict == each.verdict
    assert all("\n" not in line for line in text_lines(explanation))
    json.dumps(explanation.to_dict())


def compared(sources, rules, **settings):
    """Run blocks of frames through a tracker, and through one that explains each packet; assert that they agree.

    ``rules``: makes the rulesets of a tracker. Returns the explanations, and who gave them.
    """
    plain, telling = (fastct.Tracker(seed=1, keep_ended=True, keep_events=True, **rules(), **settings)
                      for _ in range(2))
    found = []
    for one, other in sources:
        rows, told = plain.process(one), telling.explain(other)
        for row, explanation in zip(rows, told, strict=True):
            expected = columns(row, plain)
            assert {name: getattr(explanation, name) for name in expected} == expected
            assert_agrees(explanation)
        found += told
    for before, after in zip((plain.rules, plain.rules6), (telling.rules, telling.rules6), strict=True):
        assert before.text(counters=True) == after.text(counters=True)
    for left in ("connections", "drain_ended", "drain_events"):
        assert getattr(plain, left)().tobytes() == getattr(telling, left)().tobytes()
    return found, telling


@pytest.mark.parametrize("rules", RULESETS)
@pytest.mark.parametrize("capture", sorted((ROOT / "pcaps").glob("*.pcap")), ids=lambda path: path.stem)
def test_what_is_explained_is_what_is_done(capture, rules):
    with fastct.open(capture) as one, fastct.open(capture) as other:
        found, tracker = compared(zip(one, other, strict=True), lambda: {"rules": Ruleset.parse(RULESETS[rules])},
                                  local=["10.1.1.2/24"], auto_helpers=True)
    assert found
    met = [(table, tried.chain, tried.number) for each in found for table, tried in tried_in(each) if tried.held]
    # What the host itself sends passes these, too.
    assert {place: met.count(place) for place in set(met) if place[1] not in OWN_WAY} == {
        place: count for place, count in counters(tracker.rules).items() if place[1] not in OWN_WAY}


def frames_of(rng, count):
    """Frames of random conversations, in memory, as blocks of one for each of two trackers."""
    packets = interleaved(rng.getrandbits(32), count, 8,
                          lambda draw, number: conversation(draw, number, tuple(KINDS), True))
    frames = [Gateway.frame(packet) for packet in packets]
    times = [number * STEP_NS for number in range(1, len(frames) + 1)]
    return [tuple(frames_from_bytes(frames, times) for _ in range(2))]


@pytest.mark.parametrize("seed", range(12))
def test_random_rules(seed):
    def rules():
        rng = random.Random(seed)
        return {name: Ruleset.parse(RandomRulesets(rng, family).text(40), family)
                for name, family in (("rules", 4), ("rules6", 6))}

    found, _ = compared(frames_of(random.Random(seed), 60), rules, **PLACES)
    assert sum(len(tried_in(each)) for each in found) > 100


def test_remembered_paths_are_explained_in_full():
    """A packet whose connection has taken its path before meets the rules again."""
    settings = {"rules": Ruleset.parse(RULESETS["marks"] + RULESETS["host"].replace("FORWARD", "INPUT")),
                "local": ["10.1.1.2"]}
    every = explain([HOST], range(1, 63), **settings)
    for number in range(5, 63, 6):
        alone, = explain([HOST], number, **settings)
        assert alone == every[number - 1]
        assert alone.decided in {f"{table}/{each.chain}/{each.number or 'policy'}" for table, each in tried_in(alone)}


# ---- words

def test_every_condition_has_words():
    assert set(TESTS) == set(CONDITIONS) - {"ctport"} | set(PORT_FIELDS) | {"dscp", "ect"}


TCP = "tcp 10.0.0.1:1234 > 1.2.3.4:443"
UDP6 = "udp [fd00::1]:53 > [fd00::2]:1024"


@pytest.mark.parametrize(("rule", "packet", "test", "has"), [
    ("-p tcp --dport 80", TCP, "--dport 80", "packet has 443"),
    ("-p tcp ! --dport 443", TCP, "! --dport 443", "packet has 443"),
    ("-p tcp --sport 5:9", TCP, "--sport 5:9", "packet has 1234"),
    ("-p tcp -m multiport --ports 80,90:95", TCP, "--ports 80,90:95", "packet has 1234 and 443"),
    ("-p udp", TCP, "-p udp", "packet is tcp"),
    ("! -s 10.0.0.0/8", TCP, "! -s 10.0.0.0/8", "packet has 10.0.0.1"),
    ("-d 1.2.3.0/30", TCP, "-d 1.2.3.0/30", "packet has 1.2.3.4"),
    ("-s fd00::/128", UDP6, "-s fd00::/128", "packet has fd00::1"),
    ("-i eth1", f"in=eth0 out=eth1 {TCP}", "-i eth1", "packet has eth0"),
    ("-o eth+", TCP, "-o eth+", "packet has none"),
    ("-p tcp -m tcp --tcp-flags SYN,ACK ACK", f"{TCP} syn", "--tcp-flags SYN,ACK ACK", "packet has SYN"),
    ("-p tcp -m tcp --tcp-option 3", f"{TCP} syn mss=1400", "--tcp-option 3", "packet has 2"),
    ("-p tcp -m tcpmss --mss 500", f"{TCP} syn mss=1400", "--mss 500", "packet has 1400"),
    ("-m ttl --ttl-gt 63", TCP, "-m ttl --ttl-gt 63", "packet has 63"),
    ("-m hl --hl-lt 5", UDP6, "-m hl --hl-lt 5", "packet has 63"),
    ("-m length --length 41:", TCP, "--length 41:65535", "packet has 40"),
    ("-m dscp --dscp 3", f"{TCP} tos=0x10", "--dscp 0x03", "packet has 0x04"),
    ("-m tos --tos 0x08", f"{TCP} tos=0x10", "--tos 0x08/0xff", "packet has 0x10"),
    ("-m mark ! --mark 7", f"{TCP} mark=7", "! --mark 0x7", "packet has 0x7"),
    ("-m connmark --mark 1", TCP, "--mark 0x1", "its connection has 0x0"),
    ("-m state --state ESTABLISHED", TCP, "--state ESTABLISHED", "packet is NEW"),
    ("-m conntrack --ctstate INVALID", TCP, "--ctstate INVALID", "packet is NEW"),
    ("-m conntrack --ctorigdstport 80", TCP, "--ctorigdstport 80", "its connection has 443"),
    ("-m conntrack --ctreplsrc 10.0.0.1", TCP, "--ctreplsrc 10.0.0.1", "its connection has 1.2.3.4"),
    ("-m conntrack --ctstatus ASSURED", TCP, "--ctstatus ASSURED", "its connection has NONE"),
    ("-m conntrack --ctdir REPLY", TCP, "--ctdir REPLY", "packet is ORIGINAL"),
    ("-m conntrack --ctexpire 5", TCP, "--ctexpire 5", "its connection has 0"),
    ("-m conntrack --ctdir REPLY", "icmp 10.0.0.1 > 10.0.0.2 echo-reply", "-m conntrack --ctdir REPLY",
     "packet has no connection"),
    ("-p icmp --icmp-type echo-reply", "icmp 10.0.0.1 > 10.0.0.2 echo-request", "--icmp-type 0", "packet has 8/0"),
    ("-p sctp -m sctp --chunk-types any DATA", "sctp 10.0.0.1:5 > 10.0.0.2:6 init", "--chunk-types any DATA",
     "packet has INIT"),
    ("-m addrtype --dst-type LOCAL", TCP, "--dst-type LOCAL", "1.2.3.4 is UNICAST"),
    ("-m iprange --src-range 1.1.1.1-1.1.1.2", TCP, "--src-range 1.1.1.1-1.1.1.2", "packet has 10.0.0.1"),
    ("-m connbytes --connbytes 2: --connbytes-dir both --connbytes-mode packets", TCP, "--connbytes 2",
     "its connection has 1 and 0 packets, 40 and 0 bytes"),
])
def test_what_was_asked_and_what_there_was(rule, packet, test, has):
    family = 6 if "[" in packet else 4
    text = f"*filter\n-A FORWARD {rule} -j DROP\nCOMMIT\n"
    explanation, = explain_described([packet], **{"rules6" if family == 6 else "rules": Ruleset.parse(text, family)})
    (_, tried), (_, policy) = tried_in(explanation)
    assert (tried.held, tried.test, tried.packet, policy.did) == (False, test, has, "ACCEPT")


@pytest.mark.parametrize(("table", "rule", "packet", "did", "changes"), [
    ("mangle", "-j MARK --set-mark 1", TCP, "MARK 0x0 -> 0x1", {"MARK": ("0x0", "0x1")}),
    ("mangle", "-j MARK --set-mark 1", f"{TCP} mark=1", "MARK: nothing changes", {}),
    ("mangle", "-j CONNMARK --set-mark 6", TCP, "CONNMARK 0x0 -> 0x6", {"CONNMARK": ("0x0", "0x6")}),
    ("mangle", "-j TTL --ttl-set 9", TCP, "TTL 63 -> 9", {"TTL": ("63", "9")}),
    ("mangle", "-j HL --hl-inc 1", UDP6, "HL 63 -> 64", {"HL": ("63", "64")}),
    ("mangle", "-j TOS --set-tos 0x10", TCP, "TOS 0x0 -> 0x10", {"TOS": ("0x0", "0x10")}),
    ("filter", "-p tcp -j REJECT --reject-with tcp-reset", TCP, "REJECT, an answer is sent", {}),
    ("filter", "-p tcp -j REJECT --reject-with tcp-reset", f"{TCP} rst", "REJECT", {}),
    ("filter", "-p tcp -j LOG --log-prefix x", TCP, "a line for the log", {}),
    ("filter", "-p tcp", TCP, "counted", {}),
    ("filter", "-j RETURN", TCP, "RETURN to the policy of FORWARD", {}),
])
def test_what_a_rule_did(table, rule, packet, did, changes):
    family = 6 if "[" in packet else 4
    text = f"*{table}\n-A FORWARD {rule}\nCOMMIT\n"
    explanation, = explain_described([packet], **{"rules6" if family == 6 else "rules": Ruleset.parse(text, family)})
    tried = next(each for _, each in tried_in(explanation) if each.chain == "FORWARD")
    assert (tried.held, tried.did, tried.changes) == (True, did, changes)


@pytest.mark.parametrize("words", [
    "in=eth0 out=eth1 tcp 10.0.0.1:1 > 10.0.0.2:2 syn ack", "udp [fd00::1]:53 > [fd00::2]:1024",
    "icmp 10.0.0.1 > 10.0.0.2 port-unreachable", "icmp 10.0.0.1 > 10.0.0.2 fragmentation-needed",
    "ipv6-icmp fd00::1 > fd00::2 echo-request", "sctp 10.0.0.1:1 > 10.0.0.2:2", "gre 10.0.0.1 > 10.0.0.2"])
def test_packets_in_words(words):
    rules = {"rules": Ruleset.parse("*filter\nCOMMIT\n"), "rules6": Ruleset.parse("*filter\nCOMMIT\n", 6)}
    explanation, = explain_described([words], **rules)
    assert explanation.text.startswith(f"{words} ttl=64 length=")


def said(explanation, what):
    """What is said of a step."""
    return next(step.said for step in explanation.steps if step.what == what)


def test_what_conntrack_says():
    found = explain([HOST], range(1, 63), helpers={"tcp/21": "ftp"}, rules=Ruleset.parse(RULESETS["host"]))
    words = [said(each, "conntrack") for each in found]
    assert words[0].startswith("NEW ORIGINAL: first packet of this tuple; connection 1: ")
    assert words[1].startswith("ESTABLISHED REPLY: first reply of connection 1; SEEN_REPLY CONFIRMED, ")
    assert "SYN_SENT -> SYN_RECV" in words[3] and "timeout 60 s" in words[3]
    assert words[29].startswith("RELATED ORIGINAL: expected by connection 3; connection 4: SYN_SENT, EXPECTED ")
    errors = explain([ROOT / "pcaps" / "icmp_errors.pcap"], range(1, 7))
    assert "RELATED REPLY: ICMP error about connection 1" in " ".join(said(each, "conntrack") for each in errors)
    late, = explain_described([f"{TCP} ack"])
    assert "first packet of this tuple, taken up in mid-stream" in said(late, "conntrack")
    assert said(late, "confirm") == "connection 1 is kept from here on"
    dropped, = explain_described([TCP], rules=Ruleset.parse("*filter\n:FORWARD DROP [0:0]\nCOMMIT\n"))
    assert said(dropped, "conntrack") == "NEW ORIGINAL: first packet of this tuple"
    assert said(dropped, "confirm") == "not reached: its connection is not kept"
    invalid, = explain_described([f"{TCP} syn fin"])
    assert said(invalid, "conntrack") == "INVALID: TCP flags that no stack sends together"


def test_route():
    rules = {"rules": Ruleset.parse("*nat\nCOMMIT\n*mangle\nCOMMIT\n"), "interfaces": [("eth0", "10.0.0.1/24")]}
    route = {packet: [step.said for step in explain_described([packet], **rules)[0].steps if step.what == "route"]
             for packet in ("tcp 10.0.0.7:5 > 10.0.0.1:80", "tcp 10.0.0.7:5 > 9.9.9.9:80", "udp 10.0.0.1:5 > 9.9.9.9:8",
                            "tcp 10.0.0.7:5 > 9.9.9.9:80 ttl=1", "udp 10.0.0.7:5 > 10.0.0.255:80")}
    assert list(route.values()) == [
        ["10.0.0.1 is the host's own address: INPUT"], ["9.9.9.9 is another host: FORWARD to eth0, TTL 64 -> 63"], [],
        ["9.9.9.9 is another host: TTL or hop limit is used up"], ["10.0.0.255 is broadcast: INPUT"]]
    late, = explain_described(["tcp 10.0.0.7:5 > 9.9.9.9:80 ttl=1"], **rules)
    assert (late.verdict, late.decided, late.why) == ("DROP", "route", "TTL or hop limit is used up")
    assert not any(step.hook == "FORWARD" for step in late.steps)


def test_nat_is_asked_once():
    dialogue = [f"{TCP} syn", "tcp 1.2.3.4:443 > 10.0.0.1:1234 syn ack"]
    first, second = explain_described(dialogue, rules=Ruleset.parse(RULESETS["marks"].replace("DROP [", "ACCEPT [")))
    asked = [[bool(step.rules) for step in each.steps if step.what == "nat"] for each in (first, second)]
    assert asked == [[True, True], [False, False]]
    assert said(second, "nat") == "not asked: only the first packet of a connection is"


def test_traced_lines_are_the_rules_that_took_it():
    """The lines of TRACE, which are those of the kernel (tests/kernel), name the same rules in the same order."""
    text = "*raw\n-A PREROUTING -j TRACE\nCOMMIT\n" + re.sub(r"\*raw.*?COMMIT\n", "", RULESETS["marks"], flags=re.S)
    tracker = fastct.Tracker(rules=Ruleset.parse(text), local=["10.1.1.2/24"])
    lines, expected = [], []
    for frames in fastct.open(HOST):
        for place in range(len(frames)):
            explanation, = tracker.explain(frames.part(place, place + 1))
            tried = [each for each in tried_in(explanation) if each[1].held]
            took = [f"{table}:{each.chain}:{'policy' if each.number is None else 'rule'}" for table, each in tried
                    if each.text != "-A PREROUTING -j TRACE"]
            expected += took if "TRACE" in str(tried) else []
            lines += [line.text.split()[1].rpartition(":")[0] for line in tracker.drain_log()]
    ends = {"filter:a:return", "filter:b:return"}
    assert len(expected) > 100
    assert [line for line in lines if line not in ends] == expected


def test_snapshot(tmp_path):
    tracker = fastct.Tracker()
    for frames in fastct.open(HOST):
        tracker.process(frames.part(0, 4))
    tracker.save(tmp_path / "state.fct")
    packet = "udp 10.1.1.53:53 > 10.1.1.2:47245"
    alone, = explain_described([packet])
    known, = explain_described([packet], tmp_path / "state.fct")
    assert said(alone, "conntrack").startswith("NEW ORIGINAL: first packet of this tuple")
    assert said(known, "conntrack").startswith("ESTABLISHED REPLY: reply of connection 1")
    assert (alone.packet, known.packet) == (1, 1)


def test_picture():
    found = explain([HOST], [1, 30], rules=Ruleset.parse(RULESETS["host"]), local=["10.1.1.2"])
    lines = list(dot_lines(found))
    text = "\n".join(lines)
    assert lines[0] == "digraph fastct {" and lines[-1] == "}" and text.count("{") == text.count("}")
    boxes = set(re.findall(r"^ *(p\d+\w*) \[", text, re.M))
    edges = re.findall(r"^ *(p\d+\w*) -> (p\d+\w*)", text, re.M)
    assert {end for edge in edges for end in edge} == boxes
    assert len(edges) == len(boxes) - 2
    assert all(re.fullmatch(r'"(?:[^"\\]|\\.)*"', label) for label in re.findall(r'label=(".*")[\];]', text))


# ---- the command line

@pytest.fixture
def run(monkeypatch, capsys):
    """Runs ``fastct explain``: exit status, standard output and error."""
    monkeypatch.chdir(ROOT)

    def explain_words(*args):
        status = main(["explain", *map(str, args)])
        return status, *capsys.readouterr()
    return explain_words


def test_command_line(tmp_path, run):
    rules = tmp_path / "fw"
    rules.write_text(RULESETS["host"])
    status, out, err = run(HOST, "-n", "29-30,3", "--rules", rules, "--local", "10.1.1.2/24")
    assert (status, err) == (0, "")
    assert re.findall(r"^packet (\d+)", out, re.M) == ["3", "29", "30"]
    objects = [json.loads(line) for line in run(HOST, "-n", "30", "--rules", rules, "--json")[1].splitlines()]
    assert [each["packet"] for each in objects] == [30]
    assert "digraph" in run("--packet", TCP, "--rules", rules, "--dot")[1]
    assert "SYN_SENT" in run(HOST, "-n", 3)[1]


@pytest.mark.parametrize(("args", "message"), [
    ((HOST, "-n", "63"), "there is no packet 63, the last is 62"),
    ((HOST, "-n", "0"), "expected numbers of packets"),
    ((HOST, "-n", "5-3"), "expected numbers of packets"),
    ((HOST, "-n", "1-999999999"), "expected up to 100000 packets"),
    ((HOST,), "expected CAPTURE and -n N"),
    (("-n", "3"), "expected CAPTURE and -n N"),
    ((HOST, "--packet", TCP), "--packet WORDS, or -n N of a capture"),
    ((HOST, "-n", "3", "--restore", "none"), "--restore goes with --packet"),
    (("none.pcap", "-n", "3"), "none.pcap: no such file"),
    (("README.md", "-n", "3"), "not a capture file"),
    ((HOST, "-n", "3", "--rules", "none"), "cannot read none"),
    ((HOST, "-n", "3", "--rules", "README.md"), "README.md:"),
    (("--packet", "tcp 10.0.0.1 > 1.2.3.4:80"), "tcp needs a port"),
    (("--packet", TCP, "--restore", "none.fct"), "none.fct: cannot be read"),
])
def test_what_cannot_be_explained(args, message, run):
    status, out, err = run(*args)
    assert (status, out) == (2, "")
    assert message in err


def test_closed_pipe():
    command = f"{sys.executable} -m fastct explain {HOST} -n 1-62 | head -1; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(command, shell=True, executable="/bin/bash", capture_output=True, text=True, timeout=60)
    assert (done.stdout.splitlines()[1:], done.stderr) == (["0"], "")
