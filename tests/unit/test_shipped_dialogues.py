"""The shipped captures of dialogues: with its helper, each control connection has the connections that it announced."""
from pathlib import Path

import numpy as np
import pytest

import fastct
from fastct.records import CTSTATES, HELPERS
from tests.captures.dialogues import DIALOGUES

EXPECTED, SEEN_REPLY = 1, 2
TCP, UDP, GRE, SCTP = 6, 17, 47, 132
FTP, DATA = (TCP, "ftp", 0), (TCP, "", 1)
TFTP, BLOCKS = (UDP, "tftp", 0), (UDP, "", 1)
SIP, RTP = (UDP, "sip", 0), (UDP, "", 1)

# Every connection in order: its protocol, its helper, and how many connections before it its master began (0: none).
CONNECTIONS = {
    "ftp_curl": [FTP, DATA] * 6,
    "ftp_lftp": [FTP, DATA, (TCP, "", 2)] * 4,
    "tftp_curl": [TFTP, BLOCKS] * 4,
    "tftp_hpa": [TFTP, BLOCKS] * 5,
    # What comes in by way of the server is no offer that the helper reads.
    "irc_dcc": [(TCP, "irc", 0), (TCP, "", 1), (TCP, "", 0), (TCP, "", 3)],
    "sip_udp": [SIP, RTP] * 2,
    "sip_tcp": [(TCP, "sip", 0), RTP],
    # Who calls a registered number is RELATED, and gets the helper with it.
    "sip_registered": [SIP, (UDP, "sip", 1), RTP],
    "pptp": [(TCP, "pptp", 0), (GRE, "", 1)],
    # The second path is a connection of its own.
    "sctp": [(SCTP, "", 0), (SCTP, "", 0)],
}


def tracked(name, helpers):
    """Connections, by number, and packets of a capture."""
    result = fastct.track(f"pcaps/{name}.pcap", packets=True, helpers=helpers)
    return np.sort(result.connections, order="conn"), result.packets


def openings(packets):
    """The class of every connection's first packet."""
    numbers, first = np.unique(packets["conn"], return_index=True)
    return [CTSTATES[packets["ctstate"][at]] for number, at in zip(numbers, first, strict=True) if number]


def test_every_dialogue_is_shipped():
    assert set(CONNECTIONS) == set(DIALOGUES)
    assert all(Path(f"pcaps/{name}.pcap").exists() for name in DIALOGUES)


@pytest.mark.parametrize("name", CONNECTIONS)
def test_connections_and_masters(name):
    connections, packets = tracked(name, DIALOGUES[name].helpers)
    assert [(int(row["l4proto"]), HELPERS[row["helper"]], int(row["conn"] - row["master"]) if row["master"] else 0)
            for row in connections] == CONNECTIONS[name]
    expected = connections[connections["master"] > 0]
    assert ((connections["status"] & EXPECTED > 0) == (connections["master"] > 0)).all()
    assert (expected["status"] & SEEN_REPLY).all()
    assert openings(packets) == ["RELATED" if row["master"] else "NEW" for row in connections]
    assert not (packets["ctstate"] == CTSTATES.index("INVALID")).any()


@pytest.mark.parametrize("name", CONNECTIONS)
def test_without_the_helper(name):
    connections, packets = tracked(name, {})
    assert openings(packets) == ["NEW"] * len(connections)
    assert not connections["master"].any()
    assert not (connections["status"] & EXPECTED).any()
