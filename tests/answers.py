"""What becomes of a rule, and what fastct says it is."""
from dataclasses import dataclass

from fastct.rules.save import rule_words
from fastct.rules.words import Failure
from tests import ruletext


@dataclass
class Answer:
    """What it is refused with, or its texts: that of -S, and those of the extensions in -L -n and in -L."""
    status: int = 0
    error: str = ""
    saved: str = ""
    numeric: str = ""
    named: str = ""


def answer(family, table, chain, words):
    """The answer to the words of a rule at the end of a base chain."""
    try:
        rule = ruletext.read(words, family)
        ruletext.check(rule, table, chain, family)
    except Failure as failure:
        return Answer(failure.status, failure.text)
    numeric, named = (ruletext.listed(rule, number) for number in (True, False))
    return Answer(0, "", " ".join(rule_words(rule, family)), numeric, named)
