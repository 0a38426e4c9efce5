"""The match on lists of addresses seen lately."""
from dataclasses import dataclass

from fastct.rules import names
from fastct.rules.extension import Match, Option
from fastct.rules.kinds import Kind, Number, Text
from fastct.rules.matches.address import host
from fastct.rules.words import Failure, Refused

ACTIONS = {"set": "SET", "rcheck": "CHECK", "update": "UPDATE", "remove": "REMOVE"}
NAME_MAX, STAMPS_MAX = 199, 65535


@dataclass(frozen=True)
class HostAddress(Kind):
    """An address as a number."""
    family: int
    count = 1

    def read(self, words, context):
        return host(words[0], self.family)

    def write(self, value):
        return (names.address_text(value, self.family),)


def no_file_name(name):
    """Whether the kernel would refuse a name for a file in /proc."""
    return not name or name in (".", "..") or "/" in name


class _Recent(Match):
    """One of ACTIONS; ``name``, ``mask`` and one of ``rsource`` and ``rdest`` are always there."""
    family = 0
    order = (*ACTIONS, "seconds", "reap", "hitcount", "rttl", "name", "mask", "rsource", "rdest")

    def verify(self, use):
        if not any(name in use for name in ACTIONS):
            raise Failure("recent: you must specify one of `--set', `--rcheck' `--update' or `--remove'")

    def take(self, use, option, value, inverted):
        super().take(use, option, value, inverted)
        if option.name in ("rsource", "rdest"):
            use.values["side"] = option.name

    def finish(self, use, rule):
        side = use.values.pop("side", "rsource")
        for name in ("rsource", "rdest"):
            use.values.pop(name, None)
        use.values[side] = True
        use.values.setdefault("name", "DEFAULT")
        use.values.setdefault("mask", names.every(self.family))
        if use.get("hitcount") == 0:
            del use.values["hitcount"]

    def check(self, use, rule, place):
        if ("set" in use or "remove" in use) and any(name in use for name in ("seconds", "hitcount", "rttl", "reap")):
            raise Refused
        if use.get("hitcount", 0) > STAMPS_MAX or no_file_name(use.get("name")):
            raise Refused

    def show(self, use, numeric):
        action = next(name for name in ACTIONS if name in use)
        parts = [f"{use.bang(action, '! ')}recent: {ACTIONS[action]}"]
        parts += [f"seconds: {use.get('seconds')}"] if "seconds" in use else []
        parts += ["reap"] if "reap" in use else []
        parts += [f"hit_count: {use.get('hitcount')}"] if "hitcount" in use else []
        parts += ["TTL-Match"] if "rttl" in use else []
        parts.append(f"name: {use.get('name')} side: {'dest' if 'rdest' in use else 'source'} "
                     f"mask: {names.address_text(use.get('mask'), self.family)}")
        return " ".join(parts)


def _options(family):
    return (
        *(Option(name, invert=True, excludes=tuple(other for other in ACTIONS if other != name)) for name in ACTIONS),
        Option("seconds", Number(low=1)), Option("reap", requires=("seconds",)), Option("hitcount", Number()),
        Option("rttl", excludes=("set", "remove")), Option("name", Text(cut=NAME_MAX, bare=True)),
        Option("rsource"), Option("rdest"), Option("mask", HostAddress(family)),
    )


class Recent4(_Recent):
    name, families, family, options = "recent", (4,), 4, _options(4)


class Recent6(_Recent):
    name, families, family, options = "recent", (6,), 6, _options(6)
