"""Packets at the boundaries of what rules ask for, and a tracker that has them meet the rules."""
import random
import struct
from dataclasses import dataclass, replace

import fastct
from fastct.records import CTSTATES
from fastct.rules.check import hooks_of
from fastct.rules.lint.boxes import TOP_ADDRESS, everything, meet
from tests import packets as p

NEW, ESTABLISHED, RELATED, INVALID = (CTSTATES.index(name) for name in ("NEW", "ESTABLISHED", "RELATED", "INVALID"))
HOST_IS = {"INPUT": "destination", "OUTPUT": "source", "POSTROUTING": "source"}     # of packets that come by a hook
ANY = {family: ((0, top),) for family, top in TOP_ADDRESS.items()}
ELSEWHERE = "zzz0"            # an interface that no rule names
START, STEP = 1_700_000_000 * 10**9, 10**4          # ns
MAC = bytes.fromhex("020000000001")
ICMP = {4: p.ICMP, 6: p.ICMPV6}
OWN = {4: 198 << 24 | 51 << 16 | 100 << 8, 6: 0x20010DB8 << 96}         # addresses of the interfaces, from here on


@dataclass(frozen=True)
class Wanted:
    """A packet as one would like to have it: numbers as in boxes, interfaces by name."""
    source: int
    destination: int
    protocol: int
    sport: int = 1000
    dport: int = 9
    icmp: int = 8 << 8
    flags: int = p.SYN
    state: int = NEW
    inward: str = ELSEWHERE
    outward: str = ELSEWHERE
    ttl: int = 64
    mac: int = 1
    size: int = 0


def address(value, family):
    """The text of an address."""
    return p.socket.inet_ntop(*((p.socket.AF_INET, value.to_bytes(4, "big")) if family == 4 else
                                (p.socket.AF_INET6, value.to_bytes(16, "big"))))


def frame(packet, mac=1):
    """An Ethernet frame."""
    return MAC + mac.to_bytes(6, "big") + struct.pack("!H", 0x800 if packet[0] >> 4 == 4 else 0x86DD) + packet


def packet(wanted, family, answer=False):
    """The IP packet, or one that answers it."""
    source, destination = (address(end, family) for end in (wanted.source, wanted.destination))
    sport, dport = wanted.sport, wanted.dport
    flags = wanted.flags
    if answer:
        source, destination, sport, dport, flags = destination, source, dport, sport, p.SYN | p.ACK
    bad, data = wanted.state == INVALID, bytes(wanted.size)
    if wanted.protocol == p.TCP:
        made = p.tcp(source, destination, sport, dport, 1, 0 if flags == p.SYN else 2, flags, data=data, bad_sum=bad)
    elif wanted.protocol == p.UDP:
        made = p.udp(source, destination, sport, dport, data, bad_sum=bad)
    elif wanted.protocol == ICMP[family]:
        kind, code = wanted.icmp >> 8, wanted.icmp & 0xFF
        if answer:
            kind = {8: 0, 13: 14, 15: 16, 17: 18, 128: 129, 139: 140}.get(kind, kind)
        quoted = p.udp(destination, source, 4000, 4001, b"quoted") if kind in (3, 4, 5, 11, 12, 1, 2) else b""
        made = p.icmp(source, destination, kind, code, struct.pack("!HH", wanted.sport, 1) + quoted, bad_sum=bad)
    else:
        made = p.ip(source, destination, wanted.protocol, bytes(20 + wanted.size))
    return with_ttl(made, wanted.ttl)


def with_ttl(made, ttl):
    """The packet with another TTL; it is one more than what rules behind the routing see."""
    if made[0] >> 4 == 6:
        return made[:7] + bytes([ttl]) + made[8:]
    head = made[:8] + bytes([ttl]) + made[9:10] + b"\0\0" + made[12:20]
    return head[:10] + struct.pack("!H", p.checksum(head)) + head[12:] + made[20:]


class Behind:
    """A tracker whose rules remember nothing of packets' paths, with connections there before the rules are.

    routes : dict
        Interface by address; all else is behind the last of ``interfaces``.
    """

    def __init__(self, ruleset, interfaces, routes=None):
        family = self.family = ruleset.family
        length = 32 if family == 4 else 128
        own = [(name, f"{address(OWN[family] + number, family)}/{length}") for number, name in enumerate(interfaces)]
        routes = [(f"{address(at, family)}/{length}", name) for at, name in (routes or {}).items()]
        self.tracker = fastct.Tracker(seed=1, checksum="on", interfaces=own, routes=routes)
        self.ruleset, self.now = ruleset, START

    def prepare(self, wanted):
        """Have the connections there that packets are to be of."""
        openings = [replace(each, flags=p.SYN, state=NEW, ttl=64) for each in wanted if each.state == ESTABLISHED]
        self.send(openings)
        self.send(openings, answer=True)
        self.send([replace(each, flags=p.ACK) for each in openings])
        quoted = [Wanted(each.destination, each.source, p.UDP, 4000, 4001) for each in wanted if each.state == RELATED]
        self.send(quoted)

    def load(self):
        """Have packets run through the rules from now on."""
        self.live = self.tracker.rules if self.family == 4 else self.tracker.rules6
        self.live.replace(self.ruleset)
        self.tracker.firewall._programs[self.family].remember(0, 0)

    def send(self, wanted, answer=False):
        """Send packets; returns their rows."""
        frames = [frame(packet(each, self.family, answer), each.mac) for each in wanted]
        self.now += STEP * len(frames)
        return self.tracker.process_bytes(frames, [self.now + STEP * at for at in range(len(frames))])

    def hits(self):
        """Packets that each rule has taken, by (table, chain, number)."""
        self.tracker.firewall.sync()
        return {(table.name, chain.name, number): rule.counters.packets
                for table in self.live.model.tables.values() for chain in table.chains.values()
                for number, rule in enumerate(chain.rules, 1)}


def _value(rng, intervals, top):
    """An end of an interval, or beside it."""
    value = rng.choice(rng.choice(intervals)) + rng.choice((0,) * 8 + (-1, 1))
    return max(0, min(top, value))


def _interface(rng, intervals, names):
    """An interface whose name lies in the intervals."""
    fit = [name for name in names
           if any(low <= int.from_bytes(name.encode().ljust(16, b"\0"), "big") <= high for low, high in intervals)]
    return rng.choice(fit or names)


def wanted_of(rng, box, pool, names, family):
    """A packet at a corner of a box; ``pool``: boxes that say what else may be of interest."""
    whole = everything(family)
    corner = {name: _value(rng, box.get(name, whole[name]), whole[name][-1][1])
              for name in ("source", "destination", "protocol", "sport", "dport", "icmp", "ttl", "mac")}
    for name in corner:
        if box.get(name, whole[name]) == whole[name]:
            other = rng.choice(pool).get(name)
            corner[name] = _value(rng, other, whole[name][-1][1]) if other else rng.randint(1, whole[name][-1][1])
    if box.get("protocol", whole["protocol"]) == whole["protocol"]:
        corner["protocol"] = rng.choice((p.TCP, p.TCP, p.UDP, p.UDP, ICMP[family], 47, 99))
    corner["protocol"] = min(255, corner["protocol"])
    corner["ttl"] = max(2, corner["ttl"]) if "ttl" in box else 64
    corner["mac"] = min((1 << 48) - 1, corner["mac"])
    state = rng.choice([value for low, high in box.get("ctstate", ((1, 4),)) for value in range(low, high + 1)])
    flags = box.get("flags", ((p.SYN, p.SYN), (p.SYN, p.SYN), (p.ACK, p.ACK)))
    return Wanted(**corner, state=state, flags=rng.choice(rng.choice(flags)),
                  inward=_interface(rng, box.get("in_interface", whole["in_interface"]), names),
                  outward=_interface(rng, box.get("out_interface", whole["out_interface"]), names),
                  size=rng.choice((0, 0, 100)))


def packets_for(seed, reaches, names, family, each):
    """Packets at the boundaries of all rules of some tables, ``each`` for every rule."""
    rng = random.Random(seed)
    boxes = [asks.box for reach in reaches for asks in reach.asks.values() if asks.box]
    for reach in reaches:
        hooks = hooks_of(reach.table)
        for (chain, _), asks in reach.asks.items():
            for _ in range(each if asks.box is not None else 0):
                context = rng.choice(reach.contexts[chain]).box if reach.contexts[chain] else {}
                box = meet(context, asks.box) or asks.box
                wanted = wanted_of(rng, box, boxes or [{}], names, family)
                end = HOST_IS.get(rng.choice(hooks[chain])) if hooks[chain] else None
                if end and box.get(end, ANY[family]) == ANY[family]:
                    wanted = replace(wanted, **{end: OWN[family] + rng.randrange(len(names))})
                yield wanted
