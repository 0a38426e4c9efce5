"""Run captures through iptables' rules: counters of every rule as iptables -L -n -v -x --line-numbers prints them."""
import sys

from fastct.cli import session
from fastct.cli.options import add_tracking
from fastct.cli.summary import Verdicts
from fastct.errors import ConfigError
from fastct.rules.listing import Style

EXAMPLES = """examples:
  fastct filter dump.pcap --rules fw.rules --local 10.1.1.2          a host firewall: INPUT and OUTPUT
  fastct filter dump.pcap --rules fw.rules --interface eth0=10.1.1.2/24
  fastct filter dump.pcap --rules fw.rules --packets p.csv           the verdict on each packet, and which rule it was
  fastct filter dump.pcap --rules fw.rules --log log.txt             what LOG, NFLOG and TRACE write
  fastct filter dump.pcap --rules fw.rules --write out.pcap          the packets that leave
"""
STYLE = Style(numeric=True, verbose=True, exact=True, numbers=True)


def add_options(parser):
    """The options of the subcommand."""
    add_tracking(parser)
    parser.add_argument("-o", "--output", metavar="FILE",
                        help="connections to a file: .txt .csv .jsonl .arrow .parquet")
    parser.add_argument("--events", metavar="FILE", help="events to a file: .txt .csv .jsonl .arrow .parquet")
    parser.add_argument("--write", metavar="FILE", help="the packets that leave, to a .pcap or .pcapng file")
    parser.add_argument("--log", metavar="FILE", help="the lines of LOG, NFLOG and TRACE to a file: .txt")
    parser.set_defaults(json=False)


def listing(ruleset):
    """The tables of a ruleset, each under its name."""
    for name in ruleset.tables:
        yield f"*{name}"
        yield from ruleset.table(name).listing(STYLE)
        yield ""


def run(args):
    """Do it; returns the exit status."""
    if args.rules is None and args.rules6 is None:
        raise ConfigError("filter: --rules FILE or --rules6 FILE says which rules")
    verdicts = Verdicts()

    def at_end(tracker):
        for ruleset in (tracker.rules, tracker.rules6):
            for line in listing(ruleset):
                print(line)
        if not args.quiet:
            print(verdicts, file=sys.stderr)

    return session.run(args, None, verdicts.add, at_end, connections=args.output, packets=args.packets,
                       events=args.events, log=args.log)
