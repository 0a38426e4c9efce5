"""Random command lines of iptables and random texts for iptables-restore, right and wrong ones, the same for a seed."""
import random

BASE = {"filter": ("INPUT", "FORWARD", "OUTPUT"), "nat": ("PREROUTING", "INPUT", "OUTPUT", "POSTROUTING"),
        "mangle": ("PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"), "raw": ("PREROUTING", "OUTPUT"),
        "security": ("INPUT", "FORWARD", "OUTPUT")}
USER = ("web", "log.x", "B", "a-b", "tcp")
ODD_CHAINS = ("nosuch", "ACCEPT", "LOG", "averyveryverylongnameofachain", "28-characters-are-not-too-lo", "", "a b",
              "INPUT,")
ADDRESSES = {4: ("10.0.0.1", "10.1.2.3/8", "1.2.3.4/255.0.255.0", "0/0", "10.1.2.3/0", "192.168.1.0/24,10.0.0.0/8",
                 "1.2.3.4/32", "300.1.1.1", "1.2.3.4/33", "10.1", "fd00::1", "", "1.1.1.1,", "!", "1.2.3.4/0x8", "/8"),
             6: ("fd00::1", "fd00::1/64", "::/0", "fd00::1,fd00::2", "::ffff:1.2.3.4", "fd00::1/129", "10.0.0.1",
                 "x::y", "fd00::1/ffff::", "fd00::/ffff::ffff")}
PROTOCOLS = ("tcp", "udp", "TCP", "6", "17", "200", "icmp", "gre", "esp", "foo", "256", "")
PORTS = ("80", "80:90", "http", ":100", "1000:", "90:80", "99999", "foo", "", "0x10", "1:2:3")
INTERFACES = ("lo", "eth0", "e+", "+", "", "averyverylongname", "a b", "a/b+")
NUMBERS = ("1", "2", "3", "9", "0", "-1", "x", "1x", "0x2", "99999999999")
# A piece of a rule: options and lists of arguments to choose from; "!" may stand in front.
MATCHES = (
    ("-m ttl --ttl-eq", ("4", "255", "256", "x")), ("-m ttl --ttl-lt", ("5",)), ("-m ttl", ("",)),
    ("-m comment --comment", ("a", "two words", 'q"u\'o\\te', "", "x" * 300)), ("-m tcp --dport", PORTS),
    ("--dport", PORTS), ("--sport", PORTS), ("--source-port", PORTS), ("-m udp --sport", PORTS), ("--syn", ("",)),
    ("-m", ("tcp", "udp", "nosuch", "")), ("--tcp-fl", ("SYN,ACK SYN", "ALL NONE", "SYN", "FOO SYN")),
    ("--nosuch", ("", "1")), ("-m ttl", ("",)),
)
TARGETS = ("ACCEPT", "DROP", "RETURN", "QUEUE", "REJECT", "REJECT", "NOSUCH", "", "standard", "x y", "INPUT")
REJECTS = ("icmp-port-unreachable", "tcp-reset", "port-unreach", "icmp6-no-route", "foo")


class Lines:
    """Draws command lines for one family."""

    def __init__(self, seed, family):
        self.rng = random.Random(seed)
        self.family = family

    def some(self, probability):
        return self.rng.random() < probability

    def table(self):
        return self.rng.choice(("filter", "filter", "filter", *BASE))

    def chain(self, table):
        return self.rng.choice(self.rng.choices((BASE[table], USER, ODD_CHAINS), (10, 9, 1))[0])

    def _bang(self):
        return ["!"] if self.some(0.15) else []

    def _header(self):
        option, values = self.rng.choice((
            ("-s", ADDRESSES[self.family]), ("-d", ADDRESSES[self.family]), ("--src", ADDRESSES[self.family]),
            ("-p", PROTOCOLS), ("--proto", PROTOCOLS), ("-i", INTERFACES), ("-o", INTERFACES), ("--in-i", INTERFACES)))
        return [*self._bang(), option, self.rng.choice(values[:3] if self.some(0.8) else values)]

    def _match(self):
        options, values = self.rng.choice(MATCHES)
        *before, last = options.split()
        if before and self.some(0.15):
            before.append("!")
        value = self.rng.choice(values[:2] if self.some(0.8) else values)
        if last.startswith("--tcp-fl"):
            return [*before, last, *value.split()]
        return [*before, last, *([value] if value or self.some(0.1) else [])]

    def _target(self):
        if self.some(0.35):
            return [self.rng.choice(("-j", "-g", "--jump")), self.rng.choice(USER)]
        name = self.rng.choice(TARGETS[:6] if self.some(0.85) else TARGETS)
        answer = ["--reject-with", self.rng.choice(REJECTS)] if name == "REJECT" and self.some(0.4) else []
        return ["-j", name, *answer]

    def rule(self):
        """The words of a rule."""
        parts = [self._header() for _ in range(self.rng.choice((0, 1, 1, 2)))]
        parts += [self._match() for _ in range(self.rng.choice((0, 0, 1, 2)))]
        parts += [self._target()] if self.some(0.8) else []
        parts += [["-c", "5", "600"]] if self.some(0.1) else []
        parts += [["-f"]] if self.some(0.04) else []
        if self.some(0.3):
            self.rng.shuffle(parts)
        return [word for part in parts for word in part]

    def _command(self, table):
        chain, number = self.chain(table), self.rng.choice(NUMBERS[:3] if self.some(0.85) else NUMBERS)
        kind = self.rng.choices("AICDdRLSFZNXEP", (26, 10, 5, 5, 7, 6, 12, 8, 2, 5, 12, 4, 5, 5))[0]
        maybe = [chain] if self.some(0.6) else []
        numbered = [number] if maybe and self.some(0.25) else []
        return {
            "A": lambda: ["-A", chain, *self.rule()],
            "I": lambda: ["-I", chain, *([number] if self.some(0.5) else []), *self.rule()],
            "C": lambda: ["-C", chain, *self.rule()],
            "D": lambda: ["-D", chain, *self.rule()],
            "d": lambda: ["-D", chain, number],
            "R": lambda: ["-R", chain, number, *self.rule()],
            "L": lambda: ["-L", *maybe, *numbered, *(["-Z"] if self.some(0.1) else [])],
            "S": lambda: ["-S", *maybe, *numbered],
            "F": lambda: ["-F", *maybe],
            "Z": lambda: ["-Z", *maybe, *numbered],
            "N": lambda: ["-N", self.chain(table) if self.some(0.2) else self.rng.choice(USER)],
            "X": lambda: ["-X", *maybe],
            "E": lambda: ["-E", self.chain(table), self.chain(table)],
            "P": lambda: ["-P", chain, self.rng.choice(("ACCEPT", "DROP", "DROP", "QUEUE", "foo")),
                          *(["-c", "7", "8"] if self.some(0.2) else [])],
        }[kind](), "nvx0" if kind == "L" else "v"

    def _flags(self, usual):
        more = ("nv", "n", "v", "x", "0") if self.some(0.1) else ("",)
        letters = self.rng.choice(("", "", *usual, *more))
        words = ["--line-numbers" if letter == "0" else f"-{letter}" for letter in letters]
        return [f"-{letters}"] if len(letters) > 1 and "0" not in letters else words

    def _bent(self, words):
        """The words with a mistake in them, most of the time."""
        words, at = list(words), self.rng.randrange(len(words))
        how = self.rng.randrange(6)
        if how == 0:
            del words[at]
        elif how == 1:
            words.insert(at, words[at])
        elif how == 2:
            words.insert(at, self.rng.choice(("!", "--", "-", "foo", "-4", "-6", "-w", "-W", "-Q", "--numeric=1", "-nx",
                                              "1", "-L", "-Z", "-A", "--line", "--in", "-V", "-c", "-t", "-Lx")))
        elif how == 3:
            other = self.rng.randrange(len(words))
            words[at], words[other] = words[other], words[at]
        elif how == 4 and words[at].startswith("--"):
            words[at] = words[at][:self.rng.randrange(3, len(words[at]) + 1)]
        elif words[at].startswith("--") and at + 1 < len(words):
            words[at:at + 2] = [f"{words[at]}={words[at + 1]}"]
        return words

    def command(self):
        """A command line."""
        table = self.table()
        words, flags = self._command(table)
        where = ["-t", table] if table != "filter" or self.some(0.1) else []
        if self.some(0.01):
            where = ["-t", self.rng.choice(("nosuch", "", "x" * 40))]
        words = [*where, *words, *self._flags(flags)] if self.some(0.9) else [*words, *where, *self._flags(flags)]
        return self._bent(words) if self.some(0.12) and words else words

    # -- texts

    @staticmethod
    def _quoted(word):
        plain = word and not set(word) & set(" \t\"\\")
        return word if plain else '"' + word.replace("\\", "\\\\").replace('"', '\\"') + '"'

    def _line(self, table):
        kind = self.rng.choices(("rule", "chain", "command", "odd", "bent"), (70, 12, 5, 2, 2))[0]
        if kind == "chain":
            name = self.chain(table) if self.some(0.4) else self.rng.choice(USER)
            policies = ("ACCEPT", "DROP", "-", "FOO") if self.some(0.1) else ("DROP",)
            policy = "-" if name in USER else self.rng.choice(policies)
            return f":{name} {policy}" + self.rng.choice((" [0:0]", " [7:80]", " [7:80]", "", " [x]"))
        if kind == "odd":
            return self.rng.choice(("", "# a comment", " # none", "foo", "*filter", "COMMIT ", ":", "[1:2", "\t-S",
                                    '-A "x', "[1:2] -S INPUT", "-4 -S", "-6 -S", "-w -S", "[x:y] -A INPUT"))
        words = self._command(table)[0] if kind == "command" else ["-A", self.chain(table), *self.rule()]
        if kind == "bent":
            words = self._bent(words)
        counters = self.rng.choice(("[3:400] ", "", "", ""))
        return counters + self.rng.choice((" ", " ", "  ")).join(map(self._quoted, words))

    def text(self):
        """A text for iptables-restore, and the options of the program."""
        lines = []
        for table in self.rng.sample(sorted(BASE), self.rng.choice((1, 1, 2))):
            lines += [f"*{table}", *(f":{name} - [0:0]" for name in USER if self.some(0.7))]
            lines += [self._line(table) for _ in range(self.rng.randrange(5))]
            lines += ["COMMIT"] if self.some(0.97) else []
        options = [option for option in ("-c", "-n", "-v", "-t") if self.some(0.2)]
        return [*options, *(["-T", "filter"] if self.some(0.05) else [])], "".join(f"{line}\n" for line in lines)
