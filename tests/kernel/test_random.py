"""Random connections through the running kernel and through fastct: no difference after any packet.

FASTCT_KERNEL_PACKETS and FASTCT_KERNEL_SEED choose how many, and which; the seed is printed. It draws the settings,
too: every switch and every timeout.
"""

import os
import random

import pytest

from fastct.conntrack.opts import SYSCTLS
from tests.kernel import compare
from tests.kernel.generator import random_packets
from tests.kernel.namespace import isolated, unavailable

PACKETS = int(os.environ.get("FASTCT_KERNEL_PACKETS", "20000"))
SEED = int(os.environ.get("FASTCT_KERNEL_SEED", random.randrange(1 << 32)))
DRAWS = 3
SHORTEST_S = 20         # a timeout that runs out while packets are sent would have to be met to the millisecond


def drawn(rng):
    """Settings at random. Not all of the kernel's can be told to a namespace, and limits are another test's."""
    settings = {name: rng.randrange(2) for name in ("nf_conntrack_tcp_loose", "nf_conntrack_tcp_be_liberal",
                                                    "nf_conntrack_tcp_ignore_invalid_rst", "nf_conntrack_checksum")}
    settings["nf_conntrack_tcp_max_retrans"] = rng.randrange(6)
    for name in SYSCTLS:
        if "_timeout" in name and "frag" not in name and rng.random() < 0.7:
            settings[name] = rng.randrange(SHORTEST_S, 2000)
    return settings


SETTINGS = [{}, *(drawn(random.Random(SEED + number)) for number in range(DRAWS))]

pytestmark = [pytest.mark.kernel, pytest.mark.skipif(bool(unavailable()), reason=unavailable() or "available")]


@pytest.mark.parametrize("number", range(len(SETTINGS)))
def test_no_difference(number):
    packets = PACKETS if number == 0 else PACKETS // 2
    print(f"seed {SEED}, settings {SETTINGS[number]}")
    result = isolated(compare.compare_random, SEED + number, packets, SETTINGS[number])
    assert result["connections"] > packets / 25
    assert result["differences"] == [], f"seed {SEED}, settings {SETTINGS[number]}"
    assert result["listing"] == [], f"seed {SEED}, settings {SETTINGS[number]}"
    assert result["lines"] > packets / 40


def test_no_difference_as_time_passes():
    """Now and then a second and a half without packets: what is not refreshed shows, and the short timeouts of SCTP
    expire in the middle of associations."""
    print(f"seed {SEED}")
    packets = [
        packet._replace(pause=1.37) if number % 150 == 149 else packet
        for number, packet in enumerate(random_packets(SEED, 2250, ("sctp",)))
    ]
    result = isolated(compare.run, packets, {})
    assert result["differences"] == [], f"seed {SEED}"
    assert result["listing"] == [], f"seed {SEED}"
