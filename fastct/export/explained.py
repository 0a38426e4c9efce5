"""An Explanation for people: lines of text, and a picture for Graphviz."""
import datetime
from itertools import groupby

NS_PER_S = 10**9
TABLE_WIDTH = 10


def moment(ns):
    """A time, UTC, to the microsecond."""
    second = datetime.datetime.fromtimestamp(ns // NS_PER_S, datetime.UTC)
    return f"{second:%Y-%m-%d %H:%M:%S}.{ns % NS_PER_S // 1000:06}"


def answer(tried):
    """What came of a rule: why it was not for the packet, or what it did."""
    if tried.held:
        return tried.did
    return ": ".join(["no", ", ".join(filter(None, (tried.test, tried.packet, tried.did)))])


def _place(tried):
    if tried.kind == "end":
        return f"end of {tried.chain}"
    return f"{tried.chain} {tried.number or 'policy'}"


def _rule_lines(rules):
    """Two lines for each rule; one for a policy, and for the end of a chain."""
    width = max(len(_place(tried)) + 2 * tried.depth for tried in rules)
    for tried in rules:
        place = f"{'  ' * tried.depth}{_place(tried)}".ljust(width)
        if tried.kind == "rule":
            yield f"{place}  {tried.text}"
            yield f"{' ' * width}  {'=> ' if tried.held else ''}{answer(tried)}"
        else:
            yield f"{place}  => {answer(tried)}"


def text_lines(explanation):
    """The lines of an explanation."""
    yield f"packet {explanation.packet}, {moment(explanation.ts)}: {explanation.text}"
    for hook, steps in groupby(explanation.steps, key=lambda step: step.hook):
        if hook:
            yield hook
        for step in steps:
            lines = list(_rule_lines(step.rules)) if step.rules else [step.said]
            for place, line in enumerate(lines):
                yield f"  {step.what if not place else '':<{TABLE_WIDTH}} {line}".rstrip()
    yield verdict_line(explanation)


def verdict_line(explanation):
    """The verdict, who decided, and why."""
    by = f" by {explanation.decided}" if explanation.decided else ""
    why = f": {explanation.why}" if explanation.why else ""
    return f"{explanation.verdict}{by}{why}"


# ---- Graphviz

COLOURS = {"ACCEPT": "palegreen", "DROP": "lightcoral", "REJECT": "lightcoral"}


def _quoted(*lines):
    """A label of lines, each to the left."""
    return '"' + "".join(line.replace("\\", "\\\\").replace('"', '\\"') + "\\l" for line in lines) + '"'


def _edge(before, box, leads):
    return f"  {before} -> {box}{f' [label={_quoted(leads)}]' if leads else ''};"


def _boxes(step):
    """The boxes of a step: the lines of each, and what leads on from it. A chain has one for each visit."""
    if not step.rules:
        yield [step.what, step.said], ""
    for _, visit in groupby(step.rules, key=lambda tried: (tried.chain, tried.depth)):
        visit = list(visit)
        lines = [f"{step.what} {visit[0].chain}"]
        for tried in visit:
            lines += [f"{tried.number}  {tried.text}"] if tried.kind == "rule" else []
            lines.append(f"    {answer(tried)}" if tried.kind == "rule" else f"{_place(tried)}: {answer(tried)}")
        yield lines, visit[-1].did


def dot_lines(explanations):
    """A picture of the ways of packets: boxes for steps and visits to chains, framed by hooks."""
    yield "digraph fastct {"
    yield '  node [shape=box, fontname="monospace", fontsize=10]; edge [fontname="monospace", fontsize=9];'
    for explanation in explanations:
        yield from _packet_dot(explanation, f"p{explanation.packet}")
    yield "}"


def _packet_dot(explanation, name):
    yield f"  {name} [shape=oval, label={_quoted(f'packet {explanation.packet}', explanation.text)}];"
    before, leads, number = name, "", 0
    for frame, (hook, steps) in enumerate(groupby(explanation.steps, key=lambda step: step.hook)):
        edges = []
        yield f"  subgraph cluster_{name}_{frame} {{ label=\"{hook}\"; style={'solid' if hook else 'invis'};"
        for step in steps:
            for lines, onward in _boxes(step):
                box = f"{name}_{number}"
                number += 1
                yield f"    {box} [label={_quoted(*lines)}];"
                edges.append(_edge(before, box, leads))
                before, leads = box, onward
        yield "  }"
        yield from edges
    colour = COLOURS.get(explanation.verdict, "lightgrey")
    yield f"  {name}_end [shape=oval, style=filled, fillcolor={colour}, label={_quoted(verdict_line(explanation))}];"
    yield _edge(before, f"{name}_end", leads)
