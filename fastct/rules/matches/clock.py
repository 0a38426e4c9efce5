"""The match on the time of a packet."""
import calendar
import re

from fastct.rules.extension import Match, Option
from fastct.rules.kinds import Kind, number
from fastct.rules.words import Failure

DAY_END, DATE_END = 86399, 0x7FFFFFFF
WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")        # bits 1 to 7
EVERY_WEEKDAY, EVERY_MONTHDAY = 0xFE, 0xFFFFFFFE                     # bit 0 is no day
DATE = re.compile(r"(\d+)(?:-(\d+)(?:-(\d+)(?:T(\d+)(?::(\d+)(?::(\d+))?)?)?)?)?\Z")
FIELDS = ((1970, 2038, None), (1, 12, 1), (1, 31, 1), (0, 23, 0), (0, 59, 0), (0, 59, 0))    # lowest, highest, default


class Date(Kind):
    """``YYYY[-MM[-DD[Thh[:mm[:ss]]]]]``: seconds since 1970."""
    count = 1

    def read(self, words, context):
        found = DATE.match(words[0])
        parts = [int(text) if text else default for text, (_, _, default) in zip(found.groups(), FIELDS, strict=True)
                 ] if found else []
        if not found or not all(low <= part <= high for part, (low, high, _) in zip(parts, FIELDS, strict=True)):
            raise Failure(f'Invalid date "{words[0]}" specified. Should be YYYY[-MM[-DD[Thh[:mm[:ss]]]]]',
                          word=words[0])
        year, month, day, *time = parts
        return calendar.timegm((year, month, 1, *time)) + (day - 1) * 86400

    def write(self, value):
        return (date_text(value, "T"),)


def date_text(value, between):
    """Date and time of day of a moment."""
    days, seconds = divmod(value, 86400)
    year = 1970
    while days >= 365 + calendar.isleap(year):
        days -= 365 + calendar.isleap(year)
        year += 1
    month = 1
    while days >= calendar.monthrange(year, month)[1]:
        days -= calendar.monthrange(year, month)[1]
        month += 1
    return f"{year:04}-{month:02}-{days + 1:02}{between}{daytime_text(seconds)}"


class Daytime(Kind):
    """``hh:mm[:ss]``: seconds."""
    count = 1

    def read(self, words, context):
        rest, fields = words[0], []
        for high, ends in ((23, ":"), (59, ":\0"), (59, "\0")):
            found = re.match(r"\d*", rest)          # none are 0
            end = (rest[found.end():] + "\0")[0]
            if int(found[0] or 0) > high or end not in ends:
                raise Failure(f'invalid time "{rest}" specified, should be hh:mm[:ss] format and within the boundaries',
                              word=words[0])
            fields.append(int(found[0] or 0))
            rest = rest[found.end() + 1:]
            if end == "\0":
                break
        hours, minutes, seconds = (*fields, 0)[:3]
        return hours * 3600 + minutes * 60 + seconds

    def write(self, value):
        return (daytime_text(value),)


def daytime_text(value):
    """``hh:mm:ss``."""
    return f"{value // 3600:02}:{value // 60 % 60:02}:{value % 60:02}"


class Weekdays(Kind):
    """``DAY[,DAY…]`` by number or by two or three letters: bits."""
    count = 1

    def read(self, words, context):
        bits = 0
        *texts, last = words[0].split(",")
        for text in [*texts, last] if last else texts:
            text = text[:3]
            day, rest = number(text or "0")
            if day is not None and not rest:
                if not day:
                    raise Failure("No, the week does NOT begin with Sunday.")
                bits |= (1 << day) & EVERY_WEEKDAY
                continue
            found = [day for day, name in enumerate(WEEKDAYS, 1) if text in (name, name[:2])]
            if not found:
                raise Failure(f"{text} is not a valid day specifier", word=words[0])
            bits |= 1 << found[0]
        return bits

    def write(self, value):
        return (",".join(name for day, name in enumerate(WEEKDAYS, 1) if value >> day & 1),)


class Monthdays(Kind):
    """``DAY[,DAY…]``: bits."""
    count = 1

    def read(self, words, context):
        bits = 0
        for text in filter(None, words[0].split(",")):
            text = text[:2]
            day, rest = number(text)
            if day is None or rest or day > 31:
                raise Failure(f"{text} is not a valid day for --monthdays", word=words[0])
            bits |= 1 << day
        return bits & EVERY_MONTHDAY

    def write(self, value):
        return (",".join(str(day) for day in range(1, 32) if value >> day & 1),)


class LocalTime(Kind):
    """The old name of a flag."""

    def read(self, words, context):
        context.warn('WARNING: --localtz is being replaced by --kerneltz, since "local" is ambiguous. Note the kernel '
                     "timezone has caveats - see manpage for details.")
        return True


def _ordinal(day):
    return str(day) + {1: "st", 2: "nd", 3: "rd"}.get(day % 10, "th")


class Time(Match):
    """Values, all of them always there but the two flags: ``timestart``, ``timestop`` (seconds of the day),
    ``datestart``, ``datestop`` (seconds since 1970), ``weekdays``, ``monthdays`` (bits), ``kerneltz``, ``contiguous``.
    """
    name = "time"
    options = (
        Option("contiguous"), Option("datestart", Date()), Option("datestop", Date()),
        Option("kerneltz"), Option("localtz", LocalTime(), as_option="kerneltz", excludes=("utc",)),
        Option("monthdays", Monthdays(), invert=True), Option("timestart", Daytime()), Option("timestop", Daytime()),
        Option("utc", excludes=("kerneltz",)), Option("weekdays", Weekdays(), invert=True),
    )
    order = ("timestart", "timestop", "monthdays", "weekdays", "datestart", "datestop", "kerneltz", "contiguous")
    unwritten = {"datestart": 0, "weekdays": EVERY_WEEKDAY, "monthdays": EVERY_MONTHDAY}
    defaults = {"timestart": 0, "timestop": DAY_END, "datestart": 0, "datestop": DATE_END,
                "weekdays": EVERY_WEEKDAY, "monthdays": EVERY_MONTHDAY}

    def verify(self, use, rule):
        if "contiguous" in use and use.get("timestart", 0) <= use.get("timestop", DAY_END):
            raise Failure("time: --contiguous only makes sense when stoptime is smaller than starttime")

    def finish(self, use, rule):
        use.values.pop("utc", None)
        for name, every in (("weekdays", EVERY_WEEKDAY), ("monthdays", EVERY_MONTHDAY)):
            if name in use.inverted:
                use.values[name] ^= every
        use.inverted = frozenset()
        use.values = self.defaults | use.values

    def _daytime(self, use):
        return (use.get("timestart"), use.get("timestop")) != (0, DAY_END)

    def save(self, use):
        words = super().save(use)
        return words if self._daytime(use) else words[4:]

    def show(self, use, numeric):
        parts = ["TIME"]
        if self._daytime(use):
            parts.append(f"from {daytime_text(use.get('timestart'))} to {daytime_text(use.get('timestop'))}")
        if use.get("weekdays") != EVERY_WEEKDAY:
            parts.append("on " + Weekdays().write(use.get("weekdays"))[0])
        if use.get("monthdays") != EVERY_MONTHDAY:
            parts.append("on " + ",".join(_ordinal(day) for day in range(1, 32) if use.get("monthdays") >> day & 1))
        if use.get("datestart"):
            parts.append(f"starting from {date_text(use.get('datestart'), ' ')}")
        if use.get("datestop") != DATE_END:
            parts.append(f"until date {date_text(use.get('datestop'), ' ')}")
        parts += [] if "kerneltz" in use else ["UTC"]
        parts += ["contiguous"] if "contiguous" in use else []
        return " ".join(parts)

    def compile(self, use, out):
        if "kerneltz" in use:
            out.note("time: the kernel's time zone is UTC")
        out.test("time", *(use.get(f"{what}start") | use.get(f"{what}stop") << 32 for what in ("time", "date")),
                 use.get("weekdays") | ("contiguous" in use) << 8, use.get("monthdays"))
