"""Packets in fragments: cut well and badly, in any order; and fragments of a few datagrams at random."""

import random
import struct

from tests import packets as p
from tests.kernel.flows import CLIENT, Flow, Packet

# What becomes of a datagram that is cut, and how often.
CUTS = {
    "in order": 30, "reversed": 8, "shuffled": 16, "a piece twice": 8, "a piece missing": 5, "overlap": 6,
    "more behind the end": 3, "two ends": 3, "end inside": 2, "not a multiple of 8": 4, "empty piece": 3,
    "beyond 65535": 2, "ECN mixed": 3, "ECN marked": 3, "atomic": 4, "two pieces as one": 4,
}
DESTINATION_OPTIONS, FRAGMENT = 60, 44


def cut_at(rng, length):
    """Where to cut a payload: multiples of 8, none at all if it is too short."""
    places = range(8, length, 8)
    return sorted(rng.sample(places, min(len(places), rng.choice((1, 1, 2, 3, 8)))))


def spoiled(rng, how, packet, parts, make):
    """What is sent of a datagram's ``parts``, pairs of offset and end: fragments, in order of sending."""
    size = parts[-1][1]
    sent = [make(at, end) for at, end in parts]
    some, other = rng.choice(parts), rng.choice(parts)
    if how == "a piece missing":
        sent.pop(rng.randrange(len(sent)))
    elif how == "a piece twice":
        sent.insert(rng.randrange(len(sent)), make(*some))
    elif how == "two pieces as one":
        sent.insert(rng.randrange(1, len(sent) + 1), make(min(some[0], other[0]), max(some[1], other[1])))
    elif how == "overlap":
        at = rng.randrange(0, size or 8, 8)
        sent.insert(rng.randrange(len(sent) + 1), make(at, min(size, at + rng.choice((8, 16, 24, 32)))))
    elif how == "more behind the end":
        sent.insert(rng.randrange(len(sent) + 1), make(-(-size // 8) * 8, size, data=bytes(8), more=rng.randrange(2)))
    elif how == "two ends":
        sent.insert(rng.randrange(len(sent) + 1), make(*parts[-1], data=bytes(size - parts[-1][0] + 1)))
    elif how == "end inside":
        sent.insert(rng.randrange(len(sent) + 1), make(*some, more=False))
    elif how == "not a multiple of 8":
        at, end = some
        sent[parts.index(some)] = make(at, end, data=p.payload_of(packet)[at:end] + bytes(rng.randrange(1, 8)))
    elif how == "empty piece":
        sent.insert(rng.randrange(len(sent) + 1), make(some[0], some[0], more=rng.randrange(2)))
    elif how == "beyond 65535":
        sent.insert(rng.randrange(len(sent) + 1), make(65528, size, data=bytes(rng.choice((7, 8, 9))), more=False))
    elif how.startswith("ECN"):
        sent = [make(at, end, ecn=rng.choice((0, 2) if how == "ECN mixed" else (1, 2, 3))) for at, end in parts]
    return sent


def in_pieces(rng, packet):
    """A packet, sent in fragments."""
    data = packet.data
    how = rng.choices(list(CUTS), CUTS.values())[0]
    payload = p.payload_of(data)
    cuts = [] if how == "atomic" else cut_at(rng, len(payload))
    parts = list(zip([0, *cuts], [*cuts, len(payload)], strict=True))
    ident = rng.randrange(3)
    extra = {}
    if data[0] >> 4 == 6 and rng.random() < 0.2:
        extra = {"extensions": bytes((FRAGMENT, 0, 1, 4, 0, 0, 0, 0)), "first_extension": DESTINATION_OPTIONS}

    def make(at, end, more=None, **kw):
        body = kw.pop("data", payload[at:end])
        return p.piece(data, at, body, end < len(payload) if more is None else more, ident, **kw, **extra)

    sent = spoiled(rng, how, data, parts, make)
    if how == "reversed":
        sent.reverse()
    elif how == "shuffled" or rng.random() < 0.2:
        rng.shuffle(sent)
    for fragment in sent:
        yield packet._replace(data=fragment, label=f"{packet.label}, in pieces, {how}")


def with_pieces(rng, packets):
    """Packets, some of them in fragments."""
    for packet in packets:
        if packet.data[0] >> 4 in (4, 6) and rng.random() < 0.5:
            yield from in_pieces(rng, packet)
        else:
            yield packet


def stray_piece(rng, packet):
    """One fragment of a packet: a likely one of its pieces, or anything."""
    whole = p.payload_of(packet)
    six = packet[0] >> 4 == 6
    at = rng.randrange(0, len(whole) + 9, 8) if rng.random() < 0.97 else rng.choice((65000, 65512, 65520, 65528))
    end = rng.choice((at + 8, at + 8, at + 16, at + 24, at + 32, len(whole), len(whole), rng.randrange(at, at + 64)))
    data = whole[at:end] if end <= len(whole) or rng.random() < 0.9 else bytes(end - at)
    more = end < len(whole) if rng.random() < 0.93 else rng.random() < 0.5
    extra = {"ecn": rng.choice((0, 1, 2, 3))} if rng.random() < 0.05 else {}
    if six and rng.random() < 0.2:
        size = rng.choice((0, 0, 1, 30, 31, 40))  # in words of 8 bytes, behind the first
        padding = bytes(6) if size == 0 else struct.pack("!BB", 0x1E, 255) + bytes(4)
        following, last = rng.choice((FRAGMENT, FRAGMENT, FRAGMENT, p.UDP, 59)), rng.random() < 0.5
        options = bytes((FRAGMENT, size)) + (b"\x01\x04" + bytes(4) if size == 0 else padding) + bytes(8 * size)
        if last:
            extra |= {"extensions": options, "first_extension": DESTINATION_OPTIONS}
        else:
            data = bytes((following, 0, 1, 4, 0, 0, 0, 0)) + data
            packet = packet[:6] + bytes((DESTINATION_OPTIONS,)) + packet[7:]
    return p.piece(packet, at, data, more, rng.randrange(2), **extra)


def random_fragments(seed, count):
    """``count`` fragments of a few datagrams, in any order and as unlike each other as they come."""
    rng = random.Random(seed)
    packets = []
    for client, server in (("10.1.0.1", "10.2.0.1"), ("10.1.0.2", "10.2.0.1"), ("fd00:1::1", "fd00:2::1")):
        ends = p.address(client), p.address(server)
        kinds = (
            (p.udp(client, server, 1000, 53, rng.randbytes(40)), Flow(*ends, p.UDP, 1000, 53)),
            (p.udp(client, server, 1001, 53, rng.randbytes(13), no_sum=True), Flow(*ends, p.UDP, 1001, 53)),
            (p.tcp(client, server, 1000, 80, 1, 0, p.SYN, options=b"\x01" * 20), Flow(*ends, p.TCP, 1000, 80)),
            (p.ip(client, server, 50, rng.randbytes(32)), None),
        )
        packets += kinds
    for _ in range(count):
        packet, flow = rng.choice(packets)
        yield Packet(CLIENT, stray_piece(rng, packet), flow, "stray piece")
