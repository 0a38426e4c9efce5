"""What the kernel refuses when a table is handed over to it: jumps in a circle, extensions where they may not stand."""
from fastct.rules.extension import Place, admit
from fastct.rules.model import STANDARD, STANDARD_NAME, TABLES, Counters, Header
from fastct.rules.words import Refused

LOOP = "Too many levels of symbolic links."
NOTHING = Header()


def final(rule):
    """Whether no packet gets past a rule: it takes all, to a verdict. What follows is never looked at."""
    return rule.target is None and rule.jump in STANDARD and not rule.matches and rule.header == NOTHING


def reached(chain):
    """The rules of a chain that packets can come to: those up to the first that is final."""
    end = next((number for number, rule in enumerate(chain.rules, 1) if final(rule)), None)
    return chain.rules[:end]


def _walk(hook, jumps):
    """The chains that can be reached from a hook. Raises Refused for a circle."""
    entered, path = {hook}, {hook: iter(jumps[hook])}
    while path:
        jump = next(path[next(reversed(path))], None)
        if jump is None:
            path.popitem()
        elif jump in path:
            raise Refused(LOOP)
        elif jump not in entered:
            entered.add(jump)
            path[jump] = iter(jumps[jump])
    return entered


def hooks_of(table):
    """From which hooks each chain can be reached: a dict by its name. Raises Refused for jumps in a circle."""
    chains = table.chains
    jumps = {name: [rule.jump for rule in reached(chain) if rule.target is None and rule.jump in chains]
             for name, chain in chains.items()}
    entered = {hook: _walk(hook, jumps) for hook in TABLES[table.name]}
    return {name: tuple(hook for hook in entered if name in entered[hook]) for name in chains}


def commit(table, family):
    """Raise Refused if the kernel does not take a table.

    If it does, the policies' counters start again but for those that were given (so it is with every change in Linux).
    """
    hooks = hooks_of(table)
    estimators = frozenset(name for chain in table.chains.values() for rule in chain.rules
                           if rule.target is not None and (name := rule.target.get("rateest-name")) is not None)
    nowhere = Place(table.name, (), family, estimators)
    for chain in table.chains.values():
        place = Place(table.name, hooks[chain.name], family, estimators)
        for rule in chain.rules:
            for use in rule.uses:
                admit(use, rule, place)
            if rule.jump == STANDARD_NAME and rule.target is None and rule.jump not in table.chains:
                raise Refused(Refused.ABSENT)
            if final(rule):
                place = nowhere
    for chain in table.chains.values():
        if chain.name not in table.given:
            chain.counters = Counters()
    table.given.clear()
