"""The command lines of iptables, iptables-save and iptables-restore (ip6tables …) on a file of rules.

The file is iptables-save text with counters, read before and written back afterwards, as a whole or not at all.
``fastct iptables -A INPUT -s 10.0.0.0/8 -j DROP --file fw.rules``
"""
import sys
import time

from fastct.errors import ConfigError
from fastct.rules.dump import iptables_restore, iptables_save
from fastct.rules.program import iptables
from fastct.rules.ruleset import Ruleset

# By what stands behind "iptables" or "ip6tables" in the name.
PROGRAMS = {"": iptables, "-save": iptables_save, "-restore": iptables_restore}


def _take_file(argv):
    """The words without ``--file FILE``, and FILE."""
    words, path = [], None
    rest = iter(argv)
    for word in rest:
        if word == "--file":
            path = next(rest, None)
        elif word.startswith("--file="):
            path = word.partition("=")[2]
        else:
            words.append(word)
    if not path:
        raise ConfigError("which rules? --file FILE names a file of them")
    return words, path


def _load(path, family, wanted):
    """The rules in a file; none if there is no such file, unless it is ``wanted``."""
    try:
        return Ruleset.load(path, family)
    except FileNotFoundError as error:
        if wanted:
            raise ConfigError(f"{path}: {error.strerror}") from error
        return Ruleset(family)
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error


def main(argv, name="iptables"):
    """Run it as the program of that name; returns the exit status."""
    words, path = _take_file(argv)
    family, _, which = name.partition("tables")
    ruleset = _load(path, 6 if family == "ip6" else 4, wanted=which == "-save")
    before = ruleset.text(counters=True)
    outcome = PROGRAMS[which](words, ruleset.model)
    sys.stdout.write(outcome.out)
    sys.stderr.write(outcome.err)
    if ruleset.text(counters=True) != before:
        try:
            ruleset.save(path, when=time.ctime())
        except OSError as error:
            raise ConfigError(f"{path}: {error.strerror}") from error
    return outcome.status
