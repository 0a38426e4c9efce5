"""Matches on connections and with state: random rules, random connections: counters of every rule after each.

FASTCT_KERNEL_PACKETS and FASTCT_KERNEL_SEED choose how many packets, and which; the seed is printed.
"""
import os
import random

import pytest

from tests.kernel.counted import Counted
from tests.kernel.generator import KINDS, random_packets
from tests.kernel.iptables import unavailable as no_iptables
from tests.kernel.namespace import isolated, unavailable
from tests.kernel.packet_words import Words
from tests.kernel.state_words import STATE_WORDS

PACKETS = int(os.environ.get("FASTCT_KERNEL_PACKETS", "4000")) // 10
SEED = int(os.environ.get("FASTCT_KERNEL_SEED", random.randrange(1 << 32)))
RULES = 24
GROUPS = {
    "connection": ("state", "conntrack", "connmark", "connbytes", "connlabel", "helper", "cluster"),
    "state": ("limit", "hashlimit", "recent", "statistic", "quota"),
    "both": ("state", "conntrack", "connbytes", "connlabel", "limit", "hashlimit", "recent", "statistic", "quota"),
    "connlimit": ("connlimit", "connlimit"),
}
# connlimit is for first packets; what others do to the kernel's list depends on more than is seen.
FIRST = ["-m", "conntrack", "--ctstate", "NEW", "!", "--ctstatus", "CONFIRMED"]
# Through POSTROUTING of IPv6 go multicast listener reports of the kernel's own.
PLACES = {4: (("mangle", "PREROUTING"), ("mangle", "FORWARD"), ("mangle", "POSTROUTING"), ("filter", "FORWARD")),
          6: (("mangle", "PREROUTING"), ("mangle", "FORWARD"), ("filter", "FORWARD"))}
TIMED = ("tcp", "udp", "echo"), 0.009       # kinds of connections, and s from packet to packet: two ticks of the kernel

REASON = unavailable() or no_iptables()
pytestmark = [pytest.mark.kernel, pytest.mark.skipif(bool(REASON), reason=REASON or "available")]


def differences(ground, rules, packet, number):
    """What the counters of two sides tell apart, as lines."""
    family = packet.data[0] >> 4
    theirs, ours = ground.counters(family)
    if theirs == ours:
        return []
    lines = [f"packet {number}: {packet.label} from {packet.side}"]
    for table in theirs:
        words = [f"{chain} {words}" for t, chain, words in rules[family] if t == table]
        order = sorted(range(len(words)), key=lambda at: HOOKS.index(words[at].split()[0]))
        for at, theirs_of, ours_of in zip(order, theirs[table], ours[table], strict=True):
            if theirs_of != ours_of:
                lines.append(f"    {table} {words[at]}: kernel {theirs_of}, fastct {ours_of}")
    return lines


HOOKS = ("PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING")


def rule(words, names):
    """(table, chain, words) of a rule with one or two matches of these names."""
    rng, said = words.rng, []
    for name in rng.sample(names, rng.choice((1, 1, 2))):
        said += FIRST if name == "connlimit" else []
        said += ["-m", name, *STATE_WORDS[name](words)]
    return *rng.choice(PLACES[words.family]), " ".join(said)


def run(names, seed, count, kinds, pause):
    """Random packets through random rules; => the first differences, and how many rules took how many packets."""
    rng = random.Random(seed)
    made = {family: Words(rng, family) for family in (4, 6)}
    rules = {family: [rule(made[family], names) for _ in range(RULES)] for family in made}
    ground = Counted(rules, keep_ended=True)
    found, taken = [], 0
    for number, packet in enumerate(random_packets(seed, count, kinds, pieces=False)):
        ground.send(packet._replace(pause=pause))
        found = differences(ground, rules, packet, number)
        if found and len(ground.tracker.drain_ended()) and all("connlabel" in line for line in found[1:]):
            found = []                   # the packet that ends its connection cannot be given a label here
            break                        # and from here on, counters differ
        if found:
            break
        ground.tracker.drain_ended()
    for family in rules:
        taken += sum(packets > 0 for counts in ground.counters(family)[1].values() for packets, _ in counts)
    return found, taken


@pytest.mark.parametrize("group", GROUPS)
def test_counters_of_every_rule(group):
    print(f"seed {SEED}")
    kinds, pause = TIMED if group == "connlimit" else (tuple(KINDS), 0)
    found, taken = isolated(run, GROUPS[group], SEED, PACKETS, kinds, pause)
    assert found == [], f"seed {SEED}"
    assert taken > RULES / 2
