"""From what was found out about rules to what a person is told."""
from dataclasses import dataclass, field
from typing import NamedTuple

from fastct.rules.lint.boxes import cut, meet
from fastct.rules.lint.facts import Fact
from fastct.rules.lint.reach import CALLS, ENDS, GOES_ON, LEAVES, PIECES_MOST, RETURNS, Reach, does
from fastct.rules.save import rule_line

KINDS = {
    "unreachable": "no packet comes to it: earlier rules take all, or the jumps to its chain bring none such",
    "shadowed": "earlier rules take all packets that it asks for",
    "never-hit": "there are no packets such as it asks for",
    "redundant": "without it the same would become of all its packets",
    "only-invalid": "all packets that it can match are INVALID, though it does not ask for that",
    "unused-chain": "no jump leads to it from where packets come in",
    "jump-to-nowhere": "the chain that it jumps to has no rules",
    "no-hit": "no packet of the captures has hit it",
}
COVERED, CALLED, OTHERS, CALLING = "covered by", "reached only by", "others are taken by", "chain"


class Place(NamedTuple):
    """A rule (``number`` from 1) or a chain, where it stands in its file, and its text."""
    chain: str
    number: int | None
    line: int | None
    text: str


def rule_place(chain, number, rule, family):
    """The Place of a rule of a chain."""
    return Place(chain.name, number, rule.line, rule_line(chain, rule, family))


@dataclass
class Finding:
    """Something that was found.

    Attributes
    ----------
    kind : str
        Of KINDS.
    table : str
    place : Place
    relation : str
        What ``by`` is to it: COVERED, CALLED, OTHERS or CALLING.
    by : list of Place
        Rules, a policy, or a chain.
    why : list of str
        What else speaks for it.
    """
    kind: str
    table: str
    place: Place
    relation: str = COVERED
    by: list = field(default_factory=list)
    why: list = field(default_factory=list)

    @property
    def line(self):
        """Where it stands in the file, or None."""
        return self.place.line


class TableLint:
    """Finds what is to be found in a table.

    Attributes
    ----------
    dead : set of (chain, number)
        The rules that no packet meets.
    """

    def __init__(self, ruleset, table):
        self.family, self.table, self.chains = ruleset.family, table, table.chains
        self.reach = Reach(ruleset, table)
        self.jumps = {name: [] for name in self.chains}         # Sites of the rules that jump there
        for chain in self.chains.values():
            for site in self.reach.sites(chain):
                if does(site.rule, self.chains) in (CALLS, LEAVES):
                    self.jumps[site.rule.jump].append(site)
        self.used = self._used()
        self.dead = {at for at in self.reach.asks if at not in self.reach.fates or self.reach.fates[at].dead}

    def _used(self):
        """Names of the chains that jumps lead to from the hooks, be they dead or alive."""
        left = [name for name, chain in self.chains.items() if chain.policy is not None]
        used = set(left)
        while left:
            called = {rule.jump for rule in self.chains[left.pop()].rules
                      if does(rule, self.chains) in (CALLS, LEAVES)} - used
            used |= called
            left += called
        return used

    # ---- places

    def rule_place(self, site):
        """The Place of a rule."""
        return rule_place(self.chains[site.chain], site.number, site.rule, self.family)

    def chain_place(self, chain):
        """The Place of a chain."""
        return Place(chain.name, None, chain.line, f":{chain.name} {chain.policy or '-'}")

    def _finding(self, kind, place, by=(), relation=COVERED):
        places = [self.rule_place(taker) for taker in by if not isinstance(taker, Fact)]
        why = [taker.words for taker in by if isinstance(taker, Fact)]
        return Finding(kind, self.table.name, place, relation, places, why)

    # ---- findings

    def findings(self):
        """All Findings, in the order of chains and rules."""
        for chain in self.chains.values():
            if chain.name not in self.used:
                yield self._finding("unused-chain", self.chain_place(chain))
            elif not self.reach.contexts[chain.name]:
                yield self._finding("unreachable", self.chain_place(chain), self.jumps[chain.name], CALLED)
            else:
                yield from self._of_chain(chain)

    def _of_chain(self, chain):
        redundant = dict(self._redundant(chain))
        for site in self.reach.sites(chain):
            fate, place = self.reach.fates[site.chain, site.number], self.rule_place(site)
            if fate.dead:
                yield self._of_dead(site, fate, place)
            elif site.number in redundant:
                yield Finding("redundant", self.table.name, place, by=redundant[site.number])
            elif does(site.rule, self.chains) in (CALLS, LEAVES) and not self.chains[site.rule.jump].rules:
                chain_ = self.chain_place(self.chains[site.rule.jump])
                yield Finding("jump-to-nowhere", self.table.name, place, CALLING, [chain_])
            elif fate.invalid:
                yield self._finding("only-invalid", place, fate.by, OTHERS)

    def _of_dead(self, site, fate, place):
        asks = self.reach.asks[site.chain, site.number]
        if fate.closed:
            return self._finding("unreachable", place, fate.by)
        if any(not isinstance(taker, Fact) for taker in fate.by):
            return self._finding("shadowed", place, fate.by)
        if asks.box is None:
            return Finding("never-hit", self.table.name, place, why=["its conditions exclude each other"])
        if fate.by:
            return self._finding("never-hit", place, fate.by)
        return self._finding("unreachable", place, self.jumps[site.chain], CALLED)

    # ---- redundant rules

    def _redundant(self, chain):
        """Numbers of rules without which the same would become of all packets, with the Places that see to it. All of
        them, and the dead ones, may go at once."""
        gone = set()
        sites = self.reach.sites(chain)
        for site in sites[::-1]:
            at = site.chain, site.number
            asks, what = self.reach.asks[at], does(site.rule, self.chains)
            if at in self.dead or not asks.plain or what not in (ENDS, RETURNS):
                continue
            by = self._instead(site, sites[site.number:], gone, chain)
            if by is not None:
                gone.add(site.number)
                yield site.number, by

    def _instead(self, site, behind, gone, chain):
        """The Places that would decide alike on a rule's packets, if it were not there; None if that is not so."""
        whole = self.reach.whole
        left, by = [meet(whole, self.reach.asks[site.chain, site.number].box)], []
        for other in behind:
            at = other.chain, other.number
            asks = self.reach.asks[at]
            cuts = [None if asks.box is None else cut(piece, asks.box) for piece in left]
            if all(pieces is None for pieces in cuts):
                continue
            if not self._alike(site.rule, other.rule) or not asks.plain:
                return None
            if at in self.dead or other.number in gone or not asks.exact:
                continue
            by.append(self.rule_place(other))
            left = [part for piece, pieces in zip(left, cuts, strict=True)
                    for part in ([piece] if pieces is None else pieces)]
            if not left:
                return by
            if len(left) > PIECES_MOST:
                return None
        at_end = chain.policy or "RETURN"
        if site.rule.target is None and site.rule.jump in (at_end, "RETURN"):
            return [*by, self.chain_place(chain)] if chain.policy else by
        return None

    def _alike(self, rule, other):
        """Whether two rules end the chain for a packet in the same way."""
        return does(other, self.chains) != GOES_ON and (rule.jump, rule.goto, rule.target) == (
            other.jump, other.goto, other.target)


def lint_table(ruleset, table):
    """The Findings of a table; ``ruleset`` and ``table`` are those of ``rules.model``."""
    return list(TableLint(ruleset, table).findings())


def lint(ruleset):
    """The Findings of all tables of a ruleset, in the order of the text."""
    found = [finding for table in ruleset.tables.values() for finding in lint_table(ruleset, table)]
    return sorted(found, key=lambda finding: (finding.line is None, finding.line or 0))
