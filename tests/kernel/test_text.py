"""The text of conntrack(8), of entries and of events, for every protocol: as the running kernel has it printed."""

import subprocess
import time

import pytest

from tests import packets as p
from tests.kernel import compare
from tests.kernel.associations import (
    ABORT,
    COOKIE_ACK,
    COOKIE_ECHO,
    DATA,
    HEARTBEAT,
    HEARTBEAT_ACK,
    INIT_ACK,
    SACK,
    SHUTDOWN,
    SHUTDOWN_ACK,
    SHUTDOWN_COMPLETE,
    init,
)
from tests.kernel.eventlog import EventLog, in_order, unlike
from tests.kernel.flows import CLIENT, SERVER, Packet
from tests.kernel.kernel import Kernel
from tests.kernel.namespace import isolated, unavailable
from tests.kernel.subject import Subject

pytestmark = [pytest.mark.kernel, pytest.mark.skipif(bool(unavailable()), reason=unavailable() or "available")]

DCCP, ESP = 33, 50
FAMILIES = {"IPv4": ("10.1.0.1", "10.2.0.1"), "IPv6": ("fd00:1::1", "fd00:2::1")}


def echo(side, ends):
    """An echo request, or its answer."""
    v6 = ":" in ends[0]
    kind = (128, 129)[side] if v6 else (8, 0)[side]
    return p.icmp(*(ends if side == CLIENT else ends[::-1]), kind, 0, b"\x12\x34\x00\x01")


def plain(proto, body):
    """What makes packets of a protocol whose headers are the same both ways."""
    return lambda side, ends: p.ip(*(ends if side == CLIENT else ends[::-1]), proto, body)


def datagram(side, ends):
    """A UDP datagram."""
    ports = (1000, 53) if side == CLIENT else (53, 1000)
    return p.udp(*(ends if side == CLIENT else ends[::-1]), *ports, b"x")


def lite(side, ends):
    """A UDP-Lite datagram, its checksum as Linux wants it."""
    ports = (1000, 53) if side == CLIENT else (53, 1000)
    return p.udplite(*(ends if side == CLIENT else ends[::-1]), *ports, b"x")


def call(side, ends):
    """A packet of a PPTP tunnel; each direction has a call id of its own."""
    head = bytes.fromhex("3001880b0004") + bytes((0, 1 + side))
    return p.ip(*(ends if side == CLIENT else ends[::-1]), p.GRE, head + bytes(12))


def segments(ends):
    """A TCP connection, opened and closed."""
    back = ends[::-1]
    return [
        (CLIENT, p.tcp(*ends, 1000, 80, 99, 0, p.SYN)),
        (SERVER, p.tcp(*back, 80, 1000, 499, 100, p.SYN | p.ACK)),
        (CLIENT, p.tcp(*ends, 1000, 80, 100, 500, p.ACK)),
        (CLIENT, p.tcp(*ends, 1000, 80, 100, 500, p.ACK, data=b"hello")),
        (SERVER, p.tcp(*back, 80, 1000, 500, 105, p.FIN | p.ACK)),
        (CLIENT, p.tcp(*ends, 1000, 80, 105, 501, p.FIN | p.ACK)),
        (SERVER, p.tcp(*back, 80, 1000, 501, 106, p.ACK)),
    ]


def error(ends, about):
    """Unreachable, as a host says it."""
    kind = 1 if ":" in ends[0] else 3
    return p.icmp(*ends, kind, 1, bytes(4) + about[:68])


def association(ends):
    """An SCTP association from its beginning to its end, with packets that become INVALID half-way: what their first
    chunk did is told with the next packet, or with an ICMP error."""
    there, back = (*ends, 1000, 36412), (*ends[::-1], 36412, 1000)
    return [
        (CLIENT, p.sctp(*there, 0, [init(11)])),
        (SERVER, p.sctp(*back, 11, [init(22, INIT_ACK)])),
        (CLIENT, p.sctp(*there, 22, [p.chunk(COOKIE_ECHO, bytes(4)), p.chunk(DATA, bytes(20))])),
        (SERVER, p.sctp(*back, 11, [p.chunk(COOKIE_ACK)])),
        (CLIENT, p.sctp(*there, 22, [p.chunk(DATA, bytes(20))])),
        (CLIENT, p.sctp(*there, 99, [p.chunk(SHUTDOWN, bytes(4)), p.chunk(HEARTBEAT, bytes(8)), p.chunk(DATA)])),
        (SERVER, p.sctp(*back, 11, [p.chunk(SACK, bytes(12))])),
        (CLIENT, p.sctp(*there, 99, [p.chunk(SHUTDOWN_ACK), p.chunk(HEARTBEAT, bytes(8)), p.chunk(DATA)])),
        (SERVER, error(ends[::-1], p.sctp(*there, 22, [p.chunk(DATA, bytes(20))]))),
        (SERVER, p.sctp(*back, 11, [p.chunk(SHUTDOWN_ACK)])),
        (CLIENT, p.sctp(*there, 22, [p.chunk(SHUTDOWN_COMPLETE)])),
    ]


def second_path(ends):
    """An SCTP association that is met by its HEARTBEAT."""
    there, back = (*ends, 1000, 36412), (*ends[::-1], 36412, 1000)
    return [
        (CLIENT, p.sctp(*there, 22, [p.chunk(HEARTBEAT, bytes(8))])),
        (SERVER, p.sctp(*back, 11, [p.chunk(HEARTBEAT_ACK, bytes(8))])),
        (CLIENT, p.sctp(*there, 11, [p.chunk(ABORT, flags=1)])),
    ]


def crossing_paths(ends):
    """An SCTP association that both sides meet with a HEARTBEAT: the second changes no state."""
    there, back = (*ends, 1000, 36412), (*ends[::-1], 36412, 1000)
    return [
        (CLIENT, p.sctp(*there, 22, [p.chunk(HEARTBEAT, bytes(8))])),
        (SERVER, p.sctp(*back, 11, [p.chunk(HEARTBEAT, bytes(8))])),
        (SERVER, p.sctp(*back, 11, [p.chunk(HEARTBEAT_ACK, bytes(8))])),
        (CLIENT, p.sctp(*there, 22, [p.chunk(HEARTBEAT_ACK, bytes(8))])),
    ]


def picked_up(ends):
    """A TCP connection that is met in its midst: the reply changes no state."""
    back = ends[::-1]
    return [
        (CLIENT, p.tcp(*ends, 1000, 80, 100, 500, p.ACK, data=b"hello")),
        (SERVER, p.tcp(*back, 80, 1000, 500, 105, p.ACK, data=b"hello")),
        (CLIENT, p.tcp(*ends, 1000, 80, 105, 505, p.ACK)),
    ]


def both_ways(make, ends):
    """Two there, one back, one there again."""
    return [(side, make(side, ends)) for side in (CLIENT, CLIENT, SERVER, CLIENT)]


CONVERSATIONS = {
    "tcp": segments,
    "udp": lambda ends: both_ways(datagram, ends),
    "udplite": lambda ends: both_ways(lite, ends),
    "echo": lambda ends: both_ways(echo, ends),
    "sctp": association,
    "tcp picked up": picked_up,
    "sctp path": second_path,
    "sctp paths": crossing_paths,
    "pptp": lambda ends: both_ways(call, ends),
    "dccp": lambda ends: both_ways(plain(DCCP, bytes(24)), ends),
    "gre": lambda ends: both_ways(plain(p.GRE, b"\0\0\x08\0" + bytes(20)), ends),
    "generic": lambda ends: both_ways(plain(ESP, bytes(range(24))), ends),
}


def seen(conversation):
    """What the kernel and fastct say: their events, and the differences of their listings after every packet."""
    kernel, subject = Kernel(), Subject(keep_events=True)
    log = EventLog()
    listings = []
    for side, data in conversation:
        _, now = kernel.send(Packet(side, data, None, ""))
        subject.send(Packet(side, data, None, ""), now)
        listings += compare.listing_differences(kernel.listing(), subject.listing(time.time_ns()))
    subprocess.run(["conntrack", "-F"], check=True, capture_output=True)
    subject.flush()
    return log.close(), subject.events(), listings


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("protocol", CONVERSATIONS)
def test_text(protocol, family):
    theirs, ours, listings = isolated(seen, CONVERSATIONS[protocol](FAMILIES[family]))
    assert listings == []
    assert len(theirs) == len(ours) >= 3
    assert unlike(in_order(theirs), in_order(ours)) == []
