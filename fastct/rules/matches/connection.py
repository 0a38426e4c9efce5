"""Matches on what belongs to a connection: mark, label, helper, counters, and how many there are."""
from fastct.records import HELPERS
from fastct.rules import names
from fastct.rules.extension import Match, Option, by_family
from fastct.rules.kinds import Choice, Kind, Mask, Number, NumberRange, Text, number
from fastct.rules.matches.address import PrefixLength
from fastct.rules.ops.connection import DIRECTION_NUMBERS, MODE_NUMBERS
from fastct.rules.ops.connlimit import ConnectionCount
from fastct.rules.words import Failure, Refused

LABEL_MAX = 127
ULONG_MAX = 2**64 - 1           # what strtoul says of more as well
LABEL_NAMES = "/etc/xtables/connlabel.conf"
EVERY_COUNT = (1 << 64) - 1


class Connmark(Match):
    name = "connmark"
    options = (Option("mark", Mask(), invert=True, needed=True),)

    def show(self, use, numeric):
        return f"connmark match {use.bang('mark')} {self.options[0].kind.text(use.get('mark'), numeric)}"

    def compile(self, use, out):
        out.test("connmark", *use.get("mark"), invert="mark" in use.inverted)


class Helper(Match):
    name = "helper"
    options = (Option("helper", Text(cut=29), invert=True, needed=True),)

    def show(self, use, numeric):
        return f'helper match {use.bang("helper", "! ")}"{use.get("helper")}"'

    def compile(self, use, out):
        asked = use.get("helper")
        helpers = sum(1 << number for number, name in enumerate(HELPERS)
                      if name and (not asked or asked.startswith(name)))
        out.test("helper", helpers, invert="helper" in use.inverted)


class Label(Kind):
    """A label by its number; there are no names."""
    count = 1
    text = Text(least=1)

    def read(self, words, context):
        self.text.read(words, context)
        value, rest = number(words[0])
        if value is None or rest or value >= ULONG_MAX:
            context.warn(f"Warning: cannot open {LABEL_NAMES}: No such file or directory")
            raise Failure(f"label '{words[0]}' not found or invalid value", word=words[0])
        return value & 0xFFFF

    def write(self, value):
        return (f'"{value}"',)


class Connlabel(Match):
    name = "connlabel"
    options = (Option("label", Label(), invert=True, needed=True), Option("set"))

    def check(self, use, rule, place):
        if use.get("label") > LABEL_MAX:
            raise Refused("Numerical result out of range.")

    def show(self, use, numeric):
        return f"connlabel {use.bang('label', '! ')}{use.get('label')}{' set' if 'set' in use else ''}"

    def compile(self, use, out):
        out.test("connlabel", use.get("label"), "set" in use, invert="label" in use.inverted, acts="set" in use)


class Counts(NumberRange):
    """``FROM[:TO]`` as a pair; without TO there is no end."""

    def read(self, words, context):
        low, high = super().read(words, context)
        if ":" not in words[0]:
            high = EVERY_COUNT
        if low > high:
            raise Failure(f"{low} should be less than {high}")
        return (low, high)

    def write(self, value):
        low, high = value
        return (str(low) if high in (0, EVERY_COUNT) else f"{low}:{high}",)


class Connbytes(Match):
    name = "connbytes"
    options = (
        Option("connbytes", Counts(64), invert=True, needed=True),
        Option("connbytes-dir", Choice(("original", "reply", "both"), "Unknown --connbytes-dir `{}'"), needed=True),
        Option("connbytes-mode", Choice(("packets", "bytes", "avgpkt"), "Unknown --connbytes-mode `{}'"), needed=True),
    )
    order = ("connbytes", "connbytes-mode", "connbytes-dir")

    def finish(self, use, rule):
        # The kernel knows an inverted range by its end, which is before its beginning.
        low, high = use.get("connbytes")
        if low == high:
            use.inverted -= {"connbytes"}

    def show(self, use, numeric):
        counts, = self.options[0].kind.write(use.get("connbytes"))
        return (f"{use.bang('connbytes', '! ')}connbytes {counts} connbytes mode {use.get('connbytes-mode')} "
                f"connbytes direction {use.get('connbytes-dir')}")

    def compile(self, use, out):
        low, high = use.get("connbytes")
        out.test("connbytes", low, high, DIRECTION_NUMBERS[use.get("connbytes-dir")],
                 MODE_NUMBERS[use.get("connbytes-mode")], invert="connbytes" in use.inverted)


@by_family("connlimit")
class Connlimit(Match):
    """``connlimit-upto`` or ``-above`` (not inverted: inverted, one is the other), the mask's length, and the side."""

    @staticmethod
    def options_for(family):
        """The mask is a length."""
        return (
            Option("connlimit-upto", Number(), invert=True, excludes=("connlimit-above",)),
            Option("connlimit-above", Number(), invert=True, excludes=("connlimit-upto",)),
            Option("connlimit-mask", PrefixLength(family)),
            Option("connlimit-saddr", excludes=("connlimit-daddr",)),
            Option("connlimit-daddr", excludes=("connlimit-saddr",)),
        )

    def verify(self, use, rule):
        if "connlimit-upto" not in use and "connlimit-above" not in use:
            raise Failure('You must specify "--connlimit-above" or "--connlimit-upto".')

    def finish(self, use, rule):
        if use.inverted:
            name, = use.inverted
            use.inverted = frozenset()
            use.values["connlimit-upto" if name == "connlimit-above" else "connlimit-above"] = use.values.pop(name)
        use.values.setdefault("connlimit-mask", names.BITS[self.family])
        use.values.setdefault("connlimit-saddr", True)
        if "connlimit-daddr" in use:
            del use.values["connlimit-saddr"]

    def show(self, use, numeric):
        side = "dst" if "connlimit-daddr" in use else "src"
        sign, name = ("<=", "upto") if "connlimit-upto" in use else (">", "above")
        return f"#conn {side}/{use.get('connlimit-mask')} {sign} {use.get(f'connlimit-{name}')}"

    def compile(self, use, out):
        mask = names.prefix_mask(use.get("connlimit-mask"), self.family)
        above = "connlimit-above" in use
        most = use.get("connlimit-above" if above else "connlimit-upto")
        out.test("connlimit", mask >> 64, mask & (1 << 64) - 1, most, "connlimit-daddr" in use, invert=above,
                 key=ConnectionCount())


class Cluster(Match):
    """One node is written, and kept, as a mask of one bit."""
    name = "cluster"
    options = (
        Option("cluster-total-nodes", Number(low=1, high=32), needed=True),
        Option("cluster-local-node", Number(low=1, high=32), invert=True, excludes=("cluster-local-nodemask",)),
        Option("cluster-local-nodemask", Number(low=1, high=32, form="0x{:08x}"), invert=True,
               excludes=("cluster-local-node",)),
        Option("cluster-hash-seed", Number(form="0x{:08x}"), needed=True),
    )
    order = ("cluster-local-nodemask", "cluster-total-nodes", "cluster-hash-seed")

    def verify(self, use, rule):
        if "cluster-local-node" not in use and "cluster-local-nodemask" not in use:
            raise Failure("cluster match: `--cluster-local-node' or`--cluster-local-nodemask' is missing")
        if "cluster-total-nodes" not in use or "cluster-hash-seed" not in use:
            return
        total = use.get("cluster-total-nodes")
        if use.get("cluster-local-node", 0) > total:
            raise Failure("cluster match: `--cluster-local-node' must be <= `--cluster-total-nodes'")
        if use.get("cluster-local-nodemask", 0) >> total:
            raise Failure("cluster match: `--cluster-local-nodemask' too big for `--cluster-total-nodes'")

    def finish(self, use, rule):
        if "cluster-local-node" in use:
            use.values["cluster-local-nodemask"] = 1 << use.values.pop("cluster-local-node") - 1
            use.inverted = frozenset({"cluster-local-nodemask"} if use.inverted else ())

    def show(self, use, numeric):
        mask, total, seed = (use.get(name) for name in self.order)
        return (f"cluster {use.bang('cluster-local-nodemask')}node_mask=0x{mask:08x} total_nodes={total} "
                f"hash_seed=0x{seed:08x}")

    def compile(self, use, out):
        out.test("cluster", *(use.get(name) for name in self.order), invert="cluster-local-nodemask" in use.inverted)
