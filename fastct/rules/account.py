"""The account of a packet's way through the tables, rule by rule, of the rows of a trace (``trace.pxd``).

Which condition of a rule said no is known by its number among the conditions that the rule compiles to; the rule is
compiled once more to see which of its words those came from.
"""
from dataclasses import dataclass, field, replace

from fastct.rules.compile import Assembler, compile_header
from fastct.rules.compiled import HOOK_NUMBERS, TABLE_NUMBERS, VERDICTS
from fastct.rules.estate import Estate
from fastct.rules.extension import Use
from fastct.rules.met import TESTS, Met, test_name
from fastct.rules.model import Header
from fastct.rules.save import header_words, rule_line
from fastct.rules.trace import KINDS

HOOKS = {number: name for name, number in HOOK_NUMBERS.items()}
TABLE_NAMES = {(HOOK_NUMBERS[hook], number): name for (name, hook), number in TABLE_NUMBERS.items()}
VERDICT_WORDS = {number: name for name, number in VERDICTS.items()} | {VERDICTS["DROP"] + 1: "REJECT"}
# What targets do besides changing a packet.
WORK = {"LOG": "a line for the log", "NFLOG": "a line for the group's log", "TRACE": "rules it meets are logged",
        "RATEEST": "counts for the estimator", "SET": "changes the set", "AUDIT": "tells the audit log"}
NAT = ("nat",)         # the tables of targets that translate
# What a rule may change: the name of it, where it is found, whether it is written in hexadecimal.
CHANGES = (("MARK", "mark", True), ("CONNMARK", "connmark", True), ("TTL", "ttl", False), ("TOS", "tos", True),
           ("source", "source", False), ("destination", "destination", False), ("TCP flags", "flags", False),
           ("length", "length", False), ("ctstate", "state", False))


@dataclass
class Tried:
    """A rule that a packet met, or the end of a chain.

    Attributes
    ----------
    kind : {"rule", "policy", "end"}
    chain : str
    number : int or None
        From 1; None of a policy, and of an end.
    depth : int
        Jumps that led here.
    text : str
        The rule as ``-S`` prints it, "-P CHAIN VERDICT" of a policy.
    held : bool
        Whether the packet met all conditions.
    test, packet : str
        The condition that it did not meet, as ``-S`` prints it, and what the packet has of that; else empty.
    did : str
        What became of the packet: "ACCEPT", "jump to IN_WEB", "MARK 0x0 -> 0x1".
    verdict : str
        CONTINUE, JUMP, GOTO, RETURN, ACCEPT, DROP, REJECT, QUEUE; empty where it did not hold.
    changes : dict
        What the rule changed, by name: value before, value after.
    to : str
        The chain that the packet goes to next, where that is another.
    """
    kind: str
    chain: str
    number: int | None = None
    depth: int = 0
    text: str = ""
    held: bool = True
    test: str = ""
    packet: str = ""
    did: str = ""
    verdict: str = ""
    changes: dict = field(default_factory=dict)
    to: str = ""


@dataclass
class Visit:
    """A table that a packet was sent through at a hook, the rules it met there, and how it was before and after."""
    hook: str
    table: str
    rules: list[Tried]
    before: Met
    after: Met


class _Origins(Assembler):
    """Notes of each condition of a rule which words it came from: ``found`` has its name and the Use, or None."""

    def __init__(self, ruleset, rule, estate):
        super().__init__(ruleset, rule.header, estate, [])
        self.found, self._known, self._use = [], [], None
        compile_header(rule, self)
        for self._use in rule.uses:
            self._use.extension.compile(self._use, self)

    def test(self, name, *arguments, **others):
        super().test(name, *arguments, **others)
        place = next(place for place, each in enumerate(self.tests)
                     if place == len(self._known) or each is not self._known[place])
        found = test_name(name, arguments, self._use.extension.name if self._use else "")
        self.found.insert(place, (found, self._use))
        self._known = list(self.tests)


def _words_of_header(header, name, family):
    """The words of one of a header's conditions."""
    only = Header(**{name: getattr(header, name)}, inverted=header.inverted & {name})
    return " ".join(header_words(only, family))


def _words_of_use(use, options):
    """The words of a match's condition: of the first of some options that it has; of all, if it has none."""
    name = next((name for name in options if name in use), None)
    if name is None:
        return " ".join(["-m", use.extension.name, *use.extension.save(use)])
    only = Use(use.extension, {name: use.get(name)}, use.inverted & {name})
    words = list(use.extension.save(only))
    if None in words:               # something that it is never written without
        words = [*use.extension.save(use)]
    return " ".join(words)


def failed_test(ruleset, rule, estate, number, met):
    """The words of the condition ``number`` of a rule, which did not hold, and what the packet has of it.

    ``estate``: a spare one, whose state no packet asks.
    """
    origins = _Origins(ruleset, rule, estate)
    name, use = origins.found[number]
    test = TESTS[name]
    words = (_words_of_header(rule.header, name, ruleset.family) if use is None
             else _words_of_use(use, test.options or (name,)))
    inverted = bool(origins.tests[number][3])
    return words, test.said(met) if callable(test.said) else test.said[inverted]


def changes_between(before, after):
    """What changed, by name: values as text, before and after."""
    found = {}
    for name, attribute, in_hex in CHANGES:
        values = getattr(before, attribute), getattr(after, attribute)
        if values[0] != values[1]:
            name = "HL" if name == "TTL" and before.family == 6 else name
            found[name] = tuple(f"{value:#x}" if in_hex else str(value) for value in values)
    if not found and before.data != after.data:
        found["bytes"] = tuple("".join(f"{a:02x}" for a, b in zip(each.data, other.data, strict=False) if a != b)
                               for each, other in ((before, after), (after, before)))
    return found


class Account:
    """What the rows of a trace say.

    Parameters
    ----------
    ruleset : fastct.rules.model.Ruleset
    names : list of str
        Of rules and policies by number: "filter/INPUT/1" (``Program.names``).
    rows, packets
        As ``Trace.drain`` gives them.
    over : fastct.rules.met.Met
        The packet at the end of its way.
    """

    def __init__(self, ruleset, names, rows, packets, over):
        self.ruleset, self.names, self.rows = ruleset, names, rows
        self.met = [replace(over, row=row, data=data) for row, data in zip(rows, packets, strict=True)]
        self._estate = Estate()
        self._base, self._stack = "", []

    def visits(self):
        """The tables that the packet was sent through: list of Visit."""
        found = []
        for place, row in enumerate(self.rows):
            kind = KINDS[row["kind"]]
            if kind == "table":
                hook = HOOKS[row["hook"]]
                found.append(Visit(hook, TABLE_NAMES[row["hook"], row["table"]], [], self.met[place], self.met[place]))
                self._base, self._stack = hook, [hook]
            elif kind == "left":
                found[-1].after = self.met[place]
            elif kind != "over":
                found[-1].rules.append(getattr(self, f"_{kind}")(place))
        return found

    def _name(self, place):
        """Table, chain and number of the rule or policy of a row."""
        table, rest = self.names[self.rows[place]["counter"]].split("/", 1)
        return table, *rest.rsplit("/", 1)

    def _end(self, place):
        chain = self._stack.pop()
        return Tried("end", chain, depth=len(self._stack), did=f"back to {self._stack[-1]}", to=self._stack[-1])

    def _policy(self, place):
        _, chain, _ = self._name(place)
        verdict = VERDICT_WORDS[self.rows[place]["verdict"]]
        return Tried("policy", chain, text=f"-P {chain} {verdict}", did=verdict, verdict=verdict)

    def _rule(self, place):
        row, (table, name, number) = self.rows[place], self._name(place)
        chain = self.ruleset.tables[table].chains[name]
        rule = chain.rules[int(number) - 1]
        tried = Tried("rule", name, int(number), len(self._stack) - 1, rule_line(chain, rule, self.ruleset.family))
        if row["held"]:
            self._take(tried, rule, place)
        else:
            tried.held = False
            tried.test, tried.packet = failed_test(self.ruleset, rule, self._estate, int(row["test"]),
                                                   self.met[place])
        if row["hotdrop"]:
            tried.did, tried.verdict = "dropped: the packet ends where a condition wants to look", "DROP"
        return tried

    def _take(self, tried, rule, place):
        """Say what a rule did to a packet that it took."""
        row, later = self.rows[place], self.met[place + 1]
        tried.verdict = VERDICT_WORDS[row["verdict"]]
        tried.changes = changes_between(self.met[place], later)
        said = [f"{name} {before} -> {after}" for name, (before, after) in tried.changes.items()]
        said += [WORK[rule.jump]] if rule.jump in WORK else []
        if tried.verdict in ("JUMP", "GOTO"):
            said.append(f"{'jump' if tried.verdict == 'JUMP' else 'goes'} to {rule.jump}")
            self._stack = self._stack[:len(self._stack) - (tried.verdict == "GOTO")] + [rule.jump]
            tried.to = rule.jump
        elif tried.verdict == "RETURN":
            self._stack.pop()
            tried.to = self._stack[-1] if self._stack else ""
            said.append(f"RETURN to {tried.to}" if tried.to else f"RETURN to the policy of {self._base}")
        elif tried.verdict != "CONTINUE":
            said.append(tried.verdict)
            if rule.target is not None and rule.target.extension.tables == NAT:
                said.append(f"{rule.jump} is not carried out")
        if later.row["sent"] > row["sent"]:
            said.append("an answer is sent" if tried.verdict == "REJECT" else "a copy is sent")
        if not said:
            said.append(f"{rule.jump}: nothing changes" if rule.jump else "counted")
        tried.did = ", ".join(said)
