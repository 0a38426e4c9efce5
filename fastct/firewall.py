"""The rules of a tracker: rulesets for people on one side, the programs that packets run through on the other.

    text, file, Ruleset ► Firewall ─► LiveRuleset  what people read and change
                                   └► Program      what the engine runs; a change makes another, and counters go along
"""
import os
import random
from contextlib import contextmanager

import numpy as np

from fastct.errors import ConfigError, RuleError
from fastct.explanation import explanation
from fastct.records import DECIDERS
from fastct.rules.account import Account
from fastct.rules.compile import compile_ruleset
from fastct.rules.estate import Estate
from fastct.rules.met import Met
from fastct.rules.route import Routes
from fastct.rules.ruleset import Ruleset
from fastct.rules.trace import Trace

FAMILIES = (4, 6)
SEED_BITS = 64


class LiveRuleset(Ruleset):
    """A ruleset that packets run through: its counters count, and a change takes effect with the next packet.

    Connections stay as they are when it changes, and so do the counters of rules that stay.
    """

    def __init__(self, family, firewall):
        super().__init__(family)
        self._firewall = firewall

    def table(self, name):
        """The Table of that name, its counters as of now. Raises KeyError."""
        self._firewall.sync()
        return super().table(name)

    def change(self, name, change):
        """As ``Ruleset.change``; packets run through the changed table from then on."""
        self._firewall.sync()
        before = self.model.tables.get(name)
        super().change(name, change)
        try:
            self._firewall.swap(self.family)
        except RuleError:
            self.model.tables[name] = before
            raise

    def replace(self, other):
        """Have packets run through all tables of another ruleset, at once."""
        before = self.model.tables
        super().replace(other)
        try:
            self._firewall.swap(self.family)
        except RuleError:
            self.model.tables = before
            raise

    def text(self, counters=False, when=None):
        """The text of iptables-save, counters as of now."""
        self._firewall.sync()
        return super().text(counters, when)


def ruleset_of(rules, family):
    """The Ruleset of a file's path, or one as it is. Raises RuleError, ConfigError."""
    if isinstance(rules, Ruleset):
        if rules.family != family:
            raise ConfigError(f"rules: expected a ruleset for IPv{family}")
        return rules
    try:
        return Ruleset.load(os.fspath(rules), family)
    except OSError as error:
        raise ConfigError(f"cannot read {rules}: {(error.strerror or str(error)).lower()}") from None


class Firewall:
    """What a tracker runs packets through.

    Parameters
    ----------
    engine : Engine
    rules, rules6 : str, os.PathLike, Ruleset or None
        iptables' and ip6tables' rules; None: no tables.
    local, interfaces, routes
        As for ``Routes``.
    seed : int, optional
        Of what rules leave to chance; the same makes the same choices.

    Attributes
    ----------
    rulesets : dict
        LiveRuleset by family.
    estate : Estate
        What rules keep by name, which outlives the rulesets that say it.
    deciders : list of str
        The words behind the column ``decided``: DECIDERS, then rules and policies.
    """

    def __init__(self, engine, rules=None, rules6=None, *, local=(), interfaces=(), routes=(), seed=None):
        self._engine = engine
        self._routes = Routes(local, interfaces, routes)
        self._programs = dict.fromkeys(FAMILIES)
        self._random = random.Random(seed)
        self.estate = Estate()
        self._numbers = {name: number for number, name in enumerate(DECIDERS)}
        self.rulesets = {family: LiveRuleset(family, self) for family in FAMILIES}
        for family, given in zip(FAMILIES, (rules, rules6), strict=True):
            if given is not None:
                self.rulesets[family].replace(ruleset_of(given, family))

    @property
    def deciders(self):
        """The words behind the column ``decided``."""
        return list(self._numbers)

    @property
    def notes(self):
        """What whoever gave the rules should know: list of str."""
        asked = {name for ruleset in self.rulesets.values() for name in _interfaces(ruleset.model)}
        unknown = sorted(name for name in asked if not _matches(name, self._routes.interfaces))
        return [f"no packet comes from or goes to interface {name}, which rules name" for name in unknown]

    def sync(self):
        """Bring the rulesets' counters up to date."""
        for program in self._programs.values():
            if program is not None:
                program.sync()

    def counted(self, family):
        """Names of a family's rules and policies, as ``deciders`` has them, and the packets that each has counted."""
        program = self._programs[family]
        return ([], np.empty(0, np.uint64)) if program is None else (program.names, program.counters()[:, 0])

    @contextmanager
    def unremembered(self):
        """Meanwhile packets meet the rules one by one: no path that a connection took is remembered."""
        programs = [program for program in self._programs.values() if program is not None]
        try:
            for program in programs:
                program.remember(0, 0)
            yield
        finally:
            for program in programs:
                program.remember()

    def explain(self, frame, connections):
        """Have the engine run a block of one frame; returns the Explanation.

        connections : callable
            Gives the rows of the live connections.
        => Within ``unremembered``.
        """
        trace = Trace()
        before = connections()
        row, = self._engine.trace(trace, frame)
        rows, packets = trace.drain()
        ends = [_numbered(row["conn"], each) for each in (before, connections())]
        conn = ends[0] if ends[1] is None else ends[1]
        over = Met(rows[-1], packets[-1], self._routes.interfaces, conn, int(row["ts"]))
        program = self._programs.get(over.family)
        if program is None:
            return explanation(row, self.deciders[row["decided"]], [], over, *ends, {})
        model = self.rulesets[over.family].model
        account = Account(model, program.names, rows, packets, over)
        return explanation(row, self.deciders[row["decided"]], account.visits(), over, *ends, model.tables)

    def swap(self, family):
        """Compile a family's ruleset, and run packets through it from now on."""
        program = None
        if self.rulesets[family].model.tables:
            program = compile_ruleset(self.rulesets[family].model, self.estate, self._random.getrandbits(SEED_BITS))
            program.number(self._numbers)
        self._programs[family] = program
        self.attach(self._engine)

    def attach(self, engine):
        """Have an engine's packets run through the tables."""
        self._engine = engine
        engine.rules(self._programs[4], self._programs[6], self._routes)


def _numbered(number, rows):
    """The row of the connection of a number, or None."""
    found = rows[rows["conn"] == number]
    return found[0] if number and len(found) else None


def _interfaces(model):
    """Names of interfaces that rules ask for."""
    for table in model.tables.values():
        for chain in table.chains.values():
            for rule in chain.rules:
                yield from filter(None, (rule.header.in_interface, rule.header.out_interface))


def _matches(name, known):
    """Whether one of the interfaces has a name, or begins with it."""
    if name.endswith("+"):
        return any(each.startswith(name[:-1]) for each in known if each)
    return name in known
