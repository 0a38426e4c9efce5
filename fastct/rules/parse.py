"""The words of a rule, as iptables reads them: header options, ``-m`` and ``-j`` with the options they bring along.

    Parser(words, family)   what stands in a rule; ``commands`` adds what else a command line may have
    .read()                 takes all words
    .complete()             asks the extensions whether something is missing
    .rules()                the finished rules: several when ``-s`` or ``-d`` names several networks
"""
from dataclasses import replace
from functools import cache, cached_property, lru_cache
from itertools import product

from fastct.rules import names
from fastct.rules.extension import MATCHES, TARGETS, Use, fold, needed
from fastct.rules.kinds import Context
from fastct.rules.model import BLANKS, NAME_MAX, STANDARD, STANDARD_NAME, Counters, Header, Network, Rule
from fastct.rules.options import MAYBE, MISSING, NO, PLAIN, UNKNOWN, YES, Long, Longs, Options
from fastct.rules.words import Failure

# Options of a rule: letter, long names, whether an argument follows.
RULE_OPTIONS = (
    ("p", ("protocol",), YES), ("s", ("source", "src"), YES), ("d", ("destination", "dst"), YES),
    ("i", ("in-interface",), YES), ("o", ("out-interface",), YES), ("f", ("fragments",), NO),
    ("m", ("match",), YES), ("j", ("jump",), YES), ("g", ("goto",), YES), ("c", ("set-counters",), YES),
)
# iptables 1.8.9 takes these arguments for the word that stands last, even where that is ``-plo`` or ``--src=…``.
WHOLE_WORD = "psdjio"
# A protocol's own match comes with it: ``-p tcp --dport`` needs no ``-m tcp``. That of MOBILITY does by one name only.
MOBILITY = 135
IMPLIED = {1: "icmp", 58: "icmp6", 6: "tcp", 17: "udp", 33: "dccp", 132: "sctp", 50: "esp", 51: "ah",
           108: "ipcomp", 135: "mh"}
# Protocols that IPv6 has as extension headers: no packet has one of these in the end.
HEADERS6 = (0, 43, 44, 51, 60)


def no_target(name):
    """The Failure for a target that nobody has."""
    return Failure(f"Couldn't load target `{name}':No such file or directory\n", word=name)


class Parser:
    """Reads one rule. ``sets``: the ipsets there are; None when they are not known."""
    table_of_options: tuple = RULE_OPTIONS

    def __init__(self, words, family=4, sets=None):
        self.options = Options(words, self._shorts(), self._longs(()))
        self.family, self.sets = family, sets
        self.header = Header()
        self.networks = {"s": None, "d": None}      # the texts behind -s and -d
        self.matches, self.target = [], None
        self.jump, self.goto = "", False
        self.counters = None
        self.implies = False        # whether the protocol brings its own match along
        self.invert = False
        self.seen = set()           # letters of the options so far that may be given once
        self.warnings = []
        self._known = ()            # extensions whose options are known, the latest first

    # -- words

    @classmethod
    @cache
    def _shorts(cls):
        """The letters, and whether an argument follows."""
        return {letter: argument for letter, _, argument in cls.table_of_options if letter != "0"}

    @classmethod
    @lru_cache(1024)
    def _longs(cls, known):
        """The long names, with those of the extensions that are known."""
        own = [Long(name, argument, letter) for letter, long_names, argument in cls.table_of_options
               for name in long_names]
        return Longs(own + [
            Long(name, YES if option.kind.count else MAYBE if option.kind.optional else NO, (extension, option))
            for extension in known for option in extension.options for name in (option.name, *option.alias)])

    def read(self):
        """Take all words; raises Failure."""
        while (found := self.options.next()) is not None:
            if found.key is PLAIN and found.argument == "!":
                if self.invert:
                    raise Failure("multiple consecutive ! not allowed")
                self.invert = True
                continue
            if found.key is PLAIN:
                raise Failure(f"Bad argument `{found.word}'", word=found.word, bare=True)
            if found.key in (UNKNOWN, MISSING):
                self._unknown(found)
                continue
            if isinstance(found.key, str):
                whole = found.argument and found.key in WHOLE_WORD
                getattr(self, f"_{found.key}")(self.options.last() if whole else found.argument)
            else:
                self._extension_option(*found.key, found)
            self.invert = False

    def _unknown(self, found):
        """An option that is none: the protocol's own match may know it."""
        name = IMPLIED.get(self.header.protocol) if self.implies else None
        extension = MATCHES.get((name, self.family))
        if extension is not None and extension not in self._known:
            self._use(extension, self.matches)
            self.options.again()
        elif found.key is MISSING:
            raise Failure(f'option "{found.word}" requires an argument', word=found.word)
        else:
            raise Failure(f'unknown option "{found.word}"', word=found.word)

    def once(self, letter, invertible=False):
        """An option that may be given once; True if it is inverted."""
        if letter in self.seen:
            raise Failure(f"multiple -{letter} flags not allowed")
        self.seen.add(letter)
        if self.invert and not invertible:
            raise Failure(f"cannot have ! before -{letter}")
        return self.invert

    # -- options of the header

    def _header(self, letter, attribute):
        if self.once(letter, invertible=True):
            self.header.inverted |= {attribute}

    def _p(self, argument):
        self._header("p", "protocol")
        self.header.protocol = names.protocol(argument)
        self.implies = self.header.protocol != MOBILITY or argument.lower() == "mh"
        inverted = "protocol" in self.header.inverted
        if self.header.protocol == 0 and inverted:
            raise Failure("rule would never match protocol", word=argument)
        if self.family == 6 and self.header.protocol in HEADERS6[1:] and not inverted:
            self.warnings.append(f"Warning: never matched protocol: {argument.lower()}. use extension match instead.")

    def _s(self, argument):
        self._header("s", "source")
        self.networks["s"] = argument

    def _d(self, argument):
        self._header("d", "destination")
        self.networks["d"] = argument

    def _interface(self, letter, attribute, argument):
        if not argument:
            raise Failure("Empty interface is likely to be undesired")
        self._header(letter, attribute)
        setattr(self.header, attribute, names.interface(argument, self.warnings.append))

    def _i(self, argument):
        self._interface("i", "in_interface", argument)

    def _o(self, argument):
        self._interface("o", "out_interface", argument)

    def _f(self, argument):
        if self.family == 6:
            raise Failure("`-f' is not supported in IPv6, use -m frag instead")
        self._header("f", "fragment")
        self.header.fragment = True

    def _c(self, argument):
        self.once("c")
        comma = argument.find(",", 1)
        octets = argument[comma + 1:] if comma > 0 else self.options.extra()
        if octets is None:
            raise Failure("-c requires packet and byte counter")
        values = []
        for name, text in (("packet", argument), ("byte", octets)):
            value = names.counter(text)
            if value is None:
                raise Failure(f"-c {name} counter not numeric", word=argument)
            values.append(value)
        self.counters = Counters(*values)

    # -- extensions

    def _use(self, extension, uses=None):
        """A rule uses an extension: its options are known from now on."""
        if extension.absent is not None:
            self.warnings.append(f"Warning: Extension {extension.name} revision {extension.absent} not supported, "
                                 "missing kernel module?")
        if extension not in self._known:
            self._known = (extension, *self._known)
            self.options.longs = self._longs(self._known)
        use = Use(extension)
        if uses is not None:
            uses.append(use)
        return use

    def _m(self, argument):
        if self.invert:
            raise Failure("unexpected ! flag before --match")
        found = MATCHES.get((argument, self.family))
        if found is None:
            raise Failure(f"Couldn't load match `{argument}':No such file or directory\n", word=argument)
        self._use(found, self.matches)

    def _jump(self, argument):
        self.once("j")
        if not argument:
            raise Failure("Invalid target name (too short)")
        if len(argument.encode()) > NAME_MAX:
            raise Failure(f"Invalid target name `{argument}' ({NAME_MAX} chars max)", word=argument)
        if not BLANKS.isdisjoint(argument):
            raise Failure(f"Invalid target name `{argument}'", word=argument)
        self.jump = argument

    def _j(self, argument):
        self._jump(argument)
        found = TARGETS.get((argument, self.family))
        if found is not None:
            self.target = self._use(found)

    def _g(self, argument):
        self._jump(argument)
        self.goto = True

    def _extension_option(self, extension, option, found):
        use = self.target
        if use is None or use.extension is not extension:
            use = next(use for use in reversed(self.matches) if use.extension is extension)
        context = Context(extension.name, option.said or option.name, self.family, self.header.protocol, self.sets,
                          self.warnings.append, "protocol" in self.header.inverted)
        extension.accept(use, option, self.invert, context)
        taken = [found.argument] if option.kind.count else []
        if option.kind.optional:
            taken = [self.options.extra() if found.argument is None else found.argument]
        while len(taken) < option.kind.count:
            word = self.options.extra()
            if word is None:
                raise Failure(option.kind.wants or f"--{option.as_option or option.name} requires two args.",
                              word=found.word)
            taken.append(word)
        extension.take(use, option, option.kind.read(taken, context), self.invert)

    # -- the rule

    @cached_property
    def _rule(self):
        """What was read, when all words are."""
        return Rule(self.header, self.matches, self.target, self.jump, self.goto, self.counters or Counters())

    def complete(self):
        """Let the extensions look at what they were given; raises Failure."""
        rule = self._rule
        for use in rule.uses:
            use.extension.verify(use, rule)
            self.warnings += [option.warning for option in use.extension.options
                              if option.warning and option.name in use]
            needed(use.extension, use)
            fold(use)
            use.extension.finish(use, rule)

    def rules(self):
        """What was read, as rules; raises Failure."""
        found = [names.networks(text, self.family) if text is not None else [Network()]
                 for text in self.networks.values()]
        if self.header.inverted & {"source", "destination"} and max(map(len, found)) > 1:
            raise Failure("! not allowed with multiple source or destination IP addresses")
        (self.header.source, self.header.destination), *others = product(*found)
        rule = self._rule
        return [rule, *(replace(rule, header=replace(self.header, source=source, destination=destination),
                                counters=replace(rule.counters)) for source, destination in others)]


def resolve(rule, chains, warn):
    """The rule with its jump made out: to one of ``chains`` rather than to an extension. Raises Failure."""
    if rule.jump in chains and rule.target is not None:
        warn(f"Warning: using chain {rule.jump}, not extension")
        return replace(rule, target=None)
    if not rule.jump or rule.target is not None or rule.jump in chains:
        return rule
    if not rule.goto and rule.jump in (STANDARD_NAME, *STANDARD):
        return rule
    raise Failure(f"goto '{rule.jump}' is not a chain", word=rule.jump) if rule.goto else no_target(rule.jump)
