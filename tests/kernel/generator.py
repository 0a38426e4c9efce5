"""Random connections, interleaved: valid, retransmitted, reordered, wrapped, out of window, forged, malformed.

Clients are 10.1.x.x and fd00:1::, servers 10.2.x.x and fd00:2::. Every conversation has a tuple of its own. The same
seed gives the same packets.
"""

import random
import struct

from tests import packets as p
from tests.kernel.associations import Sctp
from tests.kernel.flows import CLIENT, M32, SERVER, Flow, Packet, addresses, icmp_error
from tests.kernel.fragments import with_pieces

ACTIVE = 40  # conversations going on at a time
# What an open TCP conversation does next, and how often.
STEPS = {
    "data": 30, "ack": 14, "again": 8, "ahead": 6, "crooked": 10, "keepalive": 3, "window": 4, "sack": 4,
    "rst": 3, "syn": 3, "flags": 2, "sum": 2, "short": 2, "error": 4, "repeat": 3,
}


class Side:
    """One end of a TCP conversation: what it has sent and what it has room for."""

    def __init__(self, rng, address, port):
        self.address, self.port = address, port
        self.isn = rng.choice((rng.randrange(1 << 32), M32 - rng.randrange(3000)))
        self.next = self.isn
        self.scale = rng.choice((None, 0, 2, 7, 14, 15))
        self.sack = rng.random() < 0.6
        self.window = rng.choice((0, 1, 100, 1460, 5000, 29200, 65535))
        self.sent = []  # (seq, data, flags) that may be sent again

    def syn_options(self):
        options = b"\x02\x04\x05\xb4"
        if self.sack:
            options += b"\x04\x02"
        if self.scale is not None:
            options += b"\x03\x03" + bytes((self.scale,))
        return options


class Tcp:
    """A TCP conversation as a sequence of packets."""

    def __init__(self, rng, number):
        self.rng = rng
        client, server = addresses(rng, number)
        self.sides = (Side(rng, client, rng.randrange(1024, 65536)), Side(rng, server, rng.choice((80, 443, 8080))))
        self.flow = Flow(p.address(client), p.address(server), p.TCP, self.sides[0].port, self.sides[1].port)
        self.last = None
        self.stamps = rng.random() < 0.3

    def segment(self, side, flags, seq=None, ack=None, data=b"", options=b"", label="", window=None, **wrong):
        """A segment from a side; numbers default to those in step."""
        me, peer = self.sides[side], self.sides[1 - side]
        seq = me.next if seq is None else seq
        ack = (peer.next if flags & p.ACK else 0) if ack is None else ack
        if self.stamps and not flags & p.RST:
            options += b"\x01\x01\x08\x0a" + bytes(8)
        window = me.window if window is None else window
        packet = p.tcp(me.address, peer.address, me.port, peer.port, seq, ack, flags, window, options, data, **wrong)
        self.last = (side, packet)
        return Packet(side, packet, self.flow, label)

    def advance(self, side, flags, data=b"", label="", **kw):
        """A segment in step, which is remembered."""
        me = self.sides[side]
        segment = self.segment(side, flags, data=data, label=label, **kw)
        me.sent.append((me.next, data, flags))
        me.next = (me.next + len(data) + bool(flags & p.SYN) + bool(flags & p.FIN)) & M32
        return segment

    def opening(self):
        rng = self.rng
        kind = rng.choices(("normal", "simultaneous", "midstream", "refused", "crooked"), (70, 5, 12, 5, 8))[0]
        client, server = self.sides
        if kind == "midstream":
            for side in (client, server):
                side.next = (side.next + 1000) & M32
            return
        yield self.advance(CLIENT, p.SYN, options=client.syn_options(), label="SYN")
        while rng.random() < 0.15:
            yield self.segment(CLIENT, p.SYN, seq=client.isn, options=client.syn_options(), label="SYN again")
        if kind == "refused":
            yield self.segment(
                SERVER, p.RST | p.ACK, seq=0, ack=rng.choice((client.next, client.next + 1)), label="refused"
            )
            if rng.random() < 0.5:
                yield self.segment(CLIENT, p.SYN, seq=client.isn + rng.randrange(9999), label="SYN after refusal")
            return
        if kind == "simultaneous":
            yield self.advance(SERVER, p.SYN, options=server.syn_options(), label="crossing SYN")
            yield self.segment(CLIENT, p.SYN | p.ACK, seq=client.isn, label="crossing SYN+ACK")
            yield self.segment(SERVER, p.SYN | p.ACK, seq=server.isn, label="crossing SYN+ACK")
            return
        if kind == "crooked":
            for _ in range(rng.randrange(1, 4)):
                yield self.crooked()
        yield self.advance(SERVER, p.SYN | p.ACK, options=server.syn_options(), label="SYN+ACK")
        while rng.random() < 0.15:
            yield self.segment(SERVER, p.SYN | p.ACK, seq=server.isn, label="SYN+ACK again")
        if rng.random() < 0.95:
            yield self.segment(CLIENT, p.ACK, label="ACK")

    def crooked(self):
        """A segment out of a hat."""
        rng = self.rng
        side = rng.randrange(2)
        me, peer = self.sides[side], self.sides[1 - side]
        jump = rng.choice((-70000, -1000, -2, -1, 0, 1, 2, 1460, 65535, 65536, 70000, 1 << 20, rng.randrange(1 << 32)))
        jump2 = rng.choice((-70000, -66001, -66000, -1, 0, 0, 0, 1, 1000, 70000, rng.randrange(1 << 32)))
        flags = rng.choice((p.SYN, p.SYN | p.ACK, p.ACK, p.ACK, p.ACK | p.PSH, p.RST, p.RST | p.ACK, p.FIN | p.ACK))
        return self.segment(
            side,
            flags,
            seq=(me.next + jump) & M32,
            ack=(peer.next + jump2) & M32,
            data=bytes(rng.choice((0, 0, 1, 100))),
            label=f"crooked {flags:#x} {jump} {jump2}",
        )

    def step(self):
        """One packet of an open conversation."""
        rng = self.rng
        side = rng.randrange(2)
        me, peer = self.sides[side], self.sides[1 - side]
        kind = rng.choices(list(STEPS), list(STEPS.values()))[0]
        if kind == "data":
            return self.advance(side, p.ACK | p.PSH, data=bytes(rng.choice((1, 10, 100, 536))), label="data")
        if kind == "again" and me.sent:
            seq, data, flags = rng.choice(me.sent[-4:])
            return self.segment(side, flags, seq=seq, data=data, label="again")
        if kind == "ahead":
            return self.segment(
                side, p.ACK, seq=(me.next + rng.choice((100, 1460, 20000))) & M32, data=bytes(100), label="ahead"
            )
        if kind == "crooked":
            return self.crooked()
        if kind == "keepalive":
            return self.segment(side, p.ACK, seq=(me.next - 1) & M32, data=bytes(rng.randrange(2)), label="keepalive")
        if kind == "window":
            me.window = rng.choice((0, 1, 100, 5000, 65535))
        if kind == "sack":
            right = (peer.next + rng.choice((0, 500, 3000))) & M32
            blocks = struct.pack("!BBII", 5, 10, (right - 100) & M32, right)
            return self.segment(side, p.ACK, ack=(peer.next - 200) & M32, options=b"\x01\x01" + blocks, label="SACK")
        if kind == "rst":
            seq = me.next + rng.choice((0, 0, 0, 1, -1, 100, -100, 70000))
            return self.segment(side, p.RST | rng.choice((0, p.ACK)), seq=seq & M32, label="RST")
        if kind == "syn":
            seq = rng.choice((me.isn, me.next, me.next + 100000, rng.randrange(1 << 32)))
            return self.segment(side, p.SYN, seq=seq & M32, options=me.syn_options(), label="SYN injected")
        if kind == "flags":
            return self.segment(side, rng.randrange(64), label="odd flags")
        if kind == "sum":
            return self.segment(side, p.ACK, data=b"x", bad_sum=True, label="bad sum")
        if kind == "short":
            return self.segment(side, p.ACK, offset=rng.choice((0, 3, 4, 15)), label="bad offset")
        if kind == "error" and self.last:
            return self.error()
        if kind == "repeat" and self.last:
            return Packet(self.last[0], self.last[1], self.flow, "repeat")
        return self.segment(side, p.ACK, label="ACK")

    def error(self):
        """An ICMP error about the last packet."""
        side, packet = self.last
        src, dst = self.sides[1 - side].address, self.sides[side].address
        return Packet(1 - side, icmp_error(self.rng, src, dst, packet), self.flow, "ICMP error")

    def closing(self):
        rng = self.rng
        kind = rng.choices(("fin", "rst", "half", "none"), (60, 15, 10, 15))[0]
        first = rng.randrange(2)
        if kind == "fin":
            yield self.advance(first, p.FIN | p.ACK, label="FIN")
            if rng.random() < 0.3:
                yield self.step()
            if rng.random() < 0.6:
                yield self.segment(1 - first, p.ACK, label="ACK of FIN")
            yield self.advance(1 - first, p.FIN | p.ACK, label="FIN")
            if rng.random() < 0.3:
                yield self.step()
            yield self.segment(first, p.ACK, label="last ACK")
        elif kind == "rst":
            yield self.segment(first, p.RST | p.ACK, label="RST")
        elif kind == "half":
            yield self.advance(first, p.FIN | p.ACK, label="FIN")
        for _ in range(rng.choice((0, 0, 1, 3))):
            yield self.step()
        if rng.random() < 0.3:
            for side in self.sides:
                side.isn = side.next = (side.next + rng.choice((1, 100000, rng.randrange(1 << 32)))) & M32
            yield from self.opening()
            for _ in range(rng.randrange(6)):
                yield self.step()

    def packets(self):
        yield from self.opening()
        for _ in range(self.rng.choice((0, 2, 5, 10, 20))):
            yield self.step()
        yield from self.closing()


def udp_packets(rng, number):
    """Datagrams both ways, some malformed, and errors about them."""
    client, server = addresses(rng, number)
    ports = rng.choice((rng.randrange(1024, 65536), 0)), rng.choice((53, 123, 0))
    flow = Flow(p.address(client), p.address(server), p.UDP, *ports)
    ends = (client, server)
    for _ in range(rng.choice((1, 2, 4, 12))):
        side = rng.choice((CLIENT, CLIENT, SERVER)) if _ else CLIENT
        data = rng.randbytes(rng.choice((rng.randrange(40), rng.randrange(40), rng.randrange(3000))))
        wrong = rng.choices(
            ({}, {"length": rng.choice((0, 7, 8, 60000))}, {"no_sum": True}, {"bad_sum": True}), (88, 4, 4, 4)
        )[0]
        packet = p.udp(ends[side], ends[1 - side], ports[side], ports[1 - side], data, **wrong)
        yield Packet(side, packet, flow, f"UDP {wrong}")
        if rng.random() < 0.1:
            yield Packet(1 - side, icmp_error(rng, ends[1 - side], ends[side], packet), flow, "ICMP error")


def echo_packets(rng, number):
    """Echo requests and replies, other ICMP types, wrong identifiers, and sums."""
    client, server = addresses(rng, number)
    ends, six = (client, server), ":" in client
    number_of = (p.ICMPV6, (128, 129)) if six else (p.ICMP, rng.choice(((8, 0), (13, 14), (15, 16), (17, 18))))
    proto, types = number_of
    ident, code = rng.randrange(1 << 16), rng.choice((0, 0, 0, 3))
    flow = Flow(p.address(client), p.address(server), proto, type=types[0], code=code, id=ident)
    for turn in range(rng.choice((1, 2, 4, 8))):
        side = rng.choice((CLIENT, SERVER)) if turn else CLIENT
        kind = types[side] if rng.random() < 0.9 else rng.randrange(256)
        asked = ident if rng.random() < 0.95 else ident ^ 1
        rest = struct.pack("!HH", asked, turn) + bytes(rng.randrange(20))
        packet = p.icmp(ends[side], ends[1 - side], kind, code, rest, bad_sum=rng.random() < 0.05)
        yield Packet(side, packet, flow, f"ICMP {kind}/{code}")
        if rng.random() < 0.1:
            yield Packet(1 - side, icmp_error(rng, ends[1 - side], ends[side], packet), flow, "ICMP error")


def udplite_packets(rng, number):
    """UDP-Lite both ways: coverage, no sum, bad sums, and the pseudo-header that the RFC asks for."""
    client, server = addresses(rng, number)
    ends, ports = (client, server), (rng.randrange(1024, 65536), rng.choice((53, 0)))
    flow = Flow(p.address(client), p.address(server), p.UDPLITE, *ports)
    for turn in range(rng.choice((1, 2, 4, 8))):
        side = rng.randrange(2) if turn else CLIENT
        wrong = rng.choices(
            (
                {},
                {"coverage": rng.choice((1, 7, 8, 12, 60, 60000))},
                {"no_sum": True},
                {"bad_sum": True},
                {"pseudo_proto": p.UDPLITE},
            ),
            (60, 20, 5, 5, 10),
        )[0]
        data = bytes(rng.randrange(40))
        packet = p.udplite(ends[side], ends[1 - side], ports[side], ports[1 - side], data, **wrong)
        yield Packet(side, packet, flow, f"UDP-Lite {wrong}")
        if rng.random() < 0.1:
            yield Packet(1 - side, icmp_error(rng, ends[1 - side], ends[side], packet), flow, "ICMP error")


def gre_packets(rng, number):
    """GRE: version 0 with and without its options, version 1 with call ids of each direction, cut headers, errors."""
    client, server = addresses(rng, number)
    ends = (client, server)
    version = rng.choice((0, 0, 1, 1, 1, rng.randrange(8)))
    calls = (rng.randrange(1 << 16), rng.choice((0, rng.randrange(1 << 16))))
    flow = Flow(p.address(client), p.address(server), p.GRE, 0, calls[CLIENT] if version == 1 else 0)
    for turn in range(rng.choice((1, 2, 4, 8))):
        side = rng.randrange(2) if turn else CLIENT
        inside = rng.choice((0x0800, 0x86DD)) if version != 1 else rng.choice((0x880B, 0x880B, 0x880B, 0x0800))
        head = struct.pack("!BBHHH", rng.choice((0, 0x20, 0x30, 0xB0)), version, inside, 4, calls[side])
        body = head + bytes(rng.randrange(8, 20))
        if rng.random() < 0.1:
            body = body[: rng.randrange(9)]
        packet = p.ip(ends[side], ends[1 - side], p.GRE, body)
        yield Packet(side, packet, flow, f"GRE {version} {inside:#x} {len(body)}")
        if rng.random() < 0.1:
            yield Packet(1 - side, icmp_error(rng, ends[1 - side], ends[side], packet), flow, "ICMP error")


def generic_packets(rng, number):
    """Protocols without a tracker of their own (ESP, OSPF, DCCP), and truncated headers of those that have one."""
    client, server = addresses(rng, number)
    ends = (client, server)
    proto = rng.choice((50, 89, 99, 33, 33, 6, 17, 1, 58, 132, 136, 47))
    flow = Flow(p.address(client), p.address(server), proto) if proto in (50, 89, 99, 33) else None
    for _ in range(rng.choice((1, 3))):
        side = rng.randrange(2)
        body = bytes(rng.randrange(8)) if flow is None else bytes(20)
        packet = p.ip(ends[side], ends[1 - side], proto, body)
        yield Packet(side, packet, flow, f"protocol {proto}")
        if rng.random() < 0.2:
            yield Packet(1 - side, icmp_error(rng, ends[1 - side], ends[side], packet), flow, "ICMP error")


# What makes the conversations, and how often each is chosen.
KINDS = {
    "tcp": (lambda rng, number: Tcp(rng, number).packets(), 48),
    "sctp": (lambda rng, number: Sctp(rng, number).packets(), 18),
    "udp": (udp_packets, 12),
    "udplite": (udplite_packets, 4),
    "echo": (echo_packets, 8),
    "gre": (gre_packets, 4),
    "generic": (generic_packets, 6),
}


def conversation(rng, number, kinds, pieces):
    """A random conversation of one of the kinds: an iterator of packets; with ``pieces``, in every third some are in
    fragments."""
    kind = rng.choices(kinds, [KINDS[kind][1] for kind in kinds])[0]
    packets = KINDS[kind][0](rng, number)
    return with_pieces(rng, packets) if pieces and rng.random() < 0.33 else packets


def interleaved(seed, count, active, begin):
    """``count`` packets of conversations, ``active`` of them at a time; ``begin(rng, number)`` is the next one."""
    rng = random.Random(seed)
    running, begun = [], 0
    for _ in range(count):
        packet = None
        while packet is None:
            while len(running) < active:
                begun += 1
                # A generator of its own: what is chosen within does not depend on the others.
                running.append(begin(random.Random(rng.getrandbits(64)), begun))
            chosen = rng.randrange(len(running))
            packet = next(running[chosen], None)
            if packet is None:
                running.pop(chosen)
        yield packet


def random_packets(seed, count, kinds=tuple(KINDS), pieces=True):
    """``count`` packets of random conversations of some kinds, interleaved."""
    return interleaved(seed, count, ACTIVE, lambda rng, number: conversation(rng, number, kinds, pieces))
