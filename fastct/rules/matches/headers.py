"""Matches on the extension headers of IPv6 and on its addresses."""
import contextlib
from dataclasses import dataclass

from fastct.rules import names
from fastct.rules.extension import Match, Option
from fastct.rules.kinds import Kind, Number, NumberRange, number
from fastct.rules.matches.address import HostMask
from fastct.rules.matches.ipsec import EVERY, Extension6, spi_text
from fastct.rules.words import Failure

LIST_MAX = 16
ANY_LENGTH = 0xFF       # of an option
# Headers by the bit of the mask, the highest first: number, long and short name.
HEADERS = ((0x80, 0, "hop-by-hop", "hop"), (0x40, 60, "ipv6-opts", "dst"), (0x20, 43, "ipv6-route", "route"),
           (0x10, 44, "ipv6-frag", "frag"), (0x08, 51, "ah", "auth"), (0x04, 50, "esp", "esp"),
           (0x02, 59, "ipv6-nonxt", "none"), (0x01, 255, "protocol", "prot"))
# Fields of the routing header for segments: those that are compared with numbers, and addresses.
COMPARED, SEGMENTS = ("hdr-len", "segs-left", "last-entry"), ("psid", "nsid", "lsid")


def equal_text(use, option, label):
    """``label:5``, ``label:!5``, or ""."""
    return f"{label}:{use.bang(option)}{use.get(option)}" if option in use else ""


@dataclass(frozen=True)
class HeaderOptions(Kind):
    """``TYPE[:LENGTH][,…]``: a tuple of pairs; None: any length. ``padding``: the error for type 0 with a length."""
    padding: str
    count = 1

    def read(self, words, context):
        found = []
        for text in words[0].split(","):
            if len(found) == LIST_MAX:
                raise Failure("too many addresses specified")
            kind, colon, length = text.partition(":")
            if colon and len(found) == LIST_MAX - 1:
                raise Failure("too many ports specified")
            number_ = self._octet(kind, "opt", context)
            if colon and not number_:
                raise Failure(self.padding)
            found.append((number_, self._octet(length, "length", context) if colon else None))
        return tuple(found)

    @staticmethod
    def _octet(text, what, context):
        value, rest = number(text)
        if value is None:
            raise Failure(f"{context.extension}: no valid digits in {what} `{text}'", word=text)
        if rest:
            raise Failure(f"{context.extension}: error parsing {what} `{text}'", word=text)
        return value & 0xFF

    def write(self, value):
        return (",".join(str(kind) if length is None else f"{kind}:{length}" for kind, length in value),)


class _Options(Match):
    """A header of options; ``header``: its number."""
    header = 0

    def show(self, use, numeric):
        length, options = (option.name for option in self.options)
        parts = [self.name, equal_text(use, length, "length")]
        parts += [f"opts {self.options[1].kind.write(use.get(options))[0]}"] if options in use else []
        return " ".join(filter(None, parts))

    def compile(self, use, out):
        length, options = (option.name for option in self.options)
        extension = Extension6(out, self.header, 2, whole=True)
        if length in use:
            extension.length(use.get(length), length in use.inverted)
        if options in use:
            pairs = ((kind, ANY_LENGTH if size is None else size) for kind, size in use.get(options))
            blob = bytes(octet for pair in pairs for octet in pair)
            out.test("extension_options", self.header, len(blob) // 2, blob=blob)


class Hbh(_Options):
    name, families, header = "hbh", (6,), 0
    options = (Option("hbh-len", Number(), invert=True), Option("hbh-opts", HeaderOptions("PAD0 has not got length")))


class Dst(_Options):
    name, families, header = "dst", (6,), 60
    options = (Option("dst-len", Number(), invert=True), Option("dst-opts", HeaderOptions("PAD0 hasn't got length")))


class Frag(Match):
    name, families = "frag", (6,)
    options = (
        Option("fragid", NumberRange(), invert=True), Option("fraglen", Number(), invert=True), Option("fragres"),
        Option("fragfirst"), Option("fragmore", excludes=("fraglast",)), Option("fraglast", excludes=("fragmore",)),
    )
    unwritten = {"fragid": EVERY}
    bits = (("fragres", 0x00FF0006, 0), ("fragfirst", 0xFFF8, 0), ("fragmore", 1, 1), ("fraglast", 1, 0))
    labels = {"fragres": "reserved", "fragfirst": "first", "fragmore": "more", "fraglast": "last"}

    def finish(self, use, rule):
        if use.get("fragid") == EVERY and "fragid" not in use.inverted:
            del use.values["fragid"]

    def show(self, use, numeric):
        texts = [equal_text(use, "fraglen", "length"), *(label for name, label in self.labels.items() if name in use)]
        return " ".join(["frag", spi_text(use, "fragid", "id"), *filter(None, texts)])

    def compile(self, use, out):
        # The kernel does not look at the length.
        extension = Extension6(out, 44, 8)
        extension.word(4, use.get("fragid", EVERY), "fragid" in use.inverted)
        for name, mask, value in self.bits:
            if name in use:
                extension.bits(0, mask, value)


class AddressList(Kind):
    """``ADDRESS[,ADDRESS…]``: a tuple of numbers."""
    count = 1

    def read(self, words, context):
        found = []
        for text in words[0].split(","):
            if len(found) == LIST_MAX:
                raise Failure("too many addresses specified")
            value = names.address(text, 6)
            if value is None:
                raise Failure(f"bad address: {text}", word=text)
            found.append(value)
        return tuple(found)

    def write(self, value):
        return (",".join(names.address_text(address, 6) for address in value),)


class Rt(Match):
    name, families = "rt", (6,)
    options = (
        Option("rt-type", Number(), invert=True), Option("rt-segsleft", NumberRange(), invert=True),
        Option("rt-len", Number(), invert=True), Option("rt-0-res"), Option("rt-0-addrs", AddressList()),
        Option("rt-0-not-strict"),
    )
    unwritten = {"rt-segsleft": EVERY}

    def accept(self, use, option, invert, context):
        super().accept(use, option, invert, context)
        if option.name in ("rt-0-res", "rt-0-addrs") and (use.get("rt-type") != 0 or "rt-type" in use.inverted):
            raise Failure(f"`--rt-type 0' required before `--{option.name}'")
        if option.name == "rt-0-not-strict" and "rt-0-addrs" not in use:
            raise Failure("`--rt-0-addr ...' required before `--rt-0-not-strict'")

    def finish(self, use, rule):
        if use.get("rt-segsleft") == EVERY and "rt-segsleft" not in use.inverted:
            del use.values["rt-segsleft"]

    def show(self, use, numeric):
        kind = use.get("rt-type", 0)
        signed = kind - (kind >> 31 << 32)
        parts = ["rt", *([f"type:{use.bang('rt-type')}{signed}"] if "rt-type" in use else [])]
        parts += [spi_text(use, "rt-segsleft", "segsleft"), equal_text(use, "rt-len", "length")]
        parts += ["reserved"] if "rt-0-res" in use else []
        parts += ["0-addrs " + AddressList().write(use.get("rt-0-addrs"))[0]] if "rt-0-addrs" in use else []
        parts += ["0-not-strict"] if "rt-0-not-strict" in use else []
        return " ".join(filter(None, parts))

    def compile(self, use, out):
        extension = Extension6(out, 43, 4, whole=True)
        for name, place in (("rt-segsleft", 3), ("rt-type", 2)):
            if name in use:
                low, high = use.get(name) if name == "rt-segsleft" else (use.get(name),) * 2
                extension.byte(place, (low, high), name in use.inverted)
        if "rt-len" in use:
            extension.length(use.get("rt-len"), "rt-len" in use.inverted)
        if "rt-0-res" in use:
            extension.bits(4, 0xFFFFFFFF, 0)
        if "rt-0-addrs" in use:
            addresses = use.get("rt-0-addrs")
            out.test("routing_addresses", len(addresses), "rt-0-not-strict" in use,
                     blob=b"".join(address.to_bytes(16, "big") for address in addresses))


class HeaderNames(Kind):
    """``HEADER[,HEADER…]`` by name or number: bits."""
    count = 1

    def read(self, words, context):
        bits, texts = 0, [text for text in words[0].split(",") if text]
        if not texts:
            raise Failure("ip6t_ipv6header: cannot parse header names")
        for text in texts:
            bits |= self._bit(text)
        return bits

    @staticmethod
    def _bit(text):
        value, rest = number(text)
        value = None if value is None or rest else value
        for bit, header, *known in HEADERS:
            if text in known or value == header:
                return bit
        with contextlib.suppress(Failure):
            text = names.protocol(text) if value is None else text
        raise Failure(f"unknown header `{text}' specified", word=text)

    def write(self, value):
        return (headers_text(value),)


def headers_text(bits):
    """The long names of headers."""
    return ",".join(name for bit, _, name, _ in HEADERS if bits & bit)


class Ipv6header(Match):
    name, families = "ipv6header", (6,)
    options = (Option("header", HeaderNames(), invert=True, needed=True), Option("soft"))

    def show(self, use, numeric):
        text = f"0x{use.get('header'):02X}" if numeric else headers_text(use.get("header"))
        return f"ipv6header flags:{use.bang('header')}{text}{' soft' if 'soft' in use else ''}"

    def compile(self, use, out):
        out.test("headers", use.get("header"), "soft" in use, bool(use.inverted))


class Srh(Match):
    """Equal, greater and less of a field share one number in iptables: the last given."""
    name, families = "srh", (6,)
    places = {"srh-next-hdr": 0, "srh-hdr-len": 1, "srh-segs-left": 3, "srh-last-entry": 4}     # in the header
    options = (
        Option("srh-next-hdr", Number(8), invert=True),
        *(Option(f"srh-{field}-{test}", Number(8), invert=True) for field in COMPARED for test in ("eq", "gt", "lt")),
        Option("srh-tag", Number(16), invert=True),
        *(Option(f"srh-{field}", HostMask(6, always=True), invert=True) for field in SEGMENTS),
    )

    def take(self, use, option, value, invert):
        super().take(use, option, value, invert)
        field = option.name[:-3]
        for test in ("eq", "gt", "lt"):
            if f"{field}-{test}" in use:
                use.values[f"{field}-{test}"] = value

    def show(self, use, numeric):
        parts = ["srh"]
        for option in self.options:
            if option.name in use:
                name, (text,) = option.name.removeprefix("srh-"), option.kind.write(use.get(option.name))
                gap = f" {use.bang(option.name)} " if name in SEGMENTS else f":{use.bang(option.name)}"
                parts.append(f"{name}{gap}{text}")
        return " ".join(parts)

    def compile(self, use, out):
        extension = Extension6(out, 43, 8, whole=True, drops=False)
        extension.byte(2, (4, 4))
        out.test("segments")
        for option in self.options[:-len(SEGMENTS)]:
            if option.name in use:
                value, invert = use.get(option.name), option.name in use.inverted
                if option.name == "srh-tag":
                    swapped = int.from_bytes(value.to_bytes(2, "little"), "big")        # as x86 reads it
                    out.test("extension_half", 43, 6, swapped, swapped, invert=invert)
                else:
                    self._compare(extension, option.name, value, invert, out)
        for place, field in enumerate(SEGMENTS):
            if f"srh-{field}" in use:
                network = use.get(f"srh-{field}")
                out.test("segment", place, invert=f"srh-{field}" in use.inverted,
                         blob=network.address.to_bytes(16, "big") + network.mask.to_bytes(16, "big"))

    def _compare(self, extension, name, value, invert, out):
        ends = {"gt": (value + 1, 0xFF), "lt": (0, value - 1)}.get(name[-2:], (value, value))
        if ends[0] > ends[1]:
            out.constant(invert)
        else:
            extension.byte(self.places[name.removesuffix(name[-3:]) if name[-3] == "-" else name], ends, invert)


class Eui64(Match):
    name, families, hooks = "eui64", (6,), ("PREROUTING", "INPUT", "FORWARD")
    blank = ""

    def show(self, use, numeric):
        return "eui64 "

    def compile(self, use, out):
        out.test("eui64")
