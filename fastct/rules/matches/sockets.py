"""Matches on the socket that sends or receives a packet, and on the system it comes from."""
import grp
import pwd
import re

from fastct.rules.extension import Match, Option
from fastct.rules.kinds import FLAG, Kind, Number, Text, number
from fastct.rules.words import Failure, Refused

ID_MAX = 0xFFFFFFFE


class _Ids(Kind):
    """``NAME``, ``ID`` or ``ID-ID``: a pair."""
    count = 1

    def read(self, words, context):
        named = self.by_name(words[0])
        ends = [(named, "")] if named is not None else [number(end) for end in re.split("[-:]", words[0], maxsplit=1)]
        if any(value is None or rest or value > ID_MAX for value, rest in ends):
            raise context.bad_value(words[0])
        return (ends[0][0], ends[-1][0])

    def write(self, value):
        return ("-".join(map(str, dict.fromkeys(value))),)

    def text(self, value, numeric):
        """The text of -L: a name if there is one."""
        return (value[0] == value[1] and not numeric and self.by_id(value[0])) or self.write(value)[0]


class UserIds(_Ids):
    def by_name(self, name):
        """The id of a user, or None."""
        try:
            return pwd.getpwnam(name).pw_uid
        except KeyError:
            return None

    def by_id(self, value):
        """The name of a user, or None."""
        try:
            return pwd.getpwuid(value).pw_name
        except KeyError:
            return None


class GroupIds(_Ids):
    def by_name(self, name):
        """The id of a group, or None."""
        try:
            return grp.getgrnam(name).gr_gid
        except KeyError:
            return None

    def by_id(self, value):
        """The name of a group, or None."""
        try:
            return grp.getgrgid(value).gr_name
        except KeyError:
            return None


class Owner(Match):
    name, hooks = "owner", ("OUTPUT", "POSTROUTING")
    options = (Option("uid-owner", UserIds(), invert=True), Option("gid-owner", GroupIds(), invert=True),
               Option("socket-exists", invert=True), Option("suppl-groups"))
    order = ("socket-exists", "uid-owner", "gid-owner", "suppl-groups")
    labels = {"socket-exists": "owner socket exists", "uid-owner": "owner UID match", "gid-owner": "owner GID match",
              "suppl-groups": "incl. suppl. groups"}

    def take(self, use, option, value, invert):
        if option.name == "suppl-groups" and "gid-owner" not in use:
            raise Failure('owner: Bad value for "--suppl-groups" option: "you need to use --gid-owner first"')
        super().take(use, option, value, invert)

    def verify(self, use, rule):
        if not use.values:
            raise Failure("owner: At least one of --uid-owner, --gid-owner or --socket-exists is required")

    def check(self, use, rule, place):
        for name in ("uid-owner", "gid-owner"):
            low, high = use.get(name, (0, 0))
            if low > high:
                raise Refused

    def show(self, use, numeric):
        parts = []
        for name in self.order:
            if name in use:
                kind = self.option(name).kind
                parts.append(use.bang(name, "! ") + self.labels[name])
                parts += [kind.text(use.get(name), numeric)] if kind is not FLAG else []
        return " ".join(parts)

    def compile(self, use, out):
        out.note("owner: no packet is of a socket")
        out.constant(set(use.values) == use.inverted)


class Cgroup(Match):
    name, hooks = "cgroup", ("INPUT", "OUTPUT", "POSTROUTING")
    options = (Option("path", Text(always=True), invert=True), Option("cgroup", Number(), invert=True))

    def check(self, use, rule, place):
        # Of the paths only the root is there on every machine.
        if len(use.values) != 1 or use.get("path", "").strip("/"):
            raise Refused

    def show(self, use, numeric):
        (name, value), = use.values.items()
        return f"cgroup {use.bang(name, '! ')}{value}"

    def compile(self, use, out):
        out.note("cgroup: no packet is of a socket")
        out.constant(False)


class Socket(Match):
    name, hooks = "socket", ("PREROUTING", "INPUT")
    options = (Option("transparent"), Option("nowildcard"), Option("restore-skmark"))

    def show(self, use, numeric):
        return " ".join(["socket", *self.save(use)])

    def compile(self, use, out):
        out.note("socket: no packet is for a socket")
        out.constant(False)


class Osf(Match):
    name, families, protocols, hooks = "osf", (4,), (6,), ("PREROUTING", "INPUT", "FORWARD")
    options = (Option("genre", Text(cut=31, raw=True), invert=True, needed=True), Option("ttl", Number(high=2)),
               Option("log", Number(high=2)))

    def show(self, use, numeric):
        return f"OS fingerprint match {use.bang('genre', '! ')}{use.get('genre')}"

    def compile(self, use, out):
        out.note("osf: no fingerprints are known")
        out.constant(False)
