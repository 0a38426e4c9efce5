"""What fastct says to one rule, in the words of iptables."""
from fastct.rules.extension import Place, refuse
from fastct.rules.parse import RULE_OPTIONS, Parser
from fastct.rules.save import rule_words
from fastct.rules.words import Failure
from tests.answers import Answer

LONG = {name: (letter, argument) for letter, names, argument in RULE_OPTIONS for name in names}
SHORT = {letter: argument for letter, _, argument in RULE_OPTIONS}


def parsed(family, words):
    """The first rule of its words."""
    parser = Parser(list(words), family, set())
    while parser.words:
        word = parser.words.pop(0)
        name, equals, argument = word[2:].partition("=")
        if word == "!":
            parser.invert = True
        elif word.startswith("--") and name in LONG and not parser.knows(name):
            parser.rule_option(LONG[name][0], parser.take(word) if LONG[name][1] else None)
        elif word.startswith("--"):
            if not parser.extension_option(name, argument if equals else None):
                raise Failure(f'unknown option "{word}"')
        elif word[:1] == "-" and word[1:] in SHORT:
            parser.rule_option(word[1:], parser.take(word) if SHORT[word[1:]] else None)
        else:
            raise Failure(f"Bad argument `{word}'")
    return parser.rules()[0]


def answer(family, table, chain, words):
    """The answer to a rule at the end of a base chain."""
    try:
        rule = parsed(family, words)
        uses = [*rule.matches, *([rule.target] if rule.target else [])]
        for use in uses:
            refuse(use, rule, Place(table, frozenset([chain])))
    except Failure as failure:
        return Answer(failure.status, str(failure))
    numeric, named = (" ".join(filter(None, (use.extension.show(use, n) for use in uses))) for n in (True, False))
    return Answer(0, "", " ".join(rule_words(rule, family)), numeric, named)
