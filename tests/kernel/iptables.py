"""What iptables-legacy and ip6tables-legacy say to rules, asked many at a time in a namespace of their own."""
import os
import re
import shutil
import subprocess

from tests.answers import Answer
from tests.kernel.namespace import isolated

PROGRAM = {4: "iptables-legacy", 6: "ip6tables-legacy"}
VERSION = "v1.8.9 (legacy)"
# Where the text of the extensions begins in a line of -L: behind two addresses that were not given.
ADDRESSES = re.compile(r"(?:0\.0\.0\.0/0|::/0|anywhere)\s+(?:0\.0\.0\.0/0|::/0|anywhere) {8,} ?(.*)")


def unavailable():
    """Why these programs cannot be asked here; empty if they can."""
    if os.geteuid() != 0:
        return "needs root"
    for program in PROGRAM.values():
        if shutil.which(program) is None:
            return f"needs {program}"
        if VERSION not in subprocess.run([program, "-V"], capture_output=True, text=True).stdout:
            return f"needs {program} {VERSION}"
    return ""


def _run(*command):
    return subprocess.run(command, capture_output=True, text=True)


def error_text(text, family):
    """The reason in an error, without the program's name and the hint at its help."""
    name = "iptables" if family == 4 else "ip6tables"
    text = re.sub(r"\A(?:Warning: [^\n]*\n)*", "", text)
    text = re.sub(rf"\A{name}(?: v[\w.]+ \(legacy\))?: ", "", text)
    return re.sub(r"(?:Try `[^\n]*\n)?\Z", "", text, count=1).removesuffix("\n")


def _ask(family, table, chain, rules):
    program, answers = [PROGRAM[family], "-t", table], []
    for words in rules:
        done = _run(*program, "-A", chain, *words)
        answers.append(Answer(done.returncode, error_text(done.stderr, family) if done.returncode else ""))
    accepted = [answer for answer in answers if not answer.status]
    saved = _run(*program, "-S", chain).stdout.splitlines()[-len(accepted):] if accepted else []
    listings = [_run(*program, "-L", chain, *options).stdout.splitlines()[2:] for options in (["-n"], [])]
    for answer, line, numeric, named in zip(accepted, saved, *listings, strict=True):
        answer.saved = line.removeprefix(f"-A {chain} ")
        answer.numeric, answer.named = (ADDRESSES.search(text)[1] for text in (numeric, named))
    return answers


def ask(family, table, chain, rules):
    """The answers to rules (lists of words, each of which makes one rule without addresses) of a base chain."""
    return isolated(_ask, family, table, chain, rules)
