"""The program iptables: a command line is read, done to a copy of its table, checked as the kernel does, and kept."""
from dataclasses import dataclass, field

from fastct.rules import changes, check, listing, save
from fastct.rules.commands import PROGRAMS, VERSION, WITH_RULE, CommandLine, Finished
from fastct.rules.model import TABLES
from fastct.rules.parse import resolve
from fastct.rules.words import Failure, Refused

TABLE_NAME_MAX = 31


@dataclass
class Terminal:
    """What a program said, on standard output and on standard error."""
    out: list = field(default_factory=list)
    err: list = field(default_factory=list)

    def say(self, *lines):
        """Lines on standard output."""
        self.out += [f"{line}\n" for line in lines]

    def warn(self, *lines):
        """Lines on standard error."""
        self.err += [f"{line}\n" for line in lines]

    def outcome(self, status):
        """The Outcome with which a program ends."""
        return Outcome("".join(self.out), "".join(self.err), status)


@dataclass(frozen=True)
class Outcome:
    """What a program printed, and its exit status."""
    out: str
    err: str
    status: int


def _each(rules, change):
    """Change by all rules; raises what the last one that could not be done raised."""
    refused = None
    for rule in rules:
        try:
            change(rule)
        except Refused as error:
            refused = error
    if refused is not None:
        raise refused


# Commands with a rule: what is done with one.
WITH_EACH = {
    "A": lambda line, table, rule: changes.append(table, line.chain, rule),
    "I": lambda line, table, rule: changes.insert(table, line.chain, rule, line.number),
    "R": lambda line, table, rule: changes.substitute(table, line.chain, rule, line.number),
    "C": lambda line, table, rule: changes.find(table, line.chain, rule),
    "D": lambda line, table, rule: changes.delete(table, line.chain, rule),
}


def _with_rules(line, table, terminal, origin):
    act = WITH_EACH[line.commands[0]]

    def echo_and_act(rule):
        if "v" in line.seen:
            terminal.say(listing.rule_echo(rule, line.family))
        act(line, table, rule)

    warned = []
    for rule in line.made:
        rule.line = origin
    resolved = [resolve(rule, table.chains, warned.append) for rule in line.made]
    terminal.warn(*warned[:1])
    _each(resolved, echo_and_act)


def _list(line, table, terminal):
    style = listing.Style(numeric="n" in line.seen, verbose="v" in line.seen, exact="x" in line.seen,
                          numbers="0" in line.seen)
    terminal.say(*listing.table_lines(table, line.family, style, line.chain, line.number))


def _list_rules(line, table, terminal):
    chains = list(table.chains.values()) if line.chain is None else [table.chain(line.chain)]
    counters = "v" in line.seen
    if line.number is None:
        terminal.say(*(save.chain_line(chain, counters) for chain in chains))
    for chain in chains:
        lines = save.chain_lines(chain, line.family, counters)
        terminal.say(*lines if line.number is None else lines[line.number - 1:line.number])


# Commands on a chain or on all of them: what -v says, what is done, whether base chains are among "all".
ON_CHAINS = {"F": ("Flushing", changes.flush, True), "Z": ("Zeroing", changes.zero, True),
             "X": ("Deleting", changes.remove, False)}


def _on_chains(letter, line, table, terminal):
    word, change, base = ON_CHAINS[letter]

    def act(name):
        if "v" in line.seen:
            terminal.say(f"{word} chain `{name}'")
        change(table, name)

    every = [name for name, chain in table.chains.items() if base or chain.policy is None]
    _each(every if line.chain is None else [line.chain], act)


def changes_something(line):
    """Whether a command line's commands are more than questions."""
    return bool(set(line.commands) - set("CLS"))


def execute(line, table, terminal, origin=None):
    """Do to a table what a command line says; raises Failure. ``origin``: where it stands in a file."""
    if line.commands[0] in WITH_RULE:
        _with_rules(line, table, terminal, origin)
        return
    for letter in sorted(line.commands, key="LSZz".find):       # a list shows what was there before
        if letter in "LS":
            if line.chain is not None and line.chain not in table.chains:
                raise Refused(Refused.ABSENT)
            (_list if letter == "L" else _list_rules)(line, table, terminal)
        elif letter in ON_CHAINS:
            _on_chains(letter, line, table, terminal)
        elif letter in "dz":
            (changes.delete_number if letter == "d" else changes.zero_number)(table, line.chain, line.number)
        elif letter == "N":
            changes.new(table, line.chain)
        elif letter == "E":
            changes.rename(table, line.chain, line.name)
        else:
            changes.set_policy(table, line.chain, line.policy, line.counters)


def _table(line, ruleset):
    name = line.table
    if name not in TABLES:
        fault = ("Table does not exist (do you need to insmod?)" if len(name.encode()) <= TABLE_NAME_MAX
                 else "Module is wrong version")
        raise Failure(f"can't initialize {line.program} table `{name}': {fault}", Failure.VERSION, name)
    return ruleset.table(name)


def complain(failure, program, terminal, line=None):
    """Say why something was not done, as iptables does; ``line``: where in a file."""
    if isinstance(failure, Refused):
        terminal.warn(f"{program}: {failure}" if line is None else f"{program}: line {line} failed")
        return failure.status
    if failure.text:
        terminal.warn(failure.text if failure.bare else f"{program} {VERSION}: {failure.text}")
    if failure.status == Failure.USAGE:
        if line is not None:
            terminal.warn(f"Error occurred at line: {line}")
        terminal.warn(f"Try `{program} -h' or '{program} --help' for more information.")
    elif failure.status == Failure.VERSION:
        terminal.warn(f"Perhaps {program} or your kernel needs to be upgraded.")
    return failure.status


def iptables(words, ruleset):
    """Run ``iptables WORDS`` (``ip6tables`` where the ruleset's family is 6) on a ruleset; returns an Outcome.

    The ruleset is changed only if all goes well.
    """
    terminal, status = Terminal(), 0
    program = PROGRAMS[ruleset.family]
    line = CommandLine(list(words), ruleset.family, sets=ruleset.sets)
    try:
        try:
            line.read()
            line.complete()
        finally:
            terminal.warn(*line.warnings)
        table = _table(line, ruleset).copy()
        execute(line, table, terminal)
        if changes_something(line):
            check.commit(table, ruleset.family)
            ruleset.tables[line.table] = table
    except Finished as end:
        terminal.out.append(end.text)
    except Failure as failure:
        status = complain(failure, program, terminal)
    return terminal.outcome(status)
