"""Random packets of few tuples, from both sides, each with one of several targets of the raw table.

The target goes by the packet's TTL, so that both trackers can give it to the same packets.
"""
from fastct import Template
from tests import packets as p
from tests.kernel.flows import CLIENT, SERVER, Packet

ENDS = (("10.1.0.1", "10.2.0.1"), ("fd00:1::1", "fd00:2::1"))
# TTL that asks for it, words of the CT target, what fastct is told
TARGETS = {
    64: ((), None),
    50: (("--zone", "5"), Template(zone=5)),
    51: (("--zone-orig", "5"), Template(zone=5, zone_dir="orig")),
    52: (("--zone-reply", "5"), Template(zone=5, zone_dir="reply")),
    53: (("--zone-orig", "7"), Template(zone=7, zone_dir="orig")),
    54: (("--zone-orig", "mark"), Template(zone="mark", zone_dir="orig", mark=0x10007)),
    55: (("--zone", "mark"), Template(zone="mark", mark=0x10005)),
}


def with_ttl(packet, ttl):
    """A packet with another TTL."""
    changed = bytearray(packet)
    if changed[0] >> 4 == 6:
        changed[7] = ttl
        return bytes(changed)
    changed[8], changed[10:12] = ttl, b"\0\0"
    changed[10:12] = p.checksum(bytes(changed[:20])).to_bytes(2, "big")
    return bytes(changed)


def random_packet(rng, number):
    """A packet of one of a few tuples, from either side."""
    side, ends, port = rng.choice((CLIENT, SERVER)), rng.choice(ENDS), rng.randrange(1, 4) + number // 400 * 4
    src, dst = ends if side == CLIENT else ends[::-1]
    ports = (port, 53) if side == CLIENT else (53, port)
    payload = number.to_bytes(4, "big")
    kind = rng.randrange(5)
    if kind == 0:
        echo = (128, 129) if ":" in src else (8, 0)
        packet = p.icmp(src, dst, echo[rng.randrange(2)], 0, port.to_bytes(2, "big") + b"\0\1" + payload)
    elif kind == 1:
        packet = p.tcp(src, dst, *ports, 100, 200, rng.choice((p.SYN, p.SYN | p.ACK, p.ACK)), data=payload)
    elif kind == 2:
        about = p.udp(dst, src, *ports[::-1], payload)
        packet = p.icmp(src, dst, *((1, 4) if ":" in src else (3, 3)), bytes(4) + about)
    else:
        packet = p.udp(src, dst, *ports, payload)
    ttl = rng.choice(tuple(TARGETS))
    return Packet(side, with_ttl(packet, ttl), None, f"kind {kind} port {port}"), ttl
