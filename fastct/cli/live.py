"""Watch interfaces through rings of AF_PACKET: connections, events, rules' verdicts, of packets as they come.

SIGINT and SIGTERM end it with a summary, SIGHUP reads the rules again, SIGUSR1 writes the snapshot.
"""
import signal
import sys

from fastct.capture.afpacket import RingOptions
from fastct.capture.interfaces import addresses_of
from fastct.cli import say, session
from fastct.cli.options import add_outputs, add_settings, positive
from fastct.cli.summary import Verdicts
from fastct.errors import Error, TextError
from fastct.firewall import ruleset_of
from fastct.live import Live

EXAMPLES = """examples:
  fastct live eth0 --duration 10                       the connections of ten seconds
  fastct live eth0 eth1 --events -                     events as they happen, as conntrack -E prints them
  fastct live eth0 --filter "tcp port 80" -o web.csv   until Ctrl-C; a filter as for tcpdump
  fastct live eth0 --local auto --rules fw.rules       verdicts of rules; packets themselves are not held up
"""
DEFAULTS = RingOptions()


def add_options(parser):
    """The options of the subcommand."""
    parser.add_argument("interfaces", nargs="+", metavar="INTERFACE")
    parser.add_argument("--duration", type=float, metavar="SECONDS", help="end after so long")
    parser.add_argument("--count", type=positive, metavar="N", help="end after so many packets")
    ring = parser.add_argument_group("ring")
    ring.add_argument("--filter", default="", metavar="EXPRESSION", help="packets to take, as tcpdump(8) has it")
    ring.add_argument("--snaplen", type=positive, default=DEFAULTS.snaplen, metavar="BYTES", help="of a packet")
    ring.add_argument("--no-promiscuous", action="store_true", help="only packets for this host")
    ring.add_argument("--blocks", type=positive, default=DEFAULTS.blocks, metavar="N",
                      help=f"of {DEFAULTS.block_size >> 20} MiB; default {DEFAULTS.blocks}")
    ring.add_argument("--block-timeout", type=positive, default=DEFAULTS.timeout_ms, metavar="MS",
                      help=f"after which a block that is not full is taken; default {DEFAULTS.timeout_ms}")
    add_settings(parser)
    add_outputs(parser)
    parser.add_argument("-o", "--output", metavar="FILE",
                        help="connections to a file: .txt .csv .jsonl .arrow .parquet")
    parser.add_argument("--events", metavar="FILE", help="events to a file, or - for standard output, as they happen")
    parser.add_argument("--json", action="store_true", help="JSON Lines on standard output")
    parser.set_defaults(at=None)


def swap(args, tracker):
    """Read the rules again; those that cannot be used change nothing."""
    try:
        for path, ruleset in ((args.rules, tracker.rules), (args.rules6, tracker.rules6)):
            if path is not None:
                ruleset.replace(ruleset_of(path, ruleset.family))
    except TextError as error:
        say(f"rules stay as they are: {error.located()}")
        return
    say("rules read again")


def snapshot(args, tracker):
    """Write the state to the file of --save."""
    try:
        tracker.save(args.save)
    except Error as error:
        say(f"no snapshot: {error}")
        return
    say(f"snapshot written to {args.save}")


def listen(args, live):
    """=> What the signals mean from now on, for a function that is told the tracker."""
    def begin(tracker):
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: live.stop())
        signal.signal(signal.SIGHUP, lambda *_: live.soon(lambda: swap(args, tracker)))
        if args.save:
            signal.signal(signal.SIGUSR1, lambda *_: live.soon(lambda: snapshot(args, tracker)))
    return begin


def run(args):
    """Do it; returns the exit status."""
    if "auto" in args.local:
        args.local = [*(text for text in args.local if text != "auto"), *addresses_of(args.interfaces)]
    options = RingOptions(snaplen=args.snaplen, promiscuous=not args.no_promiscuous, filter=args.filter,
                          blocks=args.blocks, timeout_ms=args.block_timeout)
    live = Live(args.interfaces, options, duration=args.duration, most=args.count)
    live.begin = listen(args, live)
    main, files = "connections", {"packets": args.packets, "events": args.events}
    if args.events == "-":
        main, files["events"], files["connections"], args.output = "events", None, args.output, None
    verdicts = Verdicts()

    def at_end(tracker):
        if args.quiet:
            return
        for name, (received, dropped) in live.counts.items():
            print(f"ring         {name}: received {received}, dropped {dropped}", file=sys.stderr)
        if tracker.firewalled:
            print(verdicts, file=sys.stderr)

    return session.run(args, main, verdicts.add if args.rules or args.rules6 else None, at_end, live=live, **files)
