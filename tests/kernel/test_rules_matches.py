"""Matches: the same words through iptables-legacy or ip6tables-legacy and through ours: what is said, saved, listed.

FASTCT_KERNEL_RULES and FASTCT_KERNEL_SEED choose how many random rules, and which; the seed is printed.
"""
import os
import random
import shlex
from pathlib import Path

import pytest

from tests.kernel.iptables import differences, unavailable
from tests.kernel.rules_random import RandomRules

RULES = int(os.environ.get("FASTCT_KERNEL_RULES", "800"))
SEED = int(os.environ.get("FASTCT_KERNEL_SEED", random.randrange(1 << 32)))
CHOSEN = Path(__file__).with_name("matches.txt")

pytestmark = [pytest.mark.kernel, pytest.mark.skipif(bool(unavailable()), reason=unavailable() or "available")]


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
    assert differences(*group, chosen()[group]) == []


@pytest.mark.parametrize("family", (4, 6))
def test_random_rules(family):
    print(f"seed {SEED}")
    rng = random.Random(f"{SEED} {family}")
    rules, groups = RandomRules(rng, family), {}
    names = rules.names()
    for number in range(RULES // 2):
        place, words = rules.rule(names[number % len(names)])
        groups.setdefault(place, []).append(words)
    assert [difference for place, group in groups.items() for difference in differences(family, *place, group)] == []
