"""Matches on addresses and on interfaces; and how their options are read, for the others."""
from dataclasses import dataclass

from fastct.rules import names
from fastct.rules.extension import Match, Option, by_family
from fastct.rules.kinds import Kind, Mask, Text, bits_text
from fastct.rules.model import Network
from fastct.rules.words import Failure, Refused

BEFORE_ROUTING, BEHIND_ROUTING = {"PREROUTING", "INPUT"}, {"POSTROUTING", "OUTPUT"}
ADDRESS_TYPES = ("UNSPEC", "UNICAST", "LOCAL", "BROADCAST", "ANYCAST", "MULTICAST", "BLACKHOLE", "UNREACHABLE",
                 "PROHIBIT", "THROW", "NAT", "XRESOLVE")
NOT_IPV6 = 0xF48        # BROADCAST, BLACKHOLE, and from PROHIBIT on
# Names that iproute2 comes with.
GROUPS, REALMS = (("default", 0),), (("cosmos", 0),)


@dataclass(frozen=True)
class HostMask(Kind):
    """``HOST[/MASK]`` as a Network whose host bits stay; a mask that is no prefix is one of a single host."""
    family: int
    always: bool = False        # the length is written even for one host
    count = 1

    def read(self, words, context):
        text, slash, mask = words[0].partition("/")
        value = names.resolve(text, self.family)
        length = names.length(mask, self.family, context) if slash else names.BITS[self.family]
        return Network(value, names.prefix_mask(length, self.family))

    def write(self, value):
        return (names.network_text(value, self.family, self.always),)


@dataclass(frozen=True)
class PrefixLength(Kind):
    """A mask as a length; one with holes is ``holes``, or that of a host."""
    family: int
    holes: int | None = None
    count = 1

    def read(self, words, context):
        return names.length(words[0], self.family, context, self.holes)

    def write(self, value):
        return (str(value),)


class InterfaceName(Text):
    """The name of an interface, or its beginning and ``+``."""

    def read(self, words, context):
        return names.interface(words[0], context.warn)


def only_at(place, incoming, outgoing):
    """Raise Refused where there is no interface that a packet came in by, or none that it goes out by."""
    hooks = set(place.hooks)
    if (incoming and hooks & BEHIND_ROUTING) or (outgoing and hooks & BEFORE_ROUTING):
        raise Refused


class AddressTypes(Kind):
    """``TYPE[,TYPE…]``, which may be cut short: bits."""
    count = 1

    def read(self, words, context):
        bits = 0
        texts = words[0].split(",")
        for place, text in enumerate(texts):
            found = next((bit for bit, name in enumerate(ADDRESS_TYPES) if name.startswith(text.upper())), None)
            if not text or found is None:
                rest = ",".join(texts[place:])
                raise Failure(f'addrtype: bad type "{rest}"' if rest == text else f"addrtype: bad type `{rest}'",
                              word=words[0])
            bits |= 1 << found
        return bits

    def write(self, value):
        return (bits_text(value, ADDRESS_TYPES),)


class Addrtype(Match):
    name = "addrtype"
    options = (
        Option("src-type", AddressTypes(), invert=True), Option("dst-type", AddressTypes(), invert=True),
        Option("limit-iface-in", excludes=("limit-iface-out",)),
        Option("limit-iface-out", excludes=("limit-iface-in",)),
    )

    def verify(self, use, rule):
        if "src-type" not in use and "dst-type" not in use:
            raise Failure("addrtype: you must specify --src-type or --dst-type")

    def check(self, use, rule, place):
        only_at(place, "limit-iface-in" in use, "limit-iface-out" in use)
        if place.family == 6 and (use.get("src-type", 0) | use.get("dst-type", 0)) & NOT_IPV6:
            raise Refused

    def show(self, use, numeric):
        parts = ["ADDRTYPE match"]
        for name in ("src-type", "dst-type"):
            if name in use:
                parts.append(f"{name} {use.bang(name)}{bits_text(use.get(name), ADDRESS_TYPES)}")
        parts += [f"limit-{way}" for way in ("in", "out") if f"limit-iface-{way}" in use]
        return " ".join(parts)

    def compile(self, use, out):
        limited = next((number for number, way in enumerate(("in", "out"), 1) if f"limit-iface-{way}" in use), 0)
        for name, op in (("src-type", "source_type"), ("dst-type", "destination_type")):
            if name in use:
                out.test(op, use.get(name), limited, invert=name in use.inverted)


@dataclass(frozen=True)
class HostRange(Kind):
    """``FIRST[-LAST]``: a pair of addresses."""
    family: int
    count = 1

    def read(self, words, context):
        pair = []
        for text in words[0].split("-", 1):
            value = names.address(text, self.family)
            if value is None:
                raise context.bad_value(text)
            pair.append(value)
        if pair[0] > pair[-1]:
            context.warn(f"xt_iprange: range {words[0]} is reversed and will never match")
        return (pair[0], pair[-1])

    def write(self, value):
        return ("-".join(names.address_text(end, self.family) for end in value),)


@by_family("iprange")
class Iprange(Match):
    @staticmethod
    def options_for(family):
        """One or two ranges."""
        return tuple(Option(name, HostRange(family), invert=True) for name in ("src-range", "dst-range"))

    def verify(self, use, rule):
        if not use.values:
            raise Failure("iprange match: You must specify `--src-range' or `--dst-range'")

    def show(self, use, numeric):
        return " ".join(f"{label} IP range {use.bang(option.name, '! ')}{option.kind.write(use.get(option.name))[0]}"
                        for option, label in zip(self.options, ("source", "destination"), strict=True)
                        if option.name in use)

    def compile(self, use, out):
        for name, op in (("src-range", "source_range"), ("dst-range", "destination_range")):
            if name in use:
                ends = (half for end in use.get(name) for half in divmod(end, 1 << 64))
                out.test(op, *ends, invert=name in use.inverted)


class Realm(Match):
    name, families, hooks = "realm", (4,), ("INPUT", "FORWARD", "OUTPUT", "POSTROUTING")
    options = (Option("realm", Mask(names=REALMS), invert=True, needed=True),)

    def show(self, use, numeric):
        return f"{use.bang('realm', '! ')}realm {self.options[0].kind.text(use.get('realm'), numeric)}"

    def compile(self, use, out):
        out.note("realm: every route is of number 0")
        out.constant((use.get("realm")[0] == 0) != ("realm" in use.inverted))


class Devgroup(Match):
    name = "devgroup"
    options = tuple(Option(name, Mask(names=GROUPS), invert=True) for name in ("src-group", "dst-group"))

    def verify(self, use, rule):
        if not use.values:
            raise Failure("devgroup match: You must specify either '--src-group' or '--dst-group'")

    def check(self, use, rule, place):
        only_at(place, "src-group" in use, "dst-group" in use)

    def show(self, use, numeric):
        return " ".join(f"{use.bang(option.name, '! ')}{option.name} {option.kind.text(use.get(option.name), numeric)}"
                        for option in self.options if option.name in use)

    def compile(self, use, out):
        out.note("devgroup: every interface is of number 0")
        for name, (value, mask) in use.values.items():
            out.constant((value & mask == 0) != (name in use.inverted))


class Physdev(Match):
    name = "physdev"
    options = (
        *(Option(name, InterfaceName(raw=True), invert=True) for name in ("physdev-in", "physdev-out")),
        *(Option(name, invert=True) for name in ("physdev-is-in", "physdev-is-out", "physdev-is-bridged")),
    )
    order = ("physdev-is-in", "physdev-in", "physdev-is-out", "physdev-out", "physdev-is-bridged")

    def verify(self, use, rule):
        if not use.values:
            raise Failure("PHYSDEV: no physdev option specified")

    def check(self, use, rule, place):
        bridged = "physdev-is-bridged" in use and "physdev-is-bridged" not in use.inverted
        if ("physdev-out" in use or "physdev-is-out" in use) and not bridged and "OUTPUT" in place.hooks:
            raise Refused

    def show(self, use, numeric):
        return " ".join(["PHYSDEV match", *self.save(use)])

    def compile(self, use, out):
        out.note("physdev: no packet comes over a bridge")
        out.constant(set(use.values) == use.inverted)


class Rpfilter(Match):
    name, tables, hooks = "rpfilter", ("raw", "mangle"), ("PREROUTING",)
    options = (Option("loose"), Option("validmark"), Option("accept-local"), Option("invert"))

    def show(self, use, numeric):
        return " ".join(["rpfilter", *(option.name for option in self.options if option.name in use)])

    def compile(self, use, out):
        out.test("rpfilter", ("loose" in use) | ("accept-local" in use) << 1, invert="invert" in use)
