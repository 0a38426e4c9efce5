"""Findings as lines and as objects for JSON; what traffic adds to them."""
from fastct.rules.lint.findings import Finding, rule_place

PLACES_MOST = 3         # rules that a line names


def _where(path, line):
    return path if line is None else f"{path}:{line}"


def finding_line(finding, path):
    """``FILE:LINE: kind: rule: covered by FILE:LINE: rule``"""
    parts = [f"{_where(path, finding.line)}: {finding.kind}: {finding.place.text}"]
    if finding.by:
        named = [f"{_where(path, place.line)}: {place.text}" for place in finding.by[:PLACES_MOST]]
        named += [f"{len(finding.by) - PLACES_MOST} more"] if len(finding.by) > PLACES_MOST else []
        parts.append(f" … {finding.relation} {' and '.join(named)}")
    if finding.why:
        parts.append(f" ({'; '.join(finding.why)})")
    return "".join(parts)


def _place(place):
    return {"line": place.line, "chain": place.chain, "number": place.number, "text": place.text}


def finding_object(finding, path):
    """The same for JSON."""
    return {"kind": finding.kind, "file": path, "table": finding.table, **_place(finding.place),
            "relation": finding.relation, "by": [_place(place) for place in finding.by], "why": finding.why}


def traffic(ruleset, findings):
    """Findings of the rules that no packet has hit and that nothing is said of yet; and of those that have been hit the
    table, Place and Counters. ``ruleset``: its counters are of the traffic."""
    told = {(finding.table, finding.place.chain, finding.place.number) for finding in findings}
    idle = {(finding.table, finding.place.chain) for finding in findings if finding.place.number is None}
    missed, hits = [], []
    for table in ruleset.tables.values():
        for chain in table.chains.values():
            for number, rule in enumerate(chain.rules, 1):
                place = rule_place(chain, number, rule, ruleset.family)
                if rule.counters.packets:
                    hits.append((table.name, place, rule.counters))
                elif (table.name, chain.name, number) not in told and (table.name, chain.name) not in idle:
                    missed.append(Finding("no-hit", table.name, place))
    return missed, hits


def hit_line(table, place, counters, path):
    """``FILE:LINE: hit: rule: 5 packets, 420 bytes``"""
    return f"{_where(path, place.line)}: hit: {place.text} … {counters.packets} packets, {counters.bytes} bytes"


def hit_object(table, place, counters, path):
    """The same for JSON."""
    return {"kind": "hit", "file": path, "table": table, **_place(place), "packets": counters.packets,
            "bytes": counters.bytes}
