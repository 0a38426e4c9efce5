"""Kinds of arguments: how one is read and how it is written back.

A kind reads words (``count`` of them) into one canonical value and writes that value as words. ``context`` says for
whom: the extension's and the option's name for errors, the family, and the rule's protocol where names depend on it.
"""
import re
import socket
from dataclasses import dataclass
from typing import NamedTuple

from fastct.rules.words import Failure, quoted


class Context(NamedTuple):
    """Whose argument it is."""
    extension: str
    option: str
    family: int = 4
    protocol: int = 0
    sets: object = None         # the ipsets there are (``sets.Sets``); None when they are not known
    warn: object = None         # takes what iptables says besides
    protocol_inverted: bool = False

    def failure(self, text):
        """A Failure in libxtables' words: ``{0}`` is the option."""
        return Failure(f"{self.extension}: {text.format(self.option)}\n")

    def bad_value(self, value):
        """The Failure for a value that is none."""
        return Failure(f'{self.extension}: Bad value for "--{self.option}" option: "{value}"')


class Kind:
    """An argument; by itself a flag, which has none."""
    count = 0
    wants = ""              # the error when words behind the first are missing
    optional = False        # one word that may be missing: None is read then

    def read(self, words, context):
        """The value of ``count`` words; raises Failure."""
        return True

    def write(self, value):
        """The words of a value."""
        return ()


FLAG = Kind()
_NUMBER = re.compile(r"\s*\+?(0[xX][0-9a-fA-F]+|\d+)")


def number(text):
    """A C number (decimal, 0x, octal) at the front of a text, and the rest; (None, text) without one."""
    found = _NUMBER.match(text)
    if not found:
        return None, text
    digits, rest = found[1], text[found.end():]
    if digits[:2] in ("0x", "0X"):
        return int(digits, 16), rest
    if digits[0] == "0" and len(digits) > 1:
        octal = re.match(r"0[0-7]*", digits)
        return int(octal[0], 8), digits[octal.end():] + rest
    return int(digits), rest


@dataclass(frozen=True)
class Number(Kind):
    """A number of some bits, or between ``low`` and ``high``; ``form`` writes it (a format such as ``"{:#x}"``)."""
    bits: int = 32
    low: int = 0
    high: int | None = None
    form: str = "{}"
    count = 1

    def read(self, words, context):
        value, rest = number(words[0])
        high = (1 << self.bits) - 1 if self.high is None else self.high
        if value is None or rest or not self.low <= value <= high:
            raise context.failure(f'bad value for option "--{{}}", or out of range ({self.low}-{high}).')
        return value

    def write(self, value):
        return (self.form.format(value),)


@dataclass(frozen=True)
class NumberRange(Kind):
    """``N`` or ``N:M``, as a pair; one number is a pair of equals. Left out, an end is the lowest or the highest."""
    bits: int = 32
    separator: str = ":"
    count = 1

    def read(self, words, context):
        high = (1 << self.bits) - 1
        ends, text = [], words[0]
        while True:
            if len(ends) == 2:
                raise context.failure('Too many components for option "--{}" (max: 2)')
            value, rest = number(text) if text and text[0] != self.separator else ((0, high)[len(ends)], text)
            if value is None or value > high:
                raise context.failure(f'bad value for option "--{{}}" near "{text}", or out of range (0-{high}).')
            if rest and rest[0] != self.separator:
                raise context.failure(f'Argument to "--{{}}" has unexpected characters near "{rest}".')
            ends.append(value)
            if not rest:
                return (ends[0], ends[-1])
            text = rest[1:]

    def write(self, value):
        return (range_text(value, self.separator),)


def range_text(pair, separator=":"):
    """``N`` or ``N:M``."""
    low, high = pair
    return str(low) if low == high else f"{low}{separator}{high}"


@dataclass(frozen=True)
class Text(Kind):
    """Any text up to ``most`` characters; ``always``: in quotes even where it needs none; ``raw``: never in quotes.

    What goes beyond ``cut`` characters is left out.
    """
    least: int = 0
    most: int = 0
    always: bool = False
    cut: int | None = None
    raw: bool = False
    count = 1

    def read(self, words, context):
        if len(words[0]) < self.least:
            raise Failure(f"Argument must have a minimum length of {self.least} characters\n")
        if self.most and len(words[0]) > self.most:
            raise Failure(f"Argument must have a maximum length of {self.most} characters\n")
        return str(words[0])[:self.cut]

    def write(self, value):
        return (value if self.raw else quoted(value, self.always),)


@dataclass(frozen=True)
class Mask(Kind):
    """``VALUE[/MASK]`` as a pair of numbers of ``bits``, or one of ``names`` (pairs of name and number).

    ``digits``: hexadecimal digits that are written at least; ``always``: the mask is written even when it is all ones.
    """
    bits: int = 32
    digits: int = 1
    always: bool = False
    names: tuple = ()
    count = 1

    def read(self, words, context):
        every = (1 << self.bits) - 1
        value, rest = number(words[0])
        if self.names and (value is None or value > every or rest[:1] not in ("", "/")):
            return (self._named(words[0], context), every)
        mask, rest = number(rest[1:]) if rest[:1] == "/" else (every, rest)
        if value is None or value > every or mask is None or mask > every:
            raise context.failure('bad integer value for option "--{}", or out of range.')
        if rest:
            raise context.failure('trailing garbage after value for option "--{}".')
        return (value, mask)

    def _named(self, text, context):
        found = dict(self.names).get(text)
        if found is None:
            raise context.failure(f'could not map name {text} to an integer value for option "--{{}}".')
        return found

    def write(self, value):
        return (self.text(value, False),)

    def text(self, value, numeric):
        """The text of a value; ``numeric``: no names."""
        bits, mask = value
        if self.always or mask != (1 << self.bits) - 1:
            return f"0x{bits:0{self.digits}x}/0x{mask:0{self.digits}x}"
        name = next((name for name, known in self.names if known == bits), None)
        return f"0x{bits:0{self.digits}x}" if numeric or name is None else name


@dataclass(frozen=True)
class Choice(Kind):
    """One of ``names``, in lower or upper case if ``fold``; ``error`` says what is wrong with another (a format)."""
    names: tuple = ()
    error: str = ""
    fold: bool = False
    count = 1

    def read(self, words, context):
        name = words[0].upper() if self.fold else str(words[0])
        if name not in self.names:
            raise Failure(self.error.format(words[0])) if self.error else context.bad_value(words[0])
        return name

    def write(self, value):
        return (value,)


def bits_text(bits, names, separator=","):
    """The names of the bits that are set, the lowest first."""
    return separator.join(name for bit, name in enumerate(names) if bits >> bit & 1)


def port(text, protocol=None):
    """The number of a port or service name, or None; ``protocol``: "tcp", "udp" …, or None for any."""
    value, rest = number(text)
    if value is not None and not rest:
        return value if value <= 0xFFFF else None
    try:
        return socket.getservbyname(text, protocol) if protocol else socket.getservbyname(text)
    except OSError:
        return None


@dataclass(frozen=True)
class PortRange(Kind):
    """``PORT[:PORT]`` as a pair; services by name."""
    protocol: str | None = None
    count = 1

    def read(self, words, context):
        pair = []
        ends = words[0].split(":", 1)
        for end, default in zip(ends, (0, 0xFFFF), strict=False):
            value = port(end, self.protocol) if end or len(ends) == 1 else default
            if value is None:
                raise Failure(f"invalid port/service `{end}' specified", word=words[0])
            pair.append(value)
        if pair[0] > pair[-1]:
            raise Failure("invalid portrange (min > max)", word=words[0])
        return (pair[0], pair[-1])

    def write(self, value):
        return (range_text(value),)


class Service(Kind):
    """A port as getaddrinfo(3) takes it: decimal, cut to 16 bits, or any protocol's service."""
    count = 1

    def read(self, words, context):
        return self.port(words[0])

    @staticmethod
    def port(text):
        """The number of a port; raises Failure."""
        value = None
        if re.fullmatch(r"\s*\+?\d+", text):
            value = min(int(text), (1 << 64) - 1) & 0xFFFFFFFF      # as an int: -1 is no number
            value = None if value == 0xFFFFFFFF else value & 0xFFFF
        elif number(text)[0] is None:
            value = port(text)
        if value is None:
            raise Failure(f'Port "{text}" does not resolve to anything.\n', word=text)
        return value

    def write(self, value):
        return (str(value),)


class ServiceRange(Service):
    """``PORT[:PORT]`` as a pair."""

    def read(self, words, context):
        pair = []
        for end in words[0].split(":"):
            if len(pair) == 2:
                raise context.failure('Too many components for option "--{}" (max: 2)')
            pair.append(self.port(end) if end else (0, 0xFFFF)[len(pair)])
        return (pair[0], pair[-1])

    def write(self, value):
        return (range_text(value),)
