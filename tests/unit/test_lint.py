"""Lint: what it finds, that it is so (packets at all boundaries meet no rule it calls dead), and that it finds it."""
import itertools
import json
import subprocess
import sys
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastct.rules import Ruleset
from fastct.rules.compile import CONDITIONS
from fastct.rules.extension import MATCHES, TARGETS
from fastct.rules.lint import lint
from fastct.rules.lint.asks import BY_WORDS, CHANGES, STEADY, VALUES
from fastct.rules.lint.boxes import everything
from fastct.rules.lint.facts import WANT_CONNTRACK
from fastct.rules.lint.findings import TableLint
from tests import packets as p
from tests.boundaries import ELSEWHERE, ESTABLISHED, INVALID, NEW, Behind, Wanted, packets_for
from tests.shared_data import shared

HOST = "pcaps/host_10.1.1.2.pcap"


def ruleset(*rules, chains=(), policy="ACCEPT", hook="INPUT", table="filter", family=4):
    """The filter table (or another) with these rules: of a hook, unless they say ``-A``."""
    lines = [f"*{table}", f":{hook} {policy} [0:0]", *(f":{chain} - [0:0]" for chain in chains)]
    lines += [rule if rule.startswith("-A") else f"-A {hook} {rule}" for rule in rules]
    return Ruleset.parse("\n".join([*lines, "COMMIT", ""]), family)


def found(*rules, **options):
    """What is found: kind, the text of the rule or chain, and the texts of what covers it."""
    return [(finding.kind, finding.place.text.removeprefix("-A INPUT "),
             [place.text.removeprefix("-A INPUT ") for place in finding.by])
            for finding in lint(ruleset(*rules, **options).model)]


def kinds(*rules, **options):
    """What kinds of findings there are, by the number of the rule in the text, from 0."""
    before = 2 + len(options.get("chains", ()))
    return {finding.line - before - 1: finding.kind for finding in lint(ruleset(*rules, **options).model)}


# ---- what is found

def test_shadowed_by_one():
    rules = ["-s 10.0.0.0/8 -p tcp -j DROP", "-s 10.1.0.0/16 -p tcp -m tcp --dport 22 -j ACCEPT"]
    assert found(*rules, policy="DROP") == [("shadowed", rules[1], rules[:1])]


def test_shadowed_by_several():
    halves = ["-s 10.0.0.0/9 -j DROP", "-s 10.128.0.0/9 -j DROP"]
    assert found(halves[0], "-p udp -j DROP", halves[1], "-s 10.0.0.0/8 -p tcp -j ACCEPT")[-1] == (
        "shadowed", "-s 10.0.0.0/8 -p tcp -j ACCEPT", halves)


@pytest.mark.parametrize(("rules", "dead"), [
    (["-p tcp -m tcp --dport 1:9 -j DROP", "-p tcp -m multiport --dports 2,4:6 -j ACCEPT"], {1}),
    (["-p tcp -m multiport --dports 1:3,4:6 -j DROP", "-p tcp -m tcp --dport 1:6 -j ACCEPT"], {1}),
    (["-p tcp -m multiport --dports 1:3,5:6 -j DROP", "-p tcp -m tcp --dport 1:6 -j ACCEPT"], set()),
    (["! -s 10.0.0.0/8 -j DROP", "-s 10.0.0.0/8 -j QUEUE", "-p tcp -j ACCEPT"], {2}),
    (["! -s 10.0.0.0/8 -j DROP", "-s 10.0.0.0/9 -j QUEUE", "-p tcp -j ACCEPT"], set()),
    (["-i eth+ -j DROP", "-i eth0 -j ACCEPT"], {1}),
    (["-i eth0 -j DROP", "-i eth+ -j ACCEPT"], set()),
    (["-i eth0 -j DROP", "-i eth01 -j ACCEPT"], set()),
    (["! -i eth+ -j DROP", "-i lo -j ACCEPT"], {1}),
    (["-m iprange --src-range 10.0.0.0-10.0.0.9 -j DROP", "-s 10.0.0.8/31 -j ACCEPT"], {1}),
    (["-m limit --limit 1/s -j DROP", "-p tcp -j ACCEPT"], set()),
    (["-p tcp -j DROP", "-p tcp -m limit --limit 1/s -j ACCEPT"], {1}),
    (["-m limit --limit 1/s -j DROP", "-m limit --limit 1/s -j ACCEPT"], set()),
    (["-m time --timestart 10:00 -j DROP", "-m time --timestart 10:00 -j ACCEPT"], set()),
    (["-m mark --mark 1/1 -j DROP", "-m mark --mark 1/1 -p tcp -j ACCEPT"], {1}),
    (["-m mark --mark 1/1 -j DROP", "-m mark ! --mark 1/1 -j DROP", "-p tcp -j ACCEPT"], set()),
    (["-m mark --mark 1 -j DROP", "-j MARK --set-mark 1", "-m mark --mark 1 -j ACCEPT"], set()),
    (["-m addrtype --dst-type LOCAL -j DROP", "-p tcp -m addrtype --dst-type LOCAL -j ACCEPT"], {1}),
    (["-m addrtype --dst-type LOCAL -j DROP", "-p tcp -m addrtype --dst-type BROADCAST -j ACCEPT"], set()),
    (["-m policy --dir in --pol none -j DROP", "-p tcp -j ACCEPT"], set()),
    (["-m policy --dir in --pol none -j DROP", "-p tcp -m policy --dir in --pol none -j ACCEPT"], {1}),
    (["-m helper --helper h323 -j DROP", "-m helper --helper snmp -j ACCEPT"], set()),
    (["-m helper --helper h323 -j DROP", "-p tcp -m helper --helper h323 -j ACCEPT"], {1}),
    (["-s 10.0.0.1/255.0.0.255 -j DROP", "-s 10.0.0.1 -j ACCEPT"], set()),
    (["-s 10.0.0.0/8 -j DROP", "-s 10.0.0.1 -p tcp -m recent --set -j ACCEPT"], {1}),
    (["-p tcp -m tcp --tcp-flags SYN SYN -j DROP", "-p tcp -m tcp --syn -j ACCEPT"], {1}),
    (["-p tcp -m tcp --syn -j DROP", "-p tcp -m tcp --tcp-flags SYN SYN -j ACCEPT"], set()),
    (["-p icmp -m icmp --icmp-type 3 -j DROP", "-p icmp -m icmp --icmp-type 3/1 -j ACCEPT"], {1}),
    (["-p icmp -m icmp --icmp-type any -j DROP", "-p icmp -m icmp --icmp-type 8 -j ACCEPT"], {1}),
    (["-m mac --mac-source 02:00:00:00:00:01 -j DROP", "-m mac --mac-source 02:00:00:00:00:02 -j ACCEPT",
      "-m mac ! --mac-source 02:00:00:00:00:01 -j DROP", "-p tcp -j ACCEPT"], set()),
    (["-p tcp -m tcp --dport 0:65535 -j DROP", "-p tcp -j ACCEPT"], set()),                  # later fragments
    (["-m state --state NEW", "-p tcp -m tcp --dport 0:65535 -j DROP", "-p tcp -j ACCEPT"], {2}),
    (["-m ttl --ttl-lt 5 -j DROP", "-m ttl --ttl-eq 4 -j ACCEPT"], {1}),
    (["-j LOG", "-p tcp -j ACCEPT"], set()),
    (["-j REJECT", "-p tcp -j ACCEPT"], {1}),
    (["-m statistic --mode random --probability 0.5 -j DROP", "-m statistic --mode random --probability 0.5 -j ACCEPT"],
     set()),
])
def test_covered(rules, dead):
    lines = {number for number, kind in kinds(*rules, policy="ACCEPT").items()
             if kind in ("shadowed", "unreachable", "never-hit")}
    assert lines == dead


def test_odd_headers_of_ipv6():
    """What leads to no protocol is neither TCP nor anything else."""
    rules = ["-p tcp -j DROP", "! -p tcp -j DROP", "-s fd00::/8 -j QUEUE"]
    assert 2 not in kinds(*rules, family=6)
    assert kinds(*rules[:2], "-s 10.0.0.0/8 -j ACCEPT")[2] == "unreachable"


def test_unreachable_behind_all():
    assert found("-p tcp", "-j DROP", "-p udp -j ACCEPT", "-j ACCEPT") == [
        ("unreachable", "-p udp -j ACCEPT", ["-j DROP"]), ("unreachable", "-j ACCEPT", ["-j DROP"])]


def test_chains_that_end_for_all():
    rules = ["-j A", "-p tcp -j ACCEPT", "-A A -p tcp -j DROP", "-A A -p udp -j DROP", "-A A -j QUEUE"]
    assert kinds(*rules, chains="A") == {1: "unreachable"}
    back = [*rules[:2], "-A A -s 10.0.0.0/8 -j RETURN", *rules[2:]]
    assert kinds(*back, chains="A") == {1: "redundant"}
    assert kinds(back[0], "! -s 10.0.0.0/8 -p tcp -j ACCEPT", *back[2:], chains="A") == {1: "shadowed"}
    assert kinds("-p tcp -j A", "-p tcp -m tcp --dport 1 -j QUEUE", *rules[2:], chains="A")[1] == "shadowed"
    assert 1 not in kinds("-p tcp -m limit --limit 1/s -j A", "-p tcp -j QUEUE", *rules[2:], chains="A")


def test_goto_does_not_come_back():
    rules = ["-j A", "-p tcp -j DROP", "-A A -p tcp -g B", "-A A -p tcp -m tcp --dport 1 -j DROP", "-A B -s 10.0.0.1"]
    assert kinds(*rules, chains="AB") == {3: "shadowed"}


def test_goto_comes_back_to_the_caller():
    rules = ["-j A", "-p tcp -j QUEUE", "-A A -p tcp -g B", "-A A -j DROP", "-A B -s 10.0.0.1 -j DROP"]
    assert kinds(*rules, chains="AB") == {}
    assert kinds(*rules[:4], "-A B -j DROP", chains="AB")[1] == "unreachable"
    assert kinds(*rules[:2], "-A A -m limit --limit 1/s -g B", "-A B -j DROP", chains="AB") == {}


def test_calls_that_bring_nothing():
    rules = ["-p udp -j A", "-A A -p tcp -j DROP", "-A A -p udp -j QUEUE"]
    assert found(*rules, chains="A") == [("unreachable", "-A A -p tcp -j DROP", ["-p udp -j A"])]
    both = ["-p udp -j A", "-p tcp -j DROP", "-p tcp -j A", "-A A -p tcp -j QUEUE"]
    assert kinds(*both, chains="A") == {2: "shadowed", 3: "unreachable"}
    twice = ["-p udp -j A", "-p icmp -j A", "-A A -p tcp -j DROP", "-A A -p icmp -j QUEUE"]
    assert kinds(*twice, chains="A") == {2: "unreachable"}


def test_chains_that_only_dead_rules_jump_to():
    rules = ["-j DROP", "-p tcp -j A", "-A A -j B", "-A B -j DROP"]
    assert [(kind, text) for kind, text, _ in found(*rules, chains="AB")] == [
        ("unreachable", ":A -"), ("unreachable", ":B -"), ("unreachable", "-p tcp -j A")]


def test_idle_chains():
    assert found("-p tcp -j A", "-A B -j C", "-A C -j DROP", chains="ABC") == [
        ("unused-chain", ":B -", []), ("unused-chain", ":C -", []), ("jump-to-nowhere", "-p tcp -j A", [":A -"])]


@pytest.mark.parametrize(("options", "rule", "never"), [
    ({}, "-m state --state NEW -m conntrack --ctstate ESTABLISHED -j DROP", True),
    ({}, "-s 10.0.0.1 -m iprange --src-range 10.0.0.2-10.0.0.9 -j DROP", True),
    ({}, "-m ttl --ttl-lt 0 -j DROP", True),
    ({}, "-p tcp -m tcp --tcp-flags SYN,FIN SYN,FIN -m state --state NEW -j DROP", True),
    ({}, "-p icmp -m icmp --icmp-type 3 -m state --state NEW -j DROP", True),
    ({}, "-m state --state UNTRACKED -j DROP", True),
    ({}, "-m state --state NEW -f -j DROP", True),
    ({}, "-f -j DROP", False),
    ({"hook": "OUTPUT", "chains": "A"}, "-A A -i eth0 -j DROP", True),
    ({"hook": "OUTPUT", "chains": "A"}, "-A A ! -i eth0 -j DROP", False),
    ({"hook": "PREROUTING", "table": "nat"}, "-m state --state ESTABLISHED -j ACCEPT", True),
    ({"hook": "PREROUTING", "table": "nat"}, "-m state --state RELATED -j ACCEPT", False),
    ({"hook": "PREROUTING", "table": "raw"}, "-m state --state INVALID -j ACCEPT", False),
])
def test_never_hit(options, rule, never):
    rules = [f"-A {options['hook']} -j A", rule] if rule.startswith("-A A") else [rule]
    assert ("never-hit" in kinds(*rules, policy="ACCEPT", **options).values()) == never


def test_untracked_where_rules_make_it():
    text = "*raw\n-A PREROUTING -p udp -j NOTRACK\nCOMMIT\n"
    text += "*filter\n-A INPUT -m state --state UNTRACKED -j DROP\nCOMMIT\n"
    assert lint(Ruleset.parse(text).model) == []


def test_only_invalid():
    rules = ["-m state --state RELATED,ESTABLISHED -j ACCEPT", "-p icmp -m icmp --icmp-type 0 -j ACCEPT",
             "-m state --state INVALID -p icmp -j DROP", "-p tcp -m tcp --tcp-flags ALL NONE -j QUEUE"]
    assert found(*rules[:2], policy="DROP") == [("only-invalid", rules[1], [rules[0]])]
    assert kinds(*rules, policy="DROP") == {1: "only-invalid", 2: "redundant", 3: "only-invalid"}
    assert kinds(rules[3], policy="DROP") == {0: "only-invalid"}
    assert kinds("-m state --state INVALID -j A", "-A A -p tcp -j LOG", "-A A -j QUEUE", chains="A") == {}


@pytest.mark.parametrize(("rules", "policy", "redundant"), [
    (["-p tcp -j ACCEPT"], "ACCEPT", {0}),
    (["-p tcp -j ACCEPT"], "DROP", set()),
    (["-p tcp -j RETURN"], "DROP", {0}),
    (["-p tcp -j ACCEPT", "-p udp -j DROP"], "ACCEPT", {0}),
    (["-p tcp -j ACCEPT", "-s 10.0.0.1 -j DROP"], "ACCEPT", set()),
    (["-p tcp -j ACCEPT", "-j LOG"], "ACCEPT", set()),
    (["-p tcp -j ACCEPT", "-p tcp"], "ACCEPT", set()),
    (["-p tcp -m tcp --dport 1 -j DROP", "-p udp", "-p tcp -j DROP"], "ACCEPT", {0}),
    (["-p tcp -m tcp --dport 1 -j DROP", "-p tcp -m limit --limit 1/s -j DROP"], "DROP", set()),
    (["-p tcp -m tcp --dport 1 -j DROP", "-p tcp -m recent --set -j DROP"], "DROP", set()),
    (["-p tcp -m recent --set -j DROP"], "DROP", set()),
    (["-p tcp -j REJECT", "-j REJECT"], "DROP", {0}),
    (["-p tcp -j REJECT --reject-with tcp-reset", "-j REJECT"], "DROP", set()),
    (["-s 10.0.0.0/9 -j DROP", "-s 10.0.0.0/8 -j DROP", "-s 10.0.0.0/8 -p tcp -j ACCEPT"], "DROP", {0}),
])
def test_redundant(rules, policy, redundant):
    assert {number for number, kind in kinds(*rules, policy=policy).items() if kind == "redundant"} == redundant


def test_a_rule_that_covers_one_that_differs_stays():
    """It would be redundant, were it not for what it keeps packets from."""
    rules = ["-p tcp -j ACCEPT", "-p tcp -m tcp --dport 22 -j DROP"]
    assert kinds(*rules) == {1: "shadowed"}
    assert kinds(rules[0], "-p tcp -m tcp --dport 22 -j ACCEPT") == {0: "redundant", 1: "shadowed"}
    assert kinds(rules[0], rules[0], policy="DROP") == {1: "shadowed"}


def test_many_ways_to_a_chain():
    """More than are kept apart: then any packet may come."""
    rules = [f"-p tcp -m tcp --dport {port} -j A" for port in range(1, 80)] + ["-A A -p udp -j DROP"]
    assert kinds(*rules[20:], chains="A")[59] == "unreachable"
    assert kinds(*rules, chains="A") == {}


def test_long_chains():
    """Where an index tells which earlier rules may be in the way."""
    rules = [f"-s 10.0.{n}.0/24 -p tcp -j DROP" for n in range(200)]
    more = ["-s 10.0.77.7 -p tcp -j QUEUE", "-s 10.0.201.7 -p tcp -j QUEUE", "-s 10.0.64.0/18 -p tcp -j QUEUE"]
    assert kinds(*rules, *more) == {200: "shadowed", 202: "shadowed"}
    rules = [f"-s fd00:{n:x}::/32 -p tcp -j DROP" for n in range(200)]
    more = ["-s fd00:4d::7 -p tcp -j QUEUE", "-s fd01::7 -p tcp -j QUEUE"]
    assert kinds(*rules, *more, family=6) == {200: "shadowed"}


# ---- the tables that lint reads

def test_tables_are_whole():
    going_on = {name for (name, _), target in TARGETS.items() if not target.terminates}
    assert set(CHANGES) == going_on
    names = {name for name, _ in MATCHES}
    assert names >= BY_WORDS and names | {name for name, _ in TARGETS} >= WANT_CONNTRACK
    assert set(CONDITIONS) >= STEADY | set(VALUES)
    for name in STEADY - {"connlabel"}:
        assert not CONDITIONS[name].keeps
    assert {dimension for dimension, _ in VALUES.values()} == set(everything(4))


# ---- that it is so, and that all of it is found: every packet of a small world against random rules

SOURCES = [10 << 24 | host for host in (0, 1, 2, 9)]
SERVER = 10 << 24 | 1 << 16 | 1
PORTS, INTERFACES = (1, 2, 3, 9), ("eth0", "eth1", "eth5")


def world():
    """Packets of every kind that the rules below can tell apart."""
    for source, inward in itertools.product(SOURCES, (*INTERFACES, ELSEWHERE)):
        for protocol, dport, state in itertools.product((p.TCP, p.UDP), PORTS, (NEW, ESTABLISHED, INVALID)):
            yield Wanted(source, SERVER, protocol, 1000 + state, dport, state=state, inward=inward,
                         flags=p.ACK if state == ESTABLISHED else p.SYN)
        yield Wanted(source, SERVER, 99, inward=inward)


WORLD = list(world())
SOURCE = st.sampled_from(["", "-s 10.0.0.0/31", "-s 10.0.0.0/30", "! -s 10.0.0.0/31", "-s 10.0.0.2", "! -s 10.0.0.1"])
INWARD = st.sampled_from(["", "", "-i eth0", "! -i eth0", "-i eth+", "! -i eth+", "-i eth1"])
PORT = st.sampled_from(["", "", "-m tcp --dport 1", "-m tcp ! --dport 2", "-m multiport --dports 1,3",
                        "-m multiport ! --dports 1:3", "-m tcp --dport 1:2"])
STATE = st.sampled_from(["", "", "-m state --state NEW", "-m state --state RELATED,ESTABLISHED",
                         "-m state ! --state NEW", "-m conntrack --ctstate INVALID"])
TRANSPORT = st.tuples(st.sampled_from(["tcp", "udp"]), PORT, STATE).map(
    lambda parts: f"-p {parts[0]} {parts[1].replace('-m tcp', '-m ' + parts[0])} {parts[2]}")
ASKED = st.tuples(SOURCE, INWARD, st.one_of(st.just(""), TRANSPORT, TRANSPORT, st.just("! -p tcp"))).map(" ".join)
ENDS = st.sampled_from(["-j ACCEPT", "-j DROP", "-j RETURN", "-j DROP", "", "-j LOG", "-j REJECT"])
CALLS = {"FORWARD": ("-j A", "-j B", "-g A"), "A": ("-j B", "-g B"), "B": ()}


def rules_of(chain):
    end = st.one_of(ENDS, ENDS, st.sampled_from(CALLS[chain])) if CALLS[chain] else ENDS
    return st.lists(st.tuples(st.just(f"-A {chain}"), ASKED, end).map(" ".join), min_size=1, max_size=7)


def text_of(chains, policy):
    # A rule that asks for a state: conntrack is there, and with it no fragments are.
    lines = [f"*filter\n:FORWARD {policy} [0:0]\n:A - [0:0]\n:B - [0:0]", "-A OUTPUT -m state --state NEW"]
    return "\n".join([*lines, *itertools.chain(*chains), "COMMIT\n"])


def through(rules, packets):
    """How often each rule was hit, and the verdicts."""
    hits, verdicts = Counter(), []
    for inward in (*INTERFACES, ELSEWHERE):
        mine = [wanted for wanted in packets if wanted.inward == inward]
        behind = Behind(rules, [inward])
        behind.prepare(mine)
        behind.load()
        verdicts += behind.send(mine)["verdict"].tolist()
        hits.update(behind.hits())
    return {at: count for at, count in hits.items() if at[1] != "OUTPUT"}, verdicts


def test_the_small_world_is_what_it_is_meant_to_be():
    behind = Behind(ruleset("-m state --state NEW", hook="FORWARD"), [ELSEWHERE])
    behind.prepare(WORLD)
    behind.load()
    assert behind.send(WORLD)["ctstate"].tolist() == [wanted.state for wanted in WORLD]


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.tuples(*map(rules_of, CALLS)), st.sampled_from(["ACCEPT", "DROP"]))
def test_random_rules(chains, policy):
    """A rule is called dead exactly if no packet of the world hits it; what is redundant may go."""
    text = text_of(chains, policy)
    rules = Ruleset.parse(text)
    table = TableLint(rules.model, rules.model.table("filter"))
    hits, verdicts = through(rules, WORLD)
    assert {at[1:] for at, count in hits.items() if not count} == table.dead - {("OUTPUT", 1)}
    findings = list(table.findings())
    invalid = {finding.place[:2] for finding in findings if finding.kind == "only-invalid"}
    others, _ = through(rules, [wanted for wanted in WORLD if wanted.state != INVALID])
    assert not any(others["filter", *at] for at in invalid)
    lines = {finding.line for finding in findings if finding.kind == "redundant"}
    lines |= {rules.model.table("filter").chain(chain).rules[number - 1].line for chain, number in table.dead}
    shorter = "".join(line for number, line in enumerate(text.splitlines(True), 1) if number not in lines)
    assert through(Ruleset.parse(shorter), WORLD)[1] == verdicts


# ---- that it is so of rulesets from practice

REAL = (
    ("ufw/ufw_enabled_v4.rules", 4), ("firehol/firehol_3.1.7_router_v4.rules", 4),
    ("firehol/firehol_3.1.7_router_ip6.rules", 6), ("net-network/configs_sqrl_shorewall_2015_aug_iptables-save", 4),
    ("fixed/iptables_semantics__thy_Iptables_Semantics_Examples_IPPartEval_configs_ugent_iptables-save.v1.4.21", 4),
    ("net-network/configs_serverfault_769294.txt", 4),
    ("net-network/configs_medium-sized-company_iptables-save.iptables_mainfw_31.01.2016", 4),
    ("fwbuilder/test_ipt_firewall9.fw.orig", 4),
)


def interfaces_of(model):
    """Names that fit the interfaces of rules."""
    names = {name for table in model.tables.values() for chain in table.chains.values() for rule in chain.rules
             for name in (rule.header.in_interface, rule.header.out_interface)}
    return sorted({name.replace("+", "7") for name in names if name and name != "+"})


def boundary_hits(rules, each, seed):
    """Hits of packets at the boundaries of all rules, on the host and through it; and what lint says of the tables."""
    tables = {name: TableLint(rules.model, table) for name, table in rules.model.tables.items()}
    names = [*interfaces_of(rules.model), ELSEWHERE]
    packets = list(packets_for(seed, [table.reach for table in tables.values()], names, rules.family, each))
    routes = {wanted.destination: wanted.outward for wanted in packets}
    routes |= {wanted.source: wanted.inward for wanted in packets}
    behind = Behind(rules, names, routes)
    behind.prepare(packets)
    behind.load()
    behind.send(packets)
    return behind.hits(), tables


@pytest.mark.parametrize(("name", "family"), REAL)
def test_boundary_packets(name, family):
    """No packet hits a rule that is called dead; most of the others are hit."""
    path = shared("rulesets", *name.split("/"))
    rules = Ruleset.load(path, family)
    for table in rules.tables:
        rules.table(table).zero()
    hits, tables = boundary_hits(rules, 10, 1)
    dead = {(table, *at) for table, lint_ in tables.items() for at in lint_.dead}
    assert {at: count for at, count in hits.items() if at in dead and count} == {}
    alive = [count > 0 for at, count in hits.items() if at not in dead]
    print(f"{len(dead)} dead, {len(alive)} alive, {sum(alive)} hit")
    assert sum(alive) > len(alive) / 2


# ---- the command line

RULES = """*filter
:INPUT DROP [0:0]
:FORWARD ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
-A INPUT -m state --state RELATED,ESTABLISHED -j ACCEPT
-A INPUT -p tcp -m multiport --dports 21,80 -j ACCEPT
-A INPUT -s 10.1.1.0/24 -p tcp -m tcp --dport 21 -j REJECT
COMMIT
"""


def run(*args, **options):
    return subprocess.run([sys.executable, "-m", "fastct", "lint", *map(str, args)], capture_output=True, text=True,
                          timeout=60, **options)


@pytest.fixture
def fw(tmp_path):
    (tmp_path / "fw").write_text(RULES)
    return tmp_path / "fw"


def test_command_line(fw):
    done = run(fw)
    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout == (
        f"{fw}:7: shadowed: -A INPUT -s 10.1.1.0/24 -p tcp -m tcp --dport 21 -j REJECT --reject-with "
        f"icmp-port-unreachable … covered by {fw}:6: -A INPUT -p tcp -m multiport --dports 21,80 -j ACCEPT\n")
    about, = map(json.loads, run(fw, "--json").stdout.splitlines())
    assert (about["kind"], about["line"], about["chain"], about["number"]) == ("shadowed", 7, "INPUT", 3)
    assert [by["line"] for by in about["by"]] == [6]


def test_traffic(fw):
    done = run(fw, HOST, "--local", "10.1.1.2/24", "--json", "--quiet")
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(row["kind"], row["line"]) for row in rows] == [("shadowed", 7), ("hit", 5), ("hit", 6)]
    assert rows[1]["packets"] == 27
    fw.write_text(RULES.replace("10.1.1.0/24", "192.0.2.1").replace("21,80", "22,80"))
    lines = run(fw, HOST, "--local", "10.1.1.2/24", "--quiet").stdout.splitlines()
    assert [line.split(": ")[1] for line in lines] == ["no-hit", "no-hit", "hit"]
    assert lines[2].endswith(" … 26 packets, 1723 bytes")


def test_clean(tmp_path):
    (tmp_path / "fw").write_text(RULES.replace("10.1.1.0/24 -p tcp", "10.1.1.0/24 -p udp").replace("-m tcp", "-m udp"))
    done = run(tmp_path / "fw")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    (tmp_path / "none").write_text("")
    done = run(tmp_path / "none")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", f"fastct: note: {tmp_path / 'none'} has no tables\n")


def test_bad_input(tmp_path, fw):
    (tmp_path / "bad").write_text("*filter\n-A INPUT -j NOWHERE\nCOMMIT\n")
    done = run(tmp_path / "bad")
    assert done.returncode == 2 and f"{tmp_path / 'bad'}:2:" in done.stderr and "NOWHERE" in done.stderr
    for args in ((tmp_path / "absent",), (tmp_path,), (fw, tmp_path / "absent"), ("-6", fw), ()):
        done = run(*args)
        assert (done.returncode, done.stdout) == (2, "")
        assert "Traceback" not in done.stderr and done.stderr


def test_damaged_capture(tmp_path, fw):
    with open(HOST, "rb") as whole:
        (tmp_path / "cut.pcap").write_bytes(whole.read()[:-10])
    done = run(fw, tmp_path / "cut.pcap", "--local", "10.1.1.2", "--quiet")
    assert done.returncode == 1 and "after packet 61" in done.stderr and "shadowed" in done.stdout


def test_nobody_reads(fw):
    program = f"{sys.executable} -m fastct lint {fw}"
    done = subprocess.run(f"{program} | true; {program} > /dev/full; echo $?; {program} >&-; echo $?", shell=True,
                          capture_output=True, text=True, timeout=60)
    assert done.stdout == "2\n2\n"
    assert done.stderr.splitlines() == ["fastct: error: cannot write standard output: no space left on device",
                                        "fastct: error: cannot write standard output: closed"]


def test_odd_bytes_come_out_as_they_went_in(tmp_path):
    text = RULES.replace("-m tcp --dport 21", "-m tcp --dport 21 -m comment --comment caf\udce9")
    (tmp_path / "fw").write_bytes(text.encode(errors="surrogateescape"))
    done = subprocess.run([sys.executable, "-m", "fastct", "lint", tmp_path / "fw"], capture_output=True, timeout=60)
    assert b"caf\xe9" in done.stdout and done.stderr == b""
