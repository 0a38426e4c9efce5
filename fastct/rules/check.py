"""What the kernel refuses when a table is handed over to it: jumps in a circle, extensions where they may not stand."""
from fastct.rules.extension import Place, admit
from fastct.rules.model import STANDARD, STANDARD_NAME, TABLES, Counters, Header
from fastct.rules.words import Refused

LOOP = "Too many levels of symbolic links."
NOTHING = Header()


def final(rule):
    """Whether no packet gets past a rule: it takes all, to a verdict. What follows is never looked at."""
    return rule.target is None and rule.jump in STANDARD and not rule.matches and rule.header == NOTHING


def _walk(table, hook, hooks):
    """Add a hook to those from which each rule can be reached (by the rule's id). Raises Refused for a circle."""
    entered, path = {hook}, [(hook, iter(table.chains[hook].rules))]
    while path:
        name, rules = path[-1]
        rule = next(rules, None)
        if rule is None:
            path.pop()
            continue
        hooks.setdefault(id(rule), set()).add(hook)
        if final(rule):
            path.pop()
        elif rule.target is None and rule.jump in table.chains:
            if any(rule.jump == open_ for open_, _ in path):
                raise Refused(LOOP)
            if rule.jump not in entered:
                entered.add(rule.jump)
                path.append((rule.jump, iter(table.chains[rule.jump].rules)))


def hooks_of(table):
    """From which hooks each rule can be reached: a dict by the rule's id. Raises Refused for jumps in a circle."""
    hooks = {}
    for hook in TABLES[table.name]:
        _walk(table, hook, hooks)
    return hooks


def commit(table, family):
    """Raise Refused if the kernel does not take a table.

    If it does, the policies' counters start again but for those that were given (so it is with every change in Linux).
    """
    hooks = hooks_of(table)
    estimators = frozenset(name for chain in table.chains.values() for rule in chain.rules
                           if rule.target is not None and (name := rule.target.get("rateest-name")) is not None)
    for chain in table.chains.values():
        for rule in chain.rules:
            place = Place(table.name, tuple(hooks.get(id(rule), ())), family, estimators)
            for use in (*rule.matches, *((rule.target,) if rule.target else ())):
                admit(use, rule, place)
            if rule.jump == STANDARD_NAME and rule.target is None and rule.jump not in table.chains:
                raise Refused(Refused.ABSENT)
    for chain in table.chains.values():
        if chain.name not in table.given:
            chain.counters = Counters()
    table.given.clear()
