"""The match on numbers anywhere in a packet."""
from fastct.rules.extension import Match, Option
from fastct.rules.kinds import Kind, number
from fastct.rules.words import Failure, Refused

MOST = 10           # tests, steps of a location, values
SHIFTS = ("<<", ">>")
OPERATORS = ("&", "<<", ">>", "@", "")     # as the op numbers them; "" is the first number's


class _Reader:
    """Takes an expression from the front."""

    def __init__(self, text):
        self.text, self.place = text, 0

    def failure(self, what):
        return Failure(f"u32: at char {self.place}: {what}")

    def spaces(self):
        while self.text[self.place:self.place + 1].isspace():
            self.place += 1

    def peek(self):
        return self.text[self.place:self.place + 1]

    def number(self):
        value, rest = number(self.text[self.place:])
        if value is None or value > 0xFFFFFFFF:
            raise self.failure("not a number or out of range")
        self.place = len(self.text) - len(rest)
        return value

    def double(self, char):
        """The second half of ``<<``, ``>>`` or ``&&``."""
        self.place += 1
        if self.peek() != char:
            raise self.failure(f"a second '{char}' was expected")
        self.place += 1

    def location(self):
        """Pairs of operator and number, the first with ""; up to and with the ``=``."""
        steps, operator = [], ""
        while True:
            self.spaces()
            if not self.peek():
                raise Failure("u32: abrupt end of input after location specifier")
            value = self.number()
            if len(steps) == MOST:
                raise self.failure("too many operators")
            steps.append((operator, value))
            self.spaces()
            char = self.peek()
            if not char:
                raise Failure("u32: abrupt end of input after location specifier")
            if char == "=":
                self.place += 1
                return tuple(steps)
            if char in "<>":
                self.double(char)
                operator = char * 2
            elif char in "&@":
                self.place += 1
                operator = char
            else:
                raise self.failure("operator expected")

    def _something(self):
        if not self.peek():
            raise Failure("u32: test ended with no value specified")
        if self.peek() == "&":
            at = self.place + 1
            self.double("&")
            self.place = at
            raise self.failure("value spec missing")

    def values(self):
        """Ranges as pairs; and whether another test follows."""
        ranges = []
        while True:
            self.spaces()
            if not ranges:
                self._something()
            low = high = self.number()
            self.spaces()
            if self.peek() == ":":
                self.place += 1
                self.spaces()
                high = self.number()
                self.spaces()
            if len(ranges) == MOST:
                raise self.failure('too many ","s')
            ranges.append((low, high))
            if not self.peek():
                return tuple(ranges), False
            if self.peek() == "&":
                self.double("&")
                return tuple(ranges), True
            if self.peek() != ",":
                raise self.failure('expected "," or "&&"')
            self.place += 1


class Tests(Kind):
    """``LOCATION=VALUES[&&…]``: a tuple of (steps, ranges); a step is (operator, number), a range a pair."""
    count = 1

    def read(self, words, context):
        reader, tests, more = _Reader(words[0]), [], True
        while more:
            steps = reader.location()
            ranges, more = reader.values()
            if len(tests) == MOST:
                raise reader.failure('too many "&&"s')
            tests.append((steps, ranges))
        return tuple(tests)

    def write(self, value):
        return ('"' + "&&".join(_test_text(*test) for test in value) + '"',)


def _test_text(steps, ranges):
    location = "".join(f"{operator}0x{value:x}" for operator, value in steps)
    return location + "=" + ",".join(f"0x{low:x}" if low == high else f"0x{low:x}:0x{high:x}" for low, high in ranges)


class U32(Match):
    name = "u32"
    options = (Option("u32", Tests(), invert=True, needed=True),)

    def check(self, use, rule, place):
        steps = [step for test, _ in use.get("u32") for step in test]
        if any(operator in SHIFTS and value >= 32 for operator, value in steps):
            raise Refused

    def show(self, use, numeric):
        return f"u32 {use.bang('u32', '! ')}{self.options[0].kind.write(use.get('u32'))[0]}"

    def compile(self, use, out):
        numbers = []
        for steps, ranges in use.get("u32"):
            numbers += [len(steps), *(word for operator, value in steps for word in (OPERATORS.index(operator), value))]
            numbers += [len(ranges), *(end for pair in ranges for end in pair)]
        out.test("u32", len(use.get("u32")), blob=b"".join(word.to_bytes(4, "big") for word in numbers),
                 invert="u32" in use.inverted)
