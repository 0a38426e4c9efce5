"""Helpers that know states (pptp, sip): dialogues through the running kernel and through fastct, no difference after
any packet, in what is expected neither.

FASTCT_KERNEL_PACKETS and FASTCT_KERNEL_SEED choose how many random packets, and which; the seed is printed.
"""

import os
import random

import pytest

from tests import packets as p
from tests.kernel import compare, pptp, sip
from tests.kernel.generator import CLIENT, SERVER
from tests.kernel.mixed import PAUSE_S
from tests.kernel.namespace import isolated, unavailable
from tests.unit.test_helper_pptp import DIALOGUES
from tests.unit.test_helper_sip import DIALOGUES as SIP_DIALOGUES
from tests.unit.test_helper_sip import DROPPED, HELPERS

PACKETS = int(os.environ.get("FASTCT_KERNEL_PACKETS", "20000"))
SEED = int(os.environ.get("FASTCT_KERNEL_SEED", random.randrange(1 << 32)))
# The kernel ends what has expired when it comes by, and not before: nothing is to expire here.
PATIENT = {
    f"nf_conntrack_{name}": 600
    for name in ("tcp_timeout_close", "tcp_timeout_close_wait", "tcp_timeout_last_ack", "gre_timeout", "udp_timeout",
                 "udp_timeout_stream")
}

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
    return compare.run(pptp_dialogue(name), PATIENT, {"tcp/1723": "pptp"})


@pytest.mark.parametrize("name", DIALOGUES)
def test_pptp(name):
    result = isolated(compare_pptp, name)
    assert compare.found(result) == []


def compare_pptp_random(seed, count):
    """Runs in a namespace."""
    return compare.run(pptp.random_packets(random.Random(seed), count), PATIENT, {"tcp/1723": "pptp"})


def test_pptp_at_random():
    print(f"seed {SEED}")
    result = isolated(compare_pptp_random, SEED, PACKETS)
    assert compare.found(result) == [], f"seed {SEED}"
    assert result["classes"]["RELATED"] > PACKETS // 100
    assert result["most"] > 2


def sip_dialogue(said, proto):
    """A signalling connection that says what a dialogue says, and media afterwards."""
    line = sip.Signalling("10.1.0.1", "10.2.0.1", 2000, proto)
    yield from line.handshake()
    for side, data in said:
        yield line.say(side, data)
    for side in (CLIENT, SERVER):
        for port in (4000, 4001, 4002, 5000, 5060, 6000):
            yield line.media(side, port)


def compare_sip(said, proto):
    """Runs in a namespace."""
    return compare.run(sip_dialogue(said, proto), PATIENT, HELPERS)


@pytest.mark.parametrize("proto", [p.UDP, p.TCP], ids=["UDP", "TCP"])
@pytest.mark.parametrize("name", [*SIP_DIALOGUES, *(f"dropped: {name}" for name in DROPPED)])
def test_sip(name, proto):
    said = SIP_DIALOGUES[name][0] if name in SIP_DIALOGUES else DROPPED[name.removeprefix("dropped: ")]
    result = isolated(compare_sip, said, proto)
    assert compare.found(result) == []


def expiring():
    """A phone that registers for 2 s, and what reaches it."""
    line = sip.Signalling("10.1.0.1", "10.2.0.1", 2000)
    contact = f"Contact: {sip.contact('10.1.0.1', 5062, ';expires=2')}"
    yield line.say(CLIENT, sip.request("REGISTER", 1, contact))
    yield line.say(SERVER, sip.answer(200, "REGISTER", 1, contact))
    for _ in range(3):
        yield line.media(SERVER, 4000)._replace(pause=PAUSE_S)
    yield line.media(SERVER, 5062)


def compare_expiring():
    """Runs in a namespace."""
    return compare.run(expiring(), PATIENT, HELPERS)


def test_expectations_expire():
    result = isolated(compare_expiring)
    assert compare.found(result) == []
    assert result["most"] == 1 and result["classes"].get("RELATED", 0) == 0


def compare_sip_random(seed, count):
    """Runs in a namespace."""
    return compare.run(sip.random_packets(random.Random(seed), count), PATIENT, HELPERS)


def test_sip_at_random():
    print(f"seed {SEED}")
    result = isolated(compare_sip_random, SEED, PACKETS // 2)
    assert compare.found(result) == [], f"seed {SEED}"
    assert result["classes"]["RELATED"] > PACKETS // 100
    assert result["classes"][""] > PACKETS // 100
