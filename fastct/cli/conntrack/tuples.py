"""What names a connection: the two tuples that the options give it, and what a translation makes of them."""
import socket
import struct
from ipaddress import ip_address
from typing import NamedTuple

from fastct import control
from fastct.export.fields import DST_NAT_DONE, GRE, ICMP, SCTP, SRC_NAT_DONE, TCP

UDP, UDPLITE = socket.IPPROTO_UDP, 136
WITH_PORTS = (TCP, UDP, UDPLITE, SCTP, GRE)        # for Linux, which tracks no DCCP
TRANSLATED_PORTS = (TCP, UDP)                      # those of others, conntrack does not send
SRC_NAT, DST_NAT = 1 << 4, 1 << 5
NO_ADDRESS = {4: ip_address("0.0.0.0"), 6: ip_address("::")}
PORT_CLASSES = ((1, 511), (600, 1023), (1024, 0xFFFF))     # another source port is one of the same kind


class Ends(NamedTuple):
    """One direction's tuple. Of ICMP, ``sport`` is the identifier and ``dport`` type and code."""
    src: object
    dst: object
    sport: int = 0
    dport: int = 0

    def packed(self, protocol):
        """Header and ids, as ``Engine.find`` takes them."""
        head = (b"\x45" + bytes(11)) if self.src.version == 4 else (b"\x60" + bytes(7))
        ids = bytes(8)
        if protocol in ICMP:
            ids = struct.pack("!H2xH2x", self.dport, self.sport)
        elif protocol in WITH_PORTS:
            ids = struct.pack("!HH4x", self.sport, self.dport)
        return head + self.src.packed + self.dst.packed, ids

    def inverse(self, protocol):
        """The tuple of the answer; None if it has none."""
        if protocol not in ICMP:
            return Ends(self.dst, self.src, self.dport, self.sport)
        kind = control.answer(self.src.version, self.dport >> 8)
        return None if kind is None else Ends(self.dst, self.src, self.sport, kind << 8 | self.dport & 0xFF)


def original_of(request, src="s", dst="d"):
    """The original tuple as the options give it; an address that is missing is 0."""
    none = NO_ADDRESS[request.family or 4]
    ends = Ends(request.addresses.get(src, none), request.addresses.get(dst, none))
    fields = request.fields
    if request.protocol in ICMP:
        kind = fields.get("icmp_type", 0) << 8 | fields.get("icmp_code", 0)
        return ends._replace(sport=fields.get("icmp_id", 0), dport=kind)
    return ends._replace(sport=fields.get("sport", 0), dport=fields.get("dport", 0))


def tuples_of(request):
    """Protocol and both tuples of a new connection; for one that Linux would not take, None.

    A direction that is not named is the inverse of the other. One that has an address, but not its ports, has no
    protocol for Linux.
    """
    none, fields = NO_ADDRESS[request.family or 4], request.fields
    orig = original_of(request)
    if not request.letters & set("rq"):
        return request.protocol, orig, orig.inverse(request.protocol)
    reply = Ends(request.addresses.get("r", none), request.addresses.get("q", none),
                 fields.get("reply_sport", 0), fields.get("reply_dport", 0))
    if not request.letters & set("sd"):
        if request.reply_protocol and request.protocol in ICMP:
            return request.protocol, None, reply
        return (request.protocol, reply.inverse(request.protocol), reply) if request.reply_protocol else (
            0, Ends(reply.dst, reply.src), reply._replace(sport=0, dport=0))
    if not request.reply_protocol:
        return request.protocol, orig, None
    if request.protocol in ICMP:
        answer = orig.inverse(request.protocol)
        reply = answer and reply._replace(sport=answer.sport, dport=answer.dport)
    return request.protocol, orig, reply


class Translation:
    """What Linux' NAT makes of a new connection's tuples, by the rules of nf_nat_core.c."""

    def __init__(self, tracker, protocol, zone):
        self._tracker, self._protocol, self._zone = tracker, protocol, zone

    def apply(self, orig, reply, nat):
        """The reply's tuple and the status bits, once ``nat`` (by letter of "ng": address and port) is in force."""
        status = 0
        if not any(nat.get(letter) for letter in "ng"):
            return reply, status
        for letter, name, bit, done in (("g", "dst", DST_NAT, DST_NAT_DONE), ("n", "src", SRC_NAT, SRC_NAT_DONE)):
            leaving = reply.inverse(self._protocol)
            address, port = nat.get(letter) or (getattr(leaving, name), None)
            port = port if self._protocol in TRANSLATED_PORTS else None
            chosen = self._unique(orig, leaving, name, address, port)
            status |= done | (bit if chosen != leaving else 0)
            reply = chosen.inverse(self._protocol)
        return reply, status

    def _unique(self, orig, leaving, name, address, port):
        """A tuple with another source or destination that no connection has yet, if there is one."""
        port_name = f"{name[0]}port"
        wanted = leaving._replace(**{name: address})
        if name == "src":
            if wanted == leaving and port in (None, leaving.sport):
                if not self._is_taken(leaving):
                    return leaving
            else:
                known = self._mapping_of(leaving, address, port)
                if known is not None and not self._is_taken(known):
                    return known
        if port is not None:
            return wanted._replace(**{port_name: port})
        if not self._is_taken(wanted):
            return wanted
        field = "sport" if self._protocol in ICMP else port_name
        candidates = self._ports(wanted, name)
        return next((free for free in (wanted._replace(**{field: each}) for each in candidates)
                     if not self._is_taken(free)), wanted)

    def _ports(self, wanted, name):
        """Ports to try where the own one is taken; Linux begins anywhere."""
        if self._protocol in ICMP:
            return range(0x10000)
        if name == "dst" or self._protocol not in WITH_PORTS or self._protocol == GRE:
            return ()
        low, high = next((low, high) for low, high in PORT_CLASSES if wanted.sport <= high)
        return range(low, high + 1)

    def _is_taken(self, leaving):
        return self._tracker.find_tuple(*self._answer(leaving), self._zone) is not None

    def _answer(self, leaving):
        header, ids = leaving.inverse(self._protocol).packed(self._protocol)
        return header, self._protocol, ids

    def _mapping_of(self, leaving, address, port):
        """What another connection of the same source is translated to, if that is what is wanted."""
        before, after = ("icmp_id", "reply_icmp_id") if self._protocol in ICMP else ("orig_sport", "reply_dport")
        rows = self._tracker.connections()
        same = ((rows["l4proto"] == self._protocol) & (rows["status"] & SRC_NAT_DONE != 0)
                & (rows["zone"] == self._zone) & (rows[before] == leaving.sport))
        for row in rows[same]:
            of_source = row["orig_src"].tobytes().startswith(leaving.src.packed)
            if of_source and row["reply_dst"].tobytes().startswith(address.packed) and port in (None, row[after]):
                return leaving._replace(src=address, sport=int(row[after]))
        return None
