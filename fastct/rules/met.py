"""A packet as rules met it, and what it has of what a condition asks for: the half of "no" that no rule can say."""
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple

import numpy as np

from fastct.records import CTDIRS, CTSTATES
from fastct.rules import names
from fastct.rules.compiled import TABLE_NUMBERS
from fastct.rules.kinds import bits_text
from fastct.rules.matches.address import ADDRESS_TYPES
from fastct.rules.matches.icmp import ICMP, ICMPV6
from fastct.rules.matches.ports import DCCP_TYPES, FLAGS, WITH_PORTS
from fastct.rules.matches.sctp import CHUNK_NAMES
from fastct.rules.matches.state import ENDS, STATUSES

NS_PER_S = 10**9
RAW = TABLE_NUMBERS["raw", "PREROUTING"]
ICMP_TYPES = {1: ICMP[1:], 58: ICMPV6}      # the first of ICMP is any
ICMP_PROTOCOLS = tuple(ICMP_TYPES)
TCP, SCTP = 6, 132
TCP_HEADER, SCTP_HEADER, DCCP_TYPE = 20, 12, 8
ALL_FLAGS = (*FLAGS, "ECE", "CWR")
OPTION_END, OPTION_MSS = 0, 2
# The fields of a connection's row that the options of -m conntrack are about.
END_FIELDS = dict(zip(ENDS, ("orig_src", "orig_dst", "reply_src", "reply_dst"), strict=True))
PORT_FIELDS = {f"{name}port": field.replace("src", "sport").replace("dst", "dport")
               for name, field in END_FIELDS.items()}
# Conditions that stand for several options: which of them, by their arguments and by the extension.
CT_PORTS = tuple(PORT_FIELDS)
SHARED = {("tos", "dscp"): "dscp", ("tos", "ecn"): "ect"}


@dataclass
class Met:
    """A packet at one step of its way.

    Attributes
    ----------
    row : numpy.void
        Of TRACE_DTYPE.
    data : bytes
        The packet from its IP header on, as far as the capture has it.
    interfaces : sequence of str
        By number.
    conn : numpy.void or None
        Its connection, of CONNECTION_DTYPE; None: it has none yet.
    ts : int
    """
    row: np.void
    data: bytes
    interfaces: tuple
    conn: np.void | None
    ts: int

    @property
    def family(self):
        """4 or 6; 0 of what is no IP packet."""
        return self.data[0] >> 4 if self.data else 0

    def _address(self, destination):
        at, size = (12, 4) if self.family == 4 else (8, 16)
        at += size * destination
        return names.address_text(int.from_bytes(self.data[at:at + size], "big"), self.family)

    @property
    def source(self):
        return self._address(False)

    @property
    def destination(self):
        return self._address(True)

    @property
    def protocol(self):
        """The number behind the IP header and those that extend it; in IPv4 what the header says."""
        return self.data[9] if self.family == 4 else int(self.row["l4proto"])

    @property
    def tos(self):
        """TOS or traffic class."""
        return self.data[1] if self.family == 4 else int.from_bytes(self.data[:2], "big") >> 4 & 0xFF

    @property
    def mark(self):
        return int(self.row["mark"])

    @property
    def connmark(self):
        return int(self.row["connmark"])

    @property
    def ttl(self):
        """TTL or hop limit."""
        return int(self.row["ttl"])

    @property
    def length(self):
        return int(self.row["len"])

    @property
    def state(self):
        return CTSTATES[self.row["ctstate"]]

    @property
    def direction(self):
        return CTDIRS[self.row["ctdir"]]

    @property
    def status(self):
        """The status of its connection, in the words of ``--ctstatus``."""
        return bits_text(int(self.row["status"]), STATUSES) or "NONE"

    @property
    def confirmed(self):
        """Whether its connection was there before it."""
        return bool(int(self.row["status"]) >> STATUSES.index("CONFIRMED") & 1)

    @property
    def in_interface(self):
        return self.interfaces[self.row["in_if"]]

    @property
    def out_interface(self):
        return self.interfaces[self.row["out_if"]]

    def transport(self, at, size):
        """Bytes of the transport header as a number; None if they are not there."""
        begin = int(self.row["l4_off"]) + at
        if not self.row["l4proto"] or begin + size > len(self.data):
            return None
        return int.from_bytes(self.data[begin:begin + size], "big")

    @property
    def flags(self):
        """The names of TCP's flags."""
        bits = self.transport(13, 1)
        return (bits_text(bits, ALL_FLAGS) or "NONE") if self.protocol == TCP and bits is not None else None

    @property
    def icmp_name(self):
        """The name of an ICMP message's type and code, of its type if there is none, or the numbers."""
        kind, code = self.transport(0, 1), self.transport(1, 1)
        names_of = reversed(ICMP_TYPES.get(self.protocol, ()))       # of several, the first counts
        found = {(low, high): name for name, (of, low, high) in names_of if of == kind}
        return found.get((code, code)) or found.get((0, 0xFF)) or self.icmp_type

    @property
    def icmp_type(self):
        kind, code = self.transport(0, 1), self.transport(1, 1)
        return f"{kind}/{code}" if self.protocol in ICMP_PROTOCOLS and code is not None else None

    def options(self):
        """TCP's options: pairs of number and bytes."""
        at, data = int(self.row["l4_off"]), self.data
        if self.flags is None or at + TCP_HEADER > len(data):
            return
        end = min(len(data), at + (data[at + 12] >> 4) * 4)
        at += TCP_HEADER
        while at < end and data[at] != OPTION_END:
            size = 1 if data[at] < OPTION_MSS or at + 1 == end else max(data[at + 1], 1)
            yield data[at], data[at + 2:min(at + size, end)]
            at += size

    def chunks(self):
        """The names of SCTP's chunks."""
        at = int(self.row["l4_off"]) + SCTP_HEADER
        while self.row["l4proto"] == SCTP and at + 4 <= len(self.data):
            yield CHUNK_NAMES.get(self.data[at], str(self.data[at]))
            at += max(4, int.from_bytes(self.data[at + 2:at + 4], "big") + 3 & ~3)

    def _of_first(self, field):
        """What a connection's row would have of the packet that begins it."""
        ports = dict.fromkeys(("orig_sport", "reply_dport"), 0) | dict.fromkeys(("orig_dport", "reply_sport"), 2)
        if field in ports:
            return self.transport(ports[field], 2) if self.protocol in WITH_PORTS else None
        return {"orig_src": self.source, "orig_dst": self.destination, "reply_src": self.destination,
                "reply_dst": self.source, "orig_packets": 1, "orig_bytes": self.length, "reply_packets": 0,
                "reply_bytes": 0}[field]

    def of_connection(self, field):
        """A field of its connection's row as text; None where there is none."""
        if self.conn is None:
            value = self._of_first(field)
            return None if value is None else str(value)
        value = self.conn[field]
        if value.shape:
            size = 4 if self.family == 4 else 16
            return names.address_text(int.from_bytes(bytes(value[:size]), "big"), self.family)
        return str(value)


# ---- what the packet has

def has(read):
    """It has the value that ``read`` finds; none, where it finds none."""
    def said(met):
        value = read(met)
        return "packet has none" if value in (None, "") else f"packet has {value}"
    return said


def hexadecimal(name):
    """The value of an attribute that is written in hexadecimal."""
    return has(lambda met: f"{getattr(met, name):#x}")


def connection(read):
    """Its connection has the value that ``read`` finds."""
    def said(met):
        if not met.direction:
            return "packet has no connection"
        value = read(met)
        return "its connection is another" if value in (None, "") else f"its connection has {value}"
    return said


def port(at):
    """A port of its header."""
    return has(lambda met: met.transport(at, 2))


def address_type(name):
    """What one of its addresses is to the host."""
    return lambda met: f"{getattr(met, name)} is {ADDRESS_TYPES[met.row[f'{name}_type']]}"


def _clock(met):
    return f"it is {datetime.fromtimestamp(met.ts // NS_PER_S, UTC):%A %Y-%m-%d %H:%M:%S} UTC"


def _state(met):
    """Its class; before conntrack, which has none for it yet, rules take it for INVALID."""
    early = met.row["table"] == RAW and met.state == "INVALID"
    return f"packet is {met.state}{' until it is tracked' if early else ''}"


class Test(NamedTuple):
    """What a condition is about: options it may come from (that of its own name, if empty), and what the packet has; a
    pair of texts where the condition's own state decides: when it does not hold, and when it does."""
    said: object
    options: tuple = ()


def test_name(condition, arguments, extension):
    """The name in TESTS of a condition; ``extension``: the name of the match that it came from, "" of a header's."""
    if condition == "ctport":
        return CT_PORTS[arguments[2] * 2 + arguments[3]]
    return SHARED.get((condition, extension), condition)


_BYTES_OF_HEADER = Test(("packet has no such header, or not all of it", "packet has it"))
_PORTS = Test(has(lambda met: f"{met.transport(0, 2)} and {met.transport(2, 2)}"))
_EXTENSION = Test(("packet has no such header, or another value in it", "packet has it"))
_NOBODY = Test(("never so here", "always so here"))

TESTS = {
    "source": Test(has(lambda met: met.source)),
    "destination": Test(has(lambda met: met.destination)),
    "source_range": Test(has(lambda met: met.source), ("src-range",)),
    "destination_range": Test(has(lambda met: met.destination), ("dst-range",)),
    "in_interface": Test(has(lambda met: met.in_interface)),
    "out_interface": Test(has(lambda met: met.out_interface)),
    "protocol": Test(lambda met: f"packet is {names.protocol_name(met.protocol)}"),
    "fragment": Test(("packet is no later fragment", "packet is a later fragment")),
    "ttl": Test(has(lambda met: met.ttl)),
    "length": Test(has(lambda met: met.length)),
    "tos": Test(hexadecimal("tos")),
    "dscp": Test(has(lambda met: f"{met.tos >> 2:#04x}")),
    "ect": Test(has(lambda met: met.tos & 3), ("ecn-ip-ect",)),
    "never": _NOBODY,
    "header": _BYTES_OF_HEADER,
    "live_header": _BYTES_OF_HEADER,
    **{f"{live}{name}": Test(port(at), (name,)) for live in ("", "live_")
       for name, at in (("sport", 0), ("dport", 2), ("sports", 0), ("dports", 2))},
    "ports": _PORTS,
    "live_ports": _PORTS._replace(options=("ports",)),
    "type": Test(has(lambda met: met.icmp_type), ("icmp-type", "icmpv6-type")),
    "spi": Test(has(lambda met: met.transport(0 if met.protocol == 50 else 4, 4)), ("espspi", "ahspi")),
    "cpi": Test(port(2), ("ipcompspi",)),
    "mobility": Test(has(lambda met: met.transport(2, 1)), ("mh-type",)),
    "tcp_flags": Test(has(lambda met: met.flags), ("tcp-flags",)),
    "tcp_bits": Test(has(lambda met: met.flags), ("ecn-tcp-ece", "ecn-tcp-cwr")),
    "tcp_option": Test(has(lambda met: ",".join(str(kind) for kind, _ in met.options())), ("tcp-option",)),
    "tcpmss": Test(has(lambda met: next((int.from_bytes(data, "big") for kind, data in met.options()
                                         if kind == OPTION_MSS), None)), ("mss",)),
    "chunks": Test(has(lambda met: ",".join(met.chunks())), ("chunk-types",)),
    "dccp_types": Test(has(lambda met: DCCP_TYPES[min((met.transport(DCCP_TYPE, 1) or 0) >> 1 & 15,
                                                      len(DCCP_TYPES) - 1)]), ("dccp-types",)),
    "dccp_option": Test(("packet has no such option", "packet has it"), ("dccp-option",)),
    **dict.fromkeys(("extension", "extension_byte", "extension_half", "extension_word", "extension_bits",
                     "extension_options", "routing_addresses", "segments", "segment", "headers"), _EXTENSION),
    "mac": Test(("it came from another, or from none", "it came from that"), ("mac-source",)),
    "delivery": Test(("it was not delivered so", "it was delivered so"), ("pkt-type",)),
    "eui64": Test(("source address is not made of the frame's", "source address is made of the frame's")),
    "source_type": Test(address_type("source"), ("src-type",)),
    "destination_type": Test(address_type("destination"), ("dst-type",)),
    "rpfilter": Test(("no way back by the interface it came in by", "there is a way back")),
    "string": Test(("packet does not hold it", "packet holds it")),
    "u32": Test(("packet has other bytes", "packet has these bytes")),
    "bpf": Test(("the program returns 0", "the program takes it")),
    "time": Test(_clock),
    "mark": Test(hexadecimal("mark")),
    "connmark": Test(connection(lambda met: f"{met.connmark:#x}"), ("mark",)),
    "ctstate": Test(_state, ("ctstate", "state")),
    "tracked": Test(("packet has no connection", "packet has a connection")),
    **{name: Test(connection(lambda met, field=field: met.of_connection(field)))
       for name, field in {**END_FIELDS, **PORT_FIELDS}.items()},
    "ctproto": Test(connection(lambda met: met.protocol)),
    "ctstatus": Test(connection(lambda met: met.status)),
    "ctdir": Test(lambda met: f"packet is {met.direction}" if met.direction else "packet has no connection"),
    "ctexpire": Test(connection(lambda met: met.of_connection("timeout") if met.confirmed else "0")),
    "connbytes": Test(connection(lambda met: "{} and {} packets, {} and {} bytes".format(
        *(met.of_connection(f"{way}_{what}") for what in ("packets", "bytes") for way in ("orig", "reply"))))),
    "connlabel": Test(("its connection has not got it", "its connection has it"), ("label",)),
    "helper": Test(("no connection with that helper expected its own", "a connection with that helper expected it")),
    "cluster": Test(("it is another node's", "it is this node's")),
    "limit": Test(("the limit is used up", "there is room")),
    "quota": Test(("the quota is used up", "the quota is not used up")),
    "nth": Test(("it is not its turn", "it is its turn")),
    "random": Test(("chance has it so", "chance has it so")),
    "nfacct": Test(("it is not counted", "it is counted")),
    "hashlimit": Test(("its rate is above the limit", "its rate is not above the limit")),
    "recent": Test(("the list says no", "the list says yes")),
    "connlimit": Test(("there are more connections", "there are not more connections")),
    "rateest": Test(("the estimated rates are not so", "the estimated rates are so")),
    "set": Test(("the set has no such entry", "the set has it"), ("match-set",)),
}
