"""Conversations that once told fastct from the kernel, or that are easy to get wrong; each is a few packets."""

import pytest

from tests import packets as p
from tests.kernel import compare
from tests.kernel.generator import CLIENT, SERVER, Flow, Packet
from tests.kernel.namespace import isolated, unavailable

pytestmark = [pytest.mark.kernel, pytest.mark.skipif(bool(unavailable()), reason=unavailable() or "available")]

C, S = "10.1.0.1", "10.2.0.1"
TCP_FLOW = Flow(p.address(C), p.address(S), p.TCP, 1000, 80)
UDP_FLOW = Flow(p.address(C), p.address(S), p.UDP, 1000, 53)
SCALE7 = b"\x03\x03\x07"
SYN, ACK, RST, FIN = p.SYN, p.ACK, p.RST, p.FIN


def t(side, flags, seq, ack=0, window=1000, options=b"", data=b""):
    """A TCP segment."""
    ends = (C, S, 1000, 80) if side == CLIENT else (S, C, 80, 1000)
    return Packet(side, p.tcp(*ends, seq, ack, flags, window, options, data), TCP_FLOW, f"{flags:#x}")


def u(side, data=b"x"):
    """A UDP datagram."""
    ends = (C, S, 1000, 53) if side == CLIENT else (S, C, 53, 1000)
    return Packet(side, p.udp(*ends, data), UDP_FLOW, "UDP")


HANDSHAKE = [t(CLIENT, SYN, 99), t(SERVER, SYN | ACK, 499, 100), t(CLIENT, ACK, 100, 500)]
SCENARIOS = {
    "handshake and close": [
        *HANDSHAKE,
        t(CLIENT, FIN | ACK, 100, 500),
        t(SERVER, FIN | ACK, 500, 101),
        t(CLIENT, ACK, 101, 501),
    ],
    "ignored SYN answered after a pick-up in mid-stream": [
        t(CLIENT, ACK, 100, 500),
        t(CLIENT, SYN, 90000),
        t(SERVER, SYN | ACK, 500, 90001, 1),
        t(SERVER, ACK, 25000, 90001, data=bytes(100)),
    ],
    "ignored SYN answered after a handshake": [
        *HANDSHAKE,
        t(CLIENT, SYN, 90000),
        t(SERVER, SYN | ACK, 500, 90001, 1),
        t(SERVER, ACK, 25000, 90001, data=bytes(100)),
    ],
    "SYN again without options keeps the scale": [
        t(CLIENT, SYN, 99, options=SCALE7),
        t(CLIENT, SYN, 199),
        t(SERVER, SYN | ACK, 499, 200, 1000, SCALE7),
        t(SERVER, ACK, 500, 200, 100),
        t(CLIENT, ACK, 200, 500, data=bytes(1400)),
        t(CLIENT, ACK, 13000, 500, data=bytes(9)),
    ],
    "RST of the side that sent the last SYN": [
        t(CLIENT, SYN, 5000000),
        t(SERVER, SYN | ACK, 900000, 4930001, 500),
        t(CLIENT, RST, 3951424),
    ],
    "RST of the other side": [
        t(CLIENT, SYN, 5000000),
        t(SERVER, SYN | ACK, 900000, 4930001, 500),
        t(SERVER, RST, 375712),
    ],
    "refused": [t(CLIENT, SYN, 99), t(SERVER, RST | ACK, 0, 100), t(CLIENT, SYN, 300)],
    "simultaneous open": [
        t(CLIENT, SYN, 99),
        t(SERVER, SYN, 499),
        t(CLIENT, SYN | ACK, 99, 500),
        t(SERVER, SYN | ACK, 499, 100),
    ],
    "challenge ACK in LAST_ACK": [
        *HANDSHAKE,
        t(SERVER, FIN | ACK, 500, 100),
        t(CLIENT, FIN | ACK, 100, 501),
        t(CLIENT, SYN, 7000),
        t(SERVER, ACK, 501, 101),
        t(CLIENT, RST, 101),
        t(CLIENT, SYN, 7000),
    ],
    "reopened": [
        *HANDSHAKE,
        t(CLIENT, FIN | ACK, 100, 500),
        t(SERVER, FIN | ACK, 500, 101),
        t(CLIENT, ACK, 101, 501),
        t(CLIENT, SYN, 70000),
        t(SERVER, SYN | ACK, 90000, 70001),
    ],
    "datagrams": [u(CLIENT), u(CLIENT), u(SERVER), u(CLIENT), u(SERVER)],
}


@pytest.mark.parametrize("name", SCENARIOS)
def test_scenario(name):
    result = isolated(compare.run, SCENARIOS[name], {})
    assert result["differences"] == []
    assert result["listing"] == []


def mistaken(packets):
    """The comparison, with fastct shown the first packet again instead of the second."""
    sent = []
    original = compare.Subject.send

    def send(subject, packet, now):
        sent.append(packet)
        if len(sent) == 2:
            return original(subject, packets[0], now)
        return original(subject, packet, now)

    compare.Subject.send = send
    return compare.run(packets, {})


def test_the_comparison_can_fail():
    result = isolated(mistaken, HANDSHAKE)
    assert result["differences"]


def test_a_listing_can_differ():
    line = "udp      17 {} src=10.1.0.1 dst=10.2.0.1 mark=0 use=1"
    assert compare.listing_differences([line.format(29)], [line.format(30)]) == []
    assert compare.listing_differences([line.format(29)], [line.format(20)])
    assert compare.listing_differences([line.format(29)], [])
