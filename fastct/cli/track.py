"""Track captures: print the connections as conntrack -L prints them, and a summary."""
from fastct.cli import session
from fastct.cli.options import add_tracking

EXAMPLES = """examples:
  fastct track dump.pcap                          connections on standard output, summary on standard error
  fastct track a.pcap b.pcapng.gz -o out.parquet  several captures merged by time, into a file
  fastct track dump.pcap --at +30                 the table as it was 30 seconds after the first packet
  fastct track dump.pcap --write accepted.pcap    the packets that conntrack lets through
  fastct track dump.pcap --save state.fct         also a snapshot, for fastct conntrack --snapshot state.fct
  tcpdump -w - | fastct track - --packets p.csv   per-packet verdicts of what comes in
"""


def add_options(parser):
    """The options of the subcommand."""
    add_tracking(parser)
    parser.add_argument("-o", "--output", metavar="FILE",
                        help="connections to a file: .txt .csv .jsonl .arrow .parquet")
    parser.add_argument("--events", metavar="FILE", help="events to a file: .txt .csv .jsonl .arrow .parquet")
    parser.add_argument("--write", metavar="FILE",
                        help="the packets that leave, to a .pcap or .pcapng file: neither dropped nor held ones")
    parser.add_argument("--json", action="store_true", help="connections as JSON Lines on standard output")


def run(args):
    """Do it; returns the exit status."""
    return session.run(args, "connections", packets=args.packets, events=args.events)
