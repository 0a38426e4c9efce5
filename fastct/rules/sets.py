"""ipsets: what they hold, and whether a packet's values are in one. Their text is ``settext``'s.

An entry's key is a tuple of what its type names, in that order, all of it numbers but for names of interfaces and sets:

    ip        address
    net       address, length of the prefix
    port      protocol << 16 | port, or ICMP's type << 8 | code; in a bitmap the port alone
    mac       48 bits; -1: any, which bitmap:ip,mac has where none was given
    mark      32 bits
    iface     name, 1 for the bridge's physical interface else 0, 1 for a name's beginning ("wildcard") else 0
    set       name

A packet is looked up with one value for each part: the whole address for a net, ``(in name, physical name)`` for an
interface. A net of a packet is found as in Linux: for each length in use, the longest first, one look into the table.
"""
from collections import Counter
from dataclasses import dataclass, field
from itertools import product

from fastct.rules.words import Failure

BITS = {4: 32, 6: 128}
TYPES = {name: tuple(name.partition(":")[2].split(",")) for name in (
    "bitmap:ip", "bitmap:ip,mac", "bitmap:port", "hash:ip", "hash:mac", "hash:ip,mac", "hash:ip,mark", "hash:ip,port",
    "hash:ip,port,ip", "hash:ip,port,net", "hash:net", "hash:net,net", "hash:net,port", "hash:net,port,net",
    "hash:net,iface", "list:set")}
# How many columns of a key a part has.
WIDTH = {"net": 2, "iface": 3}
ANY_MAC = -1
# Types whose nets may be everything: a prefix of length 0.
EVERYTHING = ("hash:net,iface",)

EXISTS = "Element cannot be added to the set: it's already added"
MISSING = "Element cannot be deleted from the set: it's not added"
FULL = "Hash is full, cannot add more elements"
OUT_OF_RANGE = "Element is out of the range of the set"
NULL = "Null-valued element, cannot be stored in a hash type of set"


class SetFailure(Failure):
    """What ipset says instead of doing it."""

    def __init__(self, message):
        super().__init__(message, Failure.OTHER)


@dataclass(slots=True)
class Entry:
    """What is kept beside an entry's key.

    Attributes
    ----------
    expires : float or None
        When it goes, in seconds of the clock that calls are given; None: never.
    packets, bytes : int
    comment : str
    mark : (int, int)
        Value and mask (``skbmark``).
    priority : int
        ``skbprio``: major << 16 | minor.
    queue : int
    nomatch : bool
        A packet in this net is not in the set.
    """
    expires: float | None = None
    packets: int = 0
    bytes: int = 0
    comment: str = ""
    mark: tuple = (0, 0)
    priority: int = 0
    queue: int = 0
    nomatch: bool = False


@dataclass
class Set:
    """A set.

    Attributes
    ----------
    family : int or None
        4 or 6; None where that says nothing: bitmap:port, hash:mac, list:set.
    options : dict
        Those of its creation by name: numbers, pairs for ranges, True for flags.
    entries : dict
        Entry by key, in the order in which they came; a list:set's in that of the list.
    lengths : list of Counter
        For each net of the type: how many entries have a prefix of that length.
    macs : dict or None
        In a bitmap:ip,mac the MAC address by address: it has one entry for each.
    nets : Counter or None
        In a hash:net,iface how many entries a net has by kind of interface, physical or not: the longest that a packet
        is in decides, whatever interfaces shorter ones have.
    """
    name: str
    type: str
    family: int | None = None
    options: dict = field(default_factory=dict)
    entries: dict = field(default_factory=dict)

    def __post_init__(self):
        self.parts = TYPES[self.type]
        self.lengths = [Counter() for part in self.parts if part == "net"]
        self.macs = {} if self.type == "bitmap:ip,mac" else None
        self.nets = Counter() if "iface" in self.parts else None
        bits = BITS[self.family or 4]
        everything = (1 << bits) - 1
        self.host_mask = self.options.get("bitmask", everything)
        if "netmask" in self.options:
            self.host_mask = everything ^ (1 << bits - self.options["netmask"]) - 1

    @property
    def is_list(self):
        return self.type == "list:set"

    def columns(self, key):
        """The parts of a key, each with its columns."""
        at = 0
        for part in self.parts:
            yield part, key[at:at + WIDTH.get(part, 1)]
            at += WIDTH.get(part, 1)

    def _count(self, key, by):
        if self.macs is not None:
            self.macs.pop(key[0], None)
            self.macs |= {key[0]: key[1]} if by > 0 else {}
        if self.nets is not None:
            self.nets[*key[:2], key[3]] += by
        lengths = [columns[1] for part, columns in self.columns(key) if part == "net"]
        for counter, length in zip(self.lengths, lengths, strict=True):
            counter[length] += by
            if not counter[length]:
                del counter[length]

    def _check(self, key):
        """Raise SetFailure for a key that has no place here."""
        if self.type.startswith("bitmap:"):
            low, high = self.options["range"]
            if not low <= key[0] <= high:
                raise SetFailure(OUT_OF_RANGE)
        elif self.type.startswith("hash:ip") and key[0] == 0:
            raise SetFailure(NULL)

    def canonical(self, key):
        """The key under which an entry stands: host bits that do not count are cleared."""
        columns = []
        for part, values in self.columns(key):
            if part == "ip" and (len(columns) == 0):
                values = (values[0] & self.host_mask,)
            elif part == "net":
                values = (values[0] & net_mask(values[1], self.family), values[1])
            elif part == "mark":
                values = (values[0] & self.options.get("markmask", 0xFFFFFFFF),)
            columns += values
        return tuple(columns)

    def add(self, key, entry, now=0.0, exist=False):
        """Put an entry in; raises SetFailure if it is there already, unless ``exist``, or there is no room."""
        key = self.canonical(key)
        self._check(key)
        there = key if self.macs is None else (key[0], self.macs.get(key[0]))
        if self.get(there, now) is not None and not exist:
            raise SetFailure(EXISTS)
        if there in self.entries and (there != key or self.get(there, now) is None):
            self.delete(there)
        if key not in self.entries:
            if self.type.startswith("hash:") and len(self.entries) >= self.options.get("maxelem", 65536):
                self._make_room(now)
            self._count(key, 1)
        self.entries[key] = entry

    def _make_room(self, now):
        """Take out what has expired or, with ``forceadd``, some entry; raises SetFailure if none may go."""
        before = len(self.entries)
        self.expire(now)
        if len(self.entries) == before:
            if "forceadd" not in self.options or not before:
                raise SetFailure(FULL)
            self.delete(next(iter(self.entries)))

    def delete(self, key, exist=False):
        """Take an entry out; raises SetFailure if it is not there, unless ``exist``."""
        key = self.canonical(key)
        if self.entries.pop(key, None) is not None:
            self._count(key, -1)
        elif not exist:
            raise SetFailure(MISSING)

    def expire(self, now):
        """Take out what has expired."""
        for key in [key for key, entry in self.entries.items() if entry.expires is not None and entry.expires <= now]:
            self.delete(key)

    def get(self, key, now=0.0):
        """The entry under a canonical key, or None."""
        entry = self.entries.get(key)
        return None if entry is None or (entry.expires is not None and entry.expires <= now) else entry

    def _nets(self, address, lengths):
        return [(address & net_mask(length, self.family), length) for length in sorted(lengths, reverse=True)]

    def _faces(self, address, names):
        """The keys of a hash:net,iface, which has one net for each kind of interface."""
        for physical, name in enumerate(names):
            nets = self._nets(address, self.lengths[0]) if name else ()
            for net in [net for net in nets if self.nets[*net, physical] > 0][:1]:
                yield *net, name, physical, 0
                for end in range(len(name), 0, -1):
                    yield *net, name[:end], physical, 1

    def candidates(self, values):
        """The keys under which a packet's values may stand, in the order in which Linux asks for them."""
        if self.nets is not None:
            yield from self._faces(*values[:2])
            return
        choices, lengths = [], iter(self.lengths)
        for part, value in zip(self.parts, values, strict=False):
            if part == "net":
                choices.append(self._nets(value, next(lengths)))
            elif part == "mac" and self.type.startswith("bitmap:"):
                choices.append([(value,), (ANY_MAC,)])
            else:
                choices.append([(value,)])
        for columns in product(*choices):
            yield self.canonical(sum(columns, ()))

    def find(self, values, now=0.0):
        """The entry that a packet's values meet, which may be one of ``nomatch``; None without one.

        values : one for each part of the type; more are not looked at.
        """
        for key in self.candidates(values):
            entry = self.get(key, now)
            if entry is not None:
                return entry
        return None


def net_mask(length, family):
    """The mask of a prefix of that length."""
    return (1 << BITS[family]) - (1 << BITS[family] - length)


class Sets(dict):
    """The sets there are, by name."""

    def contains(self, name, values, now=0.0, return_nomatch=False):
        """Whether a packet's values are in a set, as ``-m set`` asks; KeyError without the set.

        return_nomatch : ask for entries of ``nomatch`` instead.
        """
        found = self.find(name, values, now)
        return found is not None and found.nomatch == return_nomatch

    def find(self, name, values, now=0.0):
        """``Set.find``; in a list:set, that of its first set in which there is an entry that is not ``nomatch``."""
        asked = self[name]
        if not asked.is_list:
            return asked.find(values, now)
        for key, entry in asked.entries.items():
            if entry.expires is not None and entry.expires <= now:
                continue
            member = self[key[0]]
            found = member.find(values, now) if len(member.parts) <= len(values) else None
            if found is not None and not found.nomatch:
                return found
        return None
