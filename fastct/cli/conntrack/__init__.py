"""conntrack(8)'s command line on a snapshot: the same words, the same output, the same exit status.

    words ► command.parse ► Request ► run ► commands, expect ► rows of a tracker ► printing ► export
            options, values, labels                             tuples, selection

``fastct conntrack -L -p tcp --state ESTABLISHED --snapshot state.fct``. What changes something writes the snapshot
back, whole or not at all. ``-E`` is for a running appliance.
"""
import sys

from fastct.cli.conntrack.command import parse
from fastct.cli.conntrack.values import Failure
from fastct.errors import ConfigError

PROGRAM = "conntrack v1.4.7 (conntrack-tools)"
LOAD_FILE = ("-R", "--load-file")       # only in front
USAGE = """Usage: fastct conntrack COMMAND [OPTION...] --snapshot FILE

conntrack(8) on a snapshot, as `fastct track --save FILE` writes one.

commands, of connections or, with the word expect behind the letter, of expectations:
  -L  list        -G  get one       -C  count        -S  statistics
  -D  delete      -I  create one    -U  update       -F  flush
  -A  create, unless it is there    -R FILE  do what lines of a file say, as -o save writes them

which:    -p PROTOCOL  -s -d -r -q ADDRESS  -f ipv4|ipv6  -m MARK[/MASK]  -u STATUS  -w ZONE  -i ID  -l LABEL
          --sport --dport --reply-port-src --reply-port-dst  --state  --icmp-type --icmp-code --icmp-id
          -n -g -j [ADDRESS[:PORT]]
what:     -t SECONDS  -u STATUS  -m MARK  --state STATE  --label-add LABEL  --label-del [LABEL]
          -n ADDRESS[:PORT]  -g ADDRESS[:PORT]
expect:   --tuple-src --tuple-dst --mask-src --mask-dst ADDRESS  --tuple-port-src --tuple-port-dst
          --mask-port-src --mask-port-dst
how:      -o extended,id,xml,save,timestamp,ktimestamp,labels

examples:
  fastct conntrack -L -p tcp --state ESTABLISHED --snapshot state.fct
  fastct conntrack -D -s 10.1.1.2 --snapshot state.fct
"""


def _take_snapshot(argv):
    """The words without ``--snapshot FILE``, and FILE."""
    words, path = [], None
    rest = iter(argv)
    for word in rest:
        if word == "--snapshot":
            path = next(rest, None)
            if path is None:
                raise ConfigError("--snapshot: expected a file")
        elif word.startswith("--snapshot="):
            path = word.partition("=")[2]
        else:
            words.append(word)
    return words, path


def _needed(path):
    if path is None:
        raise ConfigError("conntrack: which table? --snapshot FILE names a snapshot of one")
    return path


def main(argv):
    """Run it; returns the exit status."""
    words, path = _take_snapshot(argv)

    def say(text):
        print(f"{PROGRAM}: {text}", file=sys.stderr)
    try:
        if len(words) > 1 and words[0] in LOAD_FILE:
            from fastct.cli.conntrack.run import load
            return load(words[1], _needed(path), say)
        request = parse(words)
        if request.command in ("", "h"):
            print(USAGE, end="")
            return 0
        if request.command == "V":
            print(PROGRAM)
            return 0
        from fastct.cli.conntrack.run import run
        return run(request, _needed(path), say)
    except Failure as failure:
        say(failure)
        if failure.status == Failure.USAGE:
            print("Try `conntrack -h' or 'conntrack --help' for more information.", file=sys.stderr)
        return failure.status
