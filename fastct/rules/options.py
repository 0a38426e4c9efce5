"""The options of a command line in the order in which they stand, found as C programs find them (getopt_long): clusters
of letters (``-nvL``), ``--name=value``, abbreviations of long names as long as only one option begins so.
"""
from functools import lru_cache
from typing import Any, NamedTuple

NO, YES, MAYBE = 0, 1, 2        # whether an argument follows


class Long(NamedTuple):
    """A long name, whether it has an argument, and what it stands for."""
    name: str
    argument: int
    key: Any


class Longs:
    """The long names of a command line; of two that are the same the first counts."""

    def __init__(self, longs):
        self.longs = tuple(longs)
        self.find = lru_cache(256)(self._find)

    def _find(self, name):
        """The Long of a name or of the beginning of one, or None."""
        begun = [long for long in self.longs if long.name.startswith(name)]
        exact = next((long for long in begun if long.name == name), None)
        if exact or not begun:
            return exact
        return begun[0] if all(long[1:] == begun[0][1:] for long in begun) else None


class Found(NamedTuple):
    """What comes next on the command line: an option by its ``key``, or one of the things below."""
    key: Any
    argument: str | None
    word: str       # as it was written


PLAIN, UNKNOWN, MISSING = object(), object(), object()      # not an option; no such option; its argument is missing


class Options:
    """Reads words; ``longs`` may become others meanwhile."""

    def __init__(self, words, shorts, longs):
        self.words, self.shorts, self.longs = words, shorts, longs
        self.at = 0             # the next word
        self._cluster = ""      # letters that are left of the word at ``at``

    def next(self):
        """The next Found; None at the end."""
        if self._cluster:
            return self._letter()
        if self.at == len(self.words):
            return None
        word = self.words[self.at]
        if word == "--":
            self.at += 1
            return None
        if word[:2] == "--":
            self.at += 1
            return self._long(word)
        if word[:1] == "-" and len(word) > 1:
            self._cluster = word[1:]
            return self._letter()
        self.at += 1
        return Found(PLAIN, word, word)

    def again(self):
        """Give the option that was just read once more."""
        self.at -= 1
        self._cluster = ""

    def extra(self):
        """The next word if it is none with a dash or a ``!`` in front, else None."""
        if self.at < len(self.words) and self.words[self.at][:1] not in ("-", "!"):
            return self.take()
        return None

    def skip(self):
        """Leave out what is left."""
        self.at, self._cluster = len(self.words), ""

    def last(self):
        """The word that was read last, as a whole."""
        return self.words[self.at - 1]

    def rest(self):
        """What is left, when there are no more options."""
        return self.words[self.at:]

    def take(self):
        """The next word whatever it is; None at the end."""
        if self.at == len(self.words):
            return None
        self.at += 1
        return self.words[self.at - 1]

    def _argument(self, key, word):
        argument = self.take()
        return Found(MISSING, None, word) if argument is None else Found(key, argument, word)

    def _letter(self):
        word, letter, self._cluster = self.words[self.at], self._cluster[0], self._cluster[1:]
        kind = self.shorts.get(letter)
        rest = None
        if kind in (YES, MAYBE) and self._cluster:
            rest, self._cluster = self._cluster, ""
        if not self._cluster:
            self.at += 1
        if kind is None:
            return Found(UNKNOWN, None, f"-{letter}")
        return self._argument(letter, word) if kind == YES and rest is None else Found(letter, rest, word)

    def _long(self, word):
        name, equals, value = word[2:].partition("=")
        option = self.longs.find(name)
        if option is None or (equals and option.argument == NO):
            return Found(UNKNOWN, None, word)
        if equals or option.argument != YES:
            return Found(option.key, value if equals else None, word)
        return self._argument(option.key, word)
