"""From requests to a changed snapshot: one command, or those of a file (``-R``)."""
import sys

from fastct.cli.conntrack import commands, expect
from fastct.cli.conntrack.command import parse
from fastct.cli.conntrack.values import Failure
from fastct.errors import ConfigError
from fastct.tracker import Tracker

LOADABLE = "IAUDF"              # of connections
PARAMETER_MAX, WORDS_MAX = 1023, 254


def run(request, path, say):
    """Do what a request says to the tracker of a snapshot; returns the exit status.

    Raises
    ------
    Failure
        With what conntrack says.
    SnapshotError
        For a snapshot that cannot be read or written.
    """
    table = expect.COMMANDS if request.table == "expect" else commands.COMMANDS
    if request.command not in table:
        raise ConfigError("conntrack -E is for a running appliance; fastct events has those of a capture")
    command, changes = table[request.command]
    tracker = Tracker.from_snapshot(path)
    status = command(request, tracker, say)
    if changes or "z" in request.letters:
        tracker.save(path)
    return status


def load(name, path, say):
    """Do what the lines of a file say, one after the other, up to one that fails; what came before it stays."""
    requests = list(_requests(name))
    for request in requests:
        if request.table == "expect" or request.command not in LOADABLE:
            raise Failure(f"Cannot use command `{_option(request)}' with --load-file")
    tracker = Tracker.from_snapshot(path)
    try:
        for request in requests:
            commands.COMMANDS[request.command][0](request, tracker, say if request.command == "F" else lambda text: 0)
    finally:
        tracker.save(path)
    return 0


def _option(request):
    """The command as conntrack calls it there."""
    if request.key == "I expect":
        return "-C expect"
    return f"-{request.key}" if request.key else "unknown"


def _requests(name):
    try:
        file = sys.stdin if name == "-" else open(name, encoding="utf-8", errors="surrogateescape")
    except OSError:
        raise Failure(f"Failed to open file {'/dev/stdin' if name == '-' else name} for reading") from None
    with file:
        for line in file:
            line = line.lstrip(" \t")
            if line[:1] not in ("\n", "#"):
                yield parse(_split(line))


def _split(line):
    """The words of a line. Between double quotes blanks belong to a word, and a backslash saves what follows it; a
    quote that is closed ends a word."""
    words, word, quoted, saved = [], "", False, False
    for character in line:
        if quoted and saved:
            word, saved = word + character, False
        elif quoted and character == "\\":
            saved = True
        elif quoted and character != '"':
            word += character
        elif character == '"' and not quoted:
            quoted = True
        elif character in ' \t\n"':
            if word or quoted:
                words.append(word)
            word, quoted = "", False
        else:
            word += character
        if len(word) > PARAMETER_MAX:
            raise Failure("Parameter too long!")
    words += [word] if word else []
    if len(words) > WORDS_MAX:
        raise Failure("too many arguments")
    return words
