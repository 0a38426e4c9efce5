"""The text of iptables-save, read line by line as iptables-restore does: tables take effect one by one, each whole.

    *filter                        a table: what it held before is gone, unless ``noflush``
    :INPUT ACCEPT [0:0]            a chain and its policy; ``-`` for a user's chain
    [5:420] -A INPUT -j DROP       any command line, with counters or without
    COMMIT
"""
import io
from dataclasses import dataclass

from fastct.rules import changes, check, program
from fastct.rules.commands import PROGRAMS, CommandLine, Finished
from fastct.rules.model import NAME_MAX, TABLES, Counters
from fastct.rules.names import counter
from fastct.rules.words import BARE, Failure, Refused, Word, split


@dataclass(frozen=True)
class How:
    """Options of iptables-restore.

    Attributes
    ----------
    counters : bool or None
        -c: take over the counters, which all policies must have then. None: take over those that there are.
    test : bool
        -t: change nothing.
    noflush : bool
        -n: add to what is there.
    verbose : bool
        -v
    table : str or None
        -T: only this table.
    """
    counters: bool | None = False
    test: bool = False
    noflush: bool = False
    verbose: bool = False
    table: str | None = None


def _counters(text):
    """``[PACKETS:BYTES]``, or None."""
    packets, colon, octets = text.partition(":")
    if packets[:1] != "[" or not colon:
        return None
    values = counter(packets[1:]), counter(octets)
    return None if None in values else Counters(*values)


class Reader:
    """Reads the lines of a text into a ruleset. ``number``: the line that it is at, from 1."""

    def __init__(self, ruleset, how, terminal):
        self.ruleset, self.how, self.terminal = ruleset, how, terminal
        self.program = f"{PROGRAMS[ruleset.family]}-restore"
        self.table = None           # the table that is being filled
        self.named = None           # the name of the last table, also of one that is left out
        self.number = 0
        self.changed = False        # whether the table has been changed

    def read(self, text):
        """All lines; raises Failure or Finished."""
        for line in io.StringIO(text, newline="\n"):
            self.number += 1
            if not self._line(line) and (self.how.table is None or self.how.table == self.named):
                raise Refused
        if self.table is not None:
            self.number += 1
            raise Failure(f"{self.program}: COMMIT expected at line {self.number}", Failure.OTHER, bare=True)

    def _line(self, line):
        """One line; False when it does not belong there."""
        if line[0] in "#\n":
            if line[0] == "#" and self.how.verbose:
                self.terminal.out.append(line)
            return True
        if self.table is None:
            return line[0] == "*" and self._begin(line)
        if line == "COMMIT\n":
            self._commit()
        elif line[0] == ":":
            self._chain(line)
        else:
            self._command(line)
        return True

    def _commit(self):
        if self.changed and not self.how.test:
            check.commit(self.table, self.ruleset.family)
            self.ruleset.tables[self.table.name] = self.table
        self.table = None

    def _begin(self, line):
        words = _parts(line)
        if not words:
            raise Failure(f"{self.program}: line {self.number} table name invalid")
        self.named = words[0]
        if self.how.table is not None and self.named != self.how.table:
            return True
        if self.named not in TABLES:
            raise Failure(f"{self.program}: unable to initialize table '{self.named}'", word=words[0])
        self.table, self.changed = self.ruleset.table(self.named).copy(), not self.how.noflush
        if not self.how.noflush:
            self._empty(self.table)
        return True

    def _empty(self, table):
        users = [name for name, chain in table.chains.items() if chain.policy is None]
        if self.how.verbose:
            self.terminal.say(*(f"Flushing chain `{name}'" for name in table.chains))
            self.terminal.say(*(f"Deleting chain `{name}'" for name in users))
        for chain in table.chains.values():
            chain.rules.clear()
        for name in users:
            del table.chains[name]

    def _chain(self, line):
        name, policy, counters = (_parts(line) + [None] * 3)[:3]
        if name is None:
            raise Failure(f"{self.program}: line {self.number} chain name invalid")
        if len(name.encode()) > NAME_MAX:
            raise Failure(f"Invalid chain name `{name}' ({NAME_MAX} chars max)", word=name)
        chain = self.table.find(name)
        if chain is None or chain.policy is None:
            self._user_chain(name, chain)
        if policy is None:
            raise Failure(f"{self.program}: line {self.number} policy invalid")
        chain = self.table.chain(name)
        chain.line = self.number
        self.changed |= policy != "-" or chain.policy is None
        if policy != "-":
            self._policy(name, policy, counters)

    def _user_chain(self, name, chain):
        if chain is not None and self.how.noflush:
            chain.rules.clear()
            return
        try:
            changes.new(self.table, name)
        except Refused as refused:
            raise Failure(f"error creating chain '{name}':File exists", word=name) from refused

    def _policy(self, name, policy, text):
        counters = Counters()
        if self.how.counters or (self.how.counters is None and text):
            counters = _counters(text) if text else None
            if counters is None:
                raise Failure(f"invalid policy counters for chain '{name}'", word=text or name)
        try:
            changes.set_policy(self.table, name, policy, counters)
        except Refused as refused:
            why = str(refused).partition(".")[0]
            raise Failure(f"Can't set policy `{policy}' on `{name}' line {self.number}: {why}", Failure.OTHER,
                          word=policy) from refused

    def _command(self, line):
        echo = ["-v"] if self.how.verbose and not self.how.noflush else []
        command = CommandLine([*echo, *self._words(line)], self.ruleset.family, self.table.name, restoring=True,
                              sets=self.ruleset.sets)
        try:
            command.read()
            if not command.ignored:
                command.complete()
        finally:
            self.terminal.warn(*command.warnings)
        if not command.ignored:
            program.execute(command, self.table, self.terminal, self.number)
            self.changed |= program.changes_something(command)

    def _words(self, line):
        """The words of a command line; counters in front become an option."""
        if line[0] != "[":
            return split(line)
        packets, colon, rest = line[1:].partition(":")
        octets, bracket, rest = rest.partition("]")
        if not colon or not bracket:
            raise Failure(f"Bad line {self.number}: need {']' if colon else ':'}")
        words = split(" " * (len(line) - len(rest)) + rest)
        return ["--set-counters", Word.at(packets, 2), octets, *words] if self.how.counters is not False else words


def _parts(line):
    """The words behind the first character of a line, in which nothing is quoted."""
    return [Word.at(found[0], found.start() + 1) for found in BARE.finditer(line, 1)]


def restore(text, ruleset, how=None):
    """Run iptables-restore on a ruleset, with ``text`` for its input; returns an Outcome.

    As Linux does it: tables that were committed before an error stay.
    """
    terminal, status = program.Terminal(), 0
    reader = Reader(ruleset, how or How(), terminal)
    try:
        reader.read(text)
    except Finished as end:
        terminal.out.append(end.text)
    except Failure as failure:
        status = program.complain(failure, reader.program, terminal, reader.number)
    return terminal.outcome(status)
