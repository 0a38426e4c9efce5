"""What lint calls dead, the kernel's counters say nothing of: random rulesets and traffic, fragments among it.

FASTCT_KERNEL_RULESETS and FASTCT_KERNEL_SEED choose how many random rulesets, and which; the seed is printed.
"""
import time

import pytest

from fastct.rules import Ruleset
from fastct.rules.lint.findings import TableLint
from tests.kernel.compare_rules import FAMILIES, complete, random_case
from tests.kernel.gateway import Gateway
from tests.kernel.namespace import isolated
from tests.kernel.test_rulesets import RULESETS, SEED, missing

pytestmark = [pytest.mark.kernel, pytest.mark.skipif(bool(missing()), reason=missing() or "available")]
PACKETS = 250
# Fragments are met by nobody where conntrack is; without it the second rule would be hit.
FRAGMENTS = "*filter\n-A FORWARD -m state --state NEW\n-A FORWARD -f -j DROP\nCOMMIT\n"


def dead_rules(text, family):
    """Names of the rules that are called dead, as in the column ``decided``, and how many rules there are."""
    model = Ruleset.parse(text, family).model
    tables = {name: TableLint(model, table) for name, table in model.tables.items()}
    return ({f"{name}/{chain}/{number}" for name, table in tables.items() for chain, number in table.dead},
            sum(len(table.reach.asks) for table in tables.values()))


def _hits(cases):
    """How often the rules of cases that are called dead were hit, by number of the case, family and name; how many
    such rules there are, and how many rules."""
    gateway, hits, dead, rules = Gateway(), {}, 0, 0
    for number, case in enumerate(cases):
        for family in FAMILIES:
            gateway.load(family, complete(case.rules[family], "*nat" in case.rules[family]))
        for packet in case.packets:
            gateway.send(packet, time.time_ns)
        for family in FAMILIES:
            names, count = dead_rules(case.rules[family], family)
            counted = gateway.counters(family)
            hits |= {(number, family, name): counted[name] for name in names if counted[name][0]}
            dead, rules = dead + len(names), rules + count
    return hits, dead, rules


def test_random_rulesets():
    print(f"seed {SEED}")
    hits, dead, rules = isolated(_hits, [random_case(SEED + number, PACKETS, number % 2 == 1, True)
                                         for number in range(RULESETS)])
    assert hits == {}
    assert rules / 20 < dead < rules / 2


def test_fragments():
    case = random_case(1, 400, False, True)
    with_state = case._replace(rules={4: FRAGMENTS, 6: ""})
    assert dead_rules(FRAGMENTS, 4) == ({"filter/FORWARD/2"}, 2)
    assert isolated(_hits, [with_state]) == ({}, 1, 2)
