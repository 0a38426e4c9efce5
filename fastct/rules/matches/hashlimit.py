"""The match on rates per address and port."""
from fastct.rules import names
from fastct.rules.extension import Match, Option, by_family
from fastct.rules.kinds import Kind, Number, Text, number
from fastct.rules.matches.address import PrefixLength
from fastct.rules.matches.rate import TOO_LOW, leading_int, rate_period, rate_text
from fastct.rules.matches.recent import no_file_name
from fastct.rules.ops.hashlimit import RateTable
from fastct.rules.words import Failure, Refused

SCALE = 1_000_000               # parts of a second that a period is counted in
BURST, BURST_MAX, NAME_MAX = 5, 1_000_000, 254
BYTE_SHIFT = 4                  # bytes are counted in units of 16
EXPIRE_S, EXPIRE_BURST_S = 15, 60       # of byte rates, without and with a burst
GC_MS = 1000
WITH_HOLES = 255                # the length of a mask that is no prefix, which the kernel does not take
SIZE_MAX = 1 << 20
# The bits of the mode, as they are kept and in the order in which they are written.
MODES = {"dstip": 1, "dstport": 2, "srcip": 4, "srcport": 8}
WRITTEN = ("srcip", "srcport", "dstip", "dstport")
FACTORS = {"m": 1 << 20, "k": 1 << 10}
# How the kernel counts credit (64 bits): so many per second.
CREDITS = 1000 << 37


class HashRate(Kind):
    """``N[/UNIT]`` or ``N[k|m]b/s``: (bytes?, period in µs or cost of 16 bytes, seconds of the unit)."""
    count = 1

    def read(self, words, context):
        place = words[0].find("b/s")
        octets = leading_int(words[0]) if place > 0 else 0
        if octets:
            units = octets * FACTORS.get(words[0][place - 1], 1) >> BYTE_SHIFT
            cost = 0xFFFFFFFF // ((units & 0xFFFFFFFF) + 1)
            if not cost:
                raise Failure(f'Rate too high "{words[0]}"', word=words[0])
            return (True, cost, EXPIRE_S)
        found = rate_period(words[0], SCALE, 64)
        if found is None:
            raise context.bad_value(words[0])
        return (False, *found)


class Burst(Kind):
    """``N`` or ``N[k|m]b``."""
    count = 1

    def read(self, words, context):
        value, rest = number(words[0])
        if not value or value > BURST_MAX:
            raise burst_failure()
        return value * FACTORS.get(rest[:1], 1)


def burst_failure():
    """The Failure for a burst out of range."""
    return Failure(f'bad value for option "--hashlimit-burst", or out of range (1-{BURST_MAX}).')


class Interval(Kind):
    """Seconds."""
    count = 1

    def read(self, words, context):
        value = leading_int(words[0]) & 0xFFFFFFFF
        if not 0 < value < 1 << 31:
            raise context.bad_value(words[0])
        return value


class Modes(Kind):
    """``MODE[,MODE…]``: bits."""
    count = 1

    def read(self, words, context):
        bits = 0
        for name in filter(None, words[0].split(",")):
            if name not in MODES:
                raise context.bad_value(words[0])
            bits |= MODES[name]
        return bits


def bytes_of(cost):
    """Bytes per second of a cost of 16 bytes."""
    return ((0xFFFFFFFF // cost if cost else 0xFFFFFFFF) - 1) << BYTE_SHIFT


def _byte_text(octets):
    for letter, factor in FACTORS.items():
        if factor <= octets < 1 << 32:
            return f"{octets // factor}{letter}b"
    return f"{octets}b"


def _credit(period):
    return period * CREDITS // SCALE & 0xFFFFFFFFFFFFFFFF


@by_family("hashlimit")
class Hashlimit(Match):
    """Values, all of them always there.

    ``above``, ``bytes``, ``rate-match``: booleans; ``rate``: the period of one packet in µs, or the cost of 16 bytes
    (2**32 credits come in per second); ``burst``: packets, or seconds' worth of bytes; ``mode``: bits of MODES;
    ``name``;
    ``srcmask``, ``dstmask``: lengths; ``size``, ``max``: 0 is the kernel's choice; ``gcinterval``, ``expire``: ms;
    ``interval``: s.
    """

    @staticmethod
    def options_for(family):
        """Of the values above what can be given."""
        return (
            Option("hashlimit-upto", HashRate(), invert=True, alias=("hashlimit",), excludes=("hashlimit-above",)),
            Option("hashlimit-above", HashRate(), invert=True, excludes=("hashlimit-upto",)),
            *(Option(f"hashlimit-{name}", PrefixLength(family, WITH_HOLES)) for name in ("srcmask", "dstmask")),
            Option("hashlimit-burst", Burst()),
            *(Option(f"hashlimit-htable-{name}", Number()) for name in ("size", "max", "gcinterval", "expire")),
            Option("hashlimit-mode", Modes()),
            Option("hashlimit-name", Text(least=1, cut=NAME_MAX, raw=True), needed=True),
            Option("hashlimit-rate-match"), Option("hashlimit-rate-interval", Interval()),
        )

    def verify(self, use, rule):
        found, burst = use.get("hashlimit-upto") or use.get("hashlimit-above"), use.get("hashlimit-burst")
        if found is None:
            raise Failure("You have to specify --hashlimit")
        octets, rate, _ = found
        if octets and burst is not None:
            if not bytes_of(rate):          # below 16 bytes a second: iptables itself ends with SIGFPE here
                raise Failure("a burst needs a rate of at least 16b/s")
            if burst < bytes_of(rate):
                raise Failure(f"burst cannot be smaller than {bytes_of(rate)}b")
        elif burst is not None and burst > BURST_MAX:
            raise burst_failure()

    def finish(self, use, rule):
        given = {name.removeprefix("hashlimit-").removeprefix("htable-"): value for name, value in use.values.items()}
        octets, rate, seconds = given.get("upto") or given["above"]
        burst = given.get("burst", 0 if octets else BURST)
        if octets and burst:
            burst = -(-burst // bytes_of(rate))
        matching = "rate-match" in given
        every = names.BITS[self.family]
        use.values = {
            "above": ("above" in given) != bool(use.inverted), "bytes": octets, "burst": burst,
            "rate": rate // seconds if matching and not octets else rate, "rate-match": matching,
            "interval": given.get("rate-interval", seconds if matching and not octets else 1),
            "mode": given.get("mode", 0), "name": given["name"],
            "srcmask": given.get("srcmask", every), "dstmask": given.get("dstmask", every),
            "size": min(given.get("size", 0), SIZE_MAX), "max": min(given.get("max", 0), SIZE_MAX),
            "gcinterval": given.get("gcinterval", GC_MS),
            "expire": given.get("expire", 1000 * (EXPIRE_BURST_S if octets and burst else seconds)),
        }
        use.inverted = frozenset()

    def check(self, use, rule, place):
        value = use.values
        if not value["gcinterval"] or not value["expire"] or WITH_HOLES in (value["srcmask"], value["dstmask"]):
            raise Refused
        if value["rate-match"] or value["bytes"]:
            refused = not value["rate"]
        else:
            period, burst = value["rate"], value["burst"]
            refused = not burst or _credit(period * burst) < _credit(period)
        if refused:
            raise Refused(TOO_LOW)
        if no_file_name(value["name"]):
            raise Refused

    def _rate(self, use, interval):
        """The texts of the rate and of the burst (None: none), and after how many ms entries expire by default."""
        rate, burst = use.get("rate"), use.get("burst")
        if use.get("bytes"):
            octets = bytes_of(rate)
            return (_byte_text(octets) + "/s", _byte_text(octets * burst) if burst else None,
                    1000 * (EXPIRE_BURST_S if burst else EXPIRE_S))
        text, seconds = rate_text(rate * interval, SCALE)
        return text, str(burst), seconds * 1000

    def _table(self, use, expire):
        """What is not as it would be by default: name and value."""
        defaults = {"size": 0, "max": 0, "gcinterval": GC_MS, "expire": expire}
        yield from ((f"htable-{name}", use.get(name)) for name, value in defaults.items() if use.get(name) != value)
        every = names.BITS[self.family]
        yield from ((name, use.get(name)) for name in ("srcmask", "dstmask") if use.get(name) != every)

    def _modes(self, use, separator):
        return separator.join(name for name in WRITTEN if use.get("mode") & MODES[name])

    def save(self, use):
        rate, burst, expire = self._rate(use, 1)
        words = [f"--hashlimit-{'above' if use.get('above') else 'upto'}", rate]
        words += ["--hashlimit-burst", burst] if burst is not None else []
        words += ["--hashlimit-mode", self._modes(use, ",")] if use.get("mode") else []
        words += ["--hashlimit-name", use.get("name")]
        for name, value in self._table(use, expire):
            words += [f"--hashlimit-{name}", str(value)]
        if use.get("rate-match"):
            words.append("--hashlimit-rate-match")
            words += ["--hashlimit-rate-interval", str(use.get("interval"))] if use.get("interval") != 1 else []
        return words

    def show(self, use, numeric):
        rate, burst, expire = self._rate(use, use.get("interval"))
        parts = [f"limit: {'above' if use.get('above') else 'up to'} {rate}"]
        parts += [f"burst {burst}"] if burst is not None else []
        parts += [f"mode {self._modes(use, '-')}"] if use.get("mode") else []
        parts += [f"{name} {value}" for name, value in self._table(use, expire)]
        if use.get("rate-match"):
            parts.append("rate-match")
            parts += [f"rate-interval {use.get('interval')}"] if use.get("interval") != 1 else []
        return " ".join(parts)

    def compile(self, use, out):
        masks = [half for name in ("dstmask", "srcmask")
                 for half in divmod(names.prefix_mask(use.get(name), self.family), 1 << 64)]
        table = out.state(("hashlimit", self.family, use.get("name")), lambda: RateTable(use.values, masks))
        out.test("hashlimit", invert=use.get("above"), key=table)
