"""The programs iptables-save and iptables-restore: their own command lines."""
import sys
import time

from fastct.rules import save
from fastct.rules.commands import PROGRAMS, VERSION
from fastct.rules.model import TABLES
from fastct.rules.options import MAYBE, MISSING, NO, PLAIN, UNKNOWN, YES, Long, Longs, Options
from fastct.rules.program import Terminal
from fastct.rules.restore import How, restore

SAVE_OPTIONS = (("c", "counters", NO), ("V", "version", NO), ("t", "table", YES), ("M", "modprobe", YES),
                ("f", "file", YES), ("d", "dump", NO))
RESTORE_OPTIONS = (("c", "counters", NO), ("v", "verbose", NO), ("V", "version", NO), ("t", "test", NO),
                   ("h", "help", NO), ("n", "noflush", NO), ("M", "modprobe", YES), ("T", "table", YES),
                   ("w", "wait", MAYBE), ("W", "wait-interval", MAYBE))


class _Stop(Exception):
    """The program ends here, with this status."""


def _read(words, rows, program, terminal, hint):
    """The options among words, as a dict by letter, and the other words."""
    options = Options(list(words), {letter: argument for letter, _, argument in rows},
                      Longs(Long(name, argument, letter) for letter, name, argument in rows))
    given, others = {}, []
    while (found := options.next()) is not None:
        if found.key is PLAIN:
            others.append(found.word)
        elif found.key in (UNKNOWN, MISSING):
            terminal.warn(f"{program}: {_fault(found)}", hint)
            raise _Stop(1)
        else:
            given[found.key] = True if found.argument is None else found.argument
    return given, others + options.rest()


def _fault(found):
    if found.word[:2] == "--":
        return (f"option '{found.word}' requires an argument" if found.key is MISSING
                else f"unrecognized option '{found.word}'")
    return (f"option requires an argument -- '{found.word[-1]}'" if found.key is MISSING
            else f"invalid option -- '{found.word[-1]}'")


def _version(program, terminal):
    terminal.say(f"{program} {VERSION}")
    raise _Stop(0)


def iptables_save(words, ruleset, when=None):
    """Run ``iptables-save WORDS`` on a ruleset; ``when``: what its comments call the time. Returns an Outcome."""
    program, terminal = f"{PROGRAMS[ruleset.family]}-save", Terminal()
    try:
        given, others = _read(words, SAVE_OPTIONS, program, terminal,
                              f"Look at manual page `{program}.8' for more information.")
        if "V" in given:
            _version(program, terminal)
        if others:
            terminal.warn("Unknown arguments found on commandline")
            return terminal.outcome(1)
        name = given.get("t")
        if name is not None and name not in TABLES:
            terminal.warn(f"{program} {VERSION}: Cannot initialize: Table does not exist (do you need to insmod?)")
            return terminal.outcome(1)
    except _Stop as stop:
        return terminal.outcome(stop.args[0])
    tables = list(ruleset.tables.values()) if name is None else [ruleset.table(name)]
    text = save.text_of(tables, ruleset.family, f"{program} {VERSION.partition(' ')[0]}", "c" in given,
                        when or time.ctime())
    if "f" not in given:
        terminal.out.append(text)
        return terminal.outcome(0)
    try:
        with open(given["f"], "w", errors="surrogateescape") as file:
            file.write(text)
    except OSError as error:
        terminal.warn(f"Failed to open file, error: {error.strerror}")
        return terminal.outcome(1)
    return terminal.outcome(0)


RESTORE_HELP = """Usage: {0} [-c] [-n] [-t] [-v] [-T TABLE] [-V] [-h] [FILE]
  -c  --counters    take over counters
  -n  --noflush     add to what is there
  -t  --test        change nothing
  -v  --verbose     say what is done
  -T  --table       only this table
"""


def iptables_restore(words, ruleset, standard_input=None):
    """Run ``iptables-restore WORDS`` on a ruleset; returns an Outcome."""
    program, terminal = f"{PROGRAMS[ruleset.family]}-restore", Terminal()
    try:
        given, others = _read(words, RESTORE_OPTIONS, program, terminal, f"Try `{program} -h' for more information.")
        if "V" in given:
            _version(program, terminal)
        if "h" in given:
            terminal.out.append(RESTORE_HELP.format(program))
            return terminal.outcome(0)
        if len(others) > 1:
            terminal.warn("Unknown arguments found on commandline")
            return terminal.outcome(1)
    except _Stop as stop:
        return terminal.outcome(stop.args[0])
    try:
        if others:
            with open(others[0], errors="surrogateescape", newline="\n") as file:
                text = file.read()
        else:
            text = (standard_input or sys.stdin).read()
    except OSError as error:
        terminal.warn(f"Can't open {others[0]}: {error.strerror}")
        return terminal.outcome(1)
    return restore(text, ruleset, How(counters="c" in given, test="t" in given, noflush="n" in given,
                                      verbose="v" in given, table=given.get("T")))
