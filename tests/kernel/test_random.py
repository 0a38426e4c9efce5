"""Random connections through the running kernel and through fastct: no difference after any packet.

FASTCT_KERNEL_PACKETS and FASTCT_KERNEL_SEED choose how many, and which; the seed is printed.
"""

import os
import random

import pytest

from tests.kernel import compare
from tests.kernel.generator import random_packets
from tests.kernel.namespace import isolated, unavailable

PACKETS = int(os.environ.get("FASTCT_KERNEL_PACKETS", "20000"))
SEED = int(os.environ.get("FASTCT_KERNEL_SEED", random.randrange(1 << 32)))
SYSCTLS = (
    {},
    {"nf_conntrack_tcp_loose": 0},
    {"nf_conntrack_tcp_be_liberal": 1},
    {"nf_conntrack_tcp_max_retrans": 1},
    {"nf_conntrack_tcp_ignore_invalid_rst": 1},
    {"nf_conntrack_checksum": 0},
    {"nf_conntrack_sctp_timeout_established": 77, "nf_conntrack_sctp_timeout_closed": 1000},
)

pytestmark = [pytest.mark.kernel, pytest.mark.skipif(bool(unavailable()), reason=unavailable() or "available")]


@pytest.mark.parametrize("sysctls", SYSCTLS, ids=lambda sysctls: next(iter(sysctls), "defaults"))
def test_no_difference(sysctls):
    packets = PACKETS if not sysctls else PACKETS // 4
    print(f"seed {SEED}")
    result = isolated(compare.compare_random, SEED, packets, sysctls)
    assert result["connections"] > packets / 25
    assert result["differences"] == [], f"seed {SEED}"
    assert result["listing"] == [], f"seed {SEED}"
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
