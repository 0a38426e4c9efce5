"""Rulesets for Python: read, look at, change, write. A change that the kernel would refuse is not made.

>>> ruleset = Ruleset.parse("*filter\\n:IN_WEB - [0:0]\\nCOMMIT\\n")
>>> ruleset.table("filter").chain("IN_WEB").append("-s 10.0.0.0/8 -j ACCEPT")
>>> print(ruleset.table("filter").chain("IN_WEB").text())
-N IN_WEB
-A IN_WEB -s 10.0.0.0/8 -j ACCEPT
"""
from functools import partial

from fastct.errors import RuleError
from fastct.replaced import replaced
from fastct.rules import changes, check, listing, model, program, save
from fastct.rules.commands import PROGRAMS, VERSION, Finished, chain_name, inhibit, without
from fastct.rules.parse import Parser, resolve
from fastct.rules.pause import collector_paused
from fastct.rules.restore import How, Reader
from fastct.rules.words import Failure, Refused, split


def _error(failure, path=None, line=None):
    word = failure.word
    return RuleError(str(failure).strip(), path, line, getattr(word, "column", None), word and str(word))


class Ruleset:
    """The tables of one family.

    Parameters
    ----------
    family : 4 or 6
        iptables or ip6tables.

    Attributes
    ----------
    model : fastct.rules.model.Ruleset
        What it is made of, for whoever only looks.
    """

    def __init__(self, family=4):
        self.model = model.Ruleset(family)

    @property
    def family(self):
        """4 or 6."""
        return self.model.family

    @classmethod
    @collector_paused()
    def parse(cls, text, family=4, path=None):
        """The ruleset of a text in the format of iptables-save, with its counters.

        Raises
        ------
        RuleError
            With ``path``, ``line``, ``column`` and ``token``, for the first thing iptables-restore would refuse.
        """
        ruleset = cls(family)
        reader = Reader(ruleset.model, How(counters=None), program.Terminal())
        try:
            reader.read(text)
        except Finished as end:
            raise RuleError("not a rule", path, reader.number) from end
        except Failure as failure:
            raise _error(failure, path, reader.number) from failure
        return ruleset

    @classmethod
    def load(cls, path, family=4):
        """The ruleset of a file; raises RuleError, OSError."""
        with open(path, encoding="utf-8", errors="surrogateescape", newline="\n") as file:
            return cls.parse(file.read(), family, str(path))

    def text(self, counters=False, when=None):
        """The text of iptables-save; ``when``: the time for its comments, None for no comments."""
        name = f"{PROGRAMS[self.family]}-save {VERSION.partition(' ')[0]}"
        return save.text_of(reversed(self.model.tables.values()), self.family, name, counters, when)

    def save(self, path, counters=True, when=None):
        """Write the text to a file, which is replaced as a whole or not at all."""
        with replaced(path) as file:
            file.write(self.text(counters, when).encode(errors="surrogateescape"))

    @property
    def tables(self):
        """Names of the tables that are in use."""
        return list(reversed(self.model.tables))

    def table(self, name):
        """The Table of that name: filter, nat, mangle, raw or security. Raises KeyError."""
        self.model.table(name)
        return Table(self, name)

    def change(self, name, change):
        """Have ``change`` do something to a copy of a table, which takes its place if the kernel would take it."""
        table = self.model.table(name).copy()
        try:
            change(table)
            check.commit(table, self.family)
        except Failure as failure:
            raise _error(failure) from failure
        self.model.tables[name] = table

    def replace(self, other):
        """Take over all tables of another ruleset at once."""
        self.model.tables = {name: table.copy() for name, table in other.model.tables.items()}


class Table:
    """A table of a ruleset."""

    def __init__(self, ruleset, name):
        self.ruleset, self.name = ruleset, name

    @property
    def _model(self):
        return self.ruleset.model.table(self.name)

    @property
    def chains(self):
        """Names of the chains, base chains first."""
        return list(self._model.chains)

    def chain(self, name):
        """The Chain of that name; raises KeyError."""
        self._model.chain(name)
        return Chain(self, name)

    def _change(self, change, *args):
        self.ruleset.change(self.name, lambda table: change(table, *args))

    def listing(self, style):
        """The lines of -L, in a ``listing.Style``."""
        return listing.table_lines(self._model, self.ruleset.family, style)

    def new(self, name):
        """Make a user's chain (-N); returns the Chain."""
        self._change(lambda table: changes.new(table, chain_name(name)))
        return self.chain(name)

    def delete(self, name):
        """Delete a user's chain, which must be empty and without references (-X)."""
        self._change(changes.remove, name)

    def rename(self, old, new):
        """Give a user's chain another name; jumps follow (-E)."""
        self._change(lambda table: changes.rename(table, old, chain_name(new)))

    def flush(self):
        """Delete all rules of all chains (-F)."""
        self._change(lambda table: [changes.flush(table, name) for name in table.chains])

    def zero(self):
        """All counters start again (-Z)."""
        self._change(lambda table: [changes.zero(table, name) for name in table.chains])


class Chain:
    """A chain of a table."""

    def __init__(self, table, name):
        self.table, self.name = table, name

    @property
    def _model(self):
        return self.table._model.chain(self.name)

    @property
    def rules(self):
        """The rules, with their counters: a list of ``fastct.rules.Rule``, to look at."""
        return list(self._model.rules)

    @property
    def policy(self):
        """ACCEPT or DROP; None for a user's chain. May be set."""
        return self._model.policy

    @policy.setter
    def policy(self, policy):
        self.table._change(changes.set_policy, self.name, policy)

    @property
    def counters(self):
        """Packets and bytes that the policy decided on."""
        return self._model.counters

    @property
    def references(self):
        """How many rules jump here."""
        return self.table._model.references(self.name)

    def text(self, counters=False):
        """The lines of -S."""
        chain = self._model
        return "\n".join([save.chain_line(chain, counters),
                          *save.chain_lines(chain, self.table.ruleset.family, counters)])

    def _rules(self, text, table):
        family = self.table.ruleset.family
        parser = Parser(split(text), family)
        parser.read()
        inhibit(table.name, parser.jump)
        parser.complete()
        without(parser.seen, self.name)
        return [resolve(rule, table.chains, lambda warning: None) for rule in parser.rules()]

    def _each(self, text, change, *args):
        """Change by every rule that a text stands for."""
        self.table._change(lambda table: [change(table, self.name, rule, *args) for rule in self._rules(text, table)])

    def append(self, rule):
        """Add a rule at the end: text as behind ``-A CHAIN``."""
        self._each(rule, changes.append)

    def insert(self, rule, number=1):
        """Add a rule as number ``number``, from 1."""
        self._each(rule, changes.insert, number)

    def replace(self, number, rule):
        """Put a rule in the place of number ``number``."""
        self._each(rule, changes.substitute, number)

    def delete(self, rule):
        """Delete a rule: its number, or the first that is the same as a text."""
        if isinstance(rule, int):
            self.table._change(changes.delete_number, self.name, rule)
        else:
            self._each(rule, changes.delete)

    def find(self, rule):
        """The number of the first rule that is the same as a text; None if there is none."""
        table = self.table._model
        try:
            return [changes.find(table, self.name, found) for found in self._rules(rule, table)][0]
        except Failure as failure:
            if str(failure) in (changes.NO_SUCH_RULE, Refused.ABSENT):
                return None
            raise _error(failure) from failure

    def flush(self):
        """Delete all rules (-F)."""
        self.table._change(changes.flush, self.name)

    def zero(self, number=None):
        """The counters start again: the chain's and its rules', or those of one rule (-Z)."""
        change = changes.zero if number is None else partial(changes.zero_number, number=number)
        self.table._change(change, self.name)
