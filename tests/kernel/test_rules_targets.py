"""Every target and the match on ipsets against iptables-legacy and ip6tables-legacy: random rules go through both, and
whether they are taken, what is said of them, and all that -S and -L show of them is compared. ipset judges the sets.

FASTCT_KERNEL_RULES and FASTCT_KERNEL_SEED choose how many of each extension, and which; the seed is printed.
"""
import os
import random
import re
import shutil
import subprocess
from itertools import zip_longest

import pytest

from fastct.rules import settext
from fastct.rules.extension import MATCHES, TARGETS
from fastct.rules.model import Ruleset
from fastct.rules.program import iptables
from tests.kernel import rule_words
from tests.kernel.namespace import isolated
from tests.kernel.test_rules_commands import _lock as lock
from tests.kernel.test_rules_commands import theirs, unavailable
from tests.settexts import ACCEPTED, PROBES, REFUSED, SETS_OF_RULES

RULES = int(os.environ.get("FASTCT_KERNEL_RULES", "40"))
SEED = int(os.environ.get("FASTCT_KERNEL_SEED", random.randrange(1 << 32)))
pytestmark = [pytest.mark.kernel, pytest.mark.skipif(bool(unavailable()), reason=unavailable() or "available")]
needs_ipset = pytest.mark.skipif(shutil.which("ipset") is None, reason="needs ipset")

# What outlives a rule in the kernel, and has an opinion on the next of its name: each has a name of its own.
NAMED = {"--label", "--rateest-name"}
# What is asked of another host is not asked here.
RESOLVED = re.compile(r"getaddrinfo: .*")


def _own_names(words, number):
    return [f"{number}{word}" if before in NAMED else word
            for before, word in zip(["", *words], words, strict=False)]


def _rows(rng, registry, make, count):
    """Places and words of rules of every extension of a registry, by family."""
    for (_, family), extension in sorted(registry.items()):
        for _ in range(count):
            yield family, *rule_words.place(rng, extension), make(rng, extension)


def _ipset(text):
    done = subprocess.run(["ipset", "restore"], input=text, capture_output=True, text=True)
    return done.stderr.strip(), done.returncode


def _compare(rows, sets_text=""):
    """The rules of which both did not say the same, and the listings that differ."""
    lock()
    if sets_text:
        assert _ipset(sets_text) == ("", 0)
    sets = settext.load(sets_text)
    rulesets = {family: Ruleset(family, sets) for family in (4, 6)}
    differences, accepted, places = [], 0, set()

    def both(family, words):
        outcome = iptables(words, rulesets[family])
        answers = [(outcome.out, outcome.err, outcome.status), theirs(family, "", words)]
        return [(out, RESOLVED.sub("getaddrinfo", err), status) for out, err, status in answers]

    for number, (family, table, chain, words) in enumerate(rows):
        words = ["-t", table, "-A", chain, *_own_names(words, number)]
        got, wanted = both(family, words)
        places.add((family, table, chain))
        accepted += not wanted[2]
        if got != wanted:
            differences.append((family, words, got, wanted))
            both(family, ["-t", table, "-F", chain])        # what follows is about other rules
    for family, table, chain in sorted(places):
        for how in (["-S"], ["-L"], ["-L", "-n"], ["-L", "-n", "-v", "-x", "--line-numbers"]):
            words = ["-t", table, how[0], chain, *how[1:]]
            got, wanted = ([*answer[0].splitlines(), answer[1:]] for answer in both(family, words))
            differences += [(family, words, *lines) for lines in zip_longest(got, wanted) if lines[0] != lines[1]]
    return accepted, differences


@pytest.mark.parametrize("part", range(4))
def test_targets(part):
    print(f"seed {SEED}")
    rng = random.Random(SEED + part)
    accepted, differences = isolated(_compare, list(_rows(rng, TARGETS, rule_words.target_rule, RULES // 4)))
    assert differences == []
    assert accepted > RULES * 2


@needs_ipset
def test_rules_with_sets():
    print(f"seed {SEED}")
    rng = random.Random(SEED)
    rows = []
    for registry, name, make in (MATCHES, "set", rule_words.match_rule), (TARGETS, "SET", rule_words.target_rule):
        rows += _rows(rng, {key: registry[key] for key in registry if key[0] == name}, make, RULES * 2)
    accepted, differences = isolated(_compare, rows, SETS_OF_RULES)
    assert differences == []
    assert accepted > RULES // 4


def _saved(text):
    """What ipset makes of lines, one at a time: what it says to each, and what it saves in the end."""
    said = [_ipset(line + "\n")[0] for line in text]
    lines = subprocess.run(["ipset", "save"], capture_output=True, text=True).stdout.splitlines()
    return said, sorted(re.sub(r" initval \w+", "", line) for line in lines)


def _without_seconds(line):
    """A line of save with the timeouts of entries, which run, in tens of seconds."""
    return re.sub(r"(?<=timeout )\d+", lambda found: str(-(-int(found[0]) // 10)), line) if line[:4] == "add " else line


@needs_ipset
def test_sets_are_saved_as_by_ipset():
    said, lines = isolated(_saved, ACCEPTED)
    assert said == [""] * len(ACCEPTED)
    ours = sorted(settext.save(settext.load("\n".join(ACCEPTED))))
    assert [*map(_without_seconds, ours)] == [*map(_without_seconds, lines)]


@needs_ipset
def test_lines_are_refused_as_by_ipset():
    def ask(line):
        _ipset("".join(f"{line}\n" for line in ACCEPTED))
        return _ipset(line + "\n")[0]
    for line, message in REFUSED:
        assert isolated(ask, line).removeprefix("ipset v7.17: ").startswith(message), line


def _probe():
    assert _ipset("".join(f"{line}\n" for line in ACCEPTED)) == ("", 0)
    return [subprocess.run(["ipset", "test", name, element], capture_output=True).returncode == 0
            for name, element, *_ in PROBES]


@needs_ipset
def test_membership_as_ipset_has_it():
    assert isolated(_probe) == [inside for *_, inside in PROBES]
