"""Which rules of a table packets can meet: chains are gone through as packets go through them, with boxes for packets.

    1  from the leaves up: what never comes back from a chain (``consumed``)
    2  from the hooks down: what comes to each rule (``Context``), and whether earlier rules have taken all of that

Whatever is not known for certain counts as if the packet went on: a rule is called dead only if no packet meets it.
"""
from dataclasses import dataclass
from typing import NamedTuple

from fastct.rules.check import reached
from fastct.rules.lint.asks import Asks, Reader
from fastct.rules.lint.boxes import Taken, cut, everything, fewest, meet
from fastct.rules.lint.facts import INVALID, TRACKED, hook_facts, table_facts
from fastct.rules.model import STANDARD, Rule

CONTEXTS_MOST = 64          # of a chain; one that is called in more ways is taken to be called in any
CONSUMED_MOST = 512         # boxes of what does not come back from a chain
PIECES_MOST = 64            # boxes that one of those is cut into

ANYTHING = Asks({}, True, True)
GOES_ON, ENDS, RETURNS, CALLS, LEAVES = range(5)        # what becomes of a packet that a rule takes


@dataclass(frozen=True, eq=False)
class Site:
    """Where a rule stands, numbers from 1."""
    chain: str
    number: int
    rule: Rule


class Context(NamedTuple):
    """A way to come to a chain: which packets, and what was taken out of them before: pairs of a Taken and how much of
    it counts, the outermost first."""
    box: dict
    before: tuple


@dataclass
class Fate:
    """What was found out about a rule.

    Attributes
    ----------
    dead : bool
        No packet meets it.
    invalid : bool
        All that meet it are INVALID, though it does not ask for that.
    closed : bool
        No packet comes to the place where it stands.
    by : tuple of Site or Fact
        What takes all others.
    """
    dead: bool = False
    invalid: bool = False
    closed: bool = False
    by: tuple = ()


def does(rule, chains):
    """What becomes of a packet that a rule takes."""
    if rule.target is not None:
        return ENDS if rule.target.extension.terminates else GOES_ON
    if rule.jump in chains:
        return LEAVES if rule.goto else CALLS
    if rule.jump in STANDARD:
        return RETURNS if rule.jump == "RETURN" else ENDS
    return GOES_ON


def bottom_up(chains):
    """The names of chains, each behind those that it calls where packets can get to the call."""
    order, entered = [], set()

    def calls(name):
        return (rule.jump for rule in reached(chains[name]) if rule.target is None and rule.jump in chains)

    for start in chains:
        path = {} if start in entered else {start: calls(start)}
        entered.add(start)
        while path:
            name = next(reversed(path))
            called = next((jump for jump in path[name] if jump not in entered), None)
            if called is None:
                path.popitem()
                order.append(name)
            else:
                entered.add(called)
                path[called] = calls(called)
    return order


class Reach:
    """Goes through a table.

    Attributes
    ----------
    asks : dict
        Asks by (chain, number).
    fates : dict
        Fate by (chain, number), of the chains that packets come to.
    contexts : dict
        Lists of Context by chain.
    """

    def __init__(self, ruleset, table):
        self.family, self.table, self.chains = ruleset.family, table, table.chains
        self.whole = everything(self.family)
        reader = Reader(ruleset, table)
        self.asks = {(chain.name, number): reader.asks(rule)
                     for chain in self.chains.values() for number, rule in enumerate(chain.rules, 1)}
        self.fates, self.contexts = {}, {name: [] for name in self.chains}
        self._facts = table_facts(ruleset, table.name)
        self._tracked = table.name in TRACKED and table.name != "nat"
        self._consumed = {}
        order = bottom_up(self.chains)
        for name in order:
            self._consumed[name] = self._consumes(self.chains[name])
        for name in order[::-1]:
            chain = self.chains[name]
            if chain.policy is not None:
                self.contexts[name] = [self._entrance(hook_facts(name))]
            self._enter(chain)

    def _entrance(self, facts):
        taken = Taken(self.family)
        for box, fact in [*facts, *self._facts]:
            taken.add(box, fact)
        return Context(self.whole, ((taken, len(taken)),))

    def sites(self, chain):
        """The Sites of a chain's rules."""
        return [Site(chain.name, number, rule) for number, rule in enumerate(chain.rules, 1)]

    # ---- what does not come back

    def _takes(self, site):
        """Boxes that a rule takes out of what comes behind it in its chain, each with the Site that does it."""
        asks, what = self.asks[site.chain, site.number], does(site.rule, self.chains)
        if asks.box is None or not asks.exact or what == GOES_ON:
            return []
        return [(asks.box, site)] if what != CALLS else self._through(asks.box, site.rule.jump)

    def _through(self, box, name):
        """What a chain consumes of a box."""
        boxes = ((meet(box, inner), taker) for inner, taker in self._consumed.get(name, ()))
        return [(both, taker) for both, taker in boxes if both is not None]

    def _consumes(self, chain):
        """Boxes of packets that come to a chain and never back, each with the Site of who takes them."""
        found, back = [], []        # ``back``: of those that may have gone back before
        for site in self.sites(chain):
            asks, what = self.asks[site.chain, site.number], does(site.rule, self.chains)
            if asks.box is None or what == GOES_ON:
                continue
            if asks.exact and what != RETURNS:
                takes = self._takes(site) if what != LEAVES else self._through(asks.box, site.rule.jump)
                for box, taker in takes:
                    found += [(piece, taker) for piece in self._left(box, back)]
            if what in (RETURNS, LEAVES):
                back.append(asks.box)
            if len(found) > CONSUMED_MOST:
                break
        return found[:CONSUMED_MOST]

    def _left(self, box, back):
        """The parts of a box without others; none when there are too many."""
        pieces = [box]
        for other in back:
            parts = (cut(self.whole | piece, other) for piece in pieces)
            pieces = [part for piece, cuts in zip(pieces, parts, strict=True)
                      for part in ([piece] if cuts is None else map(self._slim, cuts))]
            if len(pieces) > PIECES_MOST:
                return []
        return pieces

    def _slim(self, box):
        """A box without the dimensions that say nothing."""
        return {name: intervals for name, intervals in box.items() if intervals != self.whole.get(name)}

    # ---- what comes to a rule

    def _enter(self, chain):
        taken, contexts = Taken(self.family), self.contexts[chain.name]
        if len(contexts) > CONTEXTS_MOST:
            contexts = self.contexts[chain.name] = [self._entrance([])]
        told, _ = self._fate(None, contexts, taken)         # of a chain for INVALID packets that need not be said again
        closed = None
        for site in self.sites(chain) if contexts else ():
            if closed is None:
                fate, live = self._fate(site, contexts, taken)
                fate.invalid &= not told.invalid
                if fate.dead:
                    closed = self._closed(contexts, taken)
                    fate = closed or fate
            else:
                fate, live = closed, []
            self.fates[site.chain, site.number] = fate
            if fate.dead:
                continue
            if does(site.rule, self.chains) in (CALLS, LEAVES):
                self._call(site, live, taken)
            for box, taker in self._takes(site):
                taken.add(box, taker)

    def _closed(self, contexts, taken):
        """The Fate of all rules from here on, if no packet comes here any more."""
        fate, _ = self._fate(None, contexts, taken)
        return Fate(dead=True, closed=True, by=fate.by) if fate.dead and fate.by else None

    def _fate(self, site, contexts, taken):
        """The Fate of a rule (None: of any that asks nothing), and the contexts in which packets may meet it: all for
        one that calls a chain."""
        asks = self.asks[site.chain, site.number] if site else ANYTHING
        calls = site is not None and does(site.rule, self.chains) in (CALLS, LEAVES)
        live, by, others, invalid = [], {}, {}, self._tracked
        for context in contexts if asks.box is not None else ():
            box = meet(context.box, asks.box)
            if box is None:
                continue
            covers = [cover for part, n in (*context.before, (taken, len(taken))) for cover in part.near(box, n)]
            boxes = [cover for cover, _ in covers]
            # Who has nothing but INVALID packets left may have none.
            least = fewest(box, [INVALID, *boxes]) if self._tracked else None
            used = fewest(box, boxes) if least or not self._tracked else None
            if used is not None:
                by |= dict.fromkeys(covers[at][1] for at in used)
                continue
            live.append(context)
            others |= dict.fromkeys(covers[at - 1][1] for at in least or () if at)
            invalid = invalid and least is not None
            if not invalid and not calls:
                break
        invalid = invalid and bool(live) and (asks.box or {}).get("ctstate") != INVALID["ctstate"]
        return Fate(dead=not live, invalid=invalid, by=tuple(others | by if invalid else by)), live

    def _call(self, site, live, taken):
        asks = self.asks[site.chain, site.number]
        for context in live:
            box = meet(context.box, asks.box)
            if box is not None:
                self.contexts[site.rule.jump].append(Context(box, (*context.before, (taken, len(taken)))))
