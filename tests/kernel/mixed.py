"""Conversations of every kind at the same time: those of ``generator``, those that helpers follow, stray fragments;
some of them in pieces, some marked."""

from tests import packets as p
from tests.kernel import pptp, sip
from tests.kernel.flows import CLIENT, Flow, Packet, addresses
from tests.kernel.fragments import stray_piece, with_pieces
from tests.kernel.generator import ACTIVE, KINDS, interleaved
from tests.kernel.helper_dialogues import dialogue

# Timeouts are of 1 to 3 s. None runs out less than 0.3 s from a burst, however long that has taken within that.
PAUSE_S, BURST = 1.35, 60


def stray_pieces(rng, number):
    """Fragments of one datagram, in any order and as unlike each other as they come."""
    ends = addresses(rng, number)
    packet = p.udp(*ends, 1000, 53, rng.randbytes(rng.choice((13, 40))), no_sum=rng.random() < 0.3)
    flow = Flow(*map(p.address, ends), p.UDP, 1000, 53)
    for _ in range(rng.choice((5, 20, 40))):
        yield Packet(CLIENT, stray_piece(rng, packet), flow, "stray piece")


MIXED = KINDS | {
    "dialogue": (dialogue, 12),
    "pptp": (pptp.conversation, 4),
    "sip": (sip.conversation, 4),
    "stray": (stray_pieces, 4),
}


def marked(rng, packets):
    """Packets, after some of which their entries are marked."""
    for packet in packets:
        yield packet._replace(mark=rng.getrandbits(32)) if rng.random() < 0.1 else packet


def conversation(rng, number, kinds):
    """A random conversation of one of the kinds: an iterator of packets."""
    kind = rng.choices(kinds, [MIXED[kind][1] for kind in kinds])[0]
    packets = MIXED[kind][0](rng, number)
    if kind != "stray" and rng.random() < 0.3:  # Linux does not forward all that is cut twice
        packets = with_pieces(rng, packets)
    return marked(rng, packets) if rng.random() < 0.3 else packets


def timed_packets(seed, count):
    """As ``mixed_packets``, in bursts, without helpers: those expect things of connections that have expired, until
    Linux notices."""
    for number, packet in enumerate(mixed_packets(seed, count, (*KINDS, "stray"))):
        yield packet._replace(pause=PAUSE_S) if number % BURST == 0 else packet


def mixed_packets(seed, count, kinds=tuple(MIXED)):
    """``count`` packets of random conversations of some kinds, interleaved."""
    return interleaved(seed, count, ACTIVE, lambda rng, number: conversation(rng, number, kinds))
