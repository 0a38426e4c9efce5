"""Matches on addresses and on interfaces; and how their options are read, for the others."""
import socket
from dataclasses import dataclass

from fastct.rules import names
from fastct.rules.extension import Match, Option
from fastct.rules.kinds import Kind, Mask, Text, bits_text
from fastct.rules.model import Network
from fastct.rules.parse import INTERFACE_MAX
from fastct.rules.words import Failure, Refused

BEFORE_ROUTING, BEHIND_ROUTING = {"PREROUTING", "INPUT"}, {"POSTROUTING", "OUTPUT"}
ADDRESS_TYPES = ("UNSPEC", "UNICAST", "LOCAL", "BROADCAST", "ANYCAST", "MULTICAST", "BLACKHOLE", "UNREACHABLE",
                 "PROHIBIT", "THROW", "NAT", "XRESOLVE")
NOT_IPV6 = 0xF48        # BROADCAST, BLACKHOLE, and from PROHIBIT on
# Names that iproute2 comes with.
GROUPS, REALMS = (("default", 0),), (("cosmos", 0),)


def _numeric(text, family):
    try:
        found = socket.inet_aton(text) if family == 4 else socket.inet_pton(socket.AF_INET6, text)
    except OSError:
        return None
    return int.from_bytes(found, "big")


def host(text, family):
    """A host's address as getaddrinfo(3) reads numbers; raises Failure."""
    value = _numeric(text, family)
    if value is None:
        other = _numeric(text, 10 - family) is not None
        raise Failure("getaddrinfo: " + ("Address family for hostname not supported" if other
                                         else "Name or service not known") + "\n", word=text)
    return value


def length_or_none(text, family, context):
    """The length of a mask given as such or as an address, None if it is no prefix; raises Failure."""
    value, rest = names.number(text)
    if value is not None and not rest and value <= names.BITS[family]:
        return value
    try:
        return names.prefix_length(host(text, family), family)
    except Failure:
        raise context.failure('bad value for option "--{}", neither a valid network mask nor valid CIDR '
                              f"(0-{names.BITS[family]}).") from None


@dataclass(frozen=True)
class HostMask(Kind):
    """``HOST[/MASK]`` as a Network whose host bits stay; a mask that is no prefix is one of a single host."""
    family: int
    always: bool = False        # the length is written even for one host
    count = 1

    def read(self, words, context):
        text, slash, mask = words[0].partition("/")
        value = host(text, self.family)
        length = length_or_none(mask, self.family, context) if slash else None
        return Network(value, names.every(self.family) if length is None else names.prefix_mask(length, self.family))

    def write(self, value):
        return (names.network_text(value, self.family, self.always),)


@dataclass(frozen=True)
class PrefixLength(Kind):
    """A mask as a length; None for one that is no prefix."""
    family: int
    count = 1

    def read(self, words, context):
        return length_or_none(words[0], self.family, context)

    def write(self, value):
        return (str(value),)


class InterfaceName(Text):
    """The name of an interface, or its beginning and ``+``."""

    def read(self, words, context):
        if len(words[0]) > INTERFACE_MAX:
            raise Failure(f"interface name `{words[0]}' must be shorter than IFNAMSIZ ({INTERFACE_MAX})", word=words[0])
        return str(words[0])


def only_at(place, incoming, outgoing):
    """Raise Refused where there is no interface that a packet came in by, or none that it goes out by."""
    if (incoming and place.hooks & BEHIND_ROUTING) or (outgoing and place.hooks & BEFORE_ROUTING):
        raise Refused


class AddressTypes(Kind):
    """``TYPE[,TYPE…]``, which may be cut short: bits."""
    count = 1

    def read(self, words, context):
        bits = 0
        for text in words[0].split(","):
            found = next((bit for bit, name in enumerate(ADDRESS_TYPES) if name.startswith(text.upper())), None)
            if not text or found is None:
                raise Failure(f'addrtype: bad type "{text}"', word=words[0])
            bits |= 1 << found
        return bits

    def write(self, value):
        return (bits_text(value, ADDRESS_TYPES),)


class _Addrtype(Match):
    options = (
        Option("src-type", AddressTypes(), invert=True), Option("dst-type", AddressTypes(), invert=True),
        Option("limit-iface-in", excludes=("limit-iface-out",)),
        Option("limit-iface-out", excludes=("limit-iface-in",)),
    )

    def verify(self, use):
        if "src-type" not in use and "dst-type" not in use:
            raise Failure("addrtype: you must specify --src-type or --dst-type")

    def check(self, use, rule, place):
        only_at(place, "limit-iface-in" in use, "limit-iface-out" in use)

    def show(self, use, numeric):
        parts = ["ADDRTYPE match"]
        for name in ("src-type", "dst-type"):
            if name in use:
                parts.append(f"{name} {use.bang(name)}{bits_text(use.get(name), ADDRESS_TYPES)}")
        parts += [f"limit-{way}" for way in ("in", "out") if f"limit-iface-{way}" in use]
        return " ".join(parts)


class Addrtype4(_Addrtype):
    name, families = "addrtype", (4,)


class Addrtype6(_Addrtype):
    name, families = "addrtype", (6,)

    def check(self, use, rule, place):
        super().check(use, rule, place)
        types = use.get("src-type", 0) | use.get("dst-type", 0)
        if types & NOT_IPV6:
            raise Refused


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
        return (pair[0], pair[-1])

    def write(self, value):
        return ("-".join(names.address_text(end, self.family) for end in value),)


class _Iprange(Match):
    def verify(self, use):
        if not use.values:
            raise Failure("iprange match: You must specify `--src-range' or `--dst-range'")

    def show(self, use, numeric):
        return " ".join(f"{label} IP range {use.bang(option.name, '! ')}{option.kind.write(use.get(option.name))[0]}"
                        for option, label in zip(self.options, ("source", "destination"), strict=True)
                        if option.name in use)


def _range_options(family):
    return tuple(Option(name, HostRange(family), invert=True) for name in ("src-range", "dst-range"))


class Iprange4(_Iprange):
    name, families, options = "iprange", (4,), _range_options(4)


class Iprange6(_Iprange):
    name, families, options = "iprange", (6,), _range_options(6)


class Realm(Match):
    name, families, hooks = "realm", (4,), ("INPUT", "FORWARD", "OUTPUT", "POSTROUTING")
    options = (Option("realm", Mask(names=REALMS), invert=True, needed=True),)

    def show(self, use, numeric):
        return f"{use.bang('realm', '! ')}realm {self.options[0].kind.text(use.get('realm'), numeric)}"


class Devgroup(Match):
    name = "devgroup"
    options = tuple(Option(name, Mask(names=GROUPS), invert=True) for name in ("src-group", "dst-group"))

    def verify(self, use):
        if not use.values:
            raise Failure("devgroup match: You must specify either '--src-group' or '--dst-group'")

    def check(self, use, rule, place):
        only_at(place, "src-group" in use, "dst-group" in use)

    def show(self, use, numeric):
        return " ".join(f"{use.bang(option.name, '! ')}{option.name} {option.kind.text(use.get(option.name), numeric)}"
                        for option in self.options if option.name in use)


class Physdev(Match):
    name = "physdev"
    options = (
        *(Option(name, InterfaceName(bare=True), invert=True) for name in ("physdev-in", "physdev-out")),
        *(Option(name, invert=True) for name in ("physdev-is-in", "physdev-is-out", "physdev-is-bridged")),
    )
    order = ("physdev-is-in", "physdev-in", "physdev-is-out", "physdev-out", "physdev-is-bridged")

    def verify(self, use):
        if not use.values:
            raise Failure("PHYSDEV: no physdev option specified")

    def check(self, use, rule, place):
        bridged = "physdev-is-bridged" in use and "physdev-is-bridged" not in use.inverted
        if ("physdev-out" in use or "physdev-is-out" in use) and not bridged and "OUTPUT" in place.hooks:
            raise Refused

    def show(self, use, numeric):
        return " ".join(["PHYSDEV match", *self.save(use)])


class Rpfilter(Match):
    name, tables, hooks = "rpfilter", ("raw", "mangle"), ("PREROUTING",)
    options = (Option("loose"), Option("validmark"), Option("accept-local"), Option("invert"))

    def show(self, use, numeric):
        return " ".join(["rpfilter", *(option.name for option in self.options if option.name in use)])
