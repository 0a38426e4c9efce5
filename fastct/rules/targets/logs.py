"""Targets that tell somebody about the packet and let it go on."""
from fastct.rules.extension import Option, Target
from fastct.rules.kinds import Kind, Number, Text, number
from fastct.rules.words import Failure

LEVELS = ("emerg", "alert", "crit", "err", "warn", "notice", "info", "debug")
# As options have them: two of the names are longer there, and one has an older name besides.
_LEVEL_NAMES = {**{name: level for level, name in enumerate(LEVELS) if name not in ("err", "warn")},
                "error": 3, "warning": 4, "panic": 0}


class Level(Kind):
    """A syslog level, by number or name."""
    count = 1

    def read(self, words, context):
        value, rest = number(words[0])
        if value is not None and not rest and value < len(LEVELS):
            return value
        if words[0] not in _LEVEL_NAMES:
            raise Failure(f'log level "{words[0]}" unknown\n', word=words[0])
        return _LEVEL_NAMES[words[0]]

    def write(self, value):
        return (str(value),)


class Log(Target):
    """``log-level`` is always there; flags by their options' names."""
    name = "LOG"
    level = 4
    # Bits of -L -n by option.
    flags = {"log-tcp-sequence": 1, "log-tcp-options": 2, "log-ip-options": 4, "log-uid": 8, "log-macdecode": 32}
    options = (Option("log-prefix", Text(least=1, cut=29)), Option("log-level", Level()), *map(Option, flags))

    def finish(self, use, rule):
        use.values.setdefault("log-level", self.level)

    def save(self, use):
        words = super().save(use)
        if use.get("log-level") == self.level:
            at = words.index("--log-level")
            del words[at:at + 2]
        return words

    def show(self, use, numeric):
        level = use.get("log-level")
        given = [name for name in self.flags if name in use]
        if numeric:
            words = ["LOG", "flags", str(sum(self.flags[name] for name in given)), "level", str(level)]
        else:
            words = ["LOG", "level", LEVELS[level], *(name.removeprefix("log-") for name in given)]
        if "log-prefix" in use:
            words.append(f'prefix "{use.get("log-prefix")}"')
        return " ".join(words)

    def compile(self, use, out):
        flags = sum(bit for name, bit in self.flags.items() if name in use)
        if "log-uid" in use:
            out.note("LOG: packets have no known user")
        out.effect("log", use.get("log-level"), flags, blob=use.get("log-prefix", "").encode() + b"\0")


RANGE_WARNING = "warn: --nflog-range has never worked and is no longer supported, please use --nflog-size instead"


class Nflog(Target):
    """``nflog-group`` and ``nflog-threshold`` are there unless they are 0."""
    name = "NFLOG"
    said = Log.flags["log-tcp-sequence"] | Log.flags["log-tcp-options"] | Log.flags["log-ip-options"]
    options = (Option("nflog-prefix", Text(least=1, cut=63)), Option("nflog-group", Number(16)),
               Option("nflog-range", Number(), excludes=("nflog-size",), warning=RANGE_WARNING),
               Option("nflog-size", Number(), excludes=("nflog-range",)), Option("nflog-threshold", Number(16)))

    def finish(self, use, rule):
        for name in ("nflog-group", "nflog-threshold", "nflog-range"):
            if use.get(name) == 0:
                del use.values[name]

    def show(self, use, numeric):
        return " ".join(word.removeprefix("--") for word in self.save(use))

    def compile(self, use, out):
        out.effect("nflog", use.get("nflog-group", 0), self.said, blob=use.get("nflog-prefix", "").encode() + b"\0")


class AuditType(Kind):
    """accept, drop or reject; in any case."""
    count = 1

    def read(self, words, context):
        if words[0].lower() not in ("accept", "drop", "reject"):
            raise Failure(f'Bad action type value "{words[0]}"', word=words[0])
        return words[0].lower()

    def write(self, value):
        return (value,)


class Audit(Target):
    name = "AUDIT"
    options = (Option("type", AuditType(), needed=True),)

    def show(self, use, numeric):
        return f"AUDIT {use.get('type')}"

    def compile(self, use, out):
        out.note("AUDIT: there is no audit daemon to tell")


class Trace(Target):
    name, tables = "TRACE", ("raw",)

    def show(self, use, numeric):
        return ""

    def compile(self, use, out):
        out.effect("trace")
