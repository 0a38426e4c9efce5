"""The match on a text in a packet."""
import os
import re
import string
from dataclasses import dataclass

from fastct.rules.extension import Match, Option
from fastct.rules.kinds import Kind, Number, Text
from fastct.rules.words import Failure, Refused

PATTERN_MAX, PLACE_MAX = 128, 0xFFFF
ALGORITHMS = ("bm", "kmp")
OTHER_ALGORITHM = "fsm"         # known to the kernel, but not with patterns such as these
HEX_DIGITS = set(string.hexdigits.encode())


def _unhexed(text):
    """The bytes of ``ab|00 01|c``; raises Failure."""
    data, found, place, within = os.fsencode(text), bytearray(), 0, False
    if not data:
        raise Failure("STRING must contain at least one char")
    while place < len(data):
        if data[place] == ord("|"):
            within = not within
            while within and data[place + 1:place + 2] == b" ":
                place += 1
            place += 1
            if place >= len(data):
                break
        if data[place] == ord("\\") and not within:
            if place + 1 >= len(data):
                raise Failure("Bad literal placement at end of string")
            found.append(data[place + 1])
            place += 2
        elif within:
            found.append(_octet(data, place))
            place += 3 if data[place + 2] == ord(" ") else 2
        else:
            found.append(data[place])
            place += 1
        if len(found) > PATTERN_MAX:
            raise Failure(f'STRING too long "{text}"')
    return bytes(found)


def _octet(data, place):
    if place + 1 >= len(data):
        raise Failure("Odd number of hex digits")
    if place + 2 >= len(data):
        raise Failure("Invalid hex block")
    for digit in data[place:place + 2]:
        if digit not in HEX_DIGITS:
            raise Failure(f"Invalid hex char '{chr(digit)}'")
    return int(data[place:place + 2], 16)


@dataclass(frozen=True)
class Pattern(Kind):
    """A text or, if ``hexed``, one with ``|00 01|`` in it: bytes."""
    hexed: bool = False
    count = 1

    def read(self, words, context):
        if self.hexed:
            return _unhexed(words[0])
        data = os.fsencode(words[0])
        if len(data) > PATTERN_MAX:
            raise Failure(f'STRING too long "{words[0]}"', word=words[0])
        return data


def pattern_text(data):
    """A pattern in quotes, in hexadecimal digits if it is no text; and whether it is."""
    if data.endswith(b"\\") or any(not 0x20 <= octet < 0x7F for octet in data):
        return f'"|{data.hex()}|"', True
    return '"' + re.sub(r'(["\\])', r"\\\1", data.decode("ascii")) + '"', False


class String(Match):
    """``string``: the pattern as bytes, whichever way it was given; ``from`` and ``to`` are always there."""
    name = "string"
    options = (
        Option("from", Number(16)), Option("to", Number(16)), Option("algo", Text(cut=15, raw=True), needed=True),
        Option("string", Pattern(), invert=True, excludes=("hex-string",)),
        Option("hex-string", Pattern(hexed=True), invert=True), Option("icase"),
    )

    def verify(self, use, rule):
        if "string" not in use and "hex-string" not in use:
            raise Failure("STRING match: You must specify `--string' or `--hex-string'")

    def finish(self, use, rule):
        if "hex-string" in use:
            use.values["string"] = use.values.pop("hex-string")
            use.inverted = frozenset({"string"} if use.inverted else ())
        use.values.setdefault("from", 0)
        use.values.setdefault("to", PLACE_MAX)

    def check(self, use, rule, place):
        if use.get("from") > use.get("to") or not use.get("string") or use.get("algo") == OTHER_ALGORITHM:
            raise Refused
        if use.get("algo") not in ALGORITHMS:
            raise Refused(Refused.ABSENT)

    def save(self, use):
        text, hexed = pattern_text(use.get("string"))
        words = ["!"] if use.inverted else []
        words += ["--hex-string" if hexed else "--string", text, "--algo", use.get("algo")]
        words += ["--from", str(use.get("from"))] if use.get("from") else []
        words += ["--to", str(use.get("to"))] if use.get("to") != PLACE_MAX else []
        return words + (["--icase"] if "icase" in use else [])

    def show(self, use, numeric):
        text, _ = pattern_text(use.get("string"))
        parts = [f"STRING match {use.bang('string')} {text} ALGO name {use.get('algo')}"]
        parts += [f"FROM {use.get('from')}"] if use.get("from") else []
        parts += [f"TO {use.get('to')}"] if use.get("to") != PLACE_MAX else []
        return " ".join(parts + (["ICASE"] if "icase" in use else []))

    def compile(self, use, out):
        folded = bytes(map(_upper, range(256))) if "icase" in use else bytes(range(256))
        text = use.get("string").translate(folded)
        out.test("string", use.get("from"), use.get("to"), len(text), blob=text + _repeats(text) + folded,
                 invert="string" in use.inverted)


def _upper(octet):
    """A byte in capitals as the kernel has them: those of Latin-1, two that are none among them."""
    small = octet in range(ord("a"), ord("z") + 1) or (octet >= 0xDF and octet != 0xF7)
    return octet - 0x20 if small else octet


def _repeats(text):
    """For each beginning of a text, how long an end of it is that the text begins with, too."""
    repeats, alike = bytearray(len(text)), 0
    for place in range(1, len(text)):
        while alike and text[alike] != text[place]:
            alike = repeats[alike - 1]
        alike += text[alike] == text[place]
        repeats[place] = alike
    return bytes(repeats)
