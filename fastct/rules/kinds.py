"""Kinds of arguments: how one is read and how it is written back.

A kind reads words (``count`` of them) into one canonical value and writes that value as words. ``context`` says for whom:
the extension's and the option's name for errors, the family, and the rule's protocol where names depend on it.
"""
import re
import socket
from dataclasses import dataclass

from fastct.rules.words import Failure, quoted


@dataclass(frozen=True)
class Context:
    """Whose argument it is."""
    extension: str
    option: str
    family: int = 4
    protocol: int = 0
    sets: object = None         # the ipsets there are (``sets.Sets``); None when they are not known
    warn: object = None         # takes what iptables says besides

    def failure(self, text):
        """A Failure in libxtables' words: ``{0}`` is the option."""
        return Failure(f"{self.extension}: {text.format(self.option)}\n")


class Kind:
    """An argument; by itself a flag, which has none."""
    count = 0

    def read(self, words, context):
        """The value of ``count`` words; raises Failure."""
        return True

    def write(self, value):
        """The words of a value."""
        return ()


FLAG = Kind()


def number(text):
    """A C number (decimal, 0x, octal) at the front of a text, and the rest; (None, text) without one."""
    found = re.match(r"\s*(0[xX][0-9a-fA-F]+|\d+)", text)
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
        ends = words[0].split(self.separator)
        if len(ends) > 2:
            raise context.failure('Too many components for option "--{}" (max: 2)')
        pair = []
        for end, default in zip(ends, (0, high), strict=False):
            value, rest = number(end) if end else (default, "")
            if value is None or rest or value > high:
                raise context.failure(f'bad value for option "--{{}}" near "{end}", or out of range (0-{high}).')
            pair.append(value)
        return (pair[0], pair[-1])

    def write(self, value):
        low, high = value
        return (str(low) if low == high else f"{low}{self.separator}{high}",)


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
    """``VALUE[/MASK]`` as a pair of numbers of ``bits``; ``digits``: hexadecimal digits that are written at least."""
    bits: int = 32
    digits: int = 1
    always: bool = False        # writes the mask even when it is all ones
    count = 1

    def read(self, words, context):
        every = (1 << self.bits) - 1
        text, slash, mask_text = words[0].partition("/")
        value, rest = number(text)
        mask, mask_rest = number(mask_text) if slash else (every, "")
        if value is None or mask is None or rest or mask_rest or value > every or mask > every:
            raise context.failure('bad integer value for option "--{}", or out of range.')
        return (value, mask)

    def write(self, value):
        number_, mask = (f"0x{part:0{self.digits}x}" for part in value)
        every = value[1] == (1 << self.bits) - 1
        return (number_ if every and not self.always else f"{number_}/{mask}",)


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
        ends = words[0].split(":")
        if len(ends) > 2:
            raise context.failure('Too many components for option "--{}" (max: 2)')
        pair = []
        for end, default in zip(ends, (0, 0xFFFF), strict=False):
            value = port(end, self.protocol) if end else default
            if value is None:
                raise Failure(f"invalid port/service `{end}' specified", word=words[0])
            pair.append(value)
        if pair[0] > pair[-1]:
            raise Failure("invalid portrange (min > max)", word=words[0])
        return (pair[0], pair[-1])

    def write(self, value):
        low, high = value
        return (str(low) if low == high else f"{low}:{high}",)
