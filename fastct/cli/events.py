"""Events of the connections in captures: NEW, UPDATE and DESTROY, as conntrack -E -o timestamp prints them."""
from fastct.cli import session
from fastct.cli.options import add_tracking

EXAMPLES = """examples:
  fastct events dump.pcap
  fastct events dump.pcap -o events.jsonl
  fastct events dump.pcap --expect --auto-helpers
"""


def add_options(parser):
    """The options of the subcommand."""
    add_tracking(parser)
    parser.add_argument("-o", "--output", "--events", metavar="FILE",
                        help="events to a file: .txt .csv .jsonl .arrow .parquet")
    parser.add_argument("--expect", action="store_true", help="events of expectations instead, as conntrack -E expect")
    parser.add_argument("--json", action="store_true", help="JSON Lines on standard output")


def run(args):
    """Do it; returns the exit status."""
    return session.run(args, "expectations" if args.expect else "events", packets=args.packets)
