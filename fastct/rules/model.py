"""What a ruleset is made of: tables, chains, rules. Text is read by ``parse`` and ``restore``, written by ``save`` and
``listing``; what the kernel would refuse is found by ``check``; ``compile`` makes the program that packets run through.
"""
from dataclasses import dataclass, field, replace

from fastct.rules.extension import Use

# Tables, and the hooks each is called at.
TABLES = {
    "mangle": ("PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"),
    "raw": ("PREROUTING", "OUTPUT"),
    "nat": ("PREROUTING", "INPUT", "OUTPUT", "POSTROUTING"),
    "filter": ("INPUT", "FORWARD", "OUTPUT"),
    "security": ("INPUT", "FORWARD", "OUTPUT"),
}
POLICIES = ("ACCEPT", "DROP")
STANDARD = ("ACCEPT", "DROP", "QUEUE", "RETURN")
STANDARD_NAME = "standard"      # what iptables calls the extension behind those; no rule with it as a target is taken
BLANKS = frozenset(" \t\n\v\f\r")      # no name of those has one
NAME_MAX = 28       # bytes of the name of a chain or target


@dataclass(frozen=True, slots=True)
class Network:
    """An address and a mask as numbers of 32 or 128 bits; the mask need not be a prefix."""
    address: int = 0
    mask: int = 0


@dataclass(slots=True)
class Header:
    """What a rule asks of any packet: ``-s -d -i -o -p -f``.

    Attributes
    ----------
    source, destination : Network
    in_interface, out_interface : str
        A name, or its beginning and ``+``; "": any (so is "+", which iptables lists but does not save).
    protocol : int
        0: any.
    fragment : bool
        Second and further fragments only (IPv4).
    inverted : frozenset of str
        Those of the attributes above that must not be so.
    """
    source: Network = Network()
    destination: Network = Network()
    in_interface: str = ""
    out_interface: str = ""
    protocol: int = 0
    fragment: bool = False
    inverted: frozenset = frozenset()


@dataclass(slots=True)
class Counters:
    """Packets and bytes (whole IP packets)."""
    packets: int = 0
    bytes: int = 0


@dataclass(slots=True)
class Rule:
    """One rule of a chain.

    Attributes
    ----------
    header : Header
    matches : list of Use
        Asked in order; all must hold.
    target : Use or None
        Of an extension target such as LOG.
    jump : str
        Where a packet that matches goes: ACCEPT, DROP, QUEUE, RETURN, a user chain, an extension target; "": nowhere.
    goto : bool
        ``-g``: go there without coming back.
    counters : Counters
    line : int or None
        Where it stands in the file that it was read from.
    """
    header: Header = field(default_factory=Header)
    matches: list[Use] = field(default_factory=list)
    target: Use | None = None
    jump: str = ""
    goto: bool = False
    counters: Counters = field(default_factory=Counters, compare=False)
    line: int | None = field(default=None, compare=False)

    @property
    def uses(self):
        """The extensions: those of the matches and of the target."""
        return self.matches if self.target is None else [*self.matches, self.target]


@dataclass
class Chain:
    """A chain: ``policy`` is None for a user's own, which has no counters either. ``line`` as that of a rule."""
    name: str
    policy: str | None = None
    counters: Counters = field(default_factory=Counters, compare=False)
    rules: list[Rule] = field(default_factory=list)
    line: int | None = field(default=None, compare=False)


class Table:
    """A table: its chains by name, base chains first, in the order of the hooks; user chains sorted, as Linux does.

    ``given``: whose counters were named since the table was last handed over: names of base chains, ids of rules.
    """

    def __init__(self, name):
        self.name = name
        self.given = set()
        self._chains = {hook: Chain(hook, "ACCEPT") for hook in TABLES[name]}
        self._sorted = True

    @property
    def chains(self):
        """The chains by name, sorted; ``find`` does not need them to be so."""
        if not self._sorted:
            base = len(TABLES[self.name])
            names = list(self._chains)
            names[base:] = sorted(names[base:], key=str.encode)
            self._chains = {name: self._chains[name] for name in names}
            self._sorted = True
        return self._chains

    def find(self, name):
        """The chain of that name, or None."""
        return self._chains.get(name)

    def chain(self, name):
        """The chain of that name; raises KeyError."""
        return self._chains[name]

    def add(self, chain):
        """Take in a user's chain."""
        self._chains[chain.name] = chain
        self._sorted = False

    def copy(self):
        """A table to change; the rules, which nobody changes, are shared."""
        table = Table(self.name)
        table._chains = {name: replace(chain, counters=replace(chain.counters), rules=list(chain.rules))
                         for name, chain in self.chains.items()}
        return table

    def references(self, name):
        """How many rules jump or go to a chain."""
        return sum(rule.jump == name and rule.target is None for chain in self.chains.values() for rule in chain.rules)


class Ruleset:
    """The tables of one family (4 or 6), those that are in use, by name; the one that came last is first.

    sets : ``sets.Sets`` or None
        The ipsets that rules may name; None when they are not known: then any name will do.
    """

    def __init__(self, family=4, sets=None):
        self.family, self.sets = family, sets
        self.tables = {}

    def table(self, name):
        """The table of that name; it comes into being when it is first asked for, as in Linux. Raises KeyError."""
        if name not in self.tables:
            self.tables = {name: Table(name), **self.tables}
        return self.tables[name]
