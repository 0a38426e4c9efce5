"""The match on ipsets, and what is common to it and the target."""
from dataclasses import dataclass

from fastct.rules.extension import Match, Option
from fastct.rules.kinds import Kind, number
from fastct.rules.ops.sets import (
    COMPARE_PLACE,
    DIRECTIONS_PLACE,
    NOMATCH_FLAG,
    RELATION_NUMBERS,
    UPDATE_FLAGS,
    SetTable,
)
from fastct.rules.sets import SetFailure
from fastct.rules.words import Failure

SET_NAME_MAX = 31
DIMENSIONS_MAX = 6
COUNTER_MAX = (1 << 64) - 1
FAMILY_NAMES = {4: "IPv4", 6: "IPv6"}


class SetAndDirections(Kind):
    """A set's name, and which end of the packet each part of an entry is: ("src", "dst", …)."""
    count = 2

    def read(self, words, context):
        name, directions = words[0], tuple(words[1].split(","))
        if len(name) > SET_NAME_MAX:
            raise Failure(f"setname `{name}' too long, max {SET_NAME_MAX} characters.", word=name)
        if context.sets is not None:
            self._find(name, context)
        for direction in directions[:DIMENSIONS_MAX]:
            if direction not in ("src", "dst"):
                raise Failure("You must spefify (the comma separated list of) 'src' or 'dst'.", word=words[1])
        if len(directions) > DIMENSIONS_MAX:
            raise Failure(f"Can't be more src/dst options than {DIMENSIONS_MAX}.", word=words[1])
        return str(name), directions

    def _find(self, name, context):
        found = context.sets.get(name)
        if found is None:
            raise Failure(f"Set {name} doesn't exist.\n", word=name)
        if found.family not in (None, context.family):
            raise Failure(f"The protocol family of set {name} is {FAMILY_NAMES[found.family]}, "
                          "which is not applicable.\n", word=name)

    def write(self, value):
        return (value[0], ",".join(value[1]))


class CounterValue(Kind):
    """A number of packets or bytes."""
    count = 1

    def read(self, words, context):
        value, rest = number(words[0])
        if value is None or rest or value > COUNTER_MAX:
            raise Failure(f"Cannot parse {words[0]} as a counter value", word=words[0])
        return value

    def write(self, value):
        return (str(value),)


@dataclass(frozen=True)
class SetOption(Option):
    """An option as ``-m set`` and ``-j SET`` read them, without libxtables: given again, it counts again."""
    once: bool = False          # the set itself, which may not
    deprecated: str = ""        # what is said to whoever uses it

    def accept(self, use, context):
        """Raise Failure in the words of these two."""
        if self.deprecated:
            context.warn(self.deprecated)
        name = self.as_option or self.name
        if self.once and any(name in (given, use.extension.option(given).as_option) for given in use.values):
            raise Failure(f"--{name} can be specified only once")


def counter_options(what):
    """--X-eq, --X-lt and --X-gt."""
    return (SetOption(f"{what}-eq", CounterValue(), invert=True), SetOption(f"{what}-lt", CounterValue()),
            SetOption(f"{what}-gt", CounterValue()))


class Set(Match):
    """``match-set``: name and directions. ``update-counters`` and ``update-subcounters`` are kept if inverted only."""
    name = "set"
    updates = ("update-counters", "update-subcounters")
    options = (SetOption("match-set", SetAndDirections(), invert=True, once=True),
               SetOption("set", SetAndDirections(), invert=True, once=True, as_option="match-set",
                         deprecated="--set option deprecated, please use --match-set"),
               SetOption("return-nomatch"), *(SetOption(name, invert=True) for name in updates),
               *counter_options("packets"), *counter_options("bytes"))

    def accept(self, use, option, invert, context):
        option.accept(use, context)
        what, _, relation = option.name.partition("-")
        if relation in ("eq", "lt", "gt"):
            if any(f"{what}-{other}" in use for other in ("eq", "lt", "gt")):
                raise Failure(f"only one of the --{what}-[eq|lt|gt] is allowed")
            if invert and not option.invert:
                raise Failure(f"--{option.name} option cannot be inverted")
        elif invert and not option.invert:
            raise Failure(f"--{option.name} flag cannot be inverted")

    def verify(self, use, rule):
        if "match-set" not in use and "set" not in use:
            raise Failure("You must specify `--match-set' with proper arguments")

    def finish(self, use, rule):
        for name in self.updates:
            if name not in use.inverted:
                use.values.pop(name, None)

    def show(self, use, numeric):
        return " ".join(word.removeprefix("--") for word in self.save(use))

    def compile(self, use, out):
        name, directions = use.get("match-set")
        flags, values = sum(UPDATE_FLAGS[name] for name in self.updates if name in use), {"packets": 0, "bytes": 0}
        flags |= NOMATCH_FLAG if "return-nomatch" in use else 0
        for place, what in enumerate(values):
            for relation in ("eq", "lt", "gt"):
                if f"{what}-{relation}" in use:
                    asked = "ne" if f"{what}-{relation}" in use.inverted else relation
                    flags |= RELATION_NUMBERS[asked] << COMPARE_PLACE + 16 * place
                    values[what] = use.get(f"{what}-{relation}")
        flags |= sum(1 << place for place, end in enumerate(directions) if end == "src") << DIRECTIONS_PLACE
        flags |= len(directions) << DIRECTIONS_PLACE + 6
        out.test("set", flags, *values.values(), invert="match-set" in use.inverted, key=set_state(out, name))


def set_state(out, name):
    """The SetTable of a set by its name; raises SetFailure if there is none."""
    sets = out.ruleset.sets or {}
    if name not in sets:
        raise SetFailure(f"Set {name} doesn't exist.")
    source = sets[name]
    members = [set_state(out, member) for member, in source.entries] if source.is_list else []
    return out.state(("set", name, id(source)), lambda: SetTable(source, members))
