"""What random rulesets are made of is the whole registry, less what is named with a reason."""
import random

from fastct.rules.extension import MATCHES, TARGETS
from fastct.rules.ruleset import Ruleset
from tests.kernel.rulesets_random import LEFT_OUT, WORDS, RandomRulesets, drawn


def test_every_extension_is_drawn_or_left_out():
    known = {name for name, _ in (*MATCHES, *TARGETS)}
    assert known - WORDS.keys() == LEFT_OUT.keys() - WORDS.keys()
    assert (WORDS.keys() | LEFT_OUT.keys()) == known


def test_what_is_drawn_is_taken():
    """Of random words, every extension gets into a ruleset."""
    for family in (4, 6):
        texts = [RandomRulesets(random.Random(seed), family).text() for seed in range(150)]
        words = set(" ".join(texts).split())
        assert {each.name for registry in (MATCHES, TARGETS) for each in drawn(registry, family)} <= words
        assert all(Ruleset.parse(text, family).tables for text in texts)
