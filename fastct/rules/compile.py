"""The model ► the program that packets run through.

Each extension says what it compiles to (``Extension.compile``); here is what any rule has, and how all that is put
together.
"""
from functools import lru_cache

import numpy as np

from fastct.errors import RuleError
from fastct.records import CTSTATES
from fastct.rules.classify import CONDITION_DTYPE, FIELD_NAMES, WORTH, Classifier
from fastct.rules.compiled import HOOK_NUMBERS, TABLE_NUMBERS, VERDICTS, Program
from fastct.rules.estate import Estate
from fastct.rules.model import TABLES, Ruleset
from fastct.rules.names import every, prefix_length
from fastct.rules.ops import (
    bpf,
    chunks,
    clock,
    connection,
    connlimit,
    extension,
    hashlimit,
    header,
    hmark,
    limits,
    link,
    logs,
    payload,
    rateest,
    recent,
    rewriting,
    routing,
    sets,
    tracking,
    transport,
    verdicts,
)
from fastct.rules.pause import collector_paused
from fastct.rules.words import Failure

_OPS = [(name, kind)
        for module in (header, transport, chunks, extension, link, routing, payload, bpf, clock, tracking, hmark,
                       connection, limits, hashlimit, recent, connlimit, rateest, sets, verdicts, rewriting, logs)
        for name, kind in module.OPS.items()]
# A match and a target may have the same name.
CONDITIONS = {name: kind for name, kind in _OPS if not kind.works}
EFFECTS = {name: kind for name, kind in _OPS if kind.works}
assert len(CONDITIONS) + len(EFFECTS) == len(_OPS)
DEPTH_MAX = 256          # jumps within jumps: STACK_MAX of the program
LOW = (1 << 64) - 1
FIELD_NUMBERS = {name: number for number, name in enumerate(FIELD_NAMES)}
ADDRESSES = {"source": "src", "destination": "dst"}      # conditions by the field that they are about
NUMBERS = {"sport": 0xFFFF, "dport": 0xFFFF, "protocol": 0xFF}      # … by its name, and its highest value
NOTHING = ((1, 0),)      # intervals that hold no value


def halves(address, mask):
    """The arguments of an address test."""
    return (address >> 64, address & LOW, mask >> 64, mask & LOW)


@lru_cache(4096)
def _values(name, arguments, invert, family):
    """What a condition of the header says of a field: its number, and the values in intervals. None: nothing."""
    if name == "ctstate" and not any(arguments[1:]):
        values = [value for value in range(len(CTSTATES)) if not value or (arguments[0] >> value & 1) != invert]
        return FIELD_NUMBERS[name], tuple((value, value) for value in values) or NOTHING
    if name in ADDRESSES:
        low, mask = arguments[0] << 64 | arguments[1], arguments[2] << 64 | arguments[3]
        if prefix_length(mask, family) is None:
            return None
        field, top = ADDRESSES[name], every(family)
        high = low | top ^ mask
    elif name in NUMBERS:
        field, low, high, top = name, arguments[0], arguments[-1], NUMBERS[name]
    else:
        return None
    inside, outside = ((low, high),), tuple((a, b) for a, b in ((0, low - 1), (high + 1, top)) if a <= b)
    return FIELD_NUMBERS[field], (outside or NOTHING) if invert else inside


class Assembler:
    """Collects the ops of one rule.

    Conditions that are always answered alike for a connection come first, so that a rule that is not for it is not
    asked for more; but none comes before one that keeps state, or may want the packet gone, and stood in front of it.
    """

    def __init__(self, ruleset, header, estate, notes):
        self.ruleset, self.family, self.header = ruleset, ruleset.family, header
        self.tests, self.work, self.fields = [], None, {}
        self.status_asked = 0            # IPS_* bits that conditions look at
        self._estate, self._notes = estate, notes
        self._first = 0                  # where the next condition goes that may come first
        self._acted = False              # one that keeps state has been among them

    def test(self, name, *arguments, blob=b"", invert=False, key=None, acts=False):
        """A condition: the name of an op, up to four numbers, bytes, and the State or the key of one that it shares.

        acts : being asked changes something, be it no state of its own.
        """
        kind = CONDITIONS[name]
        if not self._acted:              # who is not asked changes nothing
            said = _values(name, arguments, invert, self.family)
            if said is not None:
                self.fields.setdefault(*said)
        acts = bool(acts or kind.keeps or key is not None)
        self._acted |= acts
        place = len(self.tests) if kind.lives or kind.drops or self._acted else self._first
        self.tests.insert(place, (kind, arguments, blob, invert, key))
        if acts or kind.drops:
            self._first = len(self.tests)
        elif not kind.lives:
            self._first += 1

    def constant(self, answer):
        """A condition whose answer is known by now."""
        if not answer:
            self.test("never")

    def note(self, text):
        """Say what the rules ask for that nobody knows here, once."""
        if text not in self._notes:
            self._notes.append(text)

    def state(self, key, make):
        """The State that rules share by a key; ``make()`` makes it for the first of them."""
        return self._estate.shared(key, make)

    def effect(self, name, *arguments, blob=b"", key=None):
        """What the rule does to a packet it takes."""
        self.work = (EFFECTS[name], arguments, blob, False, key)


def _interface(name):
    """The arguments of an interface test."""
    prefix = name.endswith("+")
    text = name.rstrip("+").encode() if prefix else name.encode() + b"\0"
    return len(text), text + bytes(16)


def compile_header(rule, out):
    """What ``-s -d -i -o -p -f`` ask."""
    h = rule.header
    for name in ("source", "destination"):
        network = getattr(h, name)
        if network.mask or name in h.inverted:
            out.test(name, *halves(network.address, network.mask), invert=name in h.inverted)
    for name in ("in_interface", "out_interface"):
        if getattr(h, name):
            size, blob = _interface(getattr(h, name))
            out.test(name, size, blob=blob, invert=name in h.inverted)
    if h.protocol:
        out.test("protocol", h.protocol, invert="protocol" in h.inverted)
    if h.fragment:
        out.test("fragment", invert="fragment" in h.inverted)


def _index(conditions, family):
    """The index of a chain whose rules say this of fields; None where going through the rules is as fast."""
    if len(conditions) < WORTH:
        return None
    rows = [(rule, field, low >> 64, low & LOW, high >> 64, high & LOW)
            for rule, fields in enumerate(conditions) for field, intervals in fields.items() for low, high in intervals]
    return Classifier(len(conditions), np.array(rows, dtype=CONDITION_DTYPE), family == 6)


class _Compiler:
    """Puts the chains of all tables one behind the other."""

    def __init__(self, ruleset, estate):
        self.ruleset, self.estate = ruleset, estate
        self.ops, self.rules, self.chains, self.base = [], [], [], {}
        self.names, self.counts, self.policies, self.notes = [], [], [], []
        self.numbers = {}        # of chains, by (table, chain)
        self.status_asked = 0

    def run(self):
        # The table that came first stands last; it is the first to say what is kept under a name.
        tables = list(self.ruleset.tables.values())[::-1]
        for table in tables:
            for chain in table.chains.values():
                self.numbers[table.name, chain.name] = len(self.numbers)
        for table in tables:
            self._depths(table)
            for chain in table.chains.values():
                self._chain(table, chain)

    def _depths(self, table):
        """Refuse what has more jumps within jumps than a packet can keep."""
        depths = {}

        def depth(name):
            if name not in depths:
                below = [depth(rule.jump) for rule in table.chains[name].rules
                         if rule.target is None and rule.jump in table.chains]
                depths[name] = 1 + max(below, default=0)
            return depths[name]

        for name in table.chains:
            if depth(name) > DEPTH_MAX:
                raise RuleError(f"table {table.name}: chain {name} jumps more than {DEPTH_MAX} levels deep")

    def _chain(self, table, chain):
        policy = VERDICTS[chain.policy] if chain.policy else 0
        first, conditions = len(self.rules), []
        for number, rule in enumerate(chain.rules, 1):
            conditions.append(self._rule(table, rule))
            self.names.append(f"{table.name}/{chain.name}/{number}")
            self.counts.append(rule.counters)
        self.chains.append((f"{table.name}:{chain.name}".encode(), first, len(chain.rules), policy,
                            _index(conditions, self.ruleset.family)))
        if policy:
            self.policies.append((f"{table.name}/{chain.name}/policy", chain.counters))
            place = HOOK_NUMBERS[chain.name], TABLE_NUMBERS[table.name, chain.name]
            self.base[place] = self.numbers[table.name, chain.name]

    def _extension(self, use, out, rule):
        try:
            use.extension.compile(use, out)
        except NotImplementedError:
            raise RuleError(f"{use.extension.name}: not evaluated yet", line=rule.line) from None
        except Failure as failure:
            raise RuleError(str(failure), line=rule.line) from None

    def _rule(self, table, rule):
        """Compile one rule; returns what it says of fields."""
        out = Assembler(self.ruleset, rule.header, self.estate, self.notes)
        compile_header(rule, out)
        for use in rule.uses:
            self._extension(use, out, rule)
        self.status_asked |= out.status_asked
        first = len(self.ops)
        verdict, chain, work = VERDICTS["CONTINUE"], 0, None
        if rule.target is None and rule.jump in VERDICTS:
            verdict = VERDICTS[rule.jump]
        elif rule.target is None and rule.jump:
            verdict, chain = VERDICTS["GOTO" if rule.goto else "JUMP"], self.numbers[table.name, rule.jump]
        self.ops += out.tests
        if out.work:
            work = len(self.ops)
            self.ops.append(out.work)
        self.rules.append((first, len(out.tests), verdict, work, chain))
        return out.fields


@collector_paused()
def compile_ruleset(ruleset: Ruleset, estate=None, seed=0) -> Program:
    """The program of a ruleset; counters begin with those of the model, which ``Program.sync`` brings up to date.

    estate : Estate
        What rules share by name, with those of other programs; None: only among themselves.
    seed : int
        Of random numbers.
    """
    compiler = _Compiler(ruleset, Estate() if estate is None else estate)
    compiler.run()
    names = compiler.names + [name for name, _ in compiler.policies]
    counts = compiler.counts + [count for _, count in compiler.policies]
    return Program(ruleset.family, compiler.chains, compiler.rules, compiler.ops, compiler.base, names, counts,
                   status_asked=compiler.status_asked, seed=seed, notes=compiler.notes)


__all__ = ["Assembler", "TABLES", "compile_ruleset", "halves"]
