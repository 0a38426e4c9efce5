"""Random traffic through random rulesets, through the kernel and through fastct, compared after every packet; counters
and connections are compared in the end. What differs is made as small as it gets.

python -m tests.kernel.compare_rules [--cases N] [--packets N] [--seed N] [--only EXTENSION ...]
"""
import argparse
import random
import re
import sys
import time
from typing import NamedTuple

import fastct
from fastct.capture.frames import frames_from_bytes
from fastct.firewall import Firewall
from fastct.records import CTDIRS, CTSTATES, VERDICTS
from fastct.rules.model import TABLES
from fastct.rules.ruleset import Ruleset
from tests.kernel.effects import settled
from tests.kernel.gateway import HEADS, LOCAL, OWN, ROUTES, Gateway, Seen, Sent, counters, ends
from tests.kernel.generator import KINDS, conversation, interleaved
from tests.kernel.kernel import is_fragment
from tests.kernel.namespace import isolated
from tests.kernel.observation import Observation
from tests.kernel.rulesets_random import RandomRulesets
from tests.kernel.subject import Subject
from tests.packets import checksum

ACTIVE = 12             # conversations going on at a time
TOGETHER = 50           # cases in one namespace
ETHERNET = 1
SHOWN = 100
TRIES = 400             # with which a case is made small
FAMILIES = (4, 6)
PACKET_TOO_BIG = b"\2"
TRANSPORT_OFFSET = {4: 20, 6: 40}
WITHOUT_NAT = tuple(name for name in TABLES if name != "nat")


class Case(NamedTuple):
    """Texts of iptables-save by family, packets, and whether some of those are fragments."""
    rules: dict
    packets: list
    pieces: bool = False


class Mine(Subject):
    """fastct behind the same rules."""

    def __init__(self, rules):
        super().__init__(keep_leaving=True)
        interfaces = [(name, own) for name, owns in OWN.items() for own in owns]
        texts = (Ruleset.parse(rules[family], family) if rules[family] else None for family in FAMILIES)
        self.firewall = Firewall(self.tracker._engine, *texts, interfaces=interfaces, routes=ROUTES)

    def send(self, packet, now):
        """What becomes of a ``flows.Packet``: it is ``gateway.Sent``."""
        frames = frames_from_bytes([Gateway.frame(packet)], [now], ETHERNET)
        rows = self.tracker.process(frames)
        seen = None
        if VERDICTS[rows[0]["verdict"]] == "ACCEPT":
            seen = Seen(CTSTATES[rows[0]["ctstate"]], CTDIRS[rows[0]["ctdir"]], int(rows[0]["mark"]))
        left = [data[len(HEADS[0]) + 2:] for _, _, data in self.tracker.leaving(frames, rows)]
        if seen and left and ends(left[-1])[1] in LOCAL:
            left.pop()                   # the host keeps it for itself
        return Sent(seen, now, left)

    def counters(self, family):
        return counters(self.firewall.rulesets[family].text(counters=True))


def complete(text, nat):
    """A text with all tables, so that nothing stays of what was there before. Without ``nat`` that table is left out:
    once it was there, Linux gives every connection its status bits."""
    blank = ""
    for name, hooks in TABLES.items():
        if f"*{name}\n" not in text and (nat or name != "nat"):
            blank += f"*{name}\n" + "".join(f":{hook} ACCEPT [0:0]\n" for hook in hooks) + "COMMIT\n"
    return text + blank


def spoiled(data, offset):
    """Whether an ICMP message has a wrong checksum."""
    begun = data[8:40] + len(data[40:]).to_bytes(4, "big") + b"\0\0\0" + data[6:7] if data[0] >> 4 == 6 else b""
    return checksum(begun + data[offset:]) != 0


def usable(packet):
    """Whether the host's own stack can be made to treat a packet as any other: it cannot send to itself, it fills in
    the identification where there is none, drops its own errors with a wrong checksum where there is a nat table, and
    it would believe an error that says how large packets may be."""
    source, destination = (end in LOCAL for end in ends(packet.data))
    if source and (destination or is_fragment(packet.data) or len(packet.data) < 28):
        return False
    if source and packet.data[0] >> 4 == 4 and packet.data[4:6] == bytes(2):
        return False
    offset = TRANSPORT_OFFSET[packet.data[0] >> 4]
    if source and packet.label == "ICMP error" and spoiled(packet.data, offset):
        return False
    return not (destination and packet.data[0] >> 4 == 6 and packet.data[offset:offset + 1] == PACKET_TOO_BIG)


def random_case(seed, count, nat, pieces=False, only=()):
    """The case of a seed. ``only``: names of extensions that rules are mostly about."""
    rng = random.Random(f"{seed} {nat} {pieces}")
    tables = tuple(TABLES) if nat else WITHOUT_NAT
    rules = {}
    for family in FAMILIES:
        rules[family] = RandomRulesets(rng, family, tables, only).text(also=["nat"] if nat else ())
    kinds = tuple(KINDS)
    packets = interleaved(rng.getrandbits(32), count, ACTIVE,
                          lambda draw, number: conversation(draw, number, kinds, pieces))
    return Case(rules, [packet for packet in packets if usable(packet)], pieces)


def run(gateway, case, each=False):
    """The first difference, as text with the number of its packet, or None. ``each``: counters after every packet."""
    for family in FAMILIES:
        gateway.load(family, complete("", "*nat" in case.rules[family]))         # nothing is kept by a name
        gateway.load(family, complete(case.rules[family], "*nat" in case.rules[family]))
    gateway.conntrack.flush()
    mine = Mine(case.rules)
    flows = {}
    for number, packet in enumerate(case.packets, 1):
        theirs = gateway.send(packet, time.time_ns)
        ours = mine.send(packet, theirs.now)
        if packet.flow:
            flows[packet.flow] = number
        if theirs.seen != ours.seen:
            return number, f"packet {number}: kernel {theirs.seen}, fastct {ours.seen}"
        if text := other_bytes(packet, theirs, ours):
            return number, f"packet {number}: {text}"
        if each and (found := uncounted(gateway, mine)):
            return number, f"packet {number}: {found}"
    found = uncounted(gateway, mine) or next((text for flow in flows if (text := unlike(gateway, mine, flow))), None)
    return found and (len(case.packets), found)


def other_bytes(packet, theirs, ours):
    """How what left differs, as text. Linux cuts a datagram anew, and ours leaves in the pieces that it came in: of
    those only whether they leave is compared, where the host does not keep them."""
    left, mine = (sorted(map(settled, packets)) for packets in ([data for _, data in theirs.left], ours.left))
    kept = ends(packet.data)[1] in LOCAL
    if left == mine or is_fragment(packet.data) and (kept or bool(left) == bool(mine)):
        return None
    return "\n".join(["left the kernel", *(data.hex() for data in left), "left fastct",
                      *(data.hex() for data in mine)])


def uncounted(gateway, mine):
    """The first counter that differs, as text."""
    for family in FAMILIES:
        theirs = gateway.counters(family)
        for name, count in mine.counters(family).items():
            if theirs.get(name) != count:
                return f"IPv{family} {name}: kernel {theirs.get(name)}, fastct {count}"
    return None


def unlike(gateway, mine, flow):
    """How the entry of a tuple differs, as text."""
    theirs, ours = (Observation("", "", each) for each in (gateway.conntrack.get(flow), mine.entry(flow)))
    return f"{flow}:\n    kernel {theirs.entry}\n    fastct {ours.entry}" if theirs.differs(ours) else None


# ---- making it small

def smallest(items, fails):
    """As few of the items as still fail: whole parts are left out first, then one after the other."""
    size = max(1, len(items) // 2)
    while True:
        at = 0
        while at < len(items):
            fewer = items[:at] + items[at + size:]
            if fails(fewer):
                items = fewer
            else:
                at += size
        if size == 1:
            return items
        size = max(1, size // 2)


def loads(case):
    """Whether nothing is missing that a rule jumps to."""
    try:
        return all(Ruleset.parse(case.rules[family], family) for family in FAMILIES)
    except fastct.RuleError:
        return False


def shrunk(case, run_again):
    """The smallest case that still fails, as far as TRIES go: ``run_again`` gives what ``run`` gives."""
    tries = iter(range(TRIES))

    def fails(smaller):
        return next(tries, None) is not None and run_again(smaller)

    if not (found := fails(case)):
        return case
    case = case._replace(packets=case.packets[:found[0]])
    for _ in range(2):
        case = fewer_packets(case, fails)
        for family in FAMILIES:
            for kind in ("-A", r":\S+ -"):
                case = fewer_lines(case, family, kind, fails)
            accepting = case._replace(rules=case.rules | {family: case.rules[family].replace(" DROP [", " ACCEPT [")})
            case = accepting if fails(accepting) else case
    return case


def fewer_packets(case, fails):
    """A case that still fails, with fewer packets."""
    return case._replace(packets=smallest(case.packets, lambda packets: fails(case._replace(packets=packets))))


def fewer_lines(case, family, kind, fails):
    """A case that still fails, with fewer lines of a kind."""
    lines = case.rules[family].splitlines(keepends=True)

    def with_only(numbers):
        kept = (line for number, line in enumerate(lines) if number in numbers or not re.match(kind, line))
        return case._replace(rules=case.rules | {family: "".join(kept)})

    numbers = [number for number, line in enumerate(lines) if re.match(kind, line)]
    return with_only(smallest(numbers, lambda some: loads(smaller := with_only(some)) and fails(smaller)))


def telling(text):
    """The lines of a text without tables that only accept."""
    tables = re.findall(r"^\*.*?^COMMIT\n", text, re.MULTILINE | re.DOTALL)
    return "".join(table for table in tables if "-A" in table or " DROP " in table)


def shown(case, found):
    """A case that fails, for people."""
    texts = [f"IPv{family}\n{text}" for family in FAMILIES if (text := telling(case.rules[family]))]
    packets = [f"{number} side {packet.side} {packet.label}: {packet.data[:SHOWN].hex()}"
               for number, packet in enumerate(case.packets, 1)]
    return "\n".join([*texts, *packets, found[1]])


# ---- many

def once(found):
    """What was found, and was not when it was looked for again."""
    return found[0], f"not again: {found[1]}"


def _batch(seeds, count, nat, only):
    gateway = Gateway()
    found = []
    for seed in seeds:
        case = random_case(seed, count, nat, only=only)
        if first := run(gateway, case):
            small = shrunk(case, lambda smaller: run(gateway, smaller, each=True) or run(gateway, smaller))
            found.append((seed, shown(small, run(gateway, small) or once(first))))
    return found


def _alone(case):
    return run(Gateway(), case)


def compare(seed, cases, count, only=()):
    """Differences of random cases, as pairs of seed and text, so far, and how many cases those are: nine of ten as
    quickly as it goes; those with fragments, which the kernel remembers, in a namespace each."""
    found = []
    for begin in range(0, cases, TOGETHER):
        seeds, nat = range(seed + begin, seed + min(cases, begin + TOGETHER)), begin // TOGETHER % 2 == 1
        found += isolated(_batch, [each for each in seeds if each % 10], count, nat, only)
        for each in seeds:
            case = None if each % 10 else random_case(each, count, nat, True, only)
            if case and (first := isolated(_alone, case)):
                small = shrunk(case, lambda smaller: isolated(_alone, smaller))
                found.append((each, shown(small, isolated(_alone, small) or once(first))))
        yield begin + len(seeds), found


def main(argv):
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=200)
    parser.add_argument("--packets", type=int, default=250)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", nargs="*", default=(), metavar="EXTENSION", help="what rules are mostly about")
    args = parser.parse_args(argv)
    began, told = time.monotonic(), 0
    for done, found in compare(args.seed, args.cases, args.packets, args.only):
        for seed, text in found[told:]:
            print(f"---- seed {seed}\n{text}\n", flush=True)
        told = len(found)
        print(f"{done} rulesets, {told} differ, {time.monotonic() - began:.0f} s", flush=True)
    return 1 if told else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
