"""Rules: the same packets through the kernel's tables and through ours. What becomes of every packet is the same, and
so are counters and connections in the end.

FASTCT_KERNEL_RULESETS and FASTCT_KERNEL_SEED choose how many random rulesets, and which; the seed is printed.
"""
import os
import random
import shutil

import pytest

from tests.kernel.compare_rules import Case, Mine, compare, random_case, run
from tests.kernel.gateway import PROGRAMS, Gateway
from tests.kernel.namespace import isolated, unavailable

RULESETS = int(os.environ.get("FASTCT_KERNEL_RULESETS", "60"))
SEED = int(os.environ.get("FASTCT_KERNEL_SEED", random.randrange(1 << 32)))
PACKETS = 250
HOOKS = {"mangle": ("PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"), "raw": ("PREROUTING", "OUTPUT"),
         "nat": ("PREROUTING", "INPUT", "OUTPUT", "POSTROUTING"), "filter": ("INPUT", "FORWARD", "OUTPUT"),
         "security": ("INPUT", "FORWARD", "OUTPUT")}


def missing():
    """Why there is nothing to compare with; empty if there is."""
    programs = [f"{program}-{what}" for program in PROGRAMS.values() for what in ("restore", "save")]
    return unavailable() or next((f"needs {program}" for program in programs if shutil.which(program) is None), "")


pytestmark = [pytest.mark.kernel, pytest.mark.skipif(bool(missing()), reason=missing() or "available")]


def table(name, *lines, policies=(), chains=()):
    """The text of a table."""
    base = [f":{hook} {dict(policies).get(hook, 'ACCEPT')} [0:0]" for hook in HOOKS[name]]
    return "\n".join([f"*{name}", *base, *(f":{chain} - [0:0]" for chain in chains), *lines, "COMMIT", ""])


def everywhere(*rules):
    """Every table at every hook jumps to a chain of these rules."""
    return "".join(table(name, *(f"-A {hook} -j {hook[:4]}" for hook in hooks),
                         *(f"-A {hook[:4]} {rule}" for hook in hooks for rule in rules),
                         chains=[hook[:4] for hook in hooks]) for name, hooks in HOOKS.items())


STATES = tuple(f"-m state --state {name}" for name in ("NEW", "ESTABLISHED", "RELATED", "INVALID", "UNTRACKED"))
# What is taken for granted of the way of a packet through the tables, as rules that would show if it were otherwise.
FACTS = {
    "which interfaces a packet has at which hook": everywhere(
        *(f"{flag} {name}" for flag in ("-i", "-o", "! -i", "! -o") for name in ("f0", "f1", "f+", "lo"))),
    "what a packet's state is at which hook": everywhere(*STATES, "-m connmark --mark 0", "-m connmark ! --mark 0"),
    "goto and RETURN in base chains": "".join(
        table(name, *(f"-A {hook} {rule}" for hook in hooks for rule in ("-p tcp -g A", "-p udp -j RETURN", "-j B")),
              "-A A -p tcp -j C", "-A A -j RETURN", "-A B -g C", "-A B", "-A C -d 10.1.0.0/16 -j RETURN", "-A C",
              chains="ABC") for name, hooks in HOOKS.items()),
    "a dropped packet makes no connection, and changes one": table(
        "filter", "-A FORWARD -p tcp --dport 443 -m state --state NEW -j DROP",
        "-A FORWARD -p tcp --tcp-flags FIN FIN -j DROP", "-A FORWARD -p udp -m state --state ESTABLISHED -j DROP",
        policies={"OUTPUT": "DROP"}),
    "what raw drops was never tracked": table(
        "raw", "-A PREROUTING -p tcp --tcp-flags SYN,ACK SYN,ACK -j DROP", "-A PREROUTING -p udp --sport 53 -j DROP",
        "-A OUTPUT -p tcp --tcp-flags FIN FIN -j DROP", "-A PREROUTING -p icmp -j NOTRACK"),
    "marks go with the packet, those of a connection stay": table(
        "mangle", "-A PREROUTING -p tcp -j MARK --set-mark 1", "-A PREROUTING -p udp -j MARK --set-mark 2",
        "-A INPUT -m mark --mark 1", "-A FORWARD -m mark --mark 2 -j MARK --or-mark 4", "-A OUTPUT -m mark --mark 0",
        "-A POSTROUTING -m mark --mark 6", "-A POSTROUTING -m mark --mark 0") + table(
        "raw", "-A OUTPUT -j MARK --set-mark 8"),
}


def _fact(text, seed):
    packets = random_case(seed, 400, nat="*nat" in text).packets
    found = run(Gateway(), Case({4: text, 6: text.replace("10.1.0.0/16", "fd00:1::/64").replace("icmp", "icmpv6")},
                                packets), each=True)
    return found and found[1]


@pytest.mark.parametrize("fact", FACTS)
def test_fact(fact):
    print(f"seed {SEED}")
    assert isolated(_fact, FACTS[fact], SEED) is None


# Of the 16 rules of the first fact, by hook, those that no packet can meet.
NEVER = {"PREROUTING": {4, 5, 6, 7, 8, 11}, "INPUT": {4, 5, 6, 7, 8, 11}, "FORWARD": {4, 8, 11, 15},
         "OUTPUT": {1, 2, 3, 4, 8, 15}, "POSTROUTING": {4, 8, 15}}


def test_interfaces_at_hooks():
    """Of packets that come in, pass through and are sent here: what is compared above is met."""
    mine = Mine({4: FACTS["which interfaces a packet has at which hook"], 6: ""})
    for number, packet in enumerate(random_case(1, 2000, nat=True).packets, 1):
        mine.send(packet, number)
    counted = mine.counters(4)
    never = {hook: {number for number in range(1, 17) if not counted[f"mangle/{hook[:4]}/{number}"][0]}
             for hook in HOOKS["mangle"]}
    assert never == NEVER


def test_random_rulesets():
    print(f"seed {SEED}")
    for _, found in compare(SEED, RULESETS, PACKETS):
        assert found == []
