"""Matches on the connection of a packet."""
from dataclasses import dataclass

from fastct.records import CTSTATES
from fastct.rules import names
from fastct.rules.extension import Match, Option, by_family
from fastct.rules.kinds import Choice, Kind, NumberRange, ServiceRange, bits_text
from fastct.rules.matches.address import HostMask
from fastct.rules.words import Failure

# Bits of --ctstate and --state, in the order in which they are written.
STATES = ("INVALID", "NEW", "RELATED", "ESTABLISHED", "UNTRACKED", "SNAT", "DNAT")
PLAIN_STATES = STATES[:5]
STATUSES = ("EXPECTED", "SEEN_REPLY", "ASSURED", "CONFIRMED")
ENDS = ("ctorigsrc", "ctorigdst", "ctreplsrc", "ctrepldst")
DIRECTIONS = ("ORIGINAL", "REPLY")
# Bits of --ctstate that are bits of the connection's status: their places, and IPS_SRC_NAT and IPS_DST_NAT.
TRANSLATED = ((STATES.index("SNAT"), 1 << 4), (STATES.index("DNAT"), 1 << 5))
LOW = (1 << 64) - 1
# The bits of PLAIN_STATES as the engine numbers them.
CTSTATE_BITS = tuple(1 << CTSTATES.index(name) for name in PLAIN_STATES)


def ctstates(bits):
    """The ctstates of --ctstate as bits, by the engine's numbers."""
    return sum(bit for place, bit in enumerate(CTSTATE_BITS) if bits >> place & 1)


@dataclass(frozen=True)
class Bits(Kind):
    """``NAME[,NAME…]``, each of which may be cut short: bits; ``none`` is a name for no bit."""
    names: tuple
    error: str
    none: str = ""
    empty: str = ""         # another error for an empty name at the end
    count = 1

    def read(self, words, context):
        bits = 0
        texts = words[0].split(",")
        for place, text in enumerate(texts):
            if self.empty and not text and place == len(texts) - 1:
                raise Failure(self.empty)
            found = next((bit for bit, name in enumerate(self.names) if text and name.startswith(text.upper())), None)
            if found is not None:
                bits |= 1 << found
            elif not text or not self.none.startswith(text.upper()):
                raise Failure(self.error.format(",".join(texts[place:])), word=words[0])
        return bits

    def write(self, value):
        return (bits_text(value, self.names) or self.none,)


class State(Match):
    name = "state"
    kind = Bits(PLAIN_STATES, 'Bad state "{}"',
                empty='"--state" requires a list of states with no spaces, e.g. ESTABLISHED,RELATED')
    options = (Option("state", kind, invert=True, needed=True),)

    def show(self, use, numeric):
        return f"{use.bang('state', '! ')}state {bits_text(use.get('state'), PLAIN_STATES)}"

    def compile(self, use, out):
        out.test("ctstate", ctstates(use.get("state")), invert="state" in use.inverted)


class Protocol(Kind):
    """A protocol, written as a number."""
    count = 1

    def read(self, words, context):
        return names.protocol(words[0])

    def write(self, value):
        return (str(value),)


class TuplePorts(ServiceRange):
    """Ports of a tuple; an end of 0 is not written."""

    def write(self, value):
        low, high = value
        return (str(low),) if not high else super().write(value)


@by_family("conntrack")
class Conntrack(Match):
    @staticmethod
    def options_for(family):
        """All may be inverted but the direction."""
        return (
            Option("ctstate", Bits(STATES, 'Bad ctstate "{}"'), invert=True),
            Option("ctproto", Protocol(), invert=True),
            *(Option(name, HostMask(family), invert=True) for name in ENDS),
            *(Option(f"{name}port", TuplePorts(), invert=True) for name in ENDS),
            Option("ctstatus", Bits(STATUSES, 'Bad ctstatus "{}"', none="NONE"), invert=True),
            Option("ctexpire", NumberRange(32), invert=True),
            Option("ctdir", Choice(DIRECTIONS, fold=True)),
        )

    def verify(self, use, rule):
        if not use.values:
            raise Failure("conntrack: At least one option is required")

    def take(self, use, option, value, invert):
        super().take(use, option, value, invert)
        # iptables takes the wrong bit for that of an inverted protocol.
        if option.name == "ctproto" and not value and "ctstatus" in use.inverted:
            raise Failure("conntrack: rule would never match protocol")

    def _text(self, value, kind, numeric):
        text, = kind.write(value)
        if numeric or not isinstance(kind, HostMask):
            return text
        _, slash, mask = text.partition("/")
        name = names.host_name(value.address, self.family)
        return f"{name}{slash}{mask}" if value.address else "anywhere"

    def show(self, use, numeric):
        parts = []
        for option in self.options:
            if option.name in use:
                text = self._text(use.get(option.name), option.kind, numeric)
                parts.append(f"{use.bang(option.name, '! ')}{option.name} {text}")
        return " ".join(parts)

    def compile(self, use, out):
        if "ctstate" in use:
            bits = use.get("ctstate")
            translated = sum(bit for place, bit in TRANSLATED if bits >> place & 1)
            out.status_asked |= translated
            out.test("ctstate", ctstates(bits), translated, invert="ctstate" in use.inverted)
        else:
            out.test("tracked")
        for name, value in use.values.items():
            if name in ENDS:
                masked = value.address & value.mask
                out.test(name, masked >> 64, masked & LOW, value.mask >> 64, value.mask & LOW,
                         invert=name in use.inverted)
            elif name != "ctstate":
                self._test(name, value, name in use.inverted, out)

    def _test(self, name, value, invert, out):
        if name.endswith("port"):
            direction, destination = divmod(ENDS.index(name.removesuffix("port")), 2)
            out.test("ctport", *value, direction, destination, invert=invert)
        elif name == "ctexpire":
            out.test("ctexpire", *value, invert=invert)
        elif name == "ctdir":
            out.test("ctdir", DIRECTIONS.index(value))
        else:                            # ctproto, ctstatus
            out.status_asked |= value if name == "ctstatus" else 0
            out.test(name, value, invert=invert)
