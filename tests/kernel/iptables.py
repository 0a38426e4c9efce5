"""iptables-legacy, ip6tables-legacy and ours: what they say to rules, many at a time in a namespace of their own."""
import os
import shutil
import subprocess
from dataclasses import dataclass

from fastct.rules import program
from fastct.rules.model import Ruleset
from tests.kernel.namespace import isolated

PROGRAM = {4: "iptables-legacy", 6: "ip6tables-legacy"}
VERSION = "v1.8.9 (legacy)"


@dataclass
class Answer:
    """What became of a rule: exit status, what was said, and its lines of -S, -L -n and -L."""
    status: int = 0
    error: str = ""
    saved: str = ""
    numeric: str = ""
    named: str = ""


def unavailable():
    """Why these programs cannot be asked here; empty if they can."""
    if os.geteuid() != 0:
        return "needs root"
    for name in PROGRAM.values():
        if shutil.which(name) is None:
            return f"needs {name}"
        if VERSION not in subprocess.run([name, "-V"], capture_output=True, text=True).stdout:
            return f"needs {name} {VERSION}"
    return ""


def _theirs(family):
    def run(words):
        done = subprocess.run([PROGRAM[family], *words], capture_output=True)
        return *(part.decode(errors="surrogateescape") for part in (done.stdout, done.stderr)), done.returncode
    return run


def _ours(family):
    ruleset = Ruleset(family)

    def run(words):
        outcome = program.iptables(words, ruleset)
        return outcome.out, outcome.err, outcome.status
    return run


def _answers(run, table, chain, rules):
    answers = []
    for words in rules:
        _, error, status = run(["-t", table, "-A", chain, *words])
        answers.append(Answer(status, error))
    accepted = [answer for answer in answers if not answer.status]
    for attribute, command in (("saved", ["-S"]), ("numeric", ["-n", "-L"]), ("named", ["-L"])):
        lines = run(["-t", table, *command, chain])[0].split("\n")[:-1]
        for answer, line in zip(accepted, lines[len(lines) - len(accepted):], strict=True):
            setattr(answer, attribute, line)
    return answers


def _both(family, table, chain, rules):
    return [_answers(run(family), table, chain, rules) for run in (_ours, _theirs)]


def differences(family, table, chain, rules):
    """The rules of a base chain that get different answers, with both. The words of each make just one rule.

    Where iptables itself crashes (ends by a signal), to refuse the rule is the same answer.
    """
    ours, theirs = isolated(_both, family, table, chain, rules)
    return [(words, mine, other) for words, mine, other in zip(rules, ours, theirs, strict=True)
            if mine != other and not (other.status < 0 and mine.status)]
