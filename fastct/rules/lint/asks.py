"""What a rule asks of packets, as a box: read off the conditions that it compiles to."""
from dataclasses import dataclass

from fastct.rules.compile import CONDITIONS, Assembler, compile_header
from fastct.rules.estate import Estate
from fastct.rules.lint.boxes import HOLDS, NO_MAC, TOP_ADDRESS, TOPS, common, everything, joined, meet, without
from fastct.rules.matches.ports import LIVE
from fastct.rules.names import prefix_length
from fastct.rules.words import Failure

EVERY_MARK = 0xFFFFFFFF
NAME_BITS = 128         # of an interface's name, with zeros behind it

# Conditions that nobody looks into, but that give the same answer for a packet again: until a target changes what they
# look at. Those that are not here (limits, times, sets …) may answer otherwise the next time.
STEADY = frozenset((
    "source", "destination", "mark", "tos", "ports", "spi", "cpi", "mobility", "tcp_bits", "tcp_option", "tcpmss",
    "chunks", "dccp_types", "dccp_option", "extension", "extension_byte", "extension_half", "extension_word",
    "extension_bits", "extension_options", "routing_addresses", "segments", "segment", "headers", "delivery", "eui64",
    "source_type", "destination_type", "string", "u32", "ctstate", "tracked", "ctorigsrc", "ctorigdst",
    "ctreplsrc", "ctrepldst", "ctport", "ctproto", "ctdir", "connmark", "connlabel", "cluster"))
# Matches on what is not known here, so that they compile to a constant, or to less than they say: in Linux they ask
# something, and two of them the same if they have the same words.
BY_WORDS = frozenset(("owner", "cgroup", "socket", "osf", "cpu", "policy", "realm", "devgroup", "physdev", "rpfilter",
                      "helper"))

# What targets that let the packet go on change of it, by what conditions look at.
PAYLOAD = ("string", "u32")
ENTRY = ("ctstate", "tracked", "ctorigsrc", "ctorigdst", "ctreplsrc", "ctrepldst", "ctport", "ctproto", "ctdir",
         "connmark", "connlabel", "helper", "cluster")
MARK = ("mark", "rpfilter")
ADDRESSES = ("source", "destination", "source_type", "destination_type", "rpfilter")
CHANGES = {
    "MARK": MARK, "HMARK": MARK, "CONNMARK": (*MARK, "connmark"), "CT": ENTRY, "NOTRACK": ENTRY,
    "TOS": ("tos", *PAYLOAD), "DSCP": ("tos", *PAYLOAD), "ECN": ("tos", "tcp_bits", *PAYLOAD),
    "TTL": ("ttl", *PAYLOAD), "HL": ("ttl", *PAYLOAD), "CHECKSUM": PAYLOAD,
    "TCPMSS": ("tcpmss", "tcp_option", "length", *PAYLOAD), "TCPOPTSTRIP": ("tcpmss", "tcp_option", *PAYLOAD),
    "SNPT": (*ADDRESSES, *PAYLOAD), "DNPT": (*ADDRESSES, *PAYLOAD), "TEE": (), "LOG": (), "NFLOG": (), "AUDIT": (),
    "TRACE": (), "SET": (), "CLASSIFY": (), "SECMARK": (), "CONNSECMARK": (), "IDLETIMER": (), "LED": (),
    "RATEEST": (), "CLUSTERIP": (), "SYNPROXY": (),
}


@dataclass(frozen=True)
class Asks:
    """What a rule asks.

    Attributes
    ----------
    box : dict or None
        The packets that it may match; None: there are none.
    exact : bool
        It matches all of them.
    plain : bool
        Being asked changes nothing.
    """
    box: dict | None
    exact: bool
    plain: bool


# ---- what conditions say, as values of a dimension

def _network(arguments, blob, family):
    low, mask = arguments[0] << 64 | arguments[1], arguments[2] << 64 | arguments[3]
    return None if prefix_length(mask, family) is None else ((low, low | TOP_ADDRESS[family] ^ mask),)


def _addresses(arguments, blob, family):
    low, high = arguments[0] << 64 | arguments[1], arguments[2] << 64 | arguments[3]
    return ((low, high),) if low <= high else ()


def _interface(arguments, blob, family):
    rest = NAME_BITS - 8 * arguments[0]
    low = int.from_bytes(blob[:arguments[0]], "big") << rest
    return ((low, low | (1 << rest) - 1),)


def _between(arguments, blob, family):
    return ((arguments[0], arguments[-1]),) if arguments[0] <= arguments[-1] else ()


def _ports(arguments, blob, family):
    ends = [int.from_bytes(blob[at:at + 2], "big") for at in range(0, len(blob), 2)]
    return joined(zip(ends[::2], ends[1::2], strict=True))


def _type(arguments, blob, family):
    kind, low, high = arguments
    return ((kind << 8 | low, kind << 8 | high),)


def _bits(bits, top):
    return joined((value, value) for value in range(top + 1) if bits >> value & 1)


def _flags(arguments, blob, family):
    return _bits(arguments[2], TOPS["flags"])


def _state(arguments, blob, family):
    return None if any(arguments[1:]) else _bits(arguments[0], TOPS["ctstate"])


def _mark(arguments, blob, family):
    value, mask = arguments
    rest = mask ^ EVERY_MARK
    if rest & rest + 1:
        return None
    return ((value, value | rest),) if value & rest == 0 else ()


def _mac(arguments, blob, family):
    value = int.from_bytes(blob, "big")
    return ((value, value),)


# By condition: the dimension, and the values with which it holds (None: it is none of intervals).
VALUES = {
    "source": ("source", _network), "destination": ("destination", _network),
    "source_range": ("source", _addresses), "destination_range": ("destination", _addresses),
    "in_interface": ("in_interface", _interface), "out_interface": ("out_interface", _interface),
    "protocol": ("protocol", _between), "sport": ("sport", _between), "dport": ("dport", _between),
    "sports": ("sport", _ports), "dports": ("dport", _ports), "type": ("icmp", _type), "tcp_flags": ("flags", _flags),
    "ctstate": ("ctstate", _state), "mark": ("mark", _mark), "length": ("length", _between), "ttl": ("ttl", _between),
    "mac": ("mac", _mac),
    # The header of transport is in the first fragment; who has too little of it is dropped by whoever asks.
    "fragment": ("fragment", lambda arguments, blob, family: ((1, 1),)),
    "header": ("fragment", lambda arguments, blob, family: ((0, 0),)),
}
# Values with which neither a condition nor its inverse holds.
NO_VALUE = {"protocol": 256, "mac": NO_MAC}


class _Questions(Assembler):
    """Notes the conditions of one part of a rule."""

    def __init__(self, ruleset, header):
        super().__init__(ruleset, header, Estate(), [])
        self.asked, self.never, self.elsewhere = [], False, False

    def test(self, name, *arguments, blob=b"", invert=False, key=None, acts=False):
        kind = CONDITIONS[name]
        self.asked.append((name, arguments, blob, invert, bool(acts or kind.keeps or key is not None)))

    def constant(self, answer):
        self.never |= not answer

    def note(self, text):
        self.elsewhere = True


class Reader:
    """Reads what the rules of a table ask."""

    def __init__(self, ruleset, table):
        self.ruleset, self.family = ruleset, ruleset.family
        self.changed = frozenset(name for chain in table.chains.values() for rule in chain.rules
                                 for name in _changes(rule))
        self._whole = everything(self.family)

    def asks(self, rule):
        """The Asks of a rule."""
        asked = self._header(rule)
        for use in rule.matches:
            asked = _both(asked, self._match(use, rule))
        return asked

    def _header(self, rule):
        out = _Questions(self.ruleset, rule.header)
        compile_header(rule, out)
        return self._conditions(out.asked)

    def _match(self, use, rule):
        out = _Questions(self.ruleset, rule.header)
        try:
            use.extension.compile(use, out)
        except (NotImplementedError, Failure):
            return Asks({}, False, False)
        if use.extension.name in BY_WORDS:
            if use.extension.name in self.changed:
                return Asks({}, False, True)
            words = (use.extension.name, *use.extension.save(use))
            return Asks({words: HOLDS[False]}, True, True)
        if out.never:
            return Asks(None, True, True)
        asked = self._conditions(out.asked)
        return Asks(asked.box, asked.exact and not out.elsewhere, asked.plain)

    def _conditions(self, asked):
        found = Asks({}, True, True)
        for name, arguments, blob, invert, keeps in asked:
            found = _both(found, self._condition(name.removeprefix(LIVE), arguments, blob, invert, keeps))
        return found

    def _condition(self, name, arguments, blob, invert, keeps):
        dimension, read = VALUES.get(name, (None, None))
        if name in self.changed or dimension in self.changed:
            return Asks({}, False, not keeps)
        values = read(arguments, blob, self.family) if read else None
        if values is not None:
            if invert:
                none = NO_VALUE.get(dimension)
                values = without(without(self._whole[dimension], values), ((none, none),) if none is not None else ())
            values = common(values, self._whole[dimension])
            return Asks({dimension: values} if values else None, True, True)
        if keeps or name not in STEADY:
            return Asks({}, False, not keeps)
        return Asks({(name, arguments, blob): HOLDS[invert]}, True, True)


def _both(a, b):
    box = None if a.box is None or b.box is None else meet(a.box, b.box)
    return Asks(box, a.exact and b.exact, a.plain and b.plain)


def _changes(rule):
    """What a rule's target, or a match, may change of the packets that it lets go on."""
    if rule.target is not None and not rule.target.extension.terminates:
        yield from CHANGES[rule.target.extension.name]
    for use in rule.matches:
        if use.extension.name == "socket" and "restore-skmark" in use:
            yield from MARK
        if use.extension.name == "connlabel" and "set" in use:
            yield "connlabel"
