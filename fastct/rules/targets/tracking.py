"""Targets that say how, or whether, a connection is tracked."""
from dataclasses import dataclass

from fastct.records import HELPERS as TRACKED_HELPERS
from fastct.rules.extension import Option, Target
from fastct.rules.kinds import Kind, Number, Text, number
from fastct.rules.ops.tracking import ZONE_OF_MARK as ZONE_MARK
from fastct.rules.words import Failure, Refused

TCP, UDP = 6, 17
BOTH, IPV4 = (4, 6), (4,)
# The kernel's helpers: families and protocols.
HELPERS = {
    "amanda": (BOTH, (UDP,)), "ftp": (BOTH, (TCP,)), "irc": (IPV4, (TCP,)), "netbios-ns": (IPV4, (UDP,)),
    "pptp": (IPV4, (TCP,)), "Q.931": (BOTH, (TCP,)), "RAS": (BOTH, (UDP,)), "sane": (BOTH, (TCP,)),
    "sip": (BOTH, (TCP, UDP)), "snmp": (IPV4, (UDP,)), "snmp_trap": (IPV4, (UDP,)), "tftp": (BOTH, (UDP,)),
}
CT_EVENTS = ("new", "related", "destroy", "reply", "assured", "protoinfo", "helper", "mark", "natseqinfo", "secmark")
EXP_EVENTS = ("new",)


@dataclass(frozen=True)
class Events(Kind):
    """A list of names of events: those of ``known`` that were given, in its order."""
    known: tuple
    count = 1

    def read(self, words, context):
        given = words[0].split(",")
        for name in given:
            if name not in self.known:
                raise Failure(f'Unknown event type "{name}"', word=words[0])
        return tuple(name for name in self.known if name in given)

    def write(self, value):
        return (",".join(value),)


class Zone(Kind):
    """A zone's number, or "mark"."""
    count = 1

    def read(self, words, context):
        if words[0] == "mark":
            return "mark"
        value, rest = number(words[0])
        if value is None or rest or value > 0xFFFF:
            raise Failure(f"Cannot parse {words[0]} as a zone ID", word=words[0])
        return value

    def write(self, value):
        return (str(value),)


class TimeoutName(Text):
    """A policy's name, of which the kernel gives back only what it keeps room for: four characters."""

    def write(self, value):
        return (value[:4],)


class Ct(Target):
    """At most one of ``zone``, ``zone-orig`` and ``zone-reply``: a number that is not 0, or "mark"."""
    name, tables = "CT", ("raw",)
    zones = ("zone", "zone-orig", "zone-reply")
    outside = {"zone": 0, "zone-orig": 2, "zone-reply": 1}       # directions that stay in zone 0, bits
    options = (Option("notrack"), Option("helper", Text(cut=15, raw=True)), Option("timeout", TimeoutName(cut=31)),
               Option("ctevents", Events(CT_EVENTS)), Option("expevents", Events(EXP_EVENTS)),
               *(Option(name, Zone()) for name in zones))

    def finish(self, use, rule):
        given = {name: use.values.pop(name) for name in list(use.values) if name in self.zones}
        number_, mark = 0, False
        for value in given.values():
            if value == "mark":
                mark = True
            else:
                number_ = value
        directions = [name for name in ("zone-orig", "zone-reply") if name in given]
        if mark or number_:
            use.values[directions[0] if len(directions) == 1 else "zone"] = "mark" if mark else number_
        for name in ("helper", "timeout"):
            if use.get(name) == "":
                del use.values[name]

    def check(self, use, rule, place):
        if "notrack" in use:
            return
        protocol = 0 if "protocol" in rule.header.inverted else rule.header.protocol
        if "helper" in use:
            families, protocols = HELPERS.get(use.get("helper"), ((), ()))
            if place.family not in families or protocol not in protocols:
                raise Refused(Refused.ABSENT)
        if "timeout" in use:
            raise Refused(Refused.ABSENT if protocol else Refused.INVALID)

    def show(self, use, numeric):
        return " ".join(["CT", *(word.removeprefix("--") for word in self.save(use))])

    def compile(self, use, out):
        if use.get("helper", "") not in TRACKED_HELPERS:
            raise NotImplementedError(self.name)
        for name in ("ctevents", "expevents"):
            if name in use:
                out.note(f"CT: --{name} filters no events")
        given = next((name for name in self.zones if name in use), "zone")
        zone = use.get(given, 0)
        out.effect("assign", ZONE_MARK if zone == "mark" else zone, self.outside[given],
                   TRACKED_HELPERS.index(use.get("helper", "")), "notrack" in use)


class Notrack(Target):
    """The same as CT --notrack, by its older name."""
    name, tables, listed = "NOTRACK", ("raw",), "CT"

    def show(self, use, numeric):
        return "NOTRACK"

    def compile(self, use, out):
        out.effect("assign", 0, 0, 0, True)


@dataclass(frozen=True)
class Low(Number):
    """A number of which only the low bits are kept."""
    keep: int = 16

    def read(self, words, context):
        return super().read(words, context) & (1 << self.keep) - 1


class Synproxy(Target):
    """Takes SYN and the ACK that answers its own; what else there is goes on to the next rule."""
    name, hooks, protocols = "SYNPROXY", ("INPUT", "FORWARD"), (TCP,)
    options = (Option("sack-perm"), Option("timestamp"), Option("wscale", Low(keep=8)), Option("mss", Low()),
               Option("ecn"))

    def compile(self, use, out):
        out.note("SYNPROXY: it answers nobody, so that no connection begins behind it")
        out.effect("synproxy")

    def show(self, use, numeric):
        return " ".join(["SYNPROXY", *(word.removeprefix("--") for word in self.save(use)), ""])
