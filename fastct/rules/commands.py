"""The words of an iptables command line: which command, on which table and chain, with which options and which rule.

What is checked, in which order, and with which words is iptables'; ``program`` does what the command line says.
"""
from fastct.rules.extension import TARGETS
from fastct.rules.kinds import number
from fastct.rules.model import BLANKS, NAME_MAX, STANDARD, STANDARD_NAME
from fastct.rules.options import MAYBE, NO, YES
from fastct.rules.parse import RULE_OPTIONS, Parser
from fastct.rules.words import Failure

VERSION = "v1.8.9 (legacy)"
PROGRAMS = {4: "iptables", 6: "ip6tables"}

COMMAND_OPTIONS = (
    ("A", ("append",), YES), ("D", ("delete",), YES), ("C", ("check",), YES), ("I", ("insert",), YES),
    ("R", ("replace",), YES), ("L", ("list",), MAYBE), ("S", ("list-rules",), MAYBE), ("F", ("flush",), MAYBE),
    ("Z", ("zero",), MAYBE), ("N", ("new-chain",), YES), ("X", ("delete-chain",), MAYBE), ("E", ("rename-chain",), YES),
    ("P", ("policy",), YES), ("t", ("table",), YES), ("n", ("numeric",), NO), ("v", ("verbose",), NO),
    ("w", ("wait",), MAYBE), ("W", ("wait-interval",), MAYBE), ("x", ("exact",), NO), ("V", ("version",), NO),
    ("h", ("help",), MAYBE), ("0", ("line-numbers",), NO), ("M", ("modprobe",), YES), ("4", ("ipv4",), NO),
    ("6", ("ipv6",), NO),
)
# Commands, and the options that go with each. "d" and "z" are -D and -Z with a number.
LEGAL = {"A": "sdpjviocf", "I": "sdpjviocf", "R": "sdpjviocf", "C": "sdpjviof", "D": "sdpjviof", "d": "v",
         "L": "nvx0", "S": "v", "F": "v", "Z": "v", "z": "v", "N": "v", "X": "v", "E": "v", "P": "vc"}
CHECKED = "nsdpjvxio0cf"        # the order in which that is looked at
WITH_RULE = "ARICD"
# Chains that packets pass where they have no such interface.
WITHOUT = {"o": ("PREROUTING", "INPUT"), "i": ("POSTROUTING", "OUTPUT")}


class Finished(Exception):
    """The program is done before it did anything: -V, -h. ``text``: what it prints."""

    def __init__(self, text):
        super().__init__(text)
        self.text = text


def _lacks(letter, what):
    return Failure(f"-{letter} requires {what}")


def chain_name(text):
    """A name for a new chain; raises Failure."""
    if len(text.encode()) > NAME_MAX:
        raise Failure(f"chain name `{text}' too long (must be under {NAME_MAX + 1} chars)", word=text)
    if text[:1] in ("-", "!") and text:
        raise Failure(f"chain name not allowed to start with `{text[0]}'", word=text)
    if text in ("", STANDARD_NAME, *STANDARD) or any((text, family) in TARGETS for family in PROGRAMS):
        raise Failure("chain name may not clash with target name", word=text)
    if not BLANKS.isdisjoint(text):
        raise Failure(f"Invalid chain name `{text}'", word=text)
    return text


def inhibit(table, *verdicts):
    """Raise Failure for what iptables keeps out of the nat table."""
    if table == "nat" and "DROP" in verdicts:
        raise Failure('\nThe "nat" table is not intended for filtering, the use of DROP is therefore inhibited.\n\n')


def without(seen, chain):
    """Raise Failure for letters of options that say nothing of packets in a chain."""
    for letter, chains in WITHOUT.items():
        if letter in seen and chain in chains:
            raise Failure(f"Can't use -{letter} with {chain}\n")


class CommandLine(Parser):
    """One command line. ``table``: what it is about where no ``-t`` says otherwise; ``restoring``: a line of a file."""
    table_of_options = COMMAND_OPTIONS + RULE_OPTIONS

    def __init__(self, words, family=4, table="filter", restoring=False, sets=None):
        super().__init__(words, family, sets)
        self.program = PROGRAMS[family] + ("-restore" if restoring else "")
        self.restoring = restoring
        self.commands = []
        self.table = table
        self.chain = self.number = self.name = self.policy = None
        self.wait = self.wait_interval = False
        self.ignored = False        # a line for the other family

    # -- commands

    def _command(self, letter, beside=""):
        if self.invert:
            raise Failure("unexpected '!' flag")
        others = [other for other in self.commands if other not in beside]
        if others:
            raise Failure(f"Cannot use -{letter} with -{max(others, key='LZSz'.find).upper()}")
        self.commands.append(letter)

    def _number(self):
        """A rule's number if one follows, else None."""
        text = self.options.extra()
        if text is None:
            return None
        value, rest = number(text)
        if value is None or rest or not 1 <= value < 1 << 31:
            raise Failure(f"Invalid rule number `{text}'", word=text)
        return value

    def _A(self, argument):
        self._command("A")
        self.chain = argument

    def _C(self, argument):
        self._command("C")
        self.chain = argument

    def _D(self, argument):
        self._command("D")
        self.chain = argument
        self.number = self._number()
        if self.number:
            self.commands = ["d"]

    def _I(self, argument):
        self._command("I")
        self.chain = argument
        self.number = self._number() or 1

    def _R(self, argument):
        self._command("R")
        self.chain = argument
        self.number = self._number()
        if not self.number:
            raise _lacks("R", "a rule number")

    def _maybe_chain(self, letter, argument, beside=""):
        self._command(letter, beside)
        argument = self.options.extra() if argument is None else argument
        self.chain = self.chain if argument is None else argument

    def _L(self, argument):
        self._maybe_chain("L", argument, "Zz")
        self.number = self._number() or self.number

    def _S(self, argument):
        self._maybe_chain("S", argument, "Zz")
        self.number = self._number() or self.number

    def _F(self, argument):
        self._maybe_chain("F", argument)

    def _X(self, argument):
        self._maybe_chain("X", argument)

    def _Z(self, argument):
        self._maybe_chain("Z", argument, "LS")
        zeroed = self._number()
        if zeroed:
            self.number, self.commands = zeroed, ["z"]

    def _N(self, argument):
        chain_name(argument)
        self._command("N")
        self.chain = argument

    def _E(self, argument):
        self._command("E")
        self.chain, self.name = argument, self.options.extra()
        if self.name is None:
            raise _lacks("E", "old-chain-name and new-chain-name")

    def _P(self, argument):
        self._command("P")
        self.chain, self.policy = argument, self.options.extra()
        if self.policy is None:
            raise _lacks("P", "a chain and a policy")

    # -- options

    def _n(self, argument):
        self.once("n")

    def _x(self, argument):
        self.once("x")

    def _0(self, argument):
        self.once("0")

    def _v(self, argument):
        if "v" not in self.seen:
            self.once("v")

    def _M(self, argument):
        """A program that loads modules: there are none to load."""

    def _t(self, argument):
        if self.invert:
            raise Failure("unexpected ! flag before --table")
        if self.restoring:
            raise Failure(f"The -t option cannot be used in {self.program}.\n")
        self.table = argument

    def _V(self, argument):
        raise Finished(f"Not {VERSION[1:]} ;-)\n" if self.invert else f"{self.program} {VERSION}\n")

    def _h(self, argument):
        from fastct.rules.usage import usage
        raise Finished(usage(self.program, self.family))

    def _w(self, argument):
        self._waits("w")
        text = self.options.extra() if argument is None else argument
        if text is not None and number(text.lstrip("+-"))[0] is None:
            raise Failure("wait seconds not numeric", word=text)
        self.wait = text is None or number(text.lstrip("+-"))[0] != 0

    def _W(self, argument):
        self._waits("W")
        text = self.options.extra() if argument is None else argument
        if text is None:
            raise Failure("wait interval value required")
        value = number(text)[0]
        if value is None:
            raise Failure("wait interval not numeric", word=text)
        if value > 999_999:
            raise Failure(f"too long usec wait {value} > 999999 usec", word=text)
        self.warnings.append("Ignoring deprecated --wait-interval option.")
        self.wait_interval = True

    def _waits(self, letter):
        if self.restoring:
            raise Failure(f"You cannot use `-{letter}' from iptables-restore")

    def _4(self, argument):
        self._only_for(4)

    def _6(self, argument):
        self._only_for(6)

    def _only_for(self, family):
        if family != self.family and not self.restoring:
            raise Failure("", bare=True)
        if family != self.family:
            self.ignored = True
            self.options.skip()

    # -- the whole

    def complete(self):
        """Check what the words say together; raises Failure."""
        if self.wait_interval and not self.wait:
            raise Failure("--wait-interval only makes sense with --wait\n")
        inhibit(self.table, self.policy, self.jump)
        super().complete()
        if self.options.take() is not None:
            raise Failure("unknown arguments found on commandline")
        if not self.commands:
            raise Failure("no command specified")
        if self.invert:
            raise Failure("nothing appropriate following !")
        self.made = self.rules() if self.commands[0] in WITH_RULE or self.seen & set("sd") else []
        if self.commands == ["R"] and len(self.made) != 1:
            raise Failure("Replacement rule does not specify a unique address")
        legal = "".join(LEGAL[command] for command in self.commands)
        for letter in CHECKED:
            if letter in self.seen and letter not in legal:
                raise Failure(f"Illegal option `-{letter}' with this command")
        if self.chain is not None and len(self.chain.encode()) > NAME_MAX:
            raise Failure(f"chain name `{self.chain}' too long (must be under {NAME_MAX + 1} chars)", word=self.chain)
        if self.commands[0] in WITH_RULE + "d":
            without(self.seen, self.chain)
