"""Asking the kernel for one conntrack entry, over netlink: as little of it as the comparison needs."""

import socket
import struct

NETLINK_NETFILTER = 12
CT_GET = 1 << 8 | 1
NLM_F_REQUEST = 1
NESTED = 0x8000
TUPLE_ORIG, STATUS, PROTOINFO, TIMEOUT = 1, 3, 4, 7
ICMP, ICMPV6 = 1, 58


def _attr(kind, data):
    return struct.pack("HH", 4 + len(data), kind) + data + bytes(-len(data) % 4)


def _attrs(data):
    at = 0
    while at + 4 <= len(data):
        length, kind = struct.unpack_from("HH", data, at)
        yield kind & 0x3FFF, data[at + 4 : at + length]
        at += length + (-length % 4)


def _tuple(flow):
    """CTA_TUPLE_ORIG of a ``generator.Flow``."""
    first = 3 if len(flow.src) == 16 else 1
    addresses = _attr(first, flow.src) + _attr(first + 1, flow.dst)
    proto = _attr(1, bytes((flow.proto,)))
    if flow.proto in (ICMP, ICMPV6):
        base = 4 if flow.proto == ICMP else 7
        proto += (
            _attr(base, flow.id.to_bytes(2, "big"))
            + _attr(base + 1, bytes((flow.type,)))
            + _attr(base + 2, bytes((flow.code,)))
        )
    else:
        proto += _attr(2, flow.sport.to_bytes(2, "big")) + _attr(3, flow.dport.to_bytes(2, "big"))
    return _attr(TUPLE_ORIG | NESTED, _attr(1 | NESTED, addresses) + _attr(2 | NESTED, proto))


class Conntrack:
    """A netlink socket to this namespace's conntrack."""

    def __init__(self):
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER)
        self._socket.bind((0, 0))

    def get(self, flow):
        """(state, status, timeout in s) of the entry with this tuple in either direction, or None."""
        family = socket.AF_INET6 if len(flow.src) == 16 else socket.AF_INET
        body = struct.pack("!BBH", family, 0, 0) + _tuple(flow)
        self._socket.send(struct.pack("IHHII", 16 + len(body), CT_GET, NLM_F_REQUEST, 1, 0) + body)
        answer = self._socket.recv(8192)
        if struct.unpack_from("H", answer, 4)[0] == 2:  # NLMSG_ERROR: there is none
            return None
        found = dict(_attrs(answer[20 : struct.unpack_from("I", answer)[0]]))
        state = 0
        if PROTOINFO in found:
            for kind, data in _attrs(found[PROTOINFO]):
                if kind == 1:  # TCP
                    state = dict(_attrs(data))[1][0]
        return state, int.from_bytes(found[STATUS], "big"), int.from_bytes(found[TIMEOUT], "big")
