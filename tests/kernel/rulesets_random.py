"""Random rulesets that random traffic often meets: tables, chains that jump to each other, policies, and rules of every
extension that compiles, with arguments such as the packets of ``generator`` have.

An extension needs a row in LIKELY where what ``rules_random`` draws for it would hardly ever match, or would match by
the clock.
"""
from fastct.errors import RuleError
from fastct.rules import kinds
from fastct.rules.compile import Assembler
from fastct.rules.estate import Estate
from fastct.rules.extension import MATCHES, TARGETS, Extension
from fastct.rules.matches import ports, rate
from fastct.rules.model import TABLES
from fastct.rules.ruleset import Ruleset
from fastct.rules.targets import marks
from tests.kernel import rule_words
from tests.kernel.rules_random import PROTOCOL_NAMES, RandomRules

NETWORKS = {4: ("10.1.0.0/16", "10.2.0.0/16", "10.1.0.0/28", "10.2.0.0/27", "10.2.0.32/255.255.0.32", "10.1.0.8",
                "10.2.0.16/28", "10.0.0.1/255.0.0.1"),
            6: ("fd00:1::/64", "fd00:2::/64", "fd00:1::/124", "fd00:2::/123", "fd00:1::8", "fd00:2::10/124",
                "fd00::1/ffff::1")}
INTERFACES = ("f0", "f0", "f1", "f1", "f+", "lo", "f", "f01", "e+")
PROTOCOLS = {4: ("tcp", "tcp", "udp", "icmp", "sctp", "udplite", "gre", "50"),
             6: ("tcp", "tcp", "udp", "icmpv6", "sctp", "udplite", "gre", "50")}
PORTS = ("80", "443", "53", "0", ":1023", "1024:", "80:443", "0:32767", "32768:65535", "123:")
MARKS = ("1", "2", "0", "0/1", "1/1", "2/2", "3/3", "0xf0/0xf0", "0x10/0x30", "7/0")
# Arguments by extension and option, or by the class of the option's kind.
LIKELY = {
    kinds.Mask: MARKS,
    kinds.ServiceRange: PORTS,
    kinds.PortRange: PORTS,
    ports.PortList: ("80", "80,443", "53,80", ":1023,8080", "0,1024:40000"),
    ports.TcpFlags: (["SYN", "SYN"], ["SYN,ACK", "SYN"], ["SYN,RST,ACK,FIN", "ACK"], ["FIN", "FIN"], ["RST", "RST"],
                     ["ALL", "ACK,PSH"], ["ALL", "NONE"], ["SYN", "NONE"]),
    ports.TcpOption: ("1", "2", "3", "4", "5", "8"),
    rate.Rate: ("1/hour", "1/day", "2/day"),
    marks.Bits: ("1", "2", "0x10", "0xfffffffe", "0xf0"),
    ("limit", "limit-burst"): ("1", "3", "10", "40"),
}
# What random rulesets are made of; others have comparisons of their own (test_rules_*_matches.py, _effects.py): the
# host's own answers, for one, are not looked at here.
DRAWN = ("tcp", "udp", "comment", "state", "mark", "connmark", "MARK", "NOTRACK")
CHAINS = ("A", "B", "C", "deep", "loose")


def compiles(extension):
    """Whether something is said of what the extension compiles to."""
    return type(extension).compile is not Extension.compile and extension.name in DRAWN


class RandomRulesets(RandomRules):
    """Rulesets of a family. ``tables``: those that may be there; ``only``: extensions that rules are mostly about."""

    def __init__(self, rng, family, tables=tuple(TABLES), careless=0, only=()):
        super().__init__(rng, family, careless)
        self.tables = tables
        self.extension = None
        self.matches, self.targets = (
            [each for (_, of), each in sorted(registry.items()) if of == family and compiles(each)]
            for registry in (MATCHES, TARGETS))
        self.only = [each for each in self.matches + self.targets if each.name in only]

    def option(self, option):
        likely = LIKELY.get((self.extension.name, option.name)) or next(
            (LIKELY[cls] for cls in type(option.kind).__mro__ if cls in LIKELY), None)
        words = super().option(option)
        if likely is None:
            return words
        chosen = self.rng.choice(likely)
        return [*words[:words.index("!") + 2 if "!" in words else 1],
                *(chosen if isinstance(chosen, list) else [chosen])]

    def argument(self, kind):
        try:
            return super().argument(kind)
        except StopIteration:
            return list(rule_words.argument(self.rng, kind))

    def use(self, extension, flag):
        """``-m`` or ``-j`` an extension, with options."""
        self.extension = extension
        return [flag, extension.name, *(word for option in self.chosen(extension) for word in self.option(option))]

    def _some(self, extensions):
        """One of some extensions, mostly of those asked for."""
        wanted = [each for each in extensions if each in self.only]
        return self.rng.choice(wanted if wanted and self.rng.random() < 0.8 else extensions)

    def _maybe(self, chance, *words, inverts=0.2):
        if self.rng.random() >= chance:
            return []
        return ["!", *words] if self.rng.random() < inverts else [*words]

    def header(self, chain):
        """Addresses and interfaces, as iptables takes them for a chain."""
        rng = self.rng
        words = [*self._maybe(0.2, "-s", rng.choice(NETWORKS[self.family])),
                 *self._maybe(0.2, "-d", rng.choice(NETWORKS[self.family]))]
        for flag, without in ("-i", ("OUTPUT", "POSTROUTING")), ("-o", ("PREROUTING", "INPUT")):
            words += self._maybe(0.15, flag, rng.choice(INTERFACES)) if chain not in without else []
        return words + (self._maybe(0.03, "-f") if self.family == 4 else [])

    def conditions(self):
        """A protocol and matches."""
        rng = self.rng
        chosen = [self._some(self.matches) for _ in range(rng.choice((0, 0, 1, 1, 1, 2)))]
        asked = [extension.protocols for extension in chosen if extension.protocols]
        if asked:
            words = ["-p", PROTOCOL_NAMES[rng.choice(asked[0])]]
        else:
            words = self._maybe(0.35, "-p", rng.choice(PROTOCOLS[self.family]))
        return words + [word for extension in chosen for word in self.use(extension, "-m")]

    def verdict(self, chains, drops):
        """What becomes of a packet that meets a rule; most go on. ``drops``: whether iptables lets it DROP there."""
        rng = self.rng
        kind = rng.choices(("none", "ACCEPT", "DROP", "RETURN", "QUEUE", "target", "jump", "goto"),
                           (14, 14, 6 if drops else 0, 8, 1, 22, 26 if chains else 0, 8 if chains else 0))[0]
        if kind == "target":
            return self.use(self._some(self.targets), "-j")
        if kind in ("jump", "goto"):
            return [f"--{kind}", rng.choice(chains)]
        return [] if kind == "none" else ["-j", kind]

    def rule_for(self, chain, chains, drops):
        """The words of a rule of a chain, which may jump to ``chains``."""
        return " ".join([*self.header(chain), *self.conditions(), *self.verdict(chains, drops)])

    def ruleset(self, rules=25):
        """A ruleset with about ``rules`` rules."""
        rng, made = self.rng, Ruleset(self.family)
        tables = [name for name in self.tables if rng.random() < 0.6] or [rng.choice(self.tables)]
        for name in tables:
            table = made.table(name)
            own = rng.sample(CHAINS, rng.randrange(len(CHAINS) + 1))
            if rng.random() < 0.1:
                own += [f"n{number:02}" for number in range(rng.choice((6, 12, 30)))]
            for chain in own:
                table.new(chain)
            for hook in TABLES[name]:
                if rng.random() < 0.15 and name != "nat":
                    table.chain(hook).policy = "DROP"
            self._chains(table, own, max(2, rules // len(tables)))
        return made

    def _chains(self, table, own, rules):
        rng = self.rng
        for above, below in zip(own[:-1], own[1:], strict=True):         # a stack as deep as there are chains
            if above[0] == "n":
                table.chain(above).append(f"-j {below}")
        for _ in range(rules):
            chain = rng.choice([*TABLES[table.name], *own])
            later = own[own.index(chain) + 1:] if chain in own else own
            self.add(table.chain(chain), self.rule_for(chain, later, table.name != "nat"))
        for chain in own:
            if chain[0] == "n" and chain != "n00":
                continue
            base = rng.choice(TABLES[table.name])
            self.add(table.chain(base), f"{' '.join(self.header(base))} {rng.choice(('-j', '-j', '-g'))} {chain}")

    def add(self, chain, text):
        """Append a rule, or none if the kernel would not take it, or nobody has said what it compiles to."""
        try:
            chain.append(text)
            rule = chain.rules[-1]
            for use in [*rule.matches, *([rule.target] if rule.target else [])]:
                use.extension.compile(use, Assembler(chain.table.ruleset.model, rule.header, Estate(), []))
        except NotImplementedError:
            chain.delete(len(chain.rules))
        except RuleError:
            pass
