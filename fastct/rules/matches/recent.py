"""The match on lists of addresses seen lately."""
from dataclasses import dataclass

from fastct.rules import names
from fastct.rules.extension import Match, Option, by_family, exclusive
from fastct.rules.kinds import Kind, Number, Text
from fastct.rules.ops.recent import ACTION_NUMBERS, FLAGS, RecentList
from fastct.rules.words import Failure, Refused

ACTIONS = {"set": "SET", "rcheck": "CHECK", "update": "UPDATE", "remove": "REMOVE"}
NAME_MAX, STAMPS_MAX = 199, 65535


@dataclass(frozen=True)
class HostAddress(Kind):
    """An address as a number."""
    family: int
    count = 1

    def read(self, words, context):
        return names.resolve(words[0], self.family)

    def write(self, value):
        return (names.address_text(value, self.family),)


class Seconds(Number):
    """Seconds, written as a number with a sign."""

    def __init__(self):
        super().__init__(low=1)

    def write(self, value):
        return (str(value - (value >> 31 << 32)),)


def no_file_name(name):
    """Whether the kernel would refuse a name for a file in /proc."""
    return not name or name in (".", "..") or "/" in name


@by_family("recent")
class Recent(Match):
    """One of ACTIONS; ``name``, ``mask`` and one of ``rsource`` and ``rdest`` are always there."""
    order = (*ACTIONS, "seconds", "reap", "hitcount", "rttl", "name", "mask", "rsource", "rdest")

    @staticmethod
    def options_for(family):
        """The mask is an address."""
        return (
            *exclusive(*(Option(name, invert=True) for name in ACTIONS)),
            Option("seconds", Seconds()), Option("reap", requires=("seconds",)), Option("hitcount", Number()),
            Option("rttl", excludes=("set", "remove")), Option("name", Text(cut=NAME_MAX, raw=True)),
            Option("rsource"), Option("rdest"), Option("mask", HostAddress(family)),
        )

    def verify(self, use, rule):
        if not any(name in use for name in ACTIONS):
            raise Failure("recent: you must specify one of `--set', `--rcheck' `--update' or `--remove'")

    def finish(self, use, rule):
        # The side that was named last is the one.
        side = ["rsource", *(name for name in use.values if name in ("rsource", "rdest"))][-1]
        use.values = {name: value for name, value in use.values.items() if name not in ("rsource", "rdest")}
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
        parts += [f"seconds: {Seconds().write(use.get('seconds'))[0]}"] if "seconds" in use else []
        parts += ["reap"] if "reap" in use else []
        parts += [f"hit_count: {use.get('hitcount')}"] if "hitcount" in use else []
        parts += ["TTL-Match"] if "rttl" in use else []
        parts.append(f"name: {use.get('name')} side: {'dest' if 'rdest' in use else 'source'} "
                     f"mask: {names.address_text(use.get('mask'), self.family)}")
        return " ".join(parts)

    def compile(self, use, out):
        mask = use.get("mask").to_bytes(names.BITS[self.family] // 8, "big").ljust(16, b"\0")
        seen = out.state(("recent", use.get("name")), lambda: RecentList(mask))
        hits = use.get("hitcount", 0)
        seen.grow(hits)
        action = next(name for name in ACTIONS if name in use)
        what = ACTION_NUMBERS[action] | sum(flag for name, flag in FLAGS.items() if name in use)
        out.test("recent", what, use.get("seconds", 0), hits, invert=action in use.inverted, key=seen)
