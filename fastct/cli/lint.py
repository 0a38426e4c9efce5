"""Find what is wrong with iptables' rules: those that no packet meets or that change nothing, and chains nobody uses.

A finding a line: FILE:LINE: kind: rule … covered by FILE:LINE: rule. What is not certain is not said. With captures
also which rules the traffic hits, and which it does not. Exit status 1 if there is a finding."""
import json
import sys

from fastct.cli import DONE, FAILED, INTERRUPTED, UNMET, say, session
from fastct.cli.options import add_captures, add_settings
from fastct.errors import ConfigError
from fastct.rules.lint import KINDS, lint
from fastct.rules.lint.report import finding_line, finding_object, hit_line, hit_object, traffic

EXAMPLES = "\n".join([
    "findings:", *(f"  {kind:16} {meaning}" for kind, meaning in KINDS.items()), "", "examples:",
    "  fastct lint fw.rules                              a file as iptables-save writes it",
    "  fastct lint -6 fw6.rules --json                   as ip6tables-save writes it; an object a line",
    "  fastct lint fw.rules dump.pcap --local 10.1.1.2   also what the traffic hits"])


def add_options(parser):
    """The options of the subcommand."""
    parser.add_argument("file", metavar="RULES", help="a file of rules (iptables-save)")
    parser.add_argument("-6", "--ipv6", action="store_true", help="the rules are ip6tables'")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    add_captures(parser, "*")
    add_settings(parser)
    parser.add_argument("--quiet", action="store_true", help="no progress and no summary")
    parser.set_defaults(rules=None, rules6=None, at=None, save=None)


def _write(lines):
    """Lines to standard output, with the bytes that the file of rules has."""
    if sys.stdout is None:
        raise ConfigError("cannot write standard output: closed")
    try:
        sys.stdout.buffer.writelines(f"{line}\n".encode(errors="surrogateescape") for line in lines)
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise ConfigError(f"cannot write standard output: {error.strerror.lower()}") from None


def run(args):
    """Do it; returns the exit status."""
    from fastct.firewall import ruleset_of
    ruleset = ruleset_of(args.file, 6 if args.ipv6 else 4)
    if not ruleset.tables and not args.quiet:
        say(f"note: {args.file} has no tables")
    found, hits, status = lint(ruleset.model), [], DONE
    if args.captures:
        status = _replay(args, ruleset)
        missed, hits = traffic(ruleset.model, found)
        found += missed
    line, hit = (finding_object, hit_object) if args.json else (finding_line, hit_line)
    rows = [*(line(finding, args.file) for finding in found), *(hit(*each, args.file) for each in hits)]
    _write(map(json.dumps, rows) if args.json else rows)
    return status if status in (FAILED, INTERRUPTED) or not found else UNMET


def _replay(args, ruleset):
    """Run the captures through the rules, whose counters start from 0; returns the exit status."""
    for name in ruleset.tables:
        ruleset.table(name).zero()
    args.rules, args.rules6 = (None, ruleset) if args.ipv6 else (ruleset, None)
    return session.run(args, None, None, lambda tracker: (tracker.rules6 if args.ipv6 else tracker.rules).text())
