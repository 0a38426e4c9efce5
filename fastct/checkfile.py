"""Expectations of rules, in files of TOML: ``fastct test``.

    interfaces = { eth0 = "10.1.1.2/24" }

    [[test]]
    name = "the web server is open"
    packet = "in=eth0 tcp 10.0.0.1:1234 > 10.1.1.2:80 syn"
    expect = "accept"
    decided = "filter/INPUT/3"

    [[test]]
    name = "no new connections in the capture get through"
    capture = "dump.pcap"
    where = { ctstate = "NEW", orig_src = "10.0.0.0/8" }
    expect = "drop"

What a test expects are columns of packets: ``expect`` is the verdict. ``packets`` are a sequence on one table, of texts
or of tables with a ``packet`` and what is expected of it; what the test itself expects, it expects of the last. Of a
capture it expects it of all packets that are as ``where`` says, by columns of packets, or of their connections as they
were without rules; ``count`` says how many there are.
"""
import datetime
import re
import tomllib
from ipaddress import ip_network
from pathlib import Path

from fastct.checks import COLUMNS, PACKET_COLUMNS, Check, Step
from fastct.errors import ConfigError, PacketError, TextError
from fastct.rules.described import described
from fastct.trial import START

# What a file may say for all its tests, with its type: tables become pairs where a Tracker wants those.
SETTINGS = {"local": list, "interfaces": dict, "routes": dict, "sysctls": dict, "helpers": dict, "auto_helpers": bool}
PAIRS = ("interfaces", "routes")
EXPECTED = ("verdict", "decided", "ctstate", "ctdir", "state", "mark", "reason")
EXPECT = "expect"       # what files call the verdict
TEST = {"name": str, "packet": str, "packets": list, "capture": str, "where": dict, "count": int,
        "start": datetime.datetime}
SOURCES = ("packet", "packets", "capture")
OF_CAPTURES = ("where", "count")
NUMBER_MOST = 2**64 - 1


class _Text:
    """The text of a file of tests: it knows where things stand, which TOML's reader does not tell."""

    def __init__(self, path):
        self.path = str(path)
        try:
            self.text = Path(path).read_bytes().decode()
        except OSError as error:
            raise ConfigError(f"cannot read {path}: {(error.strerror or str(error)).lower()}") from None
        except UnicodeDecodeError:
            raise ConfigError(f"{path}: not a text in UTF-8") from None
        self.lines = self.text.splitlines()
        self.headers = [number for number, line in enumerate(self.lines) if re.match(r"\s*\[\[\s*test\s*]]", line)]

    def read(self):
        """What the file says, as TOML has it."""
        try:
            return tomllib.loads(self.text)
        except tomllib.TOMLDecodeError as error:
            message, place, at = re.fullmatch(r"(.*?)(?: \(at (?:line (\d+), column (\d+)|end of document)\))?",
                                              str(error), re.DOTALL).groups()
            raise TextError(message.lower(), self.path, int(place or len(self.lines)), at and int(at)) from None

    def header(self, test):
        """The line of a test, from 1; None if it cannot be told."""
        return self.headers[test] + 1 if test is not None and test < len(self.headers) else None

    def error(self, message, test=None, key=None, token=None):
        """The error about a key of a test, or of the file."""
        begin = self.header(test) or 0
        of_key = re.compile(rf"(?:^|[\[{{,\s])[\"']?{re.escape(key)}[\"']?\s*[]=.]") if key else None
        line = next((number for number, text in enumerate(self.lines[begin:], begin + 1)
                     if of_key and of_key.search(text)), begin or None)
        return TextError(message, self.path, line, token=token)

    def packet_error(self, error, test, text):
        """The error about a packet's words, at their place in the file where they stand there as they are."""
        begin = self.header(test) or 0
        for number, line in enumerate(self.lines[begin:], begin + 1):
            if text and text in line:
                column = error.column and line.index(text) + error.column
                return PacketError(str(error), self.path, number, column, error.token)
        return PacketError(str(error), self.path, begin or None, None, error.token)


class _Reader:
    """The tests of a file."""

    def __init__(self, path):
        self._text = _Text(path)
        self._directory = Path(path).parent

    def read(self):
        """What the file says for all tests: a dict for a Tracker; and its checks."""
        said = self._text.read()
        tests = said.pop("test", [])
        settings = {}
        for key, value in said.items():
            self._typed(None, key, value, SETTINGS)
            self._texts(key, value)
            settings[key] = list(value.items()) if key in PAIRS else value
        if not isinstance(tests, list) or not all(isinstance(test, dict) for test in tests):
            raise self._text.error("test: expected [[test]]", None, "test")
        if not tests:
            raise self._text.error("no [[test]]")
        return settings, [self._check(number, test) for number, test in enumerate(tests)]

    def _typed(self, test, key, value, known):
        if key not in known:
            raise self._text.error(f"unknown key; known here are {', '.join(known)}", test, key, key)
        if type(value) is not known[key]:
            raise self._mistyped(key, known[key], value, test)

    def _texts(self, key, value):
        """What is in an array or table of settings are texts, or numbers where Linux' settings are."""
        for each in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
            if not isinstance(each, str) and (key != "sysctls" or type(each) is not int):
                raise self._mistyped(key, str, each, None)

    def _mistyped(self, key, wanted, value, test):
        return self._text.error(f"{key}: expected {_type_name(wanted)}, got {_type_name(type(value))}", test, key)

    def _check(self, number, said):
        expected = self._expected(number, said)
        for key, value in said.items():
            self._typed(number, key, value, TEST)
        sources = [key for key in SOURCES if key in said]
        if len(sources) != 1:
            raise self._text.error(f"expected one of {', '.join(SOURCES)}", number)
        stray = next((key for key in OF_CAPTURES if key in said and sources != ["capture"]), None)
        if stray:
            raise self._text.error(f"{stray} is for a capture", number, stray)
        line, start = self._text.header(number), said.get("start", START)
        if start.tzinfo is None:
            start = start.replace(tzinfo=datetime.UTC)
        if sources == ["capture"]:
            where = {key: self._values(number, key, value, COLUMNS) for key, value in said.get("where", {}).items()}
            if not expected and "count" not in said:
                raise self._text.error("nothing is expected", number)
            return Check(said.get("name", said["capture"]), self._text.path, line, where=where, expected=expected,
                         capture=str(self._directory / said["capture"]), count=said.get("count"))
        steps = self._steps(number, said.get("packets", [said.get("packet")]), expected)
        return Check(said.get("name", steps[-1].packet.text), self._text.path, line, tuple(steps), start)

    def _expected(self, number, said):
        """Take out of a table what it expects: the values allowed, by column."""
        found = {}
        for key in [key for key in said if key == EXPECT or key in EXPECTED[1:]]:
            column = EXPECTED[0] if key == EXPECT else key
            found[column] = self._values(number, column, said.pop(key), PACKET_COLUMNS, key)
        return found

    def _values(self, number, name, value, columns, key=None):
        """The values that a column may have: one or a list in the file, a tuple as the rows have them."""
        key = key or name
        if name not in columns:
            raise self._text.error(f"unknown column; known are {', '.join(columns)}", number, key, name)
        column, found = columns[name], []
        for each in value if isinstance(value, list) else [value]:
            wanted = str if column.form in ("word", "address") else int
            if type(each) is not wanted:
                raise self._mistyped(key, wanted, each, number)
            found.append(self._value(number, key, column, each))
        return tuple(found)

    def _value(self, number, key, column, value):
        if column.form == "address":
            try:
                return ip_network(value, strict=False)
            except ValueError:
                raise self._text.error(f"{key}: expected ADDRESS[/LENGTH]", number, key, value) from None
        if column.form not in ("word", "address") and not 0 <= value <= NUMBER_MOST:
            raise self._text.error(f"{key}: expected 0 to {NUMBER_MOST}", number, key, str(value))
        if column.form != "word" or column.name == "decided":
            return value
        word = next((word for word in column.words if word.lower() == value.lower()), None)
        if word is None:
            known = ", ".join(dict.fromkeys(word.lower() for word in column.words if word))
            raise self._text.error(f"{key}: expected one of {known}", number, key, value)
        return word

    def _steps(self, number, packets, expected):
        """The steps of a sequence; what the test expects is expected of the last."""
        steps, dialogue = [], {}
        for place, said in enumerate(packets, 1):
            said = dict(said) if isinstance(said, dict) else {"packet": said}
            allowed = self._expected(number, said)
            text = said.pop("packet", None)
            if said or not isinstance(text, str):
                raise self._text.error("packets: expected a text, or a table with packet and what is expected of it "
                                       f"({', '.join((EXPECT, *EXPECTED[1:]))})", number, "packets")
            try:
                packet = described(text, dialogue)
            except PacketError as error:
                raise self._text.packet_error(error, number, text) from None
            steps.append(Step(packet, allowed | expected if place == len(packets) else allowed))
        if not any(step.expected for step in steps):
            raise self._text.error("nothing is expected", number)
        return steps


def _type_name(kind):
    return {str: "a text", int: "a number", bool: "true or false", list: "an array", dict: "a table",
            datetime.datetime: "a date and time"}.get(kind, kind.__name__)


def load(path):
    """The settings and the checks of a file of tests.

    Returns
    -------
    settings : dict
        For ``Tracker``.
    checks : list of Check

    Raises
    ------
    TextError, ConfigError
        For what cannot be used, with path and line.
    """
    return _Reader(path).read()
