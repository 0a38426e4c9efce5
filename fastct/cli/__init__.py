"""The command line. One file per subcommand, imported when it is called for; no logic of its own.

Exit status: 0 done, also when the reader of standard output has seen enough; 1 done, but an input was damaged, or a
check failed (test, lint, diff); 2 usage, unreadable input, unwritable output; 130 interrupted.
"""
import argparse
import importlib
import os
import sys

from fastct.capture.files import STDIN
from fastct.errors import CaptureError, Error, TextError
from fastct.export.writers import discard_standard_output

DONE, DAMAGED, FAILED, INTERRUPTED = 0, 1, 2, 130
UNMET = DAMAGED          # a check failed

# Subcommands: module of the same name, and what it does.
COMMANDS = {
    "track": "track captures: print the connections and a summary",
    "events": "NEW, UPDATE and DESTROY of connections, as conntrack -E prints them",
    "filter": "run captures through iptables' rules: verdicts, and the counters of every rule",
    "explain": "the way of a packet: every hook, table and rule, and why",
    "test": "test rules: what they are expected to do with packets and captures",
    "lint": "rules that no packet meets or that change nothing, and chains nobody uses",
    "diff": "the connections of captures with which new rules deal otherwise than old ones",
    "live": "watch interfaces: what track does, with packets as they come",
    "conntrack": "conntrack(8)'s command line on a snapshot",
    "iptables": "iptables' command line on a file of rules",
    "ip6tables": "the same for IPv6",
    "iptables-save": "print a file of rules as iptables-save does",
    "ip6tables-save": "the same for IPv6",
    "iptables-restore": "take rules into a file of rules as iptables-restore does",
    "ip6tables-restore": "the same for IPv6",
    "ct": "connections in the columns of cilium bpf ct list",
    "nat": "translations in the columns of cilium bpf nat list",
    "bench": "measure the core on this machine",
}


# Those that have words of their own, which argparse does not understand: the module of each, and which program it is.
OWN_WORDS = {"conntrack": ("conntrack",), **{name: ("iptables", name) for name in COMMANDS if "tables" in name}}


def say(message):
    """A line on standard error."""
    print(f"fastct: {message}", file=sys.stderr)


def place(path):
    """How messages call a capture."""
    return "standard input" if path == STDIN else path


def _parser(name):
    """The parser; only the subcommand that is called gets its options."""
    parser = argparse.ArgumentParser(
        prog="fastct", description="A userspace Netfilter: connection tracking as Linux does it.",
        epilog="example: fastct track dump.pcap", allow_abbrev=False)
    parser.add_argument("--version", action="store_true", help="print the version and exit")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    for command, text in COMMANDS.items():
        if command != name:
            commands.add_parser(command, help=text)
            continue
        module = importlib.import_module(f"fastct.cli.{command}")
        sub = commands.add_parser(command, help=text, description=module.__doc__, epilog=module.EXAMPLES,
                                  allow_abbrev=False, formatter_class=argparse.RawDescriptionHelpFormatter)
        module.add_options(sub)
        sub.set_defaults(run=module.run)
    return parser


def _run(argv):
    """Parse the command line and do what it says; returns the exit status."""
    if argv and argv[0] in OWN_WORDS:
        module, *program = OWN_WORDS[argv[0]]
        return importlib.import_module(f"fastct.cli.{module}").main(argv[1:], *program)
    parser = _parser(next((word for word in argv if word in COMMANDS), None))
    args = parser.parse_args(argv)
    if args.version:
        from fastct.version import __version__
        print(f"fastct {__version__}")
        return DONE
    if args.command is None:
        parser.print_help(sys.stderr)
        return FAILED
    return args.run(args)


def main(argv=None):
    """Run the command line; returns the exit status."""
    argv = sys.argv[1:] if argv is None else list(argv)
    if sys.stderr is None:      # closed by whoever started this: there is nobody to talk to
        sys.stderr = open(os.devnull, "w")
    try:
        return _run(argv)
    except SystemExit as end:
        return end.code
    except CaptureError as error:
        say(f"error: {place(error.path)}: {error}" if error.path else f"error: {error}")
        return FAILED
    except TextError as error:
        say(f"error: {error.located()}")
        return FAILED
    except Error as error:
        say(f"error: {error}")
        return FAILED
    except BrokenPipeError:
        discard_standard_output()
        return DONE
    except KeyboardInterrupt:
        say("interrupted")
        return INTERRUPTED
