"""Matches on the types of ICMP, ICMPv6 and mobility messages."""
from dataclasses import dataclass

from fastct.rules.extension import Match, Option
from fastct.rules.kinds import Kind, number, range_text
from fastct.rules.words import Failure

ANY = (255, 0, 255)
# Names, in the order in which an abbreviation is looked for, with type and lowest and highest code.
ICMP = (
    ("any", ANY),
    ("echo-reply", (0, 0, 255)), ("pong", (0, 0, 255)),
    ("destination-unreachable", (3, 0, 255)), ("network-unreachable", (3, 0, 0)), ("host-unreachable", (3, 1, 1)),
    ("protocol-unreachable", (3, 2, 2)), ("port-unreachable", (3, 3, 3)), ("fragmentation-needed", (3, 4, 4)),
    ("source-route-failed", (3, 5, 5)), ("network-unknown", (3, 6, 6)), ("host-unknown", (3, 7, 7)),
    ("network-prohibited", (3, 9, 9)), ("host-prohibited", (3, 10, 10)), ("TOS-network-unreachable", (3, 11, 11)),
    ("TOS-host-unreachable", (3, 12, 12)), ("communication-prohibited", (3, 13, 13)),
    ("host-precedence-violation", (3, 14, 14)), ("precedence-cutoff", (3, 15, 15)),
    ("source-quench", (4, 0, 255)),
    ("redirect", (5, 0, 255)), ("network-redirect", (5, 0, 0)), ("host-redirect", (5, 1, 1)),
    ("TOS-network-redirect", (5, 2, 2)), ("TOS-host-redirect", (5, 3, 3)),
    ("echo-request", (8, 0, 255)), ("ping", (8, 0, 255)),
    ("router-advertisement", (9, 0, 255)), ("router-solicitation", (10, 0, 255)),
    ("time-exceeded", (11, 0, 255)), ("ttl-exceeded", (11, 0, 255)), ("ttl-zero-during-transit", (11, 0, 0)),
    ("ttl-zero-during-reassembly", (11, 1, 1)),
    ("parameter-problem", (12, 0, 255)), ("ip-header-bad", (12, 0, 0)), ("required-option-missing", (12, 1, 1)),
    ("timestamp-request", (13, 0, 255)), ("timestamp-reply", (14, 0, 255)),
    ("address-mask-request", (17, 0, 255)), ("address-mask-reply", (18, 0, 255)),
)
ICMPV6 = (
    ("destination-unreachable", (1, 0, 255)), ("no-route", (1, 0, 0)), ("communication-prohibited", (1, 1, 1)),
    ("beyond-scope", (1, 2, 2)), ("address-unreachable", (1, 3, 3)), ("port-unreachable", (1, 4, 4)),
    ("failed-policy", (1, 5, 5)), ("reject-route", (1, 6, 6)),
    ("packet-too-big", (2, 0, 255)),
    ("time-exceeded", (3, 0, 255)), ("ttl-exceeded", (3, 0, 255)), ("ttl-zero-during-transit", (3, 0, 0)),
    ("ttl-zero-during-reassembly", (3, 1, 1)),
    ("parameter-problem", (4, 0, 255)), ("bad-header", (4, 0, 0)), ("unknown-header-type", (4, 1, 1)),
    ("unknown-option", (4, 2, 2)),
    ("echo-request", (128, 0, 255)), ("ping", (128, 0, 255)), ("echo-reply", (129, 0, 255)), ("pong", (129, 0, 255)),
    ("router-solicitation", (133, 0, 255)), ("router-advertisement", (134, 0, 255)),
    ("neighbour-solicitation", (135, 0, 255)), ("neighbor-solicitation", (135, 0, 255)),
    ("neighbour-advertisement", (136, 0, 255)), ("neighbor-advertisement", (136, 0, 255)),
    ("redirect", (137, 0, 255)),
)
# Mobility messages by number: name and short name.
MOBILITY = (
    ("binding-refresh-request", "brr"), ("home-test-init", "hoti"), ("careof-test-init", "coti"), ("home-test", "hot"),
    ("careof-test", "cot"), ("binding-update", "bu"), ("binding-acknowledgement", "ba"), ("binding-error", "be"),
)


@dataclass(frozen=True)
class IcmpType(Kind):
    """``TYPE[/CODE]`` by number or by name, which may be cut short: type, lowest and highest code."""
    what: str
    types: tuple
    count = 1

    def read(self, words, context):
        found = [(name, value) for name, value in self.types if name.lower().startswith(words[0].lower())]
        if len(found) > 1:
            exact = [(name, value) for name, value in found if len(name) == len(words[0])]
            if not exact:
                raise Failure(f"Ambiguous {self.what} type `{words[0]}': `{found[0][0]}' or `{found[1][0]}'?",
                              word=words[0])
            found = exact
        if found:
            return found[0][1]
        (low, high), rest = self._octets(words[0], "type", words[0], ends=("", "/"))
        if low != high:
            raise Failure(f"{self.what} type range not supported", word=words[0])
        codes, _ = self._octets(rest[1:], "code", words[0]) if rest else ((0, 255), "")
        return (low, *codes)

    def _octets(self, text, part, whole, ends=("",)):
        """The range at the front of a text, and the rest; raises Failure."""
        low, rest = number(text)
        high, rest = number(rest[1:]) if rest[:1] == ":" else (low, rest)
        if low is None or high is None or max(low, high) > 255:
            raise Failure(f"Unknown {self.what} {part} `{whole}'", word=whole)
        if rest[:1] not in ends:
            raise Failure(f"unknown character {rest[0]}", word=whole)
        return (low, high), rest

    def write(self, value):
        kind, low, high = value
        if kind == 255 and self.types[0][0] == "any":
            return ("any",)
        return (str(kind) if (low, high) == (0, 255) else f"{kind}/{low}",)


class _Icmp(Match):
    label = ""          # before a type by number
    named_label = ""    # before its name
    family_any = False  # whether type 255 is any

    def show(self, use, numeric):
        option, = self.options
        kind, low, high = value = use.get(option.name)
        bang = use.bang(option.name)
        name = next((name for name, known in option.kind.types if known == value), None)
        if name is not None and not numeric:
            return f"{self.named_label} {bang}{name}"
        code = "" if (low, high) == (0, 255) else f" code {low}" if low == high else f" codes {low}-{high}"
        return f"{self.label}{' ' + bang if bang else ''}type {kind}{code}"

    def compile(self, use, out):
        option, = self.options
        out.test("header", 8)
        if use.get(option.name)[0] == ANY[0] and self.family_any:
            out.constant(not use.inverted)
        else:
            out.test("type", *use.get(option.name), invert=bool(use.inverted))


class Icmp(_Icmp):
    name, families, protocols, family_any = "icmp", (4,), (1,), True
    label = named_label = "icmp"
    options = (Option("icmp-type", IcmpType("ICMP", ICMP), invert=True, needed=True),)


class Icmp6(_Icmp):
    name, families, protocols = "icmp6", (6,), (58,)
    label = named_label = "ipv6-icmp"
    options = (Option("icmpv6-type", IcmpType("ICMPv6", ICMPV6), invert=True, needed=True),)


class MobilityTypes(Kind):
    """``TYPE[:TYPE]`` by number or by name, which may be cut short: a pair."""
    count = 1

    def read(self, words, context):
        ends = words[0].split(":", 1)
        pair = [self._type(end) if end or len(ends) == 1 else default
                for end, default in zip(ends, (0, 255), strict=False)]
        if pair[0] > pair[-1]:
            raise Failure("Invalid MH type range (min > max)", word=words[0])
        return (pair[0], pair[-1])

    @staticmethod
    def _type(text):
        known = [(name, value) for value, names in enumerate(MOBILITY) for name in names]
        for matches in (lambda name: name == text.lower(), lambda name: name.startswith(text.lower())):
            found = [value for name, value in known if matches(name)]
            if found:
                return found[0]
        value, rest = number(text)
        if value is None or rest or value > 255:
            raise Failure(f"Invalid MH type `{text}'", word=text)
        return value

    def write(self, value):
        return (range_text(value),)


class Mh(Match):
    name, families, protocols = "mh", (6,), (135,)
    options = (Option("mh-type", MobilityTypes(), invert=True),)
    unwritten = {"mh-type": (0, 255)}

    def finish(self, use, rule):
        if use.get("mh-type") == (0, 255) and not use.inverted:
            del use.values["mh-type"]

    def show(self, use, numeric):
        if "mh-type" not in use:
            return "mh"
        ends = [str(end) if numeric or end >= len(MOBILITY) else MOBILITY[end][0] for end in use.get("mh-type")]
        return f"mh {use.bang('mh-type')}{':'.join(dict.fromkeys(ends))}"

    def compile(self, use, out):
        out.test("live_header", 6)
        out.test("mobility", *use.get("mh-type", (0, 255)), invert=bool(use.inverted))
