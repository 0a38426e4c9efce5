"""A TCP conversation in step, that says what it is told to."""

from tests import packets as p
from tests.kernel.generator import CLIENT, SERVER, Flow, Packet


class Stepped:
    """Sequence numbers of both sides follow what they have sent."""

    def __init__(self, client, server, port, dport, proto=p.TCP):
        self.ends = ((client, port), (server, dport))
        self.flow = Flow(p.address(client), p.address(server), proto, port, dport)
        self.next = [1000, 5000]

    def segment(self, side, flags, data=b"", label="", again=False):
        """A segment; ``again``: it does not count."""
        me, peer = self.ends[side], self.ends[1 - side]
        seq, ack = self.next[side], self.next[1 - side] if flags & p.ACK else 0
        packet = p.tcp(me[0], peer[0], me[1], peer[1], seq, ack, flags, data=data)
        if not again:
            self.next[side] += len(data) + bool(flags & p.SYN) + bool(flags & p.FIN)
        return Packet(side, packet, self.flow, f"{self.ends[0][1]} {label or hex(flags)}")

    def handshake(self):
        """Three segments."""
        yield self.segment(CLIENT, p.SYN)
        yield self.segment(SERVER, p.SYN | p.ACK)
        yield self.segment(CLIENT, p.ACK)
