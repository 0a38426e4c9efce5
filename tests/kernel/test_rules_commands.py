"""iptables-legacy and ip6tables-legacy, and ours: random command lines and random texts for iptables-restore go through
both, and what they print, their exit status and the rules that are there afterwards are compared each time.

FASTCT_KERNEL_COMMANDS and FASTCT_KERNEL_SEED choose how many, and which; the seed is printed. FASTCT_SHARED names a
folder with further ``rulesets``.
"""
import csv
import io
import os
import random
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from fastct.rules import dump, program
from fastct.rules.model import Ruleset
from tests.kernel.command_lines import Lines
from tests.kernel.namespace import isolated

COMMANDS = int(os.environ.get("FASTCT_KERNEL_COMMANDS", "500"))
SEED = int(os.environ.get("FASTCT_KERNEL_SEED", random.randrange(1 << 32)))
SHARED = os.environ.get("FASTCT_SHARED")
TOGETHER = 250          # command lines in one namespace
NAMES = {4: "iptables", 6: "ip6tables"}
VERSION = "v1.8.9 (legacy)"
# Errors about what is not in the file: the machine's ipsets and names of hosts, an extension no kernel has any more.
ELSEWHERE = ("Set ", "localhost", "Extension ULOG")


def unavailable():
    """Why these programs cannot be asked here; empty if they can."""
    if os.geteuid() != 0:
        return "needs root"
    for name in NAMES.values():
        if shutil.which(f"{name}-legacy") is None:
            return f"needs {name}-legacy"
        if VERSION not in subprocess.run([f"{name}-legacy", "-V"], capture_output=True, text=True).stdout:
            return f"needs {name} {VERSION}"
    return ""


pytestmark = pytest.mark.skipif(bool(unavailable()), reason=unavailable())


def theirs(family, what, words, text=""):
    """What Linux' program says: output, errors, status."""
    done = subprocess.run([f"{NAMES[family]}-legacy{what}", *words], input=text.encode(errors="surrogateescape"),
                          capture_output=True)
    return *(part.decode(errors="surrogateescape") for part in (done.stdout, done.stderr)), done.returncode


def ours(ruleset, what, words, text=""):
    """What ours says."""
    if what == "-restore":
        outcome = dump.iptables_restore(words, ruleset, io.StringIO(text))
    else:
        outcome = (dump.iptables_save if what else program.iptables)(words, ruleset)
    return outcome.out, outcome.err, outcome.status


def plain(text):
    """A text without the lines that tell the time."""
    return [line for line in text.split("\n") if not line.startswith("# ")]


def _lock():
    """These programs wait for nobody outside."""
    os.environ["XTABLES_LOCKFILE"] = os.path.join(tempfile.mkdtemp(), "lock")


def _out_of_bounds(words):
    """What is not compared: -vv dumps memory, -h has its own words, -S within a text of iptables-restore
    breaks off at jumps that are not committed yet; a chain may be renamed to nothing at all, which is then what rules
    without a target seem to jump to.
    """
    verbose = sum(word == "--verbose" or (word[:1] == "-" and word[:2] != "--" and "v" in word) for word in words)
    pairs = ({"-E", ""}, *({"-S", jump} for jump in ("standard", "-j", "-g", "--jump")))
    asides = ("-h", "--h", "--verb", "--ver", "-M", "--mod")
    return verbose > 1 or any(pair <= set(words) for pair in pairs) or any(word.startswith(asides) for word in words)


def _compare(seed, family, count):
    _lock()
    lines, ruleset, differences = Lines(seed, family), Ruleset(family), []
    for number in range(count):
        what, text = "", ""
        if lines.some(0.1):
            what, (words, text) = "-restore", lines.text()
        else:
            words = lines.command()
        if _out_of_bounds(words + text.split()):
            continue
        got, wanted = ours(ruleset, what, words, text), theirs(family, what, words, text)
        saved = [plain(ours(ruleset, "-save", ["-c"])[0]), plain(theirs(family, "-save", ["-c"])[0])]
        if got != wanted or saved[0] != saved[1]:
            differences.append((seed, number, family, what, words, text, got, wanted, *saved))
            break
    return differences


@pytest.mark.parametrize("family", NAMES)
def test_command_lines(family):
    print(f"seed {SEED}")
    for part in range(-(-COMMANDS // 2 // TOGETHER)):
        assert isolated(_compare, SEED + part, family, TOGETHER) == []


def _loads(path, family):
    _lock()
    text = path.read_text(errors="surrogateescape")
    ruleset = Ruleset(family)
    answers = [(ours(ruleset, what, words, text), theirs(family, what, words, text))
               for what, words in (("-restore", []), ("-save", []))]
    (got, wanted), (saved, wanted_saved) = answers
    return [got, plain(saved[0])], [wanted, plain(wanted_saved[0])]


def rulesets():
    """Files of rules, and their families."""
    if not SHARED:
        return []
    folder = Path(SHARED) / "rulesets"
    with open(folder / "INDEX.tsv") as index:
        return [(folder / row["file"], int(row["family"])) for row in csv.DictReader(index, delimiter="\t")]


@pytest.mark.skipif(not SHARED, reason="needs FASTCT_SHARED")
def test_rulesets_of_others():
    different = []
    for path, family in rulesets():
        got, wanted = isolated(_loads, path, family)
        if got != wanted and not any(text in wanted[0][1] for text in ELSEWHERE):
            different.append((path.name, got, wanted))
    assert different == []
