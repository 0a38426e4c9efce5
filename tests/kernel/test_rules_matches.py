"""Matches: the same words through iptables-legacy or ip6tables-legacy and through fastct: what is said, saved and listed.

FASTCT_KERNEL_RULES and FASTCT_KERNEL_SEED choose how many random rules, and which; the seed is printed.
"""
import os
import random
import shlex
from pathlib import Path

import pytest

from tests.answers import answer
from tests.kernel.iptables import ask, unavailable
from tests.kernel.namespace import isolated
from tests.kernel.rules_random import RandomRules

RULES = int(os.environ.get("FASTCT_KERNEL_RULES", "800"))
SEED = int(os.environ.get("FASTCT_KERNEL_SEED", random.randrange(1 << 32)))
CHOSEN = Path(__file__).with_name("matches.txt")

pytestmark = [pytest.mark.kernel, pytest.mark.skipif(bool(unavailable()), reason=unavailable() or "available")]


def differences(family, place, rules):
    """The rules of a base chain to which the two give different answers."""
    wanted = ask(family, *place, rules)
    # Names of hosts are as unknown to us as to them.
    got = isolated(lambda: [answer(family, *place, words) for words in rules])
    return [(family, *place, shlex.join(words), *pair)
            for words, *pair in zip(rules, got, wanted, strict=True) if pair[0] != pair[1]]


def chosen():
    """The rules of ``matches.txt`` by family and place."""
    groups = {}
    for line in CHOSEN.read_text().splitlines():
        if line and not line.startswith("#"):
            family, table, chain, *words = shlex.split(line)
            groups.setdefault((int(family), table, chain), []).append(words)
    return groups


@pytest.mark.parametrize("group", chosen(), ids=lambda group: " ".join(map(str, group)))
def test_chosen_rules(group):
    family, *place = group
    assert differences(family, place, chosen()[group]) == []


@pytest.mark.parametrize("family", (4, 6))
def test_random_rules(family):
    print(f"seed {SEED}")
    rng = random.Random(f"{SEED} {family}")
    rules, groups = RandomRules(rng, family), {}
    names = rules.names()
    for number in range(RULES // 2):
        place, words = rules.rule(names[number % len(names)])
        groups.setdefault(place, []).append(words)
    assert [difference for place, group in groups.items() for difference in differences(family, place, group)] == []
