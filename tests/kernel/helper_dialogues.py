"""Random dialogues of connections that have helpers, and the connections that they announce, or nearly do.

Few hosts and few ports, so that announcements meet: expectations replace, evict and refuse each other. What is said
comes from ``tests.dialogues``; it is split, sent again, sent early, and interleaved.
"""

from tests import packets as p
from tests.dialogues import PORTS, PROTOCOLS, port_of, says
from tests.kernel.generator import CLIENT, M32, SERVER, Flow, Packet, icmp_error, interleaved

ACTIVE = 12  # at a time
NAMES = ("ftp", "ftp", "irc", "sane", "tftp", "amanda")
HELPERS = {f"{PROTOCOLS[name]}/{PORTS[name]}": name for name in NAMES}
WINDOW = 60000


def hosts(rng):
    """A client, a server, and another client; the ranges of addresses have some of the clients."""
    number, other = rng.randrange(1, 3), rng.randrange(1, 3)
    if rng.random() < 0.4:
        return f"fd00:1::{rng.choice((0, 0, 0x40)):x}:{number}", f"fd00:2::{other}", "fd00:1::3"
    return f"10.1.{rng.choice((0, 0, 64))}.{number}", f"10.2.0.{other}", "10.1.0.3"


class Dialogue:
    """What the dialogues of both protocols have in common."""

    def __init__(self, rng, number, helper):
        self.rng, self.helper = rng, helper
        *ends, self.third = hosts(rng)
        self.ends = tuple(ends)
        self.ports = (10000 + number % 50000, PORTS[helper])
        proto = p.TCP if PROTOCOLS[helper] == "tcp" else p.UDP
        self.flow = Flow(*map(p.address, self.ends), proto, *self.ports)

    def says(self, side):
        """Something for a side to say."""
        return says(self.rng, self.helper, side, self.ends, self.third)

    def announced(self):
        """A connection that may have been announced, of one or a few packets."""
        rng = self.rng
        proto = p.UDP if (self.helper == "tftp") == (rng.random() < 0.95) else p.TCP
        opener = rng.randrange(2)
        ends = [self.ends[opener], self.ends[1 - opener]]
        if rng.random() < 0.1:
            ends[0] = self.third
        if p.address(ends[0])[:2 if ":" not in ends[0] else 4] == p.address(ends[1])[:2 if ":" not in ends[1] else 4]:
            return
        dport = self.ports[0] if self.helper == "tftp" and rng.random() < 0.8 else port_of(rng) & 65535
        ports = (rng.choice((20, 1024, 1025, rng.randrange(1, 65536))), dport)
        flow = Flow(*map(p.address, ends), proto, *ports)
        side = CLIENT if ends[0].startswith(("10.1", "fd00:1")) else SERVER
        if proto == p.UDP:
            wrong = rng.choices(({}, {"bad_sum": True}, {"length": 7}, {"no_sum": True}), (90, 4, 3, 3))[0]
            yield Packet(side, p.udp(*ends, *ports, b"\0\3", **wrong), flow, f"announced {wrong}")
            if rng.random() < 0.5:
                yield Packet(1 - side, p.udp(*ends[::-1], *ports[::-1], b"\0\4"), flow, "announced, answer")
            return
        isn = rng.randrange(1 << 32)
        flags = p.SYN if rng.random() < 0.95 else rng.choice((p.ACK, p.SYN | p.RST, p.FIN))
        wrong = rng.choices(({}, {"bad_sum": True}, {"offset": 4}), (92, 5, 3))[0]
        yield Packet(side, p.tcp(*ends, *ports, isn, 0, flags, **wrong), flow, f"announced {wrong}")
        if rng.random() < 0.4:
            yield Packet(1 - side, p.tcp(*ends[::-1], *ports[::-1], 7, isn + 1, p.SYN | p.ACK), flow, "its SYN+ACK")
        if rng.random() < 0.4:
            yield Packet(side, p.tcp(*ends, *ports, isn + 1, 8, p.ACK, data=b"x"), flow, "its data")
        if rng.random() < 0.4:
            yield Packet(side, p.tcp(*ends, *ports, isn + 1, 8, p.RST), flow, "its end")


class TcpDialogue(Dialogue):
    """A control connection over TCP."""

    def __init__(self, rng, number, helper):
        super().__init__(rng, number, helper)
        self.next = [rng.choice((rng.randrange(1 << 32), M32 - rng.randrange(300))) for _ in range(2)]
        self.sent = ([], [])

    def segment(self, side, flags, seq=None, data=b"", label="", options=b""):
        """A segment of a side."""
        order = slice(None, None, -1 if side else 1)
        ack = self.next[1 - side] if flags & p.ACK else 0
        seq = self.next[side] if seq is None else seq
        packet = p.tcp(*self.ends[order], *self.ports[order], seq & M32, ack, flags, WINDOW, options, data)
        return Packet(side, packet, self.flow, f"{label} {data[:40]!r}")

    def opening(self):
        """A handshake, or a connection met on its way."""
        if self.rng.random() < 0.05:
            return
        yield self.segment(CLIENT, p.SYN, label="SYN")
        self.next[0] = (self.next[0] + 1) & M32
        yield self.segment(SERVER, p.SYN | p.ACK, label="SYN+ACK")
        self.next[1] = (self.next[1] + 1) & M32
        if self.rng.random() < 0.9:
            yield self.segment(CLIENT, p.ACK, label="ACK")

    def said(self, side):
        """A payload, whole or in pieces, in order or not; options now and then, for the header's length."""
        rng = self.rng
        data = self.says(side)
        pieces = [data]
        if rng.random() < 0.25 and len(data) > 1:
            at = rng.randrange(1, len(data))
            pieces = [data[:at], data[at:]]
        begin, made = self.next[side], []
        for piece in pieces:
            options = b"\x01\x01\x08\x0a" + bytes(8) if rng.random() < 0.1 else b""
            made.append(self.segment(side, p.ACK | p.PSH, begin, piece, "says", options))
            self.sent[side].append((begin, piece))
            begin = (begin + len(piece)) & M32
        self.next[side] = begin
        return made if rng.random() < 0.9 else made[::-1]

    def step(self):
        """One thing that happens."""
        rng = self.rng
        side = rng.randrange(2)
        kind = rng.choices(("says", "again", "ack", "other", "ahead", "announced", "error", "end"),
                           (50, 8, 8, 4, 3, 20, 2, 2))[0]
        sent = self.sent[side]
        if kind == "again" and sent:
            return [self.segment(side, p.ACK, *rng.choice(sent[-4:]), label="again")]
        if kind == "other" and sent:
            return [self.segment(side, p.ACK, rng.choice(sent[-4:])[0], self.says(side), "in its place")]
        if kind == "ahead":
            return [self.segment(side, p.ACK, self.next[side] + rng.choice((1, -1, 100)), self.says(side), "ahead")]
        if kind == "announced":
            return self.announced()
        if kind == "error" and sent:
            packet = self.segment(side, p.ACK, *sent[-1])
            ends = self.ends if side else self.ends[::-1]
            return [Packet(1 - side, icmp_error(rng, *ends, packet.data), self.flow, "ICMP error")]
        if kind == "end":
            return [self.segment(side, rng.choice((p.FIN | p.ACK, p.RST)), label="end")]
        if kind == "ack":
            return [self.segment(side, p.ACK, label="ACK")]
        return self.said(side)

    def packets(self):
        """All of it."""
        yield from self.opening()
        for side in (SERVER, CLIENT):
            if self.rng.random() < 0.8:         # lines begin behind a line
                yield self.segment(side, p.ACK, data=b"hi\r\n", label="first line")
                self.next[side] = (self.next[side] + 4) & M32
        for _ in range(self.rng.choice((1, 5, 10, 25))):
            yield from self.step()


class UdpDialogue(Dialogue):
    """A control connection over UDP."""

    def packets(self):
        """All of it."""
        rng = self.rng
        for turn in range(rng.choice((1, 4, 10))):
            if rng.random() < 0.3:
                yield from self.announced()
            side = rng.choice((CLIENT, SERVER)) if turn else CLIENT
            order = slice(None, None, -1 if side else 1)
            data = self.says(side)
            packet = p.udp(*self.ends[order], *self.ports[order], data)
            yield Packet(side, packet, self.flow, f"says {data[:40]!r}")


def dialogue(rng, number):
    """A random dialogue: an iterator of packets."""
    helper = rng.choice(NAMES)
    return (TcpDialogue if PROTOCOLS[helper] == "tcp" else UdpDialogue)(rng, number, helper).packets()


def helped_packets(seed, count):
    """``count`` packets of random dialogues, interleaved."""
    return interleaved(seed, count, ACTIVE, dialogue)
