"""SCTP against the running kernel: every cell of the table, first packets, collisions, tags, and what refreshes."""

import itertools

import pytest

from tests import packets as p
from tests.kernel import compare
from tests.kernel.associations import (
    ABORT,
    COOKIE_ACK,
    COOKIE_ECHO,
    DATA,
    ERROR,
    HEARTBEAT,
    HEARTBEAT_ACK,
    INIT,
    INIT_ACK,
    KNOWN,
    SACK,
    SHUTDOWN,
    SHUTDOWN_ACK,
    SHUTDOWN_COMPLETE,
    init,
)
from tests.kernel.flows import CLIENT, SERVER, Flow, Packet
from tests.kernel.namespace import isolated, unavailable
from tests.sctp_cells import CHUNKS, PATHS, cell

pytestmark = [pytest.mark.kernel, pytest.mark.skipif(bool(unavailable()), reason=unavailable() or "available")]

ENDS = {"IPv4": ("10.1.0.1", "10.2.0.1"), "IPv6": ("fd00:1::1", "fd00:2::1")}
BUNDLED = (HEARTBEAT, HEARTBEAT_ACK, SHUTDOWN, SHUTDOWN_ACK, ERROR, COOKIE_ECHO, DATA, SACK)


def flow_of(ends, port):
    return Flow(*map(p.address, ends), p.SCTP, port, 36412)


def every_cell(ends):
    """A connection for every state, chunk and side."""
    for port, (state, name, side) in enumerate(itertools.product(PATHS, CHUNKS, (CLIENT, SERVER)), 1000):
        for turn, data in cell(ends, (port, 36412), state, side, CHUNKS[name]):
            yield Packet(turn, data, flow_of(ends, port), f"{state} {name}")


def first_packets(ends):
    """Every chunk, and every two that may stand together, as a first packet; without and with a tag."""
    rows = [*((kind,) for kind in KNOWN), *itertools.product(BUNDLED, repeat=2)]
    for port, (kinds, tag) in enumerate(itertools.product(rows, (0, 5)), 1000):
        chunks = [init(77, kind) if kind in (INIT, INIT_ACK) else p.chunk(kind, bytes(8)) for kind in kinds]
        yield Packet(CLIENT, p.sctp(*ends, port, 36412, tag, chunks), flow_of(ends, port), f"{kinds} {tag}")


@pytest.mark.parametrize("family", ENDS)
@pytest.mark.parametrize("packets", [every_cell, first_packets])
def test_exhaustive(packets, family):
    result = isolated(compare.run, list(packets(ENDS[family])), {})
    assert result["packets"] > 150
    assert result["differences"] == []


def s(side, tag, *chunks, pause=0):
    """A packet of the one association of a scenario."""
    ends, ports = (ENDS["IPv4"], (1000, 36412)) if side == CLIENT else (ENDS["IPv4"][::-1], (36412, 1000))
    return Packet(side, p.sctp(*ends, *ports, tag, chunks), flow_of(ENDS["IPv4"], 1000), f"side {side} {tag}", pause)


def c(side, tag, own, kind=INIT):
    """An INIT or INIT ACK that announces a tag."""
    return s(side, tag, init(own, kind))


HANDSHAKE = [
    c(CLIENT, 0, 11),
    c(SERVER, 11, 22, INIT_ACK),
    s(CLIENT, 22, p.chunk(COOKIE_ECHO, bytes(8)), p.chunk(DATA, bytes(20))),
    s(SERVER, 11, p.chunk(COOKIE_ACK), p.chunk(SACK, bytes(12))),
]
SCENARIOS = {
    "opened and shut": [
        *HANDSHAKE,
        s(CLIENT, 22, p.chunk(SHUTDOWN, bytes(4))),
        s(SERVER, 11, p.chunk(SHUTDOWN_ACK)),
        s(CLIENT, 22, p.chunk(SHUTDOWN_COMPLETE)),
        c(CLIENT, 0, 33),
    ],
    "aborted by its own tag": [*HANDSHAKE, s(CLIENT, 22, p.chunk(ABORT)), s(SERVER, 11, p.chunk(DATA))],
    "aborted by the reflected tag": [
        *HANDSHAKE,
        s(SERVER, 22, p.chunk(ABORT)),
        s(SERVER, 22, p.chunk(ABORT, flags=1)),
        s(SERVER, 11, p.chunk(ABORT, flags=1)),
    ],
    "both open, each answers": [
        c(CLIENT, 0, 11),
        c(SERVER, 0, 22),
        c(SERVER, 11, 22, INIT_ACK),
        c(CLIENT, 22, 11, INIT_ACK),
        s(CLIENT, 22, p.chunk(COOKIE_ECHO, bytes(8))),
        s(SERVER, 11, p.chunk(COOKIE_ACK)),
    ],
    "both open, an answer contradicts": [c(CLIENT, 0, 11), c(SERVER, 0, 22), c(SERVER, 11, 33, INIT_ACK)],
    "both open, one starts again": [
        c(CLIENT, 0, 11),
        c(SERVER, 0, 22),
        c(CLIENT, 0, 33),
        c(CLIENT, 22, 44, INIT_ACK),
        c(SERVER, 33, 44, INIT_ACK),
    ],
    "an INIT again is not a new one": [
        *HANDSHAKE,
        c(CLIENT, 0, 11),
        c(SERVER, 0, 33),
        c(CLIENT, 33, 55, INIT_ACK),
    ],
    "answered twice, with two tags": [c(CLIENT, 0, 11), c(SERVER, 11, 22, INIT_ACK), c(SERVER, 11, 33, INIT_ACK)],
    "answered after the cookie": [*HANDSHAKE, c(SERVER, 11, 33, INIT_ACK)],
    "second path": [
        s(CLIENT, 22, p.chunk(HEARTBEAT, bytes(8))),
        s(SERVER, 11, p.chunk(HEARTBEAT_ACK, bytes(8))),
        s(CLIENT, 22, p.chunk(DATA, bytes(20))),
    ],
    "new association on an old path": [
        *HANDSHAKE,
        s(CLIENT, 99, p.chunk(HEARTBEAT, bytes(8))),
        s(CLIENT, 98, p.chunk(HEARTBEAT_ACK, bytes(8))),
        s(SERVER, 88, p.chunk(HEARTBEAT_ACK, bytes(8))),
        s(CLIENT, 97, p.chunk(HEARTBEAT, bytes(8))),
    ],
    "a chunk that fails keeps what came before": [
        *HANDSHAKE,
        s(CLIENT, 99, p.chunk(SHUTDOWN, bytes(4)), p.chunk(HEARTBEAT, bytes(8)), p.chunk(DATA)),
        s(SERVER, 11, p.chunk(DATA)),
    ],
    "a length of zero": [*HANDSHAKE, s(CLIENT, 22, p.chunk(DATA, bytes(8)), p.chunk(DATA, length=0))],
    "zeros behind the last chunk": [*HANDSHAKE, s(CLIENT, 22, p.chunk(DATA, bytes(8)), bytes(4))],
    "less than a header behind it": [*HANDSHAKE, s(CLIENT, 22, p.chunk(DATA, bytes(8)), bytes(3))],
    "a length beyond the packet": [*HANDSHAKE, s(CLIENT, 22, p.chunk(DATA, bytes(8), length=9999))],
    "lengths below the header": [
        *HANDSHAKE,
        s(CLIENT, 22, p.chunk(DATA, length=1), p.chunk(DATA, length=3), p.chunk(SHUTDOWN)),
    ],
    "an INIT cut short": [s(CLIENT, 0, init(11)[:19]), s(CLIENT, 0, init(11)[:20])],
    "INIT again does not refresh": [c(CLIENT, 0, 11), s(CLIENT, 0, init(11), pause=2.2)],
    "INIT with another tag does not either": [c(CLIENT, 0, 11), s(CLIENT, 0, init(33), pause=2.2)],
    "DATA refreshes": [*HANDSHAKE, s(CLIENT, 22, p.chunk(DATA, bytes(8)), pause=2.2)],
    "a HEARTBEAT with another tag does not": [
        *HANDSHAKE,
        s(CLIENT, 99, p.chunk(HEARTBEAT, bytes(8)), pause=2.2),
        s(CLIENT, 99, p.chunk(HEARTBEAT, bytes(8)), p.chunk(SHUTDOWN, bytes(4))),
    ],
    "expired": [c(CLIENT, 0, 11), c(SERVER, 11, 22, INIT_ACK), s(CLIENT, 22, p.chunk(COOKIE_ECHO), pause=3.2)],
}


@pytest.mark.parametrize("name", SCENARIOS)
def test_scenario(name):
    result = isolated(compare.run, SCENARIOS[name], {})
    assert result["differences"] == []
    assert result["listing"] == []


def test_tags_are_compared():
    """A difference in nothing but a tag is one."""
    result = isolated(other_tag, HANDSHAKE)
    assert result["differences"]


def other_tag(packets):
    """The comparison, with fastct shown an INIT ACK that announces another tag."""
    original = compare.Subject.send

    def send(subject, packet, now):
        return original(subject, c(SERVER, 11, 23, INIT_ACK) if packet is packets[1] else packet, now)

    compare.Subject.send = send
    return compare.run(packets[:2], {})
