"""conntrack(8)'s command line on a snapshot: the same words, the same output, the same exit status.

    words ► command.parse ► Request ► commands.run ► rows of a tracker ► export

``fastct conntrack -L -p tcp --state ESTABLISHED --snapshot state.fct``. What changes something writes the snapshot
back, whole or not at all. ``-E`` is for a running appliance.
"""
import sys

from fastct.cli.conntrack.command import Failure, parse
from fastct.errors import ConfigError

PROGRAM = "conntrack v1.4.7 (conntrack-tools)"
USAGE = """Usage: fastct conntrack COMMAND [OPTION...] --snapshot FILE

conntrack(8) on a snapshot, as `fastct track --save FILE` writes one.

commands:
  -L  list        -G  get one       -C  count        -S  statistics
  -D  delete      -I  create one    -U  update       -F  flush
  -A  create, unless it is there

which:    -p PROTOCOL  -s -d -r -q ADDRESS  -f ipv4|ipv6  -m MARK[/MASK]  -u STATUS  -w ZONE  -n -g -j [ADDRESS]
          --sport --dport --reply-port-src --reply-port-dst  --state  --icmp-type --icmp-code --icmp-id
what:     -t SECONDS  -u STATUS  -m MARK  --state STATE
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


def main(argv):
    """Run it; returns the exit status."""
    words, path = _take_snapshot(argv)
    try:
        request = parse(words)
        if request.command in ("", "h"):
            print(USAGE, end="")
            return 0
        if request.command == "V":
            print(PROGRAM)
            return 0
        if path is None:
            raise ConfigError("conntrack: which table? --snapshot FILE names a snapshot of one")
        from fastct.cli.conntrack.commands import run
        return run(request, path, lambda text: print(f"{PROGRAM}: {text}", file=sys.stderr))
    except Failure as failure:
        print(f"{PROGRAM}: {failure}", file=sys.stderr)
        if failure.status == Failure.USAGE:
            print("Try `conntrack -h' or 'conntrack --help' for more information.", file=sys.stderr)
        return failure.status
