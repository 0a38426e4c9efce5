"""Random SCTP associations: in order, colliding, restarted, met on a second path; wrong tags and crooked chunks."""

import struct

from tests import packets as p
from tests.kernel.flows import CLIENT, SERVER, Flow, Packet, addresses, icmp_error

DATA, INIT, INIT_ACK, SACK, HEARTBEAT, HEARTBEAT_ACK, ABORT, SHUTDOWN, SHUTDOWN_ACK, ERROR = range(10)
COOKIE_ECHO, COOKIE_ACK, SHUTDOWN_COMPLETE, AUTH, FORWARD_TSN = 10, 11, 14, 15, 192
KNOWN = (*range(12), SHUTDOWN_COMPLETE)


def init(tag, kind=INIT):
    """An INIT or INIT ACK chunk that announces a tag."""
    return p.chunk(kind, struct.pack("!IIHHI", tag, 65536, 10, 10, 1))


class Sctp:
    """An SCTP association as a sequence of packets. ``tags[side]`` is what the side announces: the other one's packets
    carry it."""

    def __init__(self, rng, number):
        self.rng = rng
        self.ends = addresses(rng, number)
        self.ports = (rng.randrange(1024, 65536), rng.choice((36412, 2905, 0)))
        self.flow = Flow(*map(p.address, self.ends), p.SCTP, *self.ports)
        self.tags = [rng.choice((rng.randrange(1, 1 << 32), 1)) for _ in range(2)]
        self.last = None

    def packet(self, side, chunks, tag=None, label="", **wrong):
        """A packet of chunks; the tag defaults to the right one."""
        tag = self.tags[1 - side] if tag is None else tag
        ends, ports = (self.ends, self.ports) if side == CLIENT else (self.ends[::-1], self.ports[::-1])
        data = p.sctp(*ends, *ports, tag, chunks, **wrong)
        self.last = (side, data)
        return Packet(side, data, self.flow, f"{label} tag {tag:#x}")

    def body(self, kind):
        """A chunk of a type, as it should be."""
        if kind in (INIT, INIT_ACK):
            return init(self.rng.choice((*self.tags, self.rng.randrange(1 << 32))), kind)
        return p.chunk(kind, bytes(self.rng.randrange(30)))

    def opening(self):
        rng = self.rng
        kinds = ("normal", "collision", "path", "last", "none")
        kind = rng.choices(kinds, (55, 10, 15, 5, 15))[0]
        if kind == "normal":
            yield from self.handshake(CLIENT)
        elif kind == "collision":
            yield from self.collision()
        elif kind == "path":
            yield self.packet(CLIENT, [p.chunk(HEARTBEAT, bytes(8))], label="HEARTBEAT first")
            if rng.random() < 0.8:
                yield self.packet(SERVER, [p.chunk(HEARTBEAT_ACK, bytes(8))], label="HEARTBEAT ACK")
        elif kind == "last":
            yield self.packet(CLIENT, [p.chunk(SHUTDOWN_ACK)], label="SHUTDOWN ACK first")
            yield self.packet(
                SERVER,
                [p.chunk(SHUTDOWN_COMPLETE, flags=rng.randrange(2))],
                tag=rng.choice((self.tags[0], self.tags[1])),
                label="SHUTDOWN COMPLETE",
            )

    def handshake(self, opener):
        rng, other = self.rng, 1 - opener
        yield self.packet(opener, [init(self.tags[opener])], tag=0, label="INIT")
        while rng.random() < 0.2:
            yield self.packet(opener, [init(self.tags[opener])], tag=0, label="INIT again")
        if rng.random() < 0.2:
            yield self.step()
        yield self.packet(other, [init(self.tags[other], INIT_ACK)], label="INIT ACK")
        if rng.random() < 0.2:
            yield self.step()
        more = [p.chunk(DATA, bytes(20))] if rng.random() < 0.4 else []
        yield self.packet(opener, [p.chunk(COOKIE_ECHO, bytes(40)), *more], label="COOKIE ECHO")
        if rng.random() < 0.2:
            yield self.step()
        more = [p.chunk(SACK, bytes(12))] if more else []
        yield self.packet(other, [p.chunk(COOKIE_ACK), *more], label="COOKIE ACK")

    def collision(self):
        """Both open at the same time: two INITs, and answers of either or both."""
        rng = self.rng
        for side in (CLIENT, SERVER):
            yield self.packet(side, [init(self.tags[side])], tag=0, label="crossing INIT")
        sides = [CLIENT, SERVER]
        rng.shuffle(sides)
        for side in sides[: rng.choice((1, 2))]:
            own = self.tags[side] if rng.random() < 0.7 else rng.randrange(1 << 32)
            yield self.packet(side, [init(own, INIT_ACK)], label=f"crossing INIT ACK {own:#x}")
        for side in sides[: rng.choice((1, 2))]:
            yield self.packet(side, [p.chunk(COOKIE_ECHO, bytes(9))], label="crossing COOKIE ECHO")
            if rng.random() < 0.8:
                yield self.packet(1 - side, [p.chunk(COOKIE_ACK)], label="crossing COOKIE ACK")

    def crooked(self):
        """A packet out of a hat: any chunks, any tag, lengths that lie, sums that are wrong."""
        rng = self.rng
        side = rng.randrange(2)
        kinds = [
            rng.choice(KNOWN) if rng.random() < 0.85 else rng.randrange(256)
            for _ in range(rng.choices((0, 1, 2, 3, 4), (3, 60, 22, 10, 5))[0])
        ]
        chunks = [self.body(kind) for kind in kinds]
        if chunks and rng.random() < 0.15:
            length = rng.choice((0, 1, 3, 4, 9, 65535))
            chunks[-1] = p.chunk(kinds[-1], bytes(rng.randrange(20)), rng.randrange(4), length)
        if chunks and rng.random() < 0.1:
            chunks[-1] = chunks[-1][: rng.randrange(len(chunks[-1]) + 1)]
        if rng.random() < 0.1:
            chunks.append(bytes(rng.randrange(1, 8)))
        tag = rng.choice((None, None, None, 0, self.tags[side], rng.randrange(1 << 32)))
        return self.packet(side, chunks, tag, label=f"crooked {kinds}", bad_sum=rng.random() < 0.05)

    def ending(self):
        """An ABORT or SHUTDOWN COMPLETE, with its own tag or the reflected one."""
        rng = self.rng
        side = rng.randrange(2)
        kind, flags = rng.choice((ABORT, SHUTDOWN_COMPLETE)), rng.choice((0, 1, 0xFF))
        tag = rng.choice((self.tags[0], self.tags[1], 0))
        return self.packet(side, [p.chunk(kind, flags=flags)], tag, label=f"ending {kind} {flags:#x}")

    def path(self):
        """A HEARTBEAT or its acknowledgement, often with another tag; sometimes with something behind it."""
        rng = self.rng
        side = rng.randrange(2)
        kind = rng.choice((HEARTBEAT, HEARTBEAT, HEARTBEAT_ACK))
        tag = rng.choice((None, None, rng.randrange(1 << 32), self.tags[side], 7))
        more = [self.body(rng.choice((DATA, SACK, HEARTBEAT, HEARTBEAT_ACK, SHUTDOWN)))] if rng.random() < 0.2 else []
        return self.packet(side, [p.chunk(kind, bytes(8)), *more], tag, label=f"path {kind} {len(more)}")

    def step(self):
        """One packet of an open association."""
        rng = self.rng
        side = rng.randrange(2)
        kinds = ("data", "sack", "path", "known", "crooked", "ending", "init", "tag", "error", "repeat", "sum")
        kind = rng.choices(kinds, (18, 10, 16, 12, 20, 4, 6, 4, 4, 4, 2))[0]
        if kind == "data":
            count = rng.choice((1, 1, 1, 3))
            return self.packet(side, [p.chunk(DATA, bytes(16 + rng.randrange(40)))] * count, label="DATA")
        if kind == "path":
            return self.path()
        if kind == "known":
            chosen = rng.choice((SHUTDOWN, SHUTDOWN_ACK, ERROR, COOKIE_ECHO, COOKIE_ACK, AUTH, FORWARD_TSN))
            return self.packet(side, [self.body(chosen)], label=f"chunk {chosen}")
        if kind == "crooked":
            return self.crooked()
        if kind == "ending":
            return self.ending()
        if kind == "init":
            which = rng.choice((INIT, INIT, INIT_ACK))
            return self.packet(side, [self.body(which)], tag=rng.choice((0, 0, 0, None)), label=f"init {which}")
        if kind == "tag":
            return self.packet(side, [p.chunk(DATA, bytes(16))], rng.choice((0, self.tags[side], 5)), label="wrong tag")
        if kind == "error" and self.last:
            return self.error()
        if kind == "repeat" and self.last:
            return Packet(self.last[0], self.last[1], self.flow, "repeat")
        return self.packet(side, [p.chunk(SACK, bytes(12))], label="SACK", bad_sum=kind == "sum")

    def error(self):
        """An ICMP error about the last packet."""
        side, packet = self.last
        return Packet(
            1 - side, icmp_error(self.rng, self.ends[1 - side], self.ends[side], packet), self.flow, "ICMP error"
        )

    def closing(self):
        rng = self.rng
        first = rng.randrange(2)
        if rng.random() < 0.6:
            yield self.packet(first, [p.chunk(SHUTDOWN, bytes(4))], label="SHUTDOWN")
            if rng.random() < 0.3:
                yield self.step()
            yield self.packet(1 - first, [p.chunk(SHUTDOWN_ACK)], label="SHUTDOWN ACK")
            if rng.random() < 0.2:
                yield self.step()
            yield self.packet(first, [p.chunk(SHUTDOWN_COMPLETE)], label="SHUTDOWN COMPLETE")
        elif rng.random() < 0.5:
            yield self.packet(first, [p.chunk(ABORT)], label="ABORT")
        for _ in range(rng.choice((0, 0, 1, 3))):
            yield self.step()
        if rng.random() < 0.3:
            self.tags = [rng.randrange(1 << 32) for _ in range(2)]
            yield from self.handshake(rng.randrange(2))
            for _ in range(rng.randrange(4)):
                yield self.step()

    def packets(self):
        yield from self.opening()
        for _ in range(self.rng.choice((0, 2, 5, 10, 20))):
            yield self.step()
        yield from self.closing()
