"""A rule's words through fastct: what it makes of them, or what it says instead."""
from fastct.rules.extension import Place, admit
from fastct.rules.model import TABLES
from fastct.rules.parse import Parser, resolve


def read(words, family=4, sets=None):
    """The one rule that the words behind ``-A CHAIN`` make; raises Failure."""
    parser = Parser(list(words), family, sets)
    parser.read()
    parser.complete()
    rule, = parser.rules()
    return resolve(rule, (), parser.warnings.append)


def uses(rule):
    """The extensions of a rule in the order of listings."""
    return [*rule.matches, *([rule.target] if rule.target else [])]


def check(rule, table, chain, family=4):
    """Raise Refused if the kernel would not take the rule in a base chain."""
    assert chain in TABLES[table]
    for use in uses(rule):
        admit(use, rule, Place(table, (chain,), family))


def listed(rule, numeric):
    """The texts of the extensions in -L."""
    return " ".join(text for use in uses(rule) if (text := use.extension.show(use, numeric)))
