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
    """An IP packet, the device it comes in by (0 client's, 1 server's), the tuple to ask for afterwards, how many
    seconds to wait before it is sent, and the mark that the entry is given when it has passed."""

    side: int
    data: bytes
    flow: Flow | None
    label: str
    pause: float = 0
    mark: int | None = None


# Errors by family, and the codes of each; the last row are those that nobody has heard of.
ERRORS = {
    4: ((3, 16), (3, 16), (4, 1), (5, 4), (11, 2), (12, 3)),
    6: ((1, 8), (1, 8), (2, 1), (3, 2), (4, 4), (100, 256)),
}
STRANGERS = {4: ("10.1.200.200", "10.2.0.200"), 6: ("fd00:1::c8:c8", "fd00:2::200")}


def addresses(rng, number):
    """A client and a server, of either family; no other number has this client. Those of the first few are spread over
    the ranges of addresses."""
    spread = number * 37 & 255
    if rng.random() < 0.35:
        return f"fd00:1::{spread:x}:{number >> 8:x}", f"fd00:2::{rng.randrange(1, 99):x}"
    return f"10.1.{spread}.{number >> 8 & 255}", f"10.2.0.{rng.randrange(1, 99)}"


def quoted(rng, packet):
    """As much of a packet as an ICMP error carries: more often than not 28 bytes of what is in it."""
    head = 40 if packet[0] >> 4 == 6 else 20
    kind = rng.random()
    if kind < 0.85:
        return packet[: head + 28]
    if kind < 0.90:
        return packet[: rng.randrange(len(packet) + 1)]
    if kind < 0.95:
        return packet[:576]
    at = rng.randrange(min(len(packet), head + 8))
    return packet[:at] + bytes((rng.randrange(256),)) + packet[at + 1 : head + 28]


def icmp_error(rng, src, dst, about):
    """An ICMP error from ``src`` to ``dst`` about a packet; sometimes from a router on the way, seldom to another host,
    seldom about an error about the packet."""
    family = 6 if ":" in src else 4
    side = SERVER if src.startswith(("10.2.", "fd00:2:")) else CLIENT
    if rng.random() < 0.15:
        src = STRANGERS[family][side]
    if rng.random() < 0.05:
        dst = STRANGERS[family][1 - side]
    if rng.random() < 0.04:
        about = p.icmp(dst, src, *(3, 1) if family == 4 else (1, 1), bytes(4) + about[:68])
    kind, codes = rng.choice(ERRORS[family])
    rest = rng.randbytes(4) if rng.random() < 0.1 else bytes(4)
    return p.icmp(src, dst, kind, rng.randrange(codes), rest + quoted(rng, about), bad_sum=rng.random() < 0.03)
