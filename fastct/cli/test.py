"""Test rules: what they are expected to do with packets described in words, and with captures."""
import json
import sys

from fastct.checkfile import load
from fastct.checks import Runner
from fastct.cli import DAMAGED, DONE, UNMET, place, say
from fastct.errors import ConfigError
from fastct.firewall import ruleset_of

EXAMPLES = """examples:
  fastct test fw.rules tests.toml                 exit status 1 when an expectation is not met
  fastct test fw.rules web.toml mail.toml --json  an object per test, for other programs

tests.toml:
  interfaces = { eth0 = "10.1.1.2/24" }
  [[test]]
  name = "the web server is open"
  packet = "in=eth0 tcp 10.0.0.1:1234 > 10.1.1.2:80 syn"
  expect = "accept"
  decided = "filter/INPUT/3"
  [[test]]
  name = "answers come back, and nothing else"
  packets = ["udp 10.1.1.2:5353 > 10.0.0.53:53",
             { packet = "udp 10.0.0.53:53 > 10.1.1.2:5353", expect = "accept" },
             { packet = "udp 10.0.0.53:53 > 10.1.1.2:5354", expect = "drop" }]
  [[test]]
  name = "what the capture has of new connections"
  capture = "dump.pcap"
  where = { ctstate = "NEW", orig_src = "10.0.0.0/8" }
  expect = "drop"
"""


def add_options(parser):
    """The options of the subcommand."""
    parser.add_argument("rules", metavar="RULES", help="iptables' rules (iptables-save)")
    parser.add_argument("tests", nargs="+", metavar="TESTS.toml", help="what is expected of them")
    parser.add_argument("--rules6", metavar="FILE", help="rules of ip6tables (ip6tables-save)")
    parser.add_argument("--json", action="store_true", help="an object per test, a line each, on standard output")
    parser.add_argument("--quiet", action="store_true", help="no summary")


def tell(verdict, as_json):
    """A test and what came of it, on standard output."""
    if as_json:
        check = verdict.check
        print(json.dumps({"name": check.name, "path": check.path, "line": check.line, "passed": not verdict.faults,
                          "faults": verdict.faults}))
        return
    print(f"{'FAIL' if verdict.faults else 'ok  '}  {verdict.check.name}")
    for fault in verdict.faults:
        print(f"      {fault}")


def run(args):
    """Do it; returns the exit status."""
    files = [load(path) for path in args.tests]        # what is wrong with any is said before anything is run
    n = failed = 0
    damaged = {}
    rulesets = ruleset_of(args.rules, 4), None if args.rules6 is None else ruleset_of(args.rules6, 6)
    for path, (settings, checks) in zip(args.tests, files, strict=True):
        try:
            runner = Runner(*rulesets, **settings)
        except ConfigError as error:
            raise ConfigError(f"{path}: {error}") from None
        for check in checks:
            verdict = runner.run(check)
            tell(verdict, args.json)
            n, failed = n + 1, failed + bool(verdict.faults)
            damaged |= {fault.path: fault for fault in verdict.damage}
    for fault in damaged.values():
        say(f"warning: {place(fault.path)}: {fault} (after packet {fault.packet}, at byte {fault.offset})")
    if not args.quiet:
        print(f"tests        {n}: {n - failed} passed, {failed} failed", file=sys.stderr)
    if failed:
        return UNMET
    return DAMAGED if damaged else DONE
