"""What every random conversation is made of: a tuple, packets, addresses, errors about them."""

from typing import NamedTuple

from tests import packets as p

CLIENT, SERVER = 0, 1
M32 = 0xFFFFFFFF


class Flow(NamedTuple):
    """A tuple, as the opener's packets have it."""

    src: bytes
    dst: bytes
    proto: int
    sport: int = 0
    dport: int = 0
    type: int = 0
    code: int = 0
    id: int = 0


class Packet(NamedTuple):
    """An IP packet, the device it comes in by (0 client's, 1 server's), the tuple to ask for afterwards, and how many
    seconds to wait before it is sent."""

    side: int
    data: bytes
    flow: Flow | None
    label: str
    pause: float = 0


def addresses(rng, number):
    """A client and a server, of either family."""
    if rng.random() < 0.35:
        return f"fd00:1::{number:x}", f"fd00:2::{rng.randrange(1, 99):x}"
    return f"10.1.{number >> 8 & 255}.{number & 255}", f"10.2.0.{rng.randrange(1, 99)}"


def quoted(packet):
    """As much of a packet as an ICMP error carries."""
    return packet[: min(len(packet), 48 + (20 if packet[0] >> 4 == 6 else 0))]


def icmp_error(rng, src, dst, about):
    """An ICMP error from ``src`` to ``dst`` about a packet."""
    kind = rng.choice((1, 2, 3, 4)) if ":" in src else rng.choice((3, 4, 11, 12))
    return p.icmp(src, dst, kind, rng.randrange(2), bytes(4) + quoted(about), bad_sum=rng.random() < 0.03)
