"""Matches that look at the packet: random rules and frames, many damaged, have equal counters in the kernel and here.

FASTCT_KERNEL_PACKETS and FASTCT_KERNEL_SEED choose how many frames, and which; the seed is printed.
"""
import os
import random

import pytest

from tests.kernel import iptables, namespace
from tests.kernel.packet_matches import run

PACKETS = int(os.environ.get("FASTCT_KERNEL_PACKETS", "4000"))
SEED = int(os.environ.get("FASTCT_KERNEL_SEED", random.randrange(1 << 32)))
ROUND, RULES = 1000, 40         # so many rules that their chain has an index
REASON = namespace.unavailable() or iptables.unavailable()

pytestmark = [pytest.mark.kernel, pytest.mark.skipif(bool(REASON), reason=REASON or "available")]


@pytest.mark.parametrize("chain", ("PREROUTING", "FORWARD"))
@pytest.mark.parametrize("family", (4, 6))
def test_counters(family, chain):
    print(f"seed {SEED}")
    for number in range(PACKETS // ROUND):
        asked, different = namespace.isolated(run, SEED + number, family, chain, RULES, ROUND)
        assert different is None
        assert asked == ROUND * RULES
