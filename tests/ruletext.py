"""A rule's words through fastct: what it makes of them, or what it says instead."""
from fastct.rules.extension import Place, admit
from fastct.rules.model import TABLES
from fastct.rules.parse import RULE_OPTIONS, Parser
from fastct.rules.words import Failure

LONG = {name: (letter, argument) for letter, names, argument in RULE_OPTIONS for name in names}
SHORT = {letter: argument for letter, _, argument in RULE_OPTIONS}


def read(words, family=4, sets=None):
    """The one rule that the words behind ``-A CHAIN`` make; raises Failure."""
    parser = Parser(list(words), family, set(), sets)
    while parser.words:
        word = parser.words.pop(0)
        if word == "!":
            parser.invert = True
        elif word.startswith("--"):
            name, equals, argument = word[2:].partition("=")
            if name in LONG:
                parser.rule_option(LONG[name][0], parser.take(word) if LONG[name][1] else None)
            elif not parser.extension_option(name, argument if equals else None):
                raise Failure(f'unknown option "{word}"')
        elif word[:1] == "-" and word[1:] in SHORT:
            parser.rule_option(word[1:], parser.take(word) if SHORT[word[1:]] else None)
        else:
            raise Failure(f"Bad argument `{word}'")
    rule, = parser.rules()
    return rule


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
