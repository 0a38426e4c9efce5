"""Words of a command line or of a line of iptables-save text, and what goes wrong with them."""
import re


class Word(str):
    """A word that knows where it stood: ``column``, from 1."""
    __slots__ = ("column",)
    column: int

    @classmethod
    def at(cls, text, column):
        word = cls(text)
        word.column = column
        return word


class Failure(Exception):
    """What iptables says instead of doing it.

    Attributes
    ----------
    text : str
        The message as iptables has it: some end in a newline, behind which the hint at its help makes a blank line.
    status : int
        Exit status: 2 for a wrong command line, 1 for what the kernel refuses, 3 for a missing table, 4 for want.
    word : str or None
        The word that it is about.
    bare : bool
        It is said without the program's name in front.
    """

    OTHER, USAGE, VERSION, RESOURCE = 1, 2, 3, 4

    def __init__(self, message, status=USAGE, word=None, bare=False):
        super().__init__(message.removesuffix("\n"))
        self.text, self.status, self.word, self.bare = message, status, word, bare


class Refused(Failure):
    """What the kernel refuses, or the library that talks to it: INVALID, ABSENT for what is not there, …."""

    INVALID = "Invalid argument. Run `dmesg' for more information."
    ABSENT = "No chain/target/match by that name."

    def __init__(self, message=INVALID):
        super().__init__(message, Failure.OTHER)


_PLAIN = re.compile(r"[-_a-zA-Z0-9]+\Z")
_ESCAPED = re.compile(r"""(["\\'])""")
BARE = re.compile(r"[^ \t\n]+")
# What stands in front of a quote, what it holds, and the end of it; and a character that is meant as it is.
_WORD = re.compile(r'''(?=[^ \t\n])([^ \t\n"]*)(?:"((?:[^"\\]+|\\.?)*)("?))?''', re.DOTALL)
_MEANT = re.compile(r"\\(.?)", re.DOTALL)


def quoted(text, always=False):
    """A word as iptables-save writes it: in quotes when it needs them."""
    if not always and _PLAIN.match(text):
        return text
    return '"' + _ESCAPED.sub(r"\\\1", text) + '"'


def split(line):
    """The words of a line of iptables-save text, as a list of Word.

    Blanks part words. A ``"`` opens a quote, in which ``\\`` stands before what is meant as it is; the one that closes
    it ends the word, too. A quote that stays open goes to the end of the line.
    """
    if '"' not in line:
        return [Word.at(found[0], found.start() + 1) for found in BARE.finditer(line)]
    words = []
    for found in _WORD.finditer(line):
        text, inside, end = found.groups()
        if inside is not None:
            text += _MEANT.sub(r"\1", inside)
        if text or end:
            words.append(Word.at(text, found.start() + 1))
    return words
