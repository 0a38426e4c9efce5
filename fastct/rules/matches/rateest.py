"""The match on rates that RATEEST targets measure."""
import re

from fastct.rules.extension import Match, Option
from fastct.rules.kinds import Kind, Text, number
from fastct.rules.ops.rateest import FLAGS, RELATION_NUMBERS, Comparison, Estimator
from fastct.rules.words import Failure, Refused

NAME_MAX = 15
RELATIONS = ("lt", "gt", "eq")
NOUGHT = (0, 0)
# Bits per second of the units, by small letters; a unit of bytes ends in "bps".
PREFIXES = {"": 1, "k": 10**3, "ki": 1 << 10, "m": 10**6, "mi": 1 << 20, "g": 10**9, "gi": 1 << 30, "t": 10**12,
            "ti": 1 << 40}
UNITS = {f"{prefix}bit": factor for prefix, factor in PREFIXES.items()} | {
    f"{prefix}bps": 8 * factor for prefix, factor in PREFIXES.items()} | {"": 1}


class ByteRate(Kind):
    """A rate, ``1.5mbit`` or ``4kbps``, which may be missing: bytes per second."""
    optional = True

    def read(self, words, context):
        if words[0] is None:
            return 0
        found = re.fullmatch(r"\+?(\d+\.?\d*(?:[eE][+-]?\d+)?|\.\d+)([a-zA-Z]*)", words[0])
        if found is None or found[2].lower() not in UNITS:
            raise Failure(f"rateest: could not parse rate `{words[0]}'", word=words[0])
        return int(float(found[1]) * UNITS[found[2].lower()] / 8) & 0xFFFFFFFF


class PacketRate(Kind):
    """Packets per second, which may be missing."""
    optional = True

    def read(self, words, context):
        value, rest = number(words[0]) if words[0] is not None else (0, "")
        if value is None or rest or value > 0xFFFFFFFF:
            raise Failure(f"rateest: could not parse pps `{words[0]}'", word=words[0])
        return value


def bits_text(octets):
    """``8000bit``, ``1000Kbit`` … of bytes per second."""
    bits = octets * 8
    if bits >= 10**9:
        return f"{bits / 10**6:.0f}Mbit"
    return f"{bits / 1000:.0f}Kbit" if bits >= 10**6 else f"{bits}bit"


class Rateest(Match):
    """Values: ``name1``; ``name2`` or None; ``delta``; ``mode``: lt, gt, eq or None; ``invert``; ``bps``, ``pps``:
    pairs of what is taken from the first and the second (without ``delta``: what the only one is compared with), or
    None.
    """
    name = "rateest"
    options = (
        Option("rateest1", Text(cut=NAME_MAX, raw=True), alias=("rateest",)),
        Option("rateest2", Text(cut=NAME_MAX, raw=True)),
        Option("rateest-bps1", ByteRate()), Option("rateest-bps2", ByteRate(), alias=("rateest-bps",)),
        Option("rateest-pps1", PacketRate()), Option("rateest-pps2", PacketRate(), alias=("rateest-pps",)),
        Option("rateest-delta"), *(Option(f"rateest-{relation}", invert=True) for relation in RELATIONS),
    )

    def accept(self, use, option, invert, context):
        if invert and not option.invert:
            raise Failure(f"rateest: {option.name.rstrip('12')} can't be inverted")
        if option.name in use:
            raise Failure(f"rateest: can't specify {'lt/gt/eq' if option.invert else '--' + option.name} twice")

    def take(self, use, option, value, invert):
        super().take(use, option, value, invert)
        if option.invert:
            use.values["relation"], use.values["invert"] = option.name[-2:], invert

    def finish(self, use, rule):
        given, delta, second = use.values, "rateest-delta" in use, use.get("rateest2")
        use.values = {"name1": given.get("rateest1", ""), "name2": second, "delta": delta,
                      "mode": given.get("relation"), "invert": given.get("invert", False)}
        for what in ("bps", "pps"):
            pair = tuple(given.get(f"rateest-{what}{place}") for place in (1, 2))
            first, compared = (value or 0 for value in pair)
            use.values[what] = None if pair == (None, None) else (
                (first, compared) if delta else NOUGHT if second is not None else (0, compared))
        use.inverted = frozenset()

    def check(self, use, rule, place):
        if use.get("mode") is None or (use.get("bps") is None and use.get("pps") is None):
            raise Refused
        if not {use.get("name1"), use.get("name2") or use.get("name1")} <= place.estimators:
            raise Refused(Refused.ABSENT)

    def _mode(self, use, prefix=""):
        return f"{'! ' if use.get('invert') else ''}{prefix}{use.get('mode')}"

    def save(self, use):
        second, delta = use.get("name2"), use.get("delta")
        words = ["--rateest-delta"] if delta else []
        words += ["--rateest1" if second is not None else "--rateest", use.get("name1")]
        for what, text in (("bps", bits_text), ("pps", str)):
            pair = use.get(what)
            if pair is None:
                continue
            words += [f"--rateest-{what}1", text(pair[0])] if delta else []
            words += [self._mode(use, "--rateest-"), f"--rateest-{what}{2 if delta else ''}"]
            words += [text(pair[1])] if delta or second is None else []
        return words + (["--rateest2", second] if second is not None else [])

    def show(self, use, numeric):
        second, delta = use.get("name2"), use.get("delta")
        words = [f"rateest match {use.get('name1')}", *(["delta"] if delta else [])]
        rates = [(what, use.get(what), str if numeric or what == "pps" else bits_text) for what in ("bps", "pps")]
        rates = [(what, pair, text) for what, pair, text in rates if pair is not None]
        if second is not None:
            for side in (0, 1):
                words += [self._mode(use), second] if side else []
                for what, pair, text in rates:
                    words += [what, *([text(pair[side])] if delta else [])]
            return " ".join(words)
        for what, pair, text in rates:
            values = [text(pair[0])] if delta else []
            # Bytes have what they are compared with in front of how.
            last = [text(pair[1]), self._mode(use)]
            words += [what, *values, *(last if what == "bps" else last[::-1])]
        return " ".join(words)

    def compile(self, use, out):
        second = use.get("name2")
        one, other = (out.state(("rateest", name), Estimator)
                      for name in (use.get("name1"), use.get("name1") if second is None else second))
        flags = RELATION_NUMBERS[use.get("mode")] | sum(
            flag for name, flag in FLAGS.items() if use.get(name) is not None and use.get(name) is not False)
        pairs = (use.get(what) or NOUGHT for what in ("bps", "pps"))
        out.test("rateest", flags, *(first << 32 | compared for first, compared in pairs), invert=use.get("invert"),
                 key=Comparison(one, other))
