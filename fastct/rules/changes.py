"""What commands do to a table: each is done or raises Refused, with the words that iptables has for it.

They work on a table that nobody else sees yet (``Table.copy``); ``check.commit`` has the last word, as the kernel has.
"""
from dataclasses import replace

from fastct.rules.model import POLICIES, STANDARD, Chain, Counters
from fastct.rules.words import Refused

RENAME_MAX = 31         # bytes: -E takes longer names than -N
NO_SUCH_RULE = "Bad rule (does a matching rule exist in that chain?)."


def _chain(table, name, message=Refused.ABSENT):
    chain = table.find(name)
    if chain is None:
        raise Refused(message)
    return chain


def _jumps(table, rule):
    """No rule jumps to where packets come in."""
    if rule.target is None and rule.jump in table.chains and table.chains[rule.jump].policy is not None:
        raise Refused


def append(table, name, rule):
    """-A"""
    chain = _chain(table, name)
    _jumps(table, rule)
    table.given.add(id(rule))
    chain.rules.append(rule)


def insert(table, name, rule, number=1):
    """-I: as rule ``number``, from 1."""
    chain = _chain(table, name)
    if number > len(chain.rules) + 1:
        raise Refused("Index of insertion too big.")
    _jumps(table, rule)
    table.given.add(id(rule))
    chain.rules.insert(number - 1, rule)


def substitute(table, name, rule, number):
    """-R: instead of rule ``number``."""
    chain = _chain(table, name)
    if number > len(chain.rules):
        raise Refused("Index of replacement too big.")
    _jumps(table, rule)
    table.given.add(id(rule))
    chain.rules[number - 1] = rule


def _asked(rule):
    """A rule for comparison: interfaces ``+`` are any."""
    header = rule.header
    if "+" not in (header.in_interface, header.out_interface):
        return rule
    names = {side: getattr(header, side).removeprefix("+") for side in ("in_interface", "out_interface")}
    return replace(rule, header=replace(header, **names))


def find(table, name, rule):
    """-C: the number of the first rule that is the same."""
    chain = _chain(table, name, NO_SUCH_RULE)
    _jumps(table, rule)
    wanted = _asked(rule)
    number = next((number for number, other in enumerate(chain.rules, 1) if _asked(other) == wanted), None)
    if number is None:
        verdict = rule.target is None and rule.jump in ("", *STANDARD)
        raise Refused(NO_SUCH_RULE if verdict else Refused.ABSENT)
    return number


def delete(table, name, rule):
    """-D: the first rule that is the same."""
    number = find(table, name, rule)
    del table.chains[name].rules[number - 1]


def delete_number(table, name, number):
    """-D with a number."""
    chain = _chain(table, name)
    if number > len(chain.rules):
        raise Refused("Index of deletion too big.")
    del chain.rules[number - 1]


def flush(table, name):
    """-F"""
    _chain(table, name).rules.clear()


def _zeroed(table, rule):
    """The rule with its counters at nought, unless they were named in the same breath."""
    return rule if id(rule) in table.given else replace(rule, counters=Counters())


def zero(table, name):
    """-Z"""
    chain = _chain(table, name)
    if name not in table.given:
        chain.counters = Counters()
    chain.rules[:] = [_zeroed(table, rule) for rule in chain.rules]


def zero_number(table, name, number):
    """-Z with a number."""
    chain = _chain(table, name)
    if number > len(chain.rules):
        raise Refused("Index of counter too big.")
    chain.rules[number - 1] = _zeroed(table, chain.rules[number - 1])


def new(table, name):
    """-N"""
    if table.find(name) is not None or name in STANDARD:
        raise Refused("Chain already exists.")
    table.add(Chain(name))


def remove(table, name):
    """-X"""
    chain = _chain(table, name)
    if chain.policy is not None:
        raise Refused
    if table.references(name):
        raise Refused("Too many links.")
    if chain.rules:
        raise Refused("Directory not empty.")
    del table.chains[name]


def rename(table, old, name):
    """-E: rules that jump there do so under the new name."""
    if name in table.chains or name in STANDARD:
        raise Refused("File exists.")
    chain = _chain(table, old)
    if chain.policy is not None:
        raise Refused(Refused.ABSENT)
    if len(name.encode()) > RENAME_MAX:
        raise Refused
    del table.chains[old]
    table.add(replace(chain, name=name))
    for other in table.chains.values():
        other.rules[:] = [replace(rule, jump=name) if rule.jump == old and rule.target is None else rule
                          for rule in other.rules]


def set_policy(table, name, policy, counters=None):
    """-P: the counters start again, from ``counters``."""
    chain = _chain(table, name, "Bad built-in chain name.")
    if chain.policy is None:
        raise Refused("Bad built-in chain name.")
    if policy not in POLICIES:
        raise Refused("Bad policy name. Run `dmesg' for more information.")
    chain.policy, chain.counters = policy, counters or Counters()
    table.given.add(name)
