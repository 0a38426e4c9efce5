"""The way of a packet through hooks, tables and rules: what each rule asked and the packet had, what conntrack made of
it, what was changed, and who decided."""
import argparse
import json

from fastct.cli.options import add_captures, add_rules, add_settings, settings_from
from fastct.errors import ConfigError

EXAMPLES = """examples:
  fastct explain dump.pcap -n 30 --rules fw.rules --local 10.1.1.2/24
  fastct explain dump.pcap -n 1-5,30 --rules fw.rules --json         an object per packet
  fastct explain dump.pcap -n 30 --rules fw.rules --dot | dot -Tsvg > way.svg
  fastct explain --packet "in=eth0 tcp 10.0.0.1:1234 > 1.2.3.4:80 syn" --rules fw.rules
  fastct explain --packet "tcp 10.0.0.1:1234 > 1.2.3.4:80 ack" --restore state.fct --rules fw.rules
"""
PACKETS_MAX = 100_000


def packet_numbers(text):
    """``N``, ``FIRST-LAST`` and several of those with commas between: a set of numbers."""
    found = set()
    for part in text.split(","):
        first, dash, last = part.partition("-")
        if not first.isdecimal() or dash and not last.isdecimal() or not 0 < int(first) <= int(last or first):
            raise argparse.ArgumentTypeError(f"expected numbers of packets such as 30 or 1-5,30, got {text!r}")
        if int(last or first) - int(first) >= PACKETS_MAX:
            raise argparse.ArgumentTypeError(f"expected up to {PACKETS_MAX} packets, got {text!r}")
        found |= set(range(int(first), int(last or first) + 1))
    return found


def add_options(parser):
    """The options of the subcommand."""
    add_captures(parser, "*")
    parser.add_argument("-n", "--number", type=packet_numbers, metavar="N[-N][,...]",
                        help="which packets of the capture, from 1")
    parser.add_argument("--packet", action="append", default=[], metavar="WORDS",
                        help="a packet in words instead, or some, one after the other (repeatable)")
    parser.add_argument("--restore", metavar="SNAPSHOT", help="the connections that packets in words come to")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="an object per packet, a line each")
    form.add_argument("--dot", action="store_true", help="a picture for Graphviz")
    add_rules(parser)
    add_settings(parser)


def _explanations(args):
    from fastct.explaining import explain, explain_described
    settings = settings_from(args) | {"rules": args.rules, "rules6": args.rules6}
    if args.packet:
        if args.captures or args.number:
            raise ConfigError("explain: --packet WORDS, or -n N of a capture")
        return explain_described(args.packet, args.restore, **settings)
    if not args.captures or not args.number:
        raise ConfigError("explain: expected CAPTURE and -n N, or --packet WORDS")
    if args.restore:
        raise ConfigError("explain: --restore goes with --packet")
    return explain(args.captures, args.number, **settings)


def run(args):
    """Do it; returns the exit status."""
    from fastct.cli import DONE
    from fastct.export.explained import dot_lines, text_lines
    explanations = _explanations(args)
    if args.dot:
        print(*dot_lines(explanations), sep="\n")
    for place, explanation in enumerate(explanations if not args.dot else ()):
        if args.json:
            print(json.dumps(explanation.to_dict()))
        else:
            print(*[""] * bool(place), *text_lines(explanation), sep="\n")
    return DONE
