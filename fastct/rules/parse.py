"""The words of a rule, as iptables reads them: header options, ``-m`` and ``-j`` with the options they bring along.

    Parser(words, family, …)   takes words from the front, one option at a time
    .rules()                   the finished rules: several when ``-s`` or ``-d`` names several networks

What else a command line may have (``-A``, ``-t``, ``-n`` …) is ``commands``' to say: it gives its own options along.
"""
from dataclasses import dataclass, field, replace
from itertools import product

from fastct.rules import names
from fastct.rules.extension import MATCHES, TARGETS, Use, needed
from fastct.rules.kinds import Context, number
from fastct.rules.model import STANDARD, Counters, Header, Network, Rule
from fastct.rules.words import Failure

INTERFACE_MAX = 15
CHAIN_MAX = 29

# Options of a rule's header: letter, long names, whether an argument follows.
RULE_OPTIONS = (
    ("p", ("protocol", "proto"), True), ("s", ("source", "src"), True), ("d", ("destination", "dst"), True),
    ("i", ("in-interface",), True), ("o", ("out-interface",), True), ("f", ("fragments",), False),
    ("m", ("match",), True), ("j", ("jump",), True), ("g", ("goto",), True), ("c", ("set-counters",), True),
)
# Long names that are not an extension's: the beginning of one may stand for it, if it is of no other.
OTHER_OPTIONS = (
    *(name for _, long_names, _ in RULE_OPTIONS for name in long_names), "append", "check", "delete", "insert",
    "replace", "list", "list-rules", "flush", "zero", "new-chain", "delete-chain", "rename-chain", "policy", "table",
    "numeric", "verbose", "wait", "wait-interval", "exact", "version", "help", "line-numbers", "modprobe", "ipv4", "ipv6",
)
# A protocol's own match comes with it: ``-p tcp --dport`` needs no ``-m tcp``.
IMPLIED = {1: "icmp", 58: "icmp6", 6: "tcp", 17: "udp", 33: "dccp", 132: "sctp", 136: "udplite", 50: "esp", 51: "ah",
           108: "ipcomp", 135: "mh"}


@dataclass
class Parser:
    """Reads one rule. ``chains``: names that ``-j`` may jump to; None when they are not known yet."""
    words: list
    family: int = 4
    chains: set | None = None
    header: Header = field(default_factory=Header)
    sources: list | None = None
    destinations: list | None = None
    matches: list = field(default_factory=list)
    target: Use | None = None
    jump: str = ""
    goto: bool = False
    counters: Counters | None = None
    invert: bool = False
    seen: set = field(default_factory=set)          # letters of header options so far

    # -- words

    def take(self, what):
        """The next word, which option ``what`` needs."""
        if not self.words:
            raise Failure(f'option "{what}" requires an argument')
        return self.words.pop(0)

    def inverted(self, letter, allowed=True):
        """Whether a ``!`` stood before this option; it is used up."""
        invert, self.invert = self.invert, False
        if invert and not allowed:
            raise Failure(f"cannot have ! before -{letter}")
        return invert

    def once(self, letter):
        if letter in self.seen:
            raise Failure(f"multiple -{letter} flags not allowed")
        self.seen.add(letter)

    # -- options of the header

    def rule_option(self, letter, argument):
        """One of RULE_OPTIONS."""
        getattr(self, f"_{letter}")(argument)

    def _mark(self, name, letter):
        if self.inverted(letter):
            self.header.inverted.add(name)

    def _p(self, argument):
        self.once("p")
        self._mark("protocol", "p")
        self.header.protocol = names.protocol(argument)
        if self.header.protocol == 0 and "protocol" in self.header.inverted:
            raise Failure("rule would never match protocol", word=argument)

    def _s(self, argument):
        self.once("s")
        self._mark("source", "s")
        self.sources = argument

    def _d(self, argument):
        self.once("d")
        self._mark("destination", "d")
        self.destinations = argument

    def _interface(self, argument):
        if len(argument) > INTERFACE_MAX:
            raise Failure(f"interface name `{argument}' must be shorter than IFNAMSIZ ({INTERFACE_MAX})", word=argument)
        return "" if argument == "+" else str(argument)

    def _i(self, argument):
        self.once("i")
        self._mark("in_interface", "i")
        self.header.in_interface = self._interface(argument)

    def _o(self, argument):
        self.once("o")
        self._mark("out_interface", "o")
        self.header.out_interface = self._interface(argument)

    def _f(self, argument):
        if self.family == 6:
            raise Failure("`-f' is not supported in IPv6, use -m frag instead")
        self.once("f")
        self._mark("fragment", "f")
        self.header.fragment = True

    def _c(self, argument):
        self.once("c")
        self.inverted("c", allowed=False)
        packets, comma, octets = argument.partition(",")
        octets = octets if comma else self.words.pop(0) if self.words and self.words[0][:1].isdigit() else None
        if octets is None:
            raise Failure("-c requires packet and byte counter")
        values = []
        for name, text in (("packet", packets), ("byte", octets)):
            value, rest = number(text)
            if value is None or rest:
                raise Failure(f"-c {name} counter not numeric")
            values.append(value)
        self.counters = Counters(*values)

    # -- extensions

    def load(self, registry, kind, name):
        found = registry.get((name, self.family))
        if found is None:
            raise Failure(f"Couldn't load {kind} `{name}':No such file or directory\n", word=name)
        return found

    def _m(self, argument):
        if self.inverted("m"):
            raise Failure("unexpected ! flag before --match")
        self.matches.append(Use(self.load(MATCHES, "match", argument)))

    def _j(self, argument):
        self.once("j")
        self.inverted("j", allowed=False)
        self.jump = str(argument)
        if argument in STANDARD or (self.chains is not None and argument in self.chains):
            return
        self.target = Use(self.load(TARGETS, "target", argument))

    def _g(self, argument):
        self.once("j")
        self.inverted("g", allowed=False)
        self.jump, self.goto = str(argument), True

    def candidates(self):
        """The extensions whose options may follow, the latest first, as the matches of one name do."""
        uses = [self.target] if self.target else []
        return uses + self.matches[::-1]

    def imply(self):
        """Load the protocol's own match, if there is one that is not loaded; True when it now is."""
        name = IMPLIED.get(self.header.protocol)
        if name is None or any(use.extension.name == name for use in self.matches):
            return False
        if (name, self.family) not in MATCHES:
            return False
        self.matches.append(Use(MATCHES[name, self.family]))
        return True

    def extension_option(self, name, argument=None):
        """An option of one of the extensions; False when none has it. ``argument``: what stood behind ``=``."""
        for _ in range(2):
            use, option = self._find(name)
            if option is not None:
                self._apply(use, option, name, argument)
                return True
            if not self.imply():
                return False
        return False

    def knows(self, name):
        """Whether an extension that is loaded has this very option; it then comes before one of the header."""
        return any(use.extension.option(name) for use in self.candidates())

    def _find(self, name):
        """The option of that name, or the only one whose name begins so, and whose it is."""
        begins = {}
        for use in self.candidates():
            option = use.extension.option(name)
            if option is not None:
                return use, option
            for option in use.extension.options:
                if any(known.startswith(name) for known in (option.name, *option.alias)):
                    begins.setdefault((use.extension.name, option.name), (use, option))
        rivals = sum(known.startswith(name) for known in OTHER_OPTIONS)
        return next(iter(begins.values())) if len(begins) == 1 and not rivals else (None, None)

    def _apply(self, use, option, name, argument):
        extension = use.extension
        context = Context(extension.name, option.said or option.name, self.family, self.header.protocol,
                          "protocol" in self.header.inverted)
        invert = self.inverted(name)
        if (option.as_option or option.name) in use.values and not option.repeat:
            raise Failure(option.again) if option.again else context.failure('option "--{}" can only be used once.')
        if invert and not option.invert:
            raise context.failure('option "--{}" cannot be inverted.')
        taken = [argument] if argument is not None else []
        if option.kind.count and not taken:
            taken.append(self.take(f"--{name}"))
        while len(taken) < option.kind.count:
            if not self.words or self.words[0][:1] in ("-", "!"):
                raise Failure(option.kind.wants)
            taken.append(self.words.pop(0))
        extension.take(use, option, option.kind.read(taken, context), invert)

    # -- the rule

    def rules(self):
        """What was read, as rules; raises Failure."""
        networks = [names.networks(text, self.family) if text is not None else [Network()]
                    for text in (self.sources, self.destinations)]
        for name, found in zip(("source", "destination"), networks, strict=True):
            if name in self.header.inverted and len(found) > 1:
                raise Failure("! not allowed with multiple source or destination IP addresses")
        rule = Rule(self.header, self.matches, self.target, self.jump, self.goto, self.counters or Counters())
        for use in [*self.matches, *([self.target] if self.target else [])]:
            use.extension.verify(use)
            needed(use.extension, use)
            use.extension.finish(use, rule)
        return [replace(rule, header=replace(self.header, source=source, destination=destination,
                                             inverted=set(self.header.inverted)),
                        counters=replace(rule.counters))
                for source, destination in product(*networks)]
