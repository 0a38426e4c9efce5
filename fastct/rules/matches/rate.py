"""Matches that count and measure: at most so often, so many bytes, every so many packets."""
import re

from fastct.rules.extension import Match, Option
from fastct.rules.kinds import Choice, Kind, Number, Text
from fastct.rules.ops.limits import CREDITS_PER_S
from fastct.rules.words import Failure, Refused

UNITS = {"day": 86400, "hour": 3600, "min": 60, "sec": 1}
UNIT_NAMES = (("second", 1), ("minute", 60), ("hour", 3600), ("day", 86400))
SCALE = 10_000              # of limit: parts of a second that a period is counted in
HALF = 1 << 31              # a probability of 1
TOO_LOW = "Numerical result out of range."


def leading_int(text):
    """What atoll(3) makes of a text."""
    found = re.match(r"\s*[+-]?\d+", text)
    return max(-1 << 63, min(int(found[0]), (1 << 63) - 1)) if found else 0


def rate_period(text, scale, bits):
    """The period of ``N[/UNIT]`` in parts of a second and the unit's seconds; None when it is no rate."""
    number, slash, unit = text.partition("/")
    seconds = next((s for name, s in UNIT_NAMES if unit and name.startswith(unit.lower())), None) if slash else 1
    times = leading_int(number) & ((1 << bits) - 1)
    if seconds is None or not times:
        return None
    period = scale * seconds // times
    if not period:
        raise Failure(f'Rate too fast "{text}"', word=text)
    return period, seconds


def rate_text(period, scale):
    """``N/UNIT`` of the coarsest unit that tells it apart, and the unit's seconds."""
    chosen = "day"
    for name in ("hour", "min", "sec"):
        unit = UNITS[name] * scale
        if period > unit or unit // period < unit % period:
            break
        chosen = name
    return f"{UNITS[chosen] * scale // period}/{chosen}", UNITS[chosen]


class Rate(Kind):
    """``N[/UNIT]``: the period in 1/10000 s."""
    count = 1

    def read(self, words, context):
        found = rate_period(words[0], SCALE, 32)
        if found is None:
            raise Failure(f"bad rate \"{words[0]}\"'", word=words[0])
        return found[0]

    def write(self, value):
        return (rate_text(value, SCALE)[0],)


class Limit(Match):
    """``limit``: the period of one packet in 1/10000 s; ``limit-burst``: always there."""
    name = "limit"
    options = (Option("limit", Rate()), Option("limit-burst", Number(high=10000)))
    burst = 5
    unwritten = {"limit-burst": burst}

    def finish(self, use, rule):
        use.values.setdefault("limit", UNITS["hour"] * SCALE // 3)
        use.values.setdefault("limit-burst", self.burst)

    def check(self, use, rule, place):
        period, burst = use.get("limit"), use.get("limit-burst")
        if not burst or self._credit(period * burst & 0xFFFFFFFF) < self._credit(period):
            raise Refused(TOO_LOW)

    @staticmethod
    def _credit(period):
        wide = period > 0xFFFFFFFF // CREDITS_PER_S
        return (period // SCALE * CREDITS_PER_S if wide else period * CREDITS_PER_S // SCALE) & 0xFFFFFFFF

    def show(self, use, numeric):
        return f"limit: avg {rate_text(use.get('limit'), SCALE)[0]} burst {use.get('limit-burst')}"

    def compile(self, use, out):
        period = use.get("limit")
        out.test("limit", self._credit(period), self._credit(period * use.get("limit-burst") & 0xFFFFFFFF))


class Quota(Match):
    name = "quota"
    options = (Option("quota", Number(64), invert=True, needed=True),)

    def show(self, use, numeric):
        return f"quota: {use.get('quota')} bytes"

    def compile(self, use, out):
        out.test("quota", use.get("quota"), invert="quota" in use.inverted)


class Probability(Kind):
    """A probability from 0 to 1, as a number of 1/2**31."""
    count = 1

    def read(self, words, context):
        try:
            value = float.fromhex(words[0]) if words[0].strip()[:2].lower() == "0x" else float(words[0])
        except ValueError:
            value = -1.0
        if not 0 <= value <= 1:
            raise context.failure('bad value for option "--{}", or out of range (0-1).')
        scaled = value * HALF
        return int(scaled + 0.5)

    def write(self, value):
        return (f"{value / HALF:.11f}",)


class Statistic(Match):
    """``mode`` random with ``probability`` (of 2**31), or nth with ``every`` and ``packet``."""
    name = "statistic"
    options = (
        Option("mode", Choice(("random", "nth"), 'Bad mode "{}"'), needed=True),
        Option("probability", Probability(), invert=True, excludes=("every", "packet")),
        Option("every", Number(low=1), invert=True, requires=("packet",), excludes=("probability",)),
        Option("packet", Number(), requires=("every",), excludes=("probability",)),
    )

    def verify(self, use, rule):
        mode = use.get("mode", "random")
        if mode == "random" and "probability" not in use:
            raise Failure("--probability must be specified when using random mode")
        if mode == "nth" and "every" not in use and "packet" not in use:
            raise Failure("--every and --packet must be specified when using nth mode")
        if mode == "nth" and use.get("packet") and use.get("packet") >= use.get("every", 0):
            raise Failure("the --packet p must be 0 <= p <= n-1")

    def show(self, use, numeric):
        if use.get("mode") == "random":
            text, = self.options[1].kind.write(use.get("probability"))
            return f"statistic mode random {use.bang('probability', '! ')}probability {text}"
        packet = f" packet {use.get('packet')}" if use.get("packet") else ""
        return f"statistic mode nth {use.bang('every', '! ')}every {use.get('every')}{packet}"

    def compile(self, use, out):
        if use.get("mode") == "random":
            out.test("random", use.get("probability"), invert="probability" in use.inverted)
        else:
            out.test("nth", use.get("every"), use.get("packet"), invert="every" in use.inverted)


class Nfacct(Match):
    """Counts into an object that only nfacct(8) makes, so there is none."""
    name = "nfacct"
    options = (Option("nfacct-name", Text(least=1, cut=31, raw=True), needed=True),)

    def check(self, use, rule, place):
        raise Refused(Refused.ABSENT)

    def show(self, use, numeric):
        return f"nfacct-name  {use.get('nfacct-name')}"

    def compile(self, use, out):
        out.test("nfacct", key=("nfacct", use.get("nfacct-name")))
