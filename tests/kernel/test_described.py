"""Packets in words, as the kernel sees them: it verifies checksums, follows numbers and tags, reads quoted packets."""
import pytest

from fastct.rules.described import described
from tests.kernel.flows import Packet
from tests.kernel.kernel import Kernel
from tests.kernel.namespace import isolated, unavailable
from tests.kernel.subject import Subject

pytestmark = [pytest.mark.kernel, pytest.mark.skipif(bool(unavailable()), reason=unavailable() or "available")]

ENDS = {4: ("10.1.0.1", "10.2.0.1"), 6: ("[fd00:1::1]", "[fd00:2::1]")}
NEW, ESTABLISHED, RELATED, INVALID = "NEW", "ESTABLISHED", "RELATED", "INVALID"
# Protocol, and of every packet the side that sends it, the words behind its addresses, and what it is to conntrack.
DIALOGUES = {
    "tcp": ("tcp", [
        (0, "syn mss=1460", NEW), (1, "syn ack", ESTABLISHED), (0, "ack", ESTABLISHED),
        (0, 'psh ack data="GET /\\r\\n"', ESTABLISHED), (1, "ack len=1001", ESTABLISHED), (1, "fin ack", ESTABLISHED),
        (0, "ack", ESTABLISHED), (0, "fin ack", ESTABLISHED), (1, "ack", ESTABLISHED), (0, "syn fin", INVALID)]),
    "reset": ("tcp", [(0, "syn", NEW), (1, "rst ack", ESTABLISHED), (0, "none", INVALID)]),
    "udp": ("udp", [(0, "", NEW), (1, "len=7", ESTABLISHED), (0, "ttl=9 tos=4", ESTABLISHED)]),
    "udplite": ("udplite", [(0, "len=3", NEW), (1, "", ESTABLISHED)]),
    "sctp": ("sctp", [
        (0, "", NEW), (1, "init-ack", ESTABLISHED), (0, "cookie_echo data len=3", ESTABLISHED),
        (1, "cookie_ack sack", ESTABLISHED), (1, "heartbeat", ESTABLISHED), (0, "heartbeat_ack", ESTABLISHED),
        (0, "shutdown", ESTABLISHED), (1, "shutdown_ack", ESTABLISHED), (0, "shutdown_complete", ESTABLISHED)]),
    "unknown": ("253", [(0, "len=5", NEW), (1, "", ESTABLISHED)]),
}
PINGS = {4: "icmp", 6: "icmpv6"}


def talks(family):
    """Names of dialogues, and their packets: texts, sides and what they are to conntrack."""
    for place, (name, (protocol, said)) in enumerate(DIALOGUES.items(), 1):
        port = f":{1000 + place}" if protocol != "253" else ""
        ends = [end + port if port else end.strip("[]") for end in ENDS[family]]
        yield name, [(f"{protocol} {ends[side]} > {ends[1 - side]} {words}", side, what) for side, words, what in said]
    client, server = ENDS[family]
    asked, ping = f"udp {client}:77 > {server}:77", PINGS[family]
    yield "ping", [(f"{ping} {client} > {server} id=5 len=8", 0, NEW),
                   (f"{ping} {server} > {client} echo-reply id=5 len=8", 1, ESTABLISHED),
                   (f"{ping} {server} > {client} echo-reply id=6", 1, INVALID)]
    yield "error", [(asked, 0, NEW), (f"{ping} {server} > {client} port-unreachable about {asked}", 1, RELATED),
                    (f"{ping} {server} > {client} port-unreachable about {asked}7", 1, INVALID)]


def classes(family):
    """Of each packet what it should be, what it is to the kernel and what to fastct, behind its text."""
    kernel, subject = Kernel(), Subject()
    found = []
    for _, talk in talks(family):
        dialogue = {}
        for text, side, what in talk:
            packet = Packet(side, described(text, dialogue).data, None, text)
            theirs, now = kernel.send(packet)
            found.append((text, what, theirs.ctstate, subject.send(packet, now).ctstate))
    return found


@pytest.mark.parametrize("family", ENDS)
def test_the_kernel_understands_them(family):
    found = isolated(classes, family)
    assert len(found) > 30
    assert [row for row in found if len(set(row[1:])) > 1] == []
