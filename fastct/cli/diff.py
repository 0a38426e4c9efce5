"""Compare rules: the connections of captures with which new rules deal otherwise than old ones, and how.

Exit status 1 when there are some."""
import json
import sys
from collections import defaultdict

from fastct import capture
from fastct.cli import DAMAGED, DONE, UNMET, place, say
from fastct.cli.options import add_captures, add_settings, settings_from
from fastct.columns import L4_WORDS, WITH_PORTS
from fastct.differences import differences
from fastct.export.fields import address_of
from fastct.firewall import ruleset_of

EXAMPLES = """examples:
  fastct diff old.rules new.rules dump.pcap --local 10.1.1.2
  fastct diff old.rules new.rules day1.pcap day2.pcap --interface eth0=10.1.1.2/24 --json
"""


def add_options(parser):
    """The options of the subcommand."""
    parser.add_argument("old", metavar="OLD", help="rules as they were (iptables-save)")
    parser.add_argument("new", metavar="NEW", help="rules as they are to be")
    add_captures(parser)
    add_settings(parser)
    parser.add_argument("-6", "--ipv6", action="store_true", help="the rules are those of ip6tables")
    parser.add_argument("--json", action="store_true", help="an object per change, a line each, on standard output")
    parser.add_argument("--quiet", action="store_true", help="no summary")


def ends_of(row):
    """A connection as words: ``tcp 10.0.0.1:1000 > 10.0.0.2:80``."""
    with_ports, addresses = row["l4proto"] in WITH_PORTS, [address_of(row, name) for name in ("orig_src", "orig_dst")]
    ends = [(f"[{address}]" if ":" in address else address) + f":{row[name]}" if with_ports else address
            for address, name in zip(addresses, ("orig_sport", "orig_dport"), strict=True)]
    return f"{L4_WORDS[row['l4proto']]} {ends[0]} > {ends[1]}"


def decision_lines(sign, decision, texts):
    """A decision, and the rules behind it."""
    for *verdict, decider in ((decision.verdict, decision.decided), *((nat,) for nat in decision.nat)):
        yield " ".join(filter(None, (sign, *verdict, decider))) + (f": {texts[decider]}" if decider in texts else "")


def counted(n, what):
    """A number and what it counts."""
    return f"{n} {what}{'s' * (n != 1)}"


def lines(found):
    """The changes of one kind together, most connections first."""
    kinds = defaultdict(list)
    for change in found.changes:
        kinds[change.old, change.new].append(change)
    for (old, new), changes in sorted(kinds.items(), key=lambda kind: -len(kind[1])):
        yield from decision_lines("-", old, found.rules[0])
        yield from decision_lines("+", new, found.rules[1])
        of_connections = [change for change in changes if change.connection is not None]
        packets = counted(sum(change.packets for change in changes), "packet")
        yield f"  {counted(len(of_connections), 'connection')}, {packets}" if of_connections else f"  {packets}"
        for change in changes:
            ends = "of no connection" if change.connection is None else ends_of(change.connection)
            yield f"    {ends}: {counted(change.packets, 'packet')} from packet {change.first} on"
        yield ""


def objects(found):
    """The changes as objects."""
    for change in found.changes:
        sides = {name: {**decision._asdict(), "rule": texts.get(decision.decided),
                        "nat_rules": [texts[place] for place in decision.nat if place in texts]}
                 for name, decision, texts in zip(("old", "new"), (change.old, change.new), found.rules, strict=True)}
        ends = None if change.connection is None else ends_of(change.connection)
        yield {"connection": ends, "first": change.first, "packets": change.packets, **sides}


def run(args):
    """Do it; returns the exit status."""
    rulesets = [ruleset_of(path, 6 if args.ipv6 else 4) for path in (args.old, args.new)]
    with capture.open(args.captures) as source:
        found = differences(source, *rulesets, **settings_from(args))
    for line in map(json.dumps, objects(found)) if args.json else lines(found):
        print(line)
    for fault in found.damage:
        say(f"warning: {place(fault.path)}: {fault} (after packet {fault.packet}, at byte {fault.offset})")
    if not args.quiet:
        changed = sum(change.connection is not None for change in found.changes)
        for what, n, changing in (("connections", found.connections, changed),
                                  ("packets", found.packets, sum(change.packets for change in found.changes))):
            print(f"{what:<12} {n}, {changing} of them change{'s' * (changing == 1)}", file=sys.stderr)
    if found.changes:
        return UNMET
    return DAMAGED if found.damage else DONE
