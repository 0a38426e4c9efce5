"""Matches on the IP header, on what stands with the packet, and on nothing at all."""
import re

from fastct.rules.extension import Match, Option, only_for
from fastct.rules.kinds import Choice, Kind, Mask, Number, NumberRange, Text, number, range_text
from fastct.rules.words import Failure, Refused

TOS_NAMES = (("Minimize-Delay", 0x10), ("Maximize-Throughput", 0x08), ("Maximize-Reliability", 0x04),
             ("Minimize-Cost", 0x02), ("Normal-Service", 0x00))
TOS_MASK = 0x3F     # of a name
DSCP_CLASSES = ({"BE": 0, "EF": 0x2E} | {f"CS{n}": n << 3 for n in range(8)}
                | {f"AF{n}{drop}": n << 3 | drop << 1 for n in range(1, 5) for drop in range(1, 4)})
ECN_BITS = 2        # of the byte, below the DSCP
TCP_ECE, TCP_CWR = 0x40, 0x80
# Kinds of packets of the link layer, by number, and another name.
PACKET_TYPES = ("unicast", "broadcast", "multicast", "otherhost")
PACKET_ALIASES = {"host": "unicast"}


class Comment(Match):
    name = "comment"
    options = (Option("comment", Text(cut=255), needed=True),)

    def show(self, use, numeric):
        return f"/* {use.get('comment')} */"

    def compile(self, use, out):
        """It asks nothing."""


class _Hops(Match):
    """The time to live or the hop limit; ``label`` as -L has it."""
    label = missing = ""
    signs = {"eq": "==", "lt": "<", "gt": ">"}

    def verify(self, use, rule):
        if not use.values:
            raise Failure(self.missing)

    def show(self, use, numeric):
        (name, value), = use.values.items()
        sign = "!=" if name in use.inverted else self.signs[name[-2:]]
        return f"{self.label} match {self.label} {sign} {value}"

    def compile(self, use, out):
        (name, value), = use.values.items()
        low, high = {"eq": (value, value), "lt": (0, value - 1), "gt": (value + 1, 0xFF)}[name[-2:]]
        if low > high:
            out.constant(False)
        else:
            out.test("ttl", low, high, invert=bool(use.inverted))


def _hops_options(prefix):
    names = lower, greater, equal = f"{prefix}-lt", f"{prefix}-gt", f"{prefix}-eq"
    return tuple(Option(name, Number(8), invert=name == equal, excludes=tuple(n for n in (lower, greater, equal)[::-1]
                                                                           if n != name)) for name in names)


class Ttl(_Hops):
    name, families, label = "ttl", (4,), "TTL"
    missing = "TTL match: You must specify one of `--ttl-eq', `--ttl-lt', `--ttl-gt"
    options = _hops_options("ttl")


class Hl(_Hops):
    name, families, label = "hl", (6,), "HL"
    missing = "HL match: You must specify one of `--hl-eq', `--hl-lt', `--hl-gt'"
    options = _hops_options("hl")


class Length(Match):
    name = "length"
    options = (Option("length", NumberRange(16), invert=True, needed=True),)

    def show(self, use, numeric):
        return f"length {use.bang('length')}{range_text(use.get('length'))}"

    def compile(self, use, out):
        out.test("length", *use.get("length"), invert="length" in use.inverted)


class Tcpmss(Match):
    name, protocols = "tcpmss", (6,)
    options = (Option("mss", NumberRange(16), invert=True, needed=True),)

    def take(self, use, option, value, invert):
        if value[0] > value[1]:
            raise Failure("tcpmss: invalid range given")
        super().take(use, option, value, invert)

    def show(self, use, numeric):
        return f"tcpmss match {use.bang('mss')}{range_text(use.get('mss'))}"

    def compile(self, use, out):
        out.test("tcpmss", *use.get("mss"), invert="mss" in use.inverted)


class TosMask(Kind):
    """``VALUE[/MASK]`` or a name: a pair."""
    count = 1

    def read(self, words, context):
        value, rest = number(words[0])
        if value is None or value > 0xFF:
            found = next((bits for name, bits in TOS_NAMES if name.lower() == words[0].lower()), None)
            if found is None:
                raise Failure(f'Symbolic name "{words[0]}" is unknown', word=words[0])
            return (found, TOS_MASK)
        mask, rest = number(rest[1:]) if rest[:1] == "/" else (0xFF, rest)
        if mask is None or mask > 0xFF or rest:
            raise Failure(f'Illegal value: "{words[0]}"', word=words[0])
        return (value, mask)

    def write(self, value):
        return ("0x{:02x}/0x{:02x}".format(*value),)


class Tos(Match):
    name = "tos"
    options = (Option("tos", TosMask(), invert=True, needed=True),)

    def show(self, use, numeric):
        value, mask = use.get("tos")
        named = mask == TOS_MASK and not numeric
        name = next((f" {name}" for name, bits in TOS_NAMES if named and bits == value), f"0x{value:02x}/0x{mask:02x}")
        return f"tos match{use.bang('tos')}{name}"

    def compile(self, use, out):
        out.test("tos", *use.get("tos"), invert="tos" in use.inverted)


class DscpClass(Kind):
    """The name of a class, as its number."""
    count = 1

    def read(self, words, context):
        if words[0].upper() not in DSCP_CLASSES:
            raise Failure(f"Invalid DSCP value `{words[0]}'", word=words[0])
        return DSCP_CLASSES[words[0].upper()]


class Dscp(Match):
    name = "dscp"
    options = (
        Option("dscp", Number(high=0x3F, form="0x{:02x}"), invert=True, excludes=("dscp-class",)),
        Option("dscp-class", DscpClass(), invert=True),
    )

    def verify(self, use, rule):
        if not use.values:
            raise Failure("DSCP match: Parameter --dscp is required")

    def finish(self, use, rule):
        if "dscp-class" in use:
            use.values["dscp"] = use.values.pop("dscp-class")
            use.inverted = frozenset({"dscp"} if use.inverted else ())

    def show(self, use, numeric):
        return f"DSCP match {use.bang('dscp')}0x{use.get('dscp'):02x}"

    def compile(self, use, out):
        out.test("tos", use.get("dscp") << ECN_BITS, 0xFF >> ECN_BITS << ECN_BITS, invert="dscp" in use.inverted)


class Ecn(Match):
    name = "ecn"
    options = (Option("ecn-tcp-ece", invert=True), Option("ecn-tcp-cwr", invert=True),
               Option("ecn-ip-ect", Number(high=3), invert=True))

    def verify(self, use, rule):
        if not use.values:
            raise Failure("ECN match: some option required")

    def check(self, use, rule, place):
        if ("ecn-tcp-ece" in use or "ecn-tcp-cwr" in use) and not only_for(rule, (6,)):
            raise Refused

    def show(self, use, numeric):
        parts = ["ECN match"]
        for name in ("ece", "cwr"):
            if f"ecn-tcp-{name}" in use:
                parts.append(use.bang(f"ecn-tcp-{name}") + name.upper())
        if "ecn-ip-ect" in use:
            parts.append(f"{use.bang('ecn-ip-ect')}ECT={use.get('ecn-ip-ect')}")
        return " ".join(parts)

    def compile(self, use, out):
        if "ecn-ip-ect" in use:
            out.test("tos", use.get("ecn-ip-ect"), 0xFF >> 8 - ECN_BITS, invert="ecn-ip-ect" in use.inverted)
        for name, flag in (("ecn-tcp-ece", TCP_ECE), ("ecn-tcp-cwr", TCP_CWR)):
            if name in use:
                out.test("tcp_bits", flag, flag, invert=name in use.inverted)


class MarkMatch(Match):
    name = "mark"
    options = (Option("mark", Mask(), invert=True, needed=True),)

    def show(self, use, numeric):
        return f"{self.name} match {use.bang('mark', '! ')}{self.options[0].kind.text(use.get('mark'), numeric)}"

    def compile(self, use, out):
        out.test("mark", *use.get("mark"), invert="mark" in use.inverted)


class PacketType(Choice):
    """A kind of packet of the link layer: its number."""

    def read(self, words, context):
        name = words[0].lower()
        name = PACKET_ALIASES.get(name, name)
        if name not in PACKET_TYPES:
            raise Failure(f"Bad packet type '{words[0]}'", word=words[0])
        return PACKET_TYPES.index(name)

    def write(self, value):
        return (PACKET_TYPES[value],)


class Pkttype(Match):
    name = "pkttype"
    options = (Option("pkt-type", PacketType(), invert=True, needed=True),)

    def show(self, use, numeric):
        return f"PKTTYPE {use.bang('pkt-type')}= {PACKET_TYPES[use.get('pkt-type')]}"

    def compile(self, use, out):
        out.test("delivery", use.get("pkt-type"), invert="pkt-type" in use.inverted)


class Mac(Kind):
    """An Ethernet address: a number of 48 bits."""
    count = 1

    def read(self, words, context):
        if not re.fullmatch(r"(?:[0-9a-fA-F]{1,2}:){5}[0-9a-fA-F]{1,2}", words[0]):
            raise Failure("Invalid MAC address specified.", word=words[0])
        return int.from_bytes(bytes(int(part, 16) for part in words[0].split(":")), "big")

    def write(self, value):
        return (value.to_bytes(6, "big").hex(":"),)


class MacSource(Match):
    name, hooks = "mac", ("PREROUTING", "INPUT", "FORWARD")
    options = (Option("mac-source", Mac(), invert=True, needed=True),)

    def show(self, use, numeric):
        return f"MAC {use.bang('mac-source', '! ')}{use.get('mac-source').to_bytes(6, 'big').hex(':')}"

    def compile(self, use, out):
        out.test("mac", blob=use.get("mac-source").to_bytes(6, "big"), invert="mac-source" in use.inverted)


class Cpu(Match):
    name = "cpu"
    options = (Option("cpu", Number(), invert=True, needed=True),)

    def show(self, use, numeric):
        return f"cpu {use.bang('cpu', '! ')}{use.get('cpu')}"

    def compile(self, use, out):
        out.note("cpu: every packet is on number 0")
        out.constant((use.get("cpu") == 0) != ("cpu" in use.inverted))
