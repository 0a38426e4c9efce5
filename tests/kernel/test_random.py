"""Random packets of every kind through the running kernel and through fastct: no difference after any of them, nor in
what is listed, counted and told of.

FASTCT_KERNEL_PACKETS and FASTCT_KERNEL_SEED choose how many, and which; the seed is printed. It draws the settings,
too: every switch and every timeout. ``python -m tests.kernel --seed`` shortens what differs.
"""

import os
import random

import pytest

from tests.kernel import compare
from tests.kernel.namespace import isolated, unavailable
from tests.kernel.settings import SHORT, drawn

PACKETS = int(os.environ.get("FASTCT_KERNEL_PACKETS", "20000"))
SEED = int(os.environ.get("FASTCT_KERNEL_SEED", random.randrange(1 << 32)))
MIXES = 4

pytestmark = [pytest.mark.kernel, pytest.mark.skipif(bool(unavailable()), reason=unavailable() or "available")]


def test_no_difference_with_defaults():
    """Some timeouts are a few seconds then: when Linux tells of what has run out is left to chance."""
    print(f"seed {SEED}")
    result = isolated(compare.compare_random, SEED, PACKETS, {})
    assert result["connections"] > PACKETS / 25
    assert compare.found(result | {"events": []}) == [], f"seed {SEED}"
    assert result["lines"] > PACKETS / 40


@pytest.mark.parametrize("number", range(MIXES))
def test_no_difference_in_a_mix(number):
    seed = SEED + number
    sysctls = drawn(random.Random(seed))
    print(f"seed {seed}, sysctls {sysctls}")
    result = isolated(compare.compare_mixed, seed, PACKETS // 2, sysctls)
    assert compare.found(result) == [], f"seed {seed}"
    assert result["classes"].keys() == {"", "NEW", "ESTABLISHED", "RELATED", "INVALID", "UNTRACKED"}
    assert result["connections"] > PACKETS / 50 and result["most"] > 5


@pytest.mark.parametrize("number", range(2))
def test_no_difference_as_time_passes(number):
    """Timeouts of a few seconds, and pauses: what is not refreshed expires, in the middle of conversations, too."""
    seed = SEED + number
    sysctls = drawn(random.Random(seed), SHORT)
    print(f"seed {seed}, sysctls {sysctls}")
    result = isolated(compare.compare_timed, seed, 1200, sysctls)
    assert compare.found(result) == [], f"seed {seed}"
    assert result["lines"] == 0 and result["classes"]["NEW"] > 80
