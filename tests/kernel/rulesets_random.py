"""Random rulesets that random traffic often meets: tables, chains that jump to each other, policies, and rules of every
extension of the registry, with the words that ``packet_words``, ``state_words`` and ``target_words`` have for it.

What is not drawn is in LEFT_OUT, and why.
"""
import contextlib

from fastct.errors import RuleError
from fastct.rules.extension import MATCHES, TARGETS
from fastct.rules.model import TABLES
from fastct.rules.ruleset import Ruleset
from fastct.rules.words import quoted
from tests.kernel.packet_words import PACKET_WORDS, Words
from tests.kernel.state_words import STATE_WORDS
from tests.kernel.target_words import TARGET_WORDS

NETWORKS = {4: ("10.1.0.0/16", "10.2.0.0/16", "10.1.0.0/28", "10.2.0.0/27", "10.2.0.32/255.255.0.32", "10.1.0.8",
                "10.2.0.16/28", "10.0.0.1/255.0.0.1"),
            6: ("fd00:1::/64", "fd00:2::/64", "fd00:1::/124", "fd00:2::/123", "fd00:1::8", "fd00:2::10/124",
                "fd00::1/ffff::1")}
INTERFACES = ("f0", "f0", "f1", "f1", "f+", "lo", "f", "f01", "e+")
USUAL = {4: ("tcp", "tcp", "udp", "icmp", "sctp", "udplite", "gre", "50"),
         6: ("tcp", "tcp", "udp", "icmpv6", "sctp", "udplite", "gre", "50")}
WORDS = {**PACKET_WORDS, **STATE_WORDS, **TARGET_WORDS}
# What the kernel cannot show, or fastct does not know, of packets without anything around them.
SOCKETS = "asks for sockets, of which a capture says nothing"
TRANSLATION = "packets keep their addresses so far"
TIMERS = "measures by the kernel's own timers, whose beginning nobody sees"
LABELS = "what it is about is not there in this kernel, or is the machine's, not the namespace's"
LEFT_OUT = {
    "owner": SOCKETS, "cgroup": SOCKETS,
    "DNAT": TRANSLATION, "SNAT": TRANSLATION, "MASQUERADE": TRANSLATION, "REDIRECT": TRANSLATION,
    "NETMAP": TRANSLATION,
    "rateest": TIMERS, "RATEEST": TIMERS,
    "ipvs": LABELS, "nfacct": LABELS, "CLUSTERIP": LABELS, "LED": LABELS, "IDLETIMER": LABELS, "SECMARK": LABELS,
    "CONNSECMARK": LABELS, "AUDIT": LABELS,
    "CLASSIFY": "sets the priority, by which the gateway tells packets from what is sent because of them",
    "SYNPROXY": "its answers hold a secret of the kernel's",
    "connlimit": "goes through its list once in a tick of the kernel, whose beginning nobody sees",
    "set": "has a comparison of its own, which makes sets", "SET": "the same",
}
# Protocols that an extension is useless or refused without.
NEEDS = {"multiport": (6, 17, 132, 33, 136), "ecn": (6,), "TPROXY": (6, 17), "TCPMSS": (6,), "TCPOPTSTRIP": (6,)}
SYN = ("--syn", "--tcp-flags SYN,RST SYN")
# Where Linux has what a target is for, beyond what the registry says.
HOOKS = {"DNPT": ("PREROUTING",), "SNPT": ("POSTROUTING",)}
# Linux sends a copy at once, fastct when the packet has gone its way: that shows where both are counted by one rule.
COPIES, COUNTING = ("TEE",), ("limit", "hashlimit", "recent", "statistic", "quota")
CHAINS = ("A", "B", "C", "deep", "loose")


def drawn(registry, family):
    """The extensions of a registry that random rulesets have."""
    return [each for (name, of), each in sorted(registry.items()) if of == family and name not in LEFT_OUT]


class RandomRulesets:
    """Rulesets of a family. ``tables``: those that may be there; ``only``: extensions that rules are mostly about."""

    def __init__(self, rng, family, tables=tuple(TABLES), only=()):
        self.rng, self.family, self.tables = rng, family, tables
        self.words = Words(rng, family)
        without = rng.choice((COPIES, COUNTING))
        self.matches, self.targets = ([each for each in drawn(registry, family) if each.name not in without]
                                      for registry in (MATCHES, TARGETS))
        self.only = [each for each in self.matches + self.targets if each.name in only]
        self._lines = {}

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

    def protocol(self, uses):
        """A protocol that some extensions ask for, or any."""
        asked = [NEEDS.get(each.name) or each.protocols for each in uses]
        asked = [protocols for protocols in asked if protocols]
        if not asked:
            return self._maybe(0.35, "-p", self.rng.choice(USUAL[self.family]))
        return ["-p", str(self.rng.choice(asked[-1]))]

    def use(self, flag, extension):
        """``-m`` or ``-j`` an extension, with options."""
        return [flag, extension.name, *WORDS[extension.name](self.words)]

    def verdict(self, chain, chains, drops):
        """What becomes of a packet that meets a rule: words, or a target; most go on. ``drops``: whether iptables lets
        it DROP there."""
        rng = self.rng
        kind = rng.choices(("none", "ACCEPT", "DROP", "RETURN", "QUEUE", "target", "jump", "goto"),
                           (14, 14, 5 if drops else 0, 8, 1, 30, 26 if chains else 0, 8 if chains else 0))[0]
        if kind == "target":
            return [], self._some([each for each in self.targets if chain in HOOKS.get(each.name, (chain,))])
        if kind in ("jump", "goto"):
            return [f"--{kind}", rng.choice(chains)], None
        return [] if kind == "none" else ["-j", kind], None

    def rule_for(self, chain, chains, drops):
        """The words of a rule of a chain, which may jump to ``chains``."""
        chosen = [self._some(self.matches) for _ in range(self.rng.choice((0, 0, 1, 1, 1, 2)))]
        verdict, target = self.verdict(chain, chains, drops)
        protocol = self.protocol([*chosen, *([target] if target else [])])
        self.words.protocol, self.words.hook = "" if "!" in protocol else protocol[-1] if protocol else "", chain
        words = [*self.header(chain), *protocol]
        if target and target.name == "TCPMSS":
            words += self.rng.choice(SYN).split()
        words += [word for extension in chosen for word in self.use("-m", extension)]
        return " ".join(map(quoted, words + (self.use("-j", target) if target else verdict)))

    def text(self, rules=25, also=()):
        """The text of a ruleset with about ``rules`` rules for iptables-restore (which does not take all that
        iptables-save writes), with the tables of ``also``, too."""
        made = self._ruleset(rules)
        for name in also:
            made.table(name)
        return "".join(self._table_text(made.table(name)) for name in made.tables)

    def _table_text(self, table):
        lines = [f"*{table.name}"]
        lines += [f":{name} {table.chain(name).policy or '-'} [0:0]" for name in table.chains]
        return "\n".join([*lines, *self._lines.get(table.name, ()), "COMMIT", ""])

    def _ruleset(self, rules):
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
                self.add(table.chain(above), f"-j {below}")
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
        """Append a rule, or none if the kernel would not take it."""
        with contextlib.suppress(RuleError):
            chain.append(text)
            self._lines.setdefault(chain.table.name, []).append(f"-A {chain.name} {text}")
