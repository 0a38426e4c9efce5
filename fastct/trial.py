"""What rules do with packets that are described in words: no capture, no interfaces, no root.

>>> from fastct.rules import Ruleset
>>> rules = Ruleset.parse("*filter\\n:INPUT DROP [0:0]\\n-A INPUT -i eth0 -p tcp --dport 80 -j ACCEPT\\nCOMMIT\\n")
>>> trial = Trial(rules)
>>> trial.accepts("in=eth0 tcp 10.0.0.1:1234 > 1.2.3.4:80 syn")
<True: ACCEPT filter/INPUT/1>
>>> trial.drops("in=eth0 tcp 10.0.0.1:1234 > 1.2.3.4:81 syn")
<True: DROP filter/INPUT/policy>
"""
import datetime
from dataclasses import dataclass
from ipaddress import ip_address, ip_interface

from fastct.capture.frames import LINKTYPE_RAW
from fastct.columns import columns_of
from fastct.errors import ConfigError, PacketError
from fastct.firewall import ruleset_of
from fastct.rules.described import Described, described
from fastct.tracker import Template, Tracker

NS_PER_S = 10**9
START = datetime.datetime(2025, 1, 1, tzinfo=datetime.UTC)      # of every sequence, unless it is told otherwise
STEP_NS = 10**6                                                 # between packets that do not say when they come
EVERYTHING = ("0.0.0.0/0", "::/0")
LOOPBACK6 = ip_address("::1")       # of 127.0.0.0/8, one may be behind lo to another
SEED = 0        # what Linux leaves to chance is the same every time


@dataclass(frozen=True)
class Outcome:
    """What became of a packet: the packet, and its row's columns by name: words as text, others as numbers."""
    packet: Described
    row: dict

    @property
    def verdict(self):
        """ACCEPT, DROP, REJECT, QUEUE or STOLEN."""
        return self.row["verdict"]

    @property
    def decided(self):
        """``table/CHAIN/number`` or ``table/CHAIN/policy`` of what decided, or the engine's step."""
        return self.row["decided"]

    def __str__(self):
        return " ".join(filter(None, (self.verdict, self.decided, self.row["reason"])))


class Answer:
    """Yes or no, and the outcome that says so: what an assertion that fails shows."""

    def __init__(self, holds, outcome):
        self.holds, self.outcome = holds, outcome

    def __bool__(self):
        return self.holds

    def __repr__(self):
        return f"<{self.holds}: {self.outcome}>"


def words_of(row, columns):
    """A row of packets as a dict: words as text, all else as numbers."""
    return {column.name: column.words[row[column.name]] if column.form == "word" else int(row[column.name])
            for column in columns}


def placed(packets, *, local=(), interfaces=(), routes=()):
    """What a tracker must be told so that packets come in and go out where their words say.

    Where nothing says which addresses of a family are the host's own, the words do, as in the kernel's log: what only
    comes in is for the host, what only goes out is from it.

    Parameters
    ----------
    packets : sequence of Described
    local, interfaces, routes
        As for ``Tracker``.

    Returns
    -------
    dict
        ``local``, ``interfaces`` and ``routes`` for a ``Tracker``.

    Raises
    ------
    PacketError
        If an address would be in two places.
    """
    behind, own = {}, {}
    ours = {ip_interface(text).ip for text in (*local, *(text for _, text in interfaces))}
    known_families = {address.version for address in ours}
    for packet in packets:
        comes, goes = packet.in_interface, packet.out_interface
        for address, name in ((packet.source, comes), (packet.destination, goes)):
            if name and behind.setdefault(address, name) != name:
                raise PacketError(f"{address} is behind {behind[address]} and behind {name}", token=str(address))
        if packet.family not in known_families and bool(comes) != bool(goes):
            own[packet.destination if comes else packet.source] = None      # a set in order
    ours |= own.keys() | {LOOPBACK6}
    clash = next((address for address in behind if address in ours), None)
    if clash is not None:
        hint = "; on lo, take another of its addresses" if behind[clash] == "lo" else ""
        raise PacketError(f"{clash} is the host's own: nothing comes in from it or goes out to it{hint}",
                          token=str(clash))
    known = dict.fromkeys([*(name for name, _ in interfaces), *(name for _, name in routes)])
    default = list(known)[-1] if known else ""
    return {"local": [*local, *map(str, own)], "interfaces": list(interfaces), "routes": [
        *((str(address), name) for address, name in behind.items()), *routes,
        *((prefix, default) for prefix in EVERYTHING)]}


class Trial:
    """Rules to ask what they do with packets. Every question has a table of its own; its packets are a sequence.

    Parameters
    ----------
    rules, rules6 : str, os.PathLike, fastct.rules.Ruleset or None
        iptables' and ip6tables' rules.
    start : datetime.datetime
        When the first packet of a question comes.
    local, interfaces, routes
        As for ``Tracker``; see ``placed`` for what holds without them.
    **settings
        Others of ``Tracker``: sysctls, helpers and so on.

    Attributes
    ----------
    rules : dict
        The rulesets, by the names that ``Tracker`` has for them.

    Raises
    ------
    RuleError, ConfigError
    """

    def __init__(self, rules=None, rules6=None, *, start=START, local=(), interfaces=(), routes=(), **settings):
        self.rules = {name: ruleset_of(given, family) for name, given, family in
                       (("rules", rules, 4), ("rules6", rules6, 6)) if given is not None}
        self._places = {"local": list(local), "interfaces": list(interfaces), "routes": list(routes)}
        self._start, self._settings = start, {"seed": SEED} | settings
        Tracker(**self.rules, **self._places, **self._settings)     # what is wrong with them is said at once

    def outcomes(self, *packets, start=None):
        """The Outcome of each packet of a sequence: list. Packets are texts for ``described``, or come from it.

        Raises
        ------
        PacketError
            For words that describe no packet.
        """
        dialogue = {}
        made = [described(packet, dialogue) if isinstance(packet, str) else packet for packet in packets]
        if not made:
            raise ConfigError("no packet is asked about")
        tracker = Tracker(**self.rules, **placed(made, **self._places), **self._settings)
        first = now = round((start or self._start).timestamp()) * NS_PER_S
        found = []
        for packet in made:
            now = first + round(packet.at * NS_PER_S) if packet.at is not None else now + STEP_NS * bool(found)
            row, = tracker.process_bytes([packet.data], [now], LINKTYPE_RAW, Template(mark=packet.mark))
            found.append(Outcome(packet, words_of(row, columns_of("packets", tracker.deciders))))
        return found

    def outcome(self, *packets):
        """The Outcome of the last packet of a sequence."""
        return self.outcomes(*packets)[-1]

    def decided(self, *packets):
        """What decided on the last packet of a sequence: ``filter/INPUT/3``, ``filter/INPUT/policy``."""
        return self.outcome(*packets).decided

    def accepts(self, *packets):
        """Whether the last packet of a sequence is accepted: an Answer, true or false."""
        return self._is("ACCEPT", packets)

    def drops(self, *packets):
        """Whether it is dropped."""
        return self._is("DROP", packets)

    def rejects(self, *packets):
        """Whether it is rejected."""
        return self._is("REJECT", packets)

    def _is(self, verdict, packets):
        outcome = self.outcome(*packets)
        return Answer(outcome.verdict == verdict, outcome)
