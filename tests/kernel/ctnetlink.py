"""Asking the kernel for one conntrack entry, or marking it, over netlink: as little of it as the comparison needs."""

import socket
import struct

from tests.kernel.flows import Flow
from tests.kernel.observation import Entry

NETLINK_NETFILTER = 12
CT_NEW, CT_GET, CT_DELETE = 1 << 8, 1 << 8 | 1, 1 << 8 | 2
NLM_F_REQUEST, NLM_F_ACK = 1, 4
NLMSG_ERROR = 2
NESTED = 0x8000
TUPLE_ORIG, STATUS, PROTOINFO, TIMEOUT, MARK, COUNTERS = 1, 3, 4, 7, 8, (9, 10)
TUPLE_MASTER, ZONE = 14, 18
ICMP, ICMPV6 = 1, 58
PORTS = (6, 17, 47, 132, 136)  # protocols whose tuples have them, or keys
# States of the protocols that have some, by the kind of their attribute and the kernel's number.
STATES = {
    1: ("", "SYN_SENT", "SYN_RECV", "ESTABLISHED", "FIN_WAIT", "CLOSE_WAIT", "LAST_ACK", "TIME_WAIT", "CLOSE",
        "SYN_SENT2"),
    3: ("", "CLOSED", "COOKIE_WAIT", "COOKIE_ECHOED", "ESTABLISHED", "SHUTDOWN_SENT", "SHUTDOWN_RECD",
        "SHUTDOWN_ACK_SENT", "HEARTBEAT_SENT"),
}
SCTP = 3


def attr(kind, data):
    """A netlink attribute."""
    return struct.pack("HH", 4 + len(data), kind) + data + bytes(-len(data) % 4)


def attrs(data):
    """The attributes of a message: kinds and what each holds."""
    at = 0
    while at + 4 <= len(data):
        length, kind = struct.unpack_from("HH", data, at)
        yield kind & 0x3FFF, data[at + 4 : at + length]
        at += length + (-length % 4)


def _tuple(flow):
    """CTA_TUPLE_ORIG of a ``generator.Flow``."""
    first = 3 if len(flow.src) == 16 else 1
    addresses = attr(first, flow.src) + attr(first + 1, flow.dst)
    proto = attr(1, bytes((flow.proto,)))
    if flow.proto in (ICMP, ICMPV6):
        base = 4 if flow.proto == ICMP else 7
        proto += (
            attr(base, flow.id.to_bytes(2, "big"))
            + attr(base + 1, bytes((flow.type,)))
            + attr(base + 2, bytes((flow.code,)))
        )
    elif flow.proto in PORTS:
        proto += attr(2, flow.sport.to_bytes(2, "big")) + attr(3, flow.dport.to_bytes(2, "big"))
    return attr(TUPLE_ORIG | NESTED, attr(1 | NESTED, addresses) + attr(2 | NESTED, proto))


def _flow(data):
    """The ``generator.Flow`` of a tuple, if its protocol has ports or keys."""
    addresses, proto = (dict(attrs(part)) for _, part in list(attrs(data))[:2])
    (_, src), (_, dst) = sorted(addresses.items())
    return Flow(src, dst, proto[1][0], *(int.from_bytes(proto[number], "big") for number in (2, 3)))


def _protocol(info):
    """State by name, and SCTP's tags, of a CTA_PROTOINFO."""
    kind, data = next(attrs(info))
    values = dict(attrs(data))
    tags = tuple(int.from_bytes(values[number], "big") for number in (2, 3)) if kind == SCTP else None
    return STATES[kind][values[1][0]], tags


class Conntrack:
    """A netlink socket to this namespace's conntrack."""

    def __init__(self):
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER)
        self._socket.bind((0, 0))

    def _ask(self, kind, flags, flow, zone, more=b""):
        """The attributes of the entry with this tuple in either direction, or None."""
        family = socket.AF_INET6 if len(flow.src) == 16 else socket.AF_INET
        body = struct.pack("!BBH", family, 0, 0) + _tuple(flow) + attr(ZONE, zone.to_bytes(2, "big")) + more
        self._socket.send(struct.pack("IHHII", 16 + len(body), kind, NLM_F_REQUEST | flags, 1, 0) + body)
        answer = self._socket.recv(8192)
        if struct.unpack_from("H", answer, 4)[0] == NLMSG_ERROR:  # there is none
            return None
        return dict(attrs(answer[20 : struct.unpack_from("I", answer)[0]]))

    def mark(self, flow, zone, mark):
        """Mark the entry of a tuple, if there is one."""
        self._ask(CT_NEW, NLM_F_ACK, flow, zone, attr(MARK, mark.to_bytes(4, "big")))

    def get(self, flow, zone=0):
        """The ``Entry`` with this tuple in either direction, or None."""
        found = self._ask(CT_GET, 0, flow, zone)
        if found is None:
            return None
        counters = tuple(
            int.from_bytes(value, "big") for direction in COUNTERS for _, value in attrs(found[direction])
        )
        state, tags = _protocol(found[PROTOINFO]) if PROTOINFO in found else ("", None)
        status, timeout, mark = (int.from_bytes(found.get(kind, b""), "big") for kind in (STATUS, TIMEOUT, MARK))
        return Entry(state, status, timeout, tags, counters, mark)

    def flush(self):
        """End every connection."""
        self._socket.send(struct.pack("IHHII", 20, CT_DELETE, NLM_F_REQUEST | NLM_F_ACK, 1, 0) + bytes(4))
        self._socket.recv(8192)

    def master(self, flow):
        """The ``generator.Flow`` of the entry that expected this one, or None."""
        found = self._ask(CT_GET, 0, flow, 0)
        return _flow(found[TUPLE_MASTER]) if found and TUPLE_MASTER in found else None
