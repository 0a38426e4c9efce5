"""Rulesets in Python: read, looked at, changed, written; and files of others."""
import csv
import io
import json
import re
import shlex
from functools import partial

import pytest

import fastct
from fastct.rules import Ruleset, model
from fastct.rules.dump import iptables_restore, iptables_save
from fastct.rules.program import iptables
from tests.shared_data import shared

TEXT = """*filter
:INPUT DROP [5:500]
:FORWARD ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:IN_WEB - [0:0]
[3:300] -A INPUT -p tcp -m tcp --dport 80 -j IN_WEB
COMMIT
*nat
:PREROUTING ACCEPT [0:0]
:INPUT ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
COMMIT
"""


@pytest.fixture
def ruleset():
    return Ruleset.parse(TEXT)


@pytest.fixture
def web(ruleset):
    return ruleset.table("filter").chain("IN_WEB")


def test_text_comes_back(ruleset, tmp_path):
    assert ruleset.text(counters=True) == TEXT
    ruleset.save(tmp_path / "fw", when="today")
    assert Ruleset.load(tmp_path / "fw").text(counters=True) == TEXT
    assert fastct.rules.Ruleset is Ruleset


def test_rules_come_and_go(ruleset, web):
    web.append("-s 10.0.0.0/8 -j ACCEPT")
    web.insert("-s 1.1.1.1,2.2.2.2 -j DROP")
    web.replace(3, "-j RETURN")
    assert web.text().split("\n") == ["-N IN_WEB", "-A IN_WEB -s 2.2.2.2/32 -j DROP", "-A IN_WEB -s 1.1.1.1/32 -j DROP",
                                      "-A IN_WEB -j RETURN"]
    assert (web.find("-s 1.1.1.1/32 -j DROP"), web.find("-j DROP"), web.find("-j REJECT")) == (2, None, None)
    web.delete(1)
    web.delete("-j RETURN")
    assert [rule.jump for rule in web.rules] == ["DROP"]
    web.flush()
    assert web.rules == []


def test_chains_come_and_go(ruleset, web):
    table = ruleset.table("filter")
    assert (web.references, web.policy) == (1, None)
    table.rename("IN_WEB", "WEB")
    table.new("A").append("-g WEB")
    assert table.chains == ["INPUT", "FORWARD", "OUTPUT", "A", "WEB"]
    assert table.chain("WEB").references == 2
    table.flush()
    table.delete("A")
    assert table.chains[3:] == ["WEB"]
    with pytest.raises(KeyError):
        table.chain("A")


def test_policies_and_counters(ruleset):
    chain = ruleset.table("filter").chain("INPUT")
    assert (chain.policy, chain.counters.packets, chain.rules[0].counters.bytes) == ("DROP", 5, 300)
    chain.zero(1)
    assert chain.rules[0].counters.packets == 0
    chain.policy = "ACCEPT"
    assert chain.text(counters=True).startswith("-P INPUT ACCEPT -c 0 0\n")


@pytest.mark.parametrize("change", [
    lambda web: web.append("-j NO"), lambda web: web.append("-j IN_WEB"), lambda web: web.append("-m tcp -s 1.1.1.1"),
    lambda web: web.insert("-j DROP", 2), lambda web: web.delete("-j DROP"), lambda web: web.table.delete("IN_WEB"),
    lambda web: web.table.chain("INPUT").append("-o lo"), lambda web: web.table.chain("OUTPUT").insert("-i lo"),
    lambda web: web.table.ruleset.table("nat").chain("INPUT").append("-j DROP"),
    lambda web: web.table.new("LOG"), lambda web: web.table.rename("INPUT", "x")])
def test_what_is_refused_changes_nothing(ruleset, web, change):
    with pytest.raises(fastct.RuleError):
        change(web)
    assert ruleset.text(counters=True) == TEXT


def test_a_whole_ruleset_is_swapped(ruleset):
    other = Ruleset.parse("*raw\nCOMMIT\n")
    ruleset.replace(other)
    other.table("raw").chain("OUTPUT").append("-j DROP")
    assert ruleset.tables == ["raw"]
    assert ruleset.table("raw").chain("OUTPUT").rules == []


@pytest.mark.parametrize(("text", "line", "column", "token"), [
    ("*filter\n-A INPUT -s 300.1.1.1\nCOMMIT\n", 2, 13, "300.1.1.1"),
    ("*filter\n-A INPUT  -j NO\nCOMMIT\n", 2, 14, "NO"), ("*filter\n-A INPUT --no\n", 2, 10, "--no"),
    ("*filter\n-A INPUT -m tcp\nCOMMIT\n", 3, None, None), ("*filter\n", 2, None, None), ("*no\n", 1, 2, "no"),
    ("*filter\n[1:2] -A INPUT foo\n", 2, 16, "foo")])
def test_an_error_says_where(text, line, column, token):
    with pytest.raises(fastct.RuleError) as raised:
        Ruleset.parse(text, path="fw")
    error = raised.value
    assert (error.path, error.line, error.column, error.token) == ("fw", line, column, token)


# -- recorded answers, and files of others

COLUMNS = (("save", "-S", 1), ("list_nv", "-nvL", 2), ("list_n", "-nL", 2), ("list", "-L", 2))


def test_recorded_rules():
    for vector in json.loads(shared("vectors/iptables_rules.json").read_text()):
        ruleset = model.Ruleset(vector["family"])
        table = ["-t", vector["table"]]
        outcome = iptables([*table, "-A", vector["chain"], *shlex.split(vector["input"])], ruleset)
        if "set nope" in vector["input"] or "SET" in vector["input"]:       # which sets there are is not known here
            continue
        assert outcome.status == vector["rc"], vector
        if outcome.status:
            assert outcome.err.strip() == vector["error"].strip(), vector
            continue
        for column, words, above in COLUMNS:
            lines = iptables([*table, words, vector["chain"]], ruleset).out.split("\n")
            assert lines[above:-1] == vector[column], vector


def indexed():
    with open(shared("rulesets/INDEX.tsv")) as index:
        return list(csv.DictReader(index, delimiter="\t"))


def test_files_of_others():
    seen = 0
    for row in indexed():
        text = shared(f"rulesets/{row['file']}").read_text(errors="surrogateescape")
        if row["test_as_is"] != "ok":
            continue
        try:
            ruleset = Ruleset.parse(text, int(row["family"]))
        except fastct.RuleError as error:
            assert row["real_load"] == "fail", (row["file"], error)
            continue
        assert row["real_load"] == "ok", row["file"]
        saved = ruleset.text(counters=True)
        assert Ruleset.parse(saved, int(row["family"])).text(counters=True) == saved
        assert len(re.findall(r"^\[\d+:\d+\] -A", saved, re.MULTILINE)) == int(row["rules_saved_back"]), row["file"]
        seen += 1
    assert seen > 150


def steps():
    """Command lines of the transcript with what they printed."""
    for step in re.split(r"^\$ ", shared("vectors/transcripts/t_ipt.out").read_text(), flags=re.MULTILINE)[1:]:
        line, _, rest = step.partition("\n")
        yield line, re.sub(r"\[rc=\d+\]\n\Z", "", rest)


def shell(line, ruleset):
    """What a line of the transcript prints: programs one after another, ``printf … |`` before, ``| head`` behind."""
    said = ""
    for command in re.split(r"; (?=iptables|echo)", line):
        command, _, head = command.partition(" | head -")
        text, pipe, command = command.rpartition(" | ")
        words = shlex.split(command)
        if words == ["echo"]:
            said += "\n"
            continue
        if pipe:
            text = shlex.split(text)[-1].replace("\\n", "\n")
        program = {"iptables-legacy": iptables, "iptables-legacy-save": iptables_save,
                   "iptables-legacy-restore": partial(iptables_restore, standard_input=io.StringIO(text))}[words[0]]
        outcome = program(words[1:], ruleset)
        out = "".join(outcome.out.splitlines(keepends=True)[:int(head) if head else None])
        said += outcome.err + out
    return said


def test_the_transcript():
    ruleset, compared = model.Ruleset(), 0
    for line, printed in steps():
        if "ping" in line or " -h" in line or line.startswith("printf -- "):
            continue
        said = shell(line, ruleset)
        without_times = [re.sub(r"^# .* on .*$", "#", text, flags=re.MULTILINE) for text in (said, printed)]
        assert without_times[0] == without_times[1], line
        compared += 1
    assert compared > 60


@pytest.mark.parametrize(("rules", "taken"), [
    (["INPUT -j A", "A -j B", "B -j C", "C -j A"], False),
    (["A -j B", "B -j C", "C -j A"], True),
    (["INPUT -j A", "A -j B", "B -j C", "C -j ACCEPT", "C -j A"], True),
    (["INPUT -j A", "A -j B", "B -j C", "C -p tcp -j ACCEPT", "C -j A"], False),
    (["INPUT -j A", "INPUT -j B", "A -j C", "B -j C", "A -j B"], True),
])
def test_a_circle_is_refused_where_packets_come_to_it(rules, taken):
    chains = [f":{name} - [0:0]" for name in "CAB"]
    text = "\n".join(["*filter", *chains, *(f"-A {rule}" for rule in rules), "COMMIT\n"])
    if taken:
        assert Ruleset.parse(text).table("filter").chains[3:] == ["A", "B", "C"]
    else:
        with pytest.raises(fastct.RuleError, match="Too many levels"):
            Ruleset.parse(text)
