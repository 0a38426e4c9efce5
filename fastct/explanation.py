"""What became of a packet, and why: its way through hooks, tables and rules, of a trace and the packet's row.

    trace ► rules.account ► Visit ┐
    the packet's row ─────────────┼► Step, Step, … ► Explanation ► export.explained: text, JSON, Graphviz
    its connection, before, after ┘
"""
from dataclasses import asdict, dataclass, field

from fastct.records import CTDIRS, CTSTATES, HELPERS, STATES, VERDICTS
from fastct.rules.account import Tried
from fastct.rules.compiled import HOOK_NUMBERS, TABLE_NUMBERS
from fastct.rules.kinds import bits_text
from fastct.rules.matches.address import ADDRESS_TYPES
from fastct.rules.met import ICMP_PROTOCOLS, TCP
from fastct.rules.model import TABLES
from fastct.rules.names import protocol_name
from fastct.wire.reason import REASONS, TEXT

# The hooks of each way (``way`` of the compiled rules), and the tables at each hook, in their order.
WAYS = (("PREROUTING", "FORWARD", "POSTROUTING"), ("PREROUTING", "INPUT"), ("OUTPUT", "POSTROUTING"))
TABLES_AT = {hook: [name for _, name in sorted((TABLE_NUMBERS[name, hook], name) for name, hooks in TABLES.items()
                                               if hook in hooks)] for hook in HOOK_NUMBERS}
BEFORE_CONNTRACK, LOCAL = "raw", "LOCAL"
STATUS_WORDS = ("EXPECTED", "SEEN_REPLY", "ASSURED", "CONFIRMED", "SRC_NAT", "DST_NAT", "SEQ_ADJUST", "SRC_NAT_DONE",
                "DST_NAT_DONE", "DYING", "FIXED_TIMEOUT", "TEMPLATE", "UNTRACKED", "HELPER", "OFFLOAD")
SEEN_REPLY = 1 << STATUS_WORDS.index("SEEN_REPLY")
# Who decides before any table is asked, besides conntrack.
NO_HOOK = ("wire", "defrag")


@dataclass
class Step:
    """A step of a packet's way.

    Attributes
    ----------
    hook : str
        PREROUTING and so on; empty in front of all hooks.
    what : str
        "conntrack", "route", "defrag", "wire", "helper", "confirm", or the name of a table.
    said : str
        What came of it, in words; of a table that was asked, nothing: its rules say it.
    rules : list of fastct.rules.account.Tried
        What the packet met in a table, in order.
    """
    hook: str
    what: str
    said: str = ""
    rules: list[Tried] = field(default_factory=list)


@dataclass
class Explanation:
    """What became of a packet, and why.

    Attributes
    ----------
    packet, ts : int
        Its number, and ns since the epoch.
    text : str
        The packet in words.
    steps : list of Step
        Its way.
    verdict, decided, reason : str
        As in the packet's row.
    why : str
        The verdict's reason in words.
    row : dict
        The other columns of the packet's row.
    """
    packet: int
    ts: int
    text: str
    steps: list[Step]
    verdict: str
    decided: str
    reason: str
    why: str
    row: dict

    def to_dict(self):
        """All of it as dicts, lists, texts and numbers."""
        return asdict(self)


# ---- words

def packet_text(met, way):
    """A packet in the words of ``rules.described``. ``way``: its row at the end, for the interfaces."""
    if not met.data:
        return f"{met.length} bytes"
    hooks = WAYS[way["way"]] if way["source_type"] else ()
    sides = (("in", "in_if", "PREROUTING"), ("out", "out_if", "POSTROUTING"))
    places = [f"{word}={met.interfaces[way[field]]}" for word, field, hook in sides if way[field] and hook in hooks]
    ports = [met.transport(at, 2) for at in (0, 2)] if met.protocol in (TCP, 17, 132, 136, 33) else [None, None]
    ends = [address if port is None else f"[{address}]:{port}" if met.family == 6 else f"{address}:{port}"
            for address, port in zip((met.source, met.destination), ports, strict=True)]
    words = [protocol_name(met.protocol), ends[0], ">", ends[1]]
    if met.flags:
        words += met.flags.lower().split(",")
    elif met.icmp_type:
        words.append(met.icmp_name)
    ttl = met.data[8 if met.family == 4 else 7]
    words += [f"ttl={ttl}"] + [f"tos={met.tos:#x}"] * bool(met.tos) + [f"length={met.length}"]
    return " ".join(places + words)


def _status(bits):
    return bits_text(int(bits), STATUS_WORDS).replace(",", " ")


def _number(conn):
    return f"connection {conn['conn']}"


class _Tracking:
    """Words on what conntrack made of a packet.

    ``row``: of the packet. ``before`` and ``after``: its connection's rows, None where there is none. ``met``: the
    packet behind conntrack, None if it met no table there. ``over``: at the end.
    """

    def __init__(self, row, before, after, met, over):
        self.row, self.before, self.after, self.met, self.over = row, before, after, met, over
        self.state = CTSTATES[row["ctstate"]]
        self.direction = met.direction if met is not None else CTDIRS[row["ctdir"]]

    def said(self):
        """Class, why, and what the connection is by now."""
        why = self.why()
        text = f"{' '.join(filter(None, (self.state, self.direction)))}: {why}"
        if self.after is None:
            return text
        number = _number(self.after)
        return f"{text}; {self.entry()}" if number in why else f"{text}; {number}: {self.entry()}"

    def why(self):
        """Why it has the class that it has."""
        reason = TEXT[self.row["reason"]]
        if self.state == "INVALID":
            return reason or "conntrack knows nothing of it"
        if self.state == "UNTRACKED":
            return "a rule of the raw table says so" if self.met is not None else "packets of this type are not tracked"
        if self.state == "RELATED":
            return self._related()
        if self.state == "NEW":
            why = self._first() if self.before is None else f"{_number(self.before)} has seen no reply"
        elif self.before is None:
            why = "of a connection that begins with it"
        elif self.direction == "REPLY":
            reply = "reply" if int(self.before["status"]) & SEEN_REPLY else "first reply"
            why = f"{reply} of {_number(self.before)}"
        else:
            why = f"{_number(self.before)} has seen replies"
        return f"{why} ({reason})" if reason else why

    def _first(self):
        late = self.over.flags is not None and "SYN" not in self.over.flags
        return "first packet of this tuple" + (", taken up in mid-stream (nf_conntrack_tcp_loose)" if late else "")

    def _related(self):
        master = int(self.met.row["master"]) if self.met is not None else 0
        if self.after is not None:
            master = int(self.after["master"]) or master
        if self.before is not None or not master:
            about = self.after if self.after is not None else self.before
            return "ICMP error about " + (_number(about) if about is not None else "a connection")
        helper = HELPERS[self.after["helper"]] if self.after is not None else ""
        return f"expected by connection {master}" + (f", helper {helper}" if helper else "")

    def entry(self):
        """Protocol state, status and timeout of the connection after the packet."""
        row, words = self.after, []
        new = STATES[row["state"]]
        old = STATES[self.before["state"]] if self.before is not None else ""
        if new:
            words.append(f"{old} -> {new}" if old and old != new else new)
        words += [_status(row["status"]), f"timeout {self.row['timeout'] or row['timeout']} s"]
        words += [text for name, text in (("zone", f"zone {row['zone']}"), ("mark", f"mark {row['mark']:#x}"),
                                          ("helper", f"helper {HELPERS[row['helper']]}")) if row[name]]
        return ", ".join(filter(None, words))


# ---- the way

class _Way:
    """The steps of a packet, in order. ``over``: the packet at the end of its way."""

    def __init__(self, row, decided, visits, over, tracking, tables):
        self.row, self.decided, self.over, self.tracking = row, decided, over, tracking
        self.visits = {(visit.hook, visit.table): visit for visit in visits}
        self.tables, self.steps = tables, []

    def walk(self):
        """The steps: up to where the packet was stopped."""
        if self.decided in NO_HOOK or not self.row["ctstate"] and not self.visits:
            self.steps.append(Step("", self.decided or "wire", TEXT[self.row["reason"]]))
            return self.steps
        hooks = WAYS[self.over.row["way"]] if self.over.row["source_type"] else ("",)
        for hook in hooks:
            if not self._at(hook) or hook == "PREROUTING" and not self._route():
                break
        self._end()
        return self.steps

    def _at(self, hook):
        """The tables of a hook, and conntrack behind the first; False if the packet goes no further."""
        first = hook == "" or hook in ("PREROUTING", "OUTPUT")
        for name in TABLES_AT.get(hook, ()):
            if first and name != BEFORE_CONNTRACK:
                first = False
                if not self._conntrack(hook):
                    return False
            if not self._table(hook, name):
                return False
        return self._conntrack(hook) if first else True

    def _conntrack(self, hook):
        self.steps.append(Step(hook, "conntrack", self.tracking.said()))
        return self.decided != "conntrack"

    def _table(self, hook, name):
        visit = self.visits.get((hook, name))
        if visit is None:
            if name in self.tables:
                self.steps.append(Step(hook, name, "not asked: " + self._why_no_nat()))
            return True
        self.steps.append(Step(hook, name, rules=visit.rules))
        return visit.rules[-1].verdict == "ACCEPT"

    def _why_no_nat(self):
        if not self.tracking.direction:
            return "the packet has no connection"
        if self.tracking.state == "RELATED" and self.over.protocol in ICMP_PROTOCOLS:
            return "ICMP errors are translated as their connections are"
        return "only the first packet of a connection is"

    def _route(self):
        """Where the packet goes behind PREROUTING; False if nowhere."""
        kind = ADDRESS_TYPES[self.over.row["destination_type"]]
        destination, out = self.over.destination, self.over.out_interface
        if self.over.row["way"] == WAYS.index(("PREROUTING", "INPUT")):
            own = f"{destination} is the host's own address" if kind == LOCAL else f"{destination} is {kind.lower()}"
            self.steps.append(Step("", "route", f"{own}: INPUT"))
            return True
        to = f" to {out}" if out else ""
        if self.decided == "route":
            self.steps.append(Step("", "route", f"{destination} is another host: {TEXT[self.row['reason']]}"))
            return False
        ttl = self.over.ttl
        later = [visit.before.ttl for visit in self.visits.values() if visit.hook != "PREROUTING"]
        ttl = later[0] if later else ttl
        word = "TTL" if self.over.family == 4 else "hop limit"
        self.steps.append(Step("", "route", f"{destination} is another host: FORWARD{to}, {word} {ttl + 1} -> {ttl}"))
        return True

    def _end(self):
        """Behind the last table: helpers read, and what became of the connection that the packet begins."""
        tracking = self.tracking
        if self.decided == "helper":
            self.steps.append(Step("", "helper", TEXT[self.row["reason"]]))
        elif tracking.before is None and tracking.after is not None:
            self.steps.append(Step("", "confirm", f"{_number(tracking.after)} is kept from here on"))
        elif tracking.before is None and tracking.direction and VERDICTS[self.row["verdict"]] != "ACCEPT":
            self.steps.append(Step("", "confirm", "not reached: its connection is not kept"))


def _why(row, verdict, decided, steps):
    """The verdict's reason in words."""
    last = next((step.rules[-1] for step in reversed(steps) if step.rules
                 and decided == f"{step.what}/{step.rules[-1].chain}/{step.rules[-1].number or 'policy'}"), None)
    if last is not None:
        return last.text
    return TEXT[row["reason"]] if verdict != "ACCEPT" else "no table says anything else" if not decided else ""


def explanation(row, decided, visits, over, before, after, tables):
    """The Explanation of a packet.

    Parameters
    ----------
    row : numpy.void
        Of PACKET_DTYPE.
    decided : str
        The word of its column.
    visits : list of fastct.rules.account.Visit
    over : fastct.rules.met.Met
        The packet at the end.
    before, after : numpy.void or None
        Its connection before and after it, of CONNECTION_DTYPE.
    tables : collection of str
        Names of the tables that there are.
    """
    behind = next((visit.before for visit in visits if visit.table != BEFORE_CONNTRACK), None)
    tracking = _Tracking(row, before, after, behind, over)
    steps = _Way(row, decided, visits, over, tracking, tables).walk()
    verdict = VERDICTS[row["verdict"]]
    first = visits[0].before if visits else over
    columns = {"ctstate": CTSTATES[row["ctstate"]], "ctdir": CTDIRS[row["ctdir"]], "conn": int(row["conn"]),
               "state": STATES[row["state"]], "status": int(row["status"]), "timeout": int(row["timeout"]),
               "mark": int(row["mark"])}
    return Explanation(int(row["packet"]), int(row["ts"]), packet_text(first, over.row), steps, verdict, decided,
                       REASONS[row["reason"]], _why(row, verdict, decided, steps), columns)
