"""Matches against recorded answers of iptables-legacy, and against the rows of iptables' own tests."""
import json
import shlex

from fastct.rules import program
from fastct.rules.model import Ruleset
from tests.shared_data import shared

LISTS = {"save": ["-S"], "list_nv": ["-nv", "-L"], "list_n": ["-n", "-L"], "list": ["-L"]}
HEADINGS = {"save": 1, "list_nv": 2, "list_n": 2, "list": 2}
FAMILIES = {"libip6t": (6,), "libipt": (4,), "libxt": (4, 6)}
# A row that a newer kernel answers otherwise.
OTHERWISE = "-m recent --rcheck --hitcount 999 --name foo --mask 255.255.255.255 --rsource"


def added(family, table, chain, words):
    """A ruleset with one more rule, and the exit status of adding it."""
    ruleset = Ruleset(family)
    return ruleset, program.iptables(["-t", table, "-A", chain, *words], ruleset).status


def lines(ruleset, table, chain, what):
    """The lines of a list for the rules of a chain."""
    return program.iptables(["-t", table, *LISTS[what], chain], ruleset).out.split("\n")[HEADINGS[what]:-1]


def test_recorded_rules():
    different, count = [], 0
    for row in json.loads(shared("vectors", "iptables_rules.json").read_text()):
        words, place = shlex.split(row["input"]), (row["table"], row["chain"])
        # What sets there are is another matter.
        if not ({"-m", "-p"} & set(words)) or "set" in words:
            continue
        count += 1
        ruleset, status = added(row["family"], *place, words)
        got = {what: lines(ruleset, *place, what) for what in LISTS}
        if status != row["rc"] or (not status and got != {what: row.get(what) for what in LISTS}):
            different.append((row, status, got))
    assert count > 150
    assert different == []


def rows():
    """(file, family, table, chain, rule, saved, whether accepted) of the files for matches, whose names are small."""
    for path in sorted(shared("iptables-t").glob("*.t")):
        library, _, name = path.stem.partition("_")
        if not name.islower() or name == "set":
            continue
        table, chains = "filter", ()
        for line in path.read_text().splitlines():
            if line.startswith(":"):
                chains = line[1:].split(",")
            elif line.startswith("*"):
                table = line[1:]
            elif line and line[0] not in "#@":
                rule, saved, result = line.split(";")
                for family in FAMILIES[library]:
                    for chain in chains:
                        yield path.name, family, table, chain, rule, rule if saved == "=" else saved, result == "OK"


def test_rows_of_iptables():
    different, count = [], 0
    for name, family, table, chain, rule, saved, accepted in rows():
        # What is written for both families has addresses of IPv4, or is for IPv4 after all.
        if rule == OTHERWISE or (family == 6 and name.startswith("libxt") and "." in rule):
            continue
        if family == 6 and name in ("libxt_osf.t", "libxt_recent.t"):
            continue
        count += 1
        ruleset, status = added(family, table, chain, shlex.split(rule))
        got = lines(ruleset, table, chain, "save")
        if (status == 0) != accepted or (accepted and got != [f"-A {chain} {saved}".rstrip()]):
            different.append((name, family, chain, rule, status, got))
    assert count > 600
    assert different == []
