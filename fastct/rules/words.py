"""Words of a command line or of a line of iptables-save text, and what goes wrong with them."""
import re


class Word(str):
    """A word that knows where it stood: ``column`` (from 1; None: not from a file)."""

    column: int | None = None

    @classmethod
    def at(cls, text, column):
        word = cls(text)
        word.column = column
        return word


class Failure(Exception):
    """What iptables says instead of doing it.

    Attributes
    ----------
    status : int
        Exit status: 2 for a wrong command line, 1 for what the kernel refuses, 3 for a missing table, 4 for want.
    word : str or None
        The word that it is about.
    """

    OTHER, USAGE, VERSION, RESOURCE = 1, 2, 3, 4

    def __init__(self, message, status=USAGE, word=None):
        super().__init__(message)
        self.status, self.word = status, word


class Refused(Failure):
    """The kernel's refusal, in the words iptables has for it."""

    def __init__(self, message="Invalid argument. Run `dmesg' for more information."):
        super().__init__(message, Failure.OTHER)


_PLAIN = re.compile(r"[-_a-zA-Z0-9]+\Z")


def quoted(text, always=False):
    """A word as iptables-save writes it: in quotes when it needs them."""
    if not always and _PLAIN.match(text):
        return text
    return '"' + re.sub(r"([\\\"'])", r"\\\1", text) + '"'


def split(line):
    """The words of a line of iptables-save text: separated by spaces, quoted by ``"`` or ``'``, ``\\`` before a quote.

    Returns a list of Word. Raises Failure for a quote that is not closed.
    """
    words, current, start, quote, escaped = [], [], None, "", False
    for column, char in enumerate(line, 1):
        if start is None and not char.isspace():
            start = column
        if escaped:
            current.append(char)
            escaped = False
        elif quote:
            if char == "\\":
                escaped = True
            elif char == quote:
                quote = ""
            else:
                current.append(char)
        elif char in "\"'":
            quote = char
        elif char.isspace():
            if start is not None:
                words.append(Word.at("".join(current), start))
                current, start = [], None
        else:
            current.append(char)
    if start is not None:
        words.append(Word.at("".join(current), start))
    return words
