"""The target that adds to ipsets, takes from them, and takes marks from them."""
from dataclasses import dataclass

from fastct.rules.extension import Target
from fastct.rules.kinds import Number
from fastct.rules.matches.sets import SetAndDirections, SetOption
from fastct.rules.words import Failure, Refused

TIMEOUT_MAX = 0xFFFFFFFE
MAPS = ("map-mark", "map-prio", "map-queue")
LEAVING = {"FORWARD", "OUTPUT", "POSTROUTING"}


@dataclass(frozen=True)
class EntryTimeout(Number):
    """Seconds; 0 is for ever."""

    def read(self, words, context):
        try:
            return super().read(words, context)
        except Failure:
            raise Failure(f"Invalid value for option --timeout or out of range 0-{TIMEOUT_MAX}") from None


def _set(name):
    return SetOption(name, SetAndDirections(), once=True)


class Set(Target):
    """``add-set``, ``del-set`` and ``map-set``: name and directions; the others are flags but for ``timeout``."""
    name = "SET"
    options = (_set("add-set"), SetOption("exist"), SetOption("timeout", EntryTimeout(high=TIMEOUT_MAX)),
               _set("del-set"), _set("map-set"), *map(SetOption, MAPS))

    def accept(self, use, option, invert, context):
        option.accept(use, context)

    def verify(self, use, rule):
        use.inverted = frozenset()       # iptables reads a ``!`` here and forgets it
        if not any(name in use for name in ("add-set", "del-set", "map-set")):
            raise Failure("You must specify either `--add-set' or `--del-set' or `--map-set'")
        if "add-set" not in use:
            if "exist" in use:
                raise Failure("Flag `--exist' can be used with `--add-set' only")
            if "timeout" in use:
                raise Failure("Option `--timeout' can be used with `--add-set' only")
        given = [name for name in MAPS if name in use]
        if "map-set" in use and not given:
            raise Failure("You must specify flags `--map-mark' or '--map-prio` or `--map-queue'")
        if given and "map-set" not in use:
            raise Failure(f"Flag `--{given[0]}' can be used with `--map-set' only")

    def check(self, use, rule, place):
        if "map-set" not in use:
            return
        if place.table != "mangle":
            raise Refused
        if ("map-prio" in use or "map-queue" in use) and not set(place.hooks) <= LEAVING:
            raise Refused

    def show(self, use, numeric):
        return " ".join(word.removeprefix("--") for word in self.save(use))
