"""Helpers that know states (pptp, sip): dialogues through the running kernel and through fastct, no difference after
any packet, in what is expected neither.

FASTCT_KERNEL_PACKETS and FASTCT_KERNEL_SEED choose how many random packets, and which; the seed is printed.
"""

import os
import random

import pytest

from tests.kernel import calls, pptp
from tests.kernel.generator import CLIENT, SERVER
from tests.kernel.namespace import isolated, unavailable
from tests.unit.test_helper_pptp import DIALOGUES

PACKETS = int(os.environ.get("FASTCT_KERNEL_PACKETS", "20000"))
SEED = int(os.environ.get("FASTCT_KERNEL_SEED", random.randrange(1 << 32)))
# The kernel ends what has expired when it comes by, and not before: nothing is to expire here.
PATIENT = {"nf_conntrack_tcp_timeout_close": 600, "nf_conntrack_gre_timeout": 500, "nf_conntrack_udp_timeout": 600}

pytestmark = [pytest.mark.kernel, pytest.mark.skipif(bool(unavailable()), reason=unavailable() or "available")]


def pptp_dialogue(name):
    """A control connection that says what a dialogue says, and GRE afterwards."""
    control = pptp.Control("10.1.0.1", "10.2.0.1", 1000)
    yield from control.session()
    for word, *fields in DIALOGUES[name][0]:
        yield control.say(word, *fields[:2], result=(*fields, 1, 1, 1)[2])
    for side, call, mine in ((CLIENT, 0x22, 0x11), (SERVER, 0x11, 0x22), (CLIENT, 0x22, 0x11), (CLIENT, 0x24, 0x13)):
        yield control.gre(side, call, mine)
        yield control.unreachable(side, call, mine)
    yield control.say("disconnect", 0x22)
    yield control.gre(CLIENT, 0x22)


def compare_pptp(name):
    """Runs in a namespace."""
    return calls.run(pptp_dialogue(name), {"tcp/1723": "pptp"}, PATIENT)


@pytest.mark.parametrize("name", DIALOGUES)
def test_pptp(name):
    result = isolated(compare_pptp, name)
    assert result["differences"] == []


def compare_pptp_random(seed, count):
    """Runs in a namespace."""
    return calls.run(pptp.random_packets(random.Random(seed), count), {"tcp/1723": "pptp"}, PATIENT)


def test_pptp_at_random():
    print(f"seed {SEED}")
    result = isolated(compare_pptp_random, SEED, PACKETS)
    assert result["differences"] == [], f"seed {SEED}"
    assert result["classes"]["RELATED"] > PACKETS // 100
    assert result["most"] > 2
