"""Rules that only count: how often each has taken a packet, by the kernel and by fastct."""
import re
import subprocess

from fastct import Tracker
from fastct.rules.compile import compile_ruleset
from fastct.rules.estate import Estate
from fastct.rules.model import Ruleset
from fastct.rules.restore import restore
from fastct.rules.route import Routes
from tests.kernel.kernel import Kernel

PROGRAM = {4: "iptables-legacy", 6: "ip6tables-legacy"}
COUNTERS = re.compile(r"^\[(\d+):(\d+)\] -A", re.MULTILINE)
RAW = 101
INTERFACES = (("f0", "10.1.255.254/16"), ("f1", "10.2.255.254/16"),
              ("f0", "fd00:1::ffff/64"), ("f1", "fd00:2::ffff/64"))


def text_of(rules):
    """The file for iptables-restore of (table, chain, words)."""
    lines = []
    for table in dict.fromkeys(table for table, _, _ in rules):
        lines += [f"*{table}", *(f"-A {chain} {words}" for t, chain, words in rules if t == table), "COMMIT"]
    return "\n".join(lines) + "\n"


class Counted:
    """The same rules in the kernel of this namespace and in a tracker. ``rules``: (table, chain, words) by family."""

    def __init__(self, rules, sets=None, **settings):
        self.kernel, self.rules, self.estate = Kernel(), rules, Estate()
        self.tracker = Tracker(checksum="on", seed=1, **settings)
        self.programs, self.swapped = {}, {}
        for family in rules:
            self.load(family, rules[family], sets)

    def load(self, family, rules, sets=None):
        """Have packets of a family run through these rules."""
        text = text_of(rules)
        subprocess.run([f"{PROGRAM[family]}-restore", "--wait"], input=text, text=True, check=True)
        ruleset = Ruleset(family, sets)
        outcome = restore(text, ruleset)
        assert not outcome.status, outcome.err
        self.programs[family] = compile_ruleset(ruleset, self.estate)
        self.programs[family].number({})
        self.tracker._engine.rules(self.programs.get(4), self.programs.get(6), Routes((), INTERFACES, ()))

    def send(self, packet):
        """Send a packet; => what fastct says of it, and when it was."""
        _, now = self.kernel.send(packet)
        return self.tracker.process_bytes([packet.data], [now], linktype=RAW)[0], now

    def counters(self, family):
        """(packets, bytes) of each rule, of the kernel and of fastct, table by table."""
        said = subprocess.run([f"{PROGRAM[family]}-save", "-c"], capture_output=True, text=True, check=True).stdout
        tables = re.split(r"^\*(\w+)$", said, flags=re.MULTILINE)[1:]
        theirs = {table: [tuple(map(int, pair)) for pair in COUNTERS.findall(text)]
                  for table, text in zip(tables[::2], tables[1::2], strict=True)}
        program, ours = self.programs[family], {}
        for name, count in zip(program.names, program.counters().tolist(), strict=True):
            if not name.endswith("policy"):
                ours.setdefault(name.partition("/")[0], []).append(tuple(count))
        return {table: theirs[table] for table in ours}, ours        # the kernel has a raw table of its own besides
