"""Every cell of SCTP's table of transitions as packets: a path to a state, then a chunk from either side."""

from tests import packets as p
from tests.kernel.associations import (
    ABORT,
    COOKIE_ACK,
    COOKIE_ECHO,
    ERROR,
    HEARTBEAT,
    HEARTBEAT_ACK,
    INIT,
    INIT_ACK,
    SHUTDOWN,
    SHUTDOWN_ACK,
    SHUTDOWN_COMPLETE,
    init,
)
from tests.kernel.flows import CLIENT, SERVER

TAGS = (22, 11)  # that the client's and the server's packets carry
OPENING = [(CLIENT, INIT), (SERVER, INIT_ACK), (CLIENT, COOKIE_ECHO), (SERVER, COOKIE_ACK)]
PATHS = {
    "CLOSED": OPENING[:1],
    "COOKIE_WAIT": OPENING[:2],
    "COOKIE_ECHOED": OPENING[:3],
    "ESTABLISHED": OPENING,
    "SHUTDOWN_SENT": [*OPENING, (CLIENT, SHUTDOWN)],
    "SHUTDOWN_RECD": [*OPENING, (SERVER, SHUTDOWN)],
    "SHUTDOWN_ACK_SENT": [*OPENING, (CLIENT, SHUTDOWN), (SERVER, SHUTDOWN_ACK)],
    "HEARTBEAT_SENT": [(CLIENT, HEARTBEAT)],
}
CHUNKS = {
    "INIT": INIT,
    "INIT_ACK": INIT_ACK,
    "ABORT": ABORT,
    "SHUTDOWN": SHUTDOWN,
    "SHUTDOWN_ACK": SHUTDOWN_ACK,
    "ERROR": ERROR,
    "COOKIE_ECHO": COOKIE_ECHO,
    "COOKIE_ACK": COOKIE_ACK,
    "SHUTDOWN_COMPLETE": SHUTDOWN_COMPLETE,
    "HEARTBEAT": HEARTBEAT,
    "HEARTBEAT_ACK": HEARTBEAT_ACK,
}


def packet(ends, ports, side, kind, known=TAGS):
    """A packet of one chunk, with the tag that belongs to it."""
    if side == SERVER:
        ends, ports = ends[::-1], ports[::-1]
    chunk = init(TAGS[1 - side], kind) if kind in (INIT, INIT_ACK) else p.chunk(kind, bytes(8))
    return p.sctp(*ends, *ports, 0 if kind == INIT else known[side], [chunk])


def cell(ends, ports, state, side, kind):
    """(side, packet) of the way to a state, and of one chunk more."""
    known = (TAGS[0], 0) if state == "HEARTBEAT_SENT" else TAGS if state != "CLOSED" else (0, TAGS[1])
    way = [(step, packet(ends, ports, step, chunk)) for step, chunk in PATHS[state]]
    return [*way, (side, packet(ends, ports, side, kind, known))]
