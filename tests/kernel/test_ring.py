"""Rings: what is sent into an interface comes out as frames, once, in order, whole, and what does not is counted."""
import socket
import subprocess

import pytest

from fastct.capture.afpacket import RingOptions
from fastct.capture.interfaces import addresses_of
from fastct.capture.ring import Rings
from fastct.errors import ConfigError
from tests.kernel.namespace import isolated, unavailable

pytestmark = pytest.mark.skipif(bool(unavailable()), reason=unavailable())

ETHER = bytes.fromhex("0200000000010200000000020800")
VLAN = bytes.fromhex("020000000001020000000002810000050800")
QINQ = bytes.fromhex("02000000000102000000000288a80007810000050800")
IDLE_MS = 200                   # after so long, nothing more comes


def pair():
    """A veth pair, up, that sends nothing by itself."""
    subprocess.run(["ip", "link", "add", "name", "va", "type", "veth", "peer", "name", "vb"], check=True)
    for name in ("va", "vb", "lo"):
        with open(f"/proc/sys/net/ipv6/conf/{name}/disable_ipv6", "w") as switch:
            switch.write("1")
        subprocess.run(["ip", "link", "set", name, "up"], check=True)


def sender(name):
    into = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    into.bind((name, 0))
    return into


def drain(rings):
    """All frames: pairs of data and length on the wire."""
    found = []
    while (frames := rings.next(IDLE_MS)) is not None:
        found += [(data, length) for _, length, data in frames]
    return found


def _frames():
    pair()
    sent = [head + bytes([n]) * (50 + n) for n in range(100) for head in (ETHER, VLAN, QINQ)]
    with Rings(["vb"], RingOptions(blocks=4)) as rings, sender("va") as into:
        for frame in sent:
            into.send(frame)
        found = drain(rings)
        return sent, found, rings.counts(), rings.packets


def test_frames_come_as_they_were_sent():
    """VLAN tags, which the kernel takes out, are back in their places."""
    sent, found, counts, packets = isolated(_frames)
    assert found == [(frame, len(frame)) for frame in sent]
    assert counts == {"vb": (len(sent), 0)} and packets == len(sent)


def _both_ways():
    pair()
    with Rings(["lo", "va"], RingOptions(blocks=4)) as rings, sender("va") as into, \
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client, \
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        client.sendto(b"once", server.getsockname())
        into.send(ETHER + b"out" * 20)
        return drain(rings)


def test_what_an_interface_sends_is_seen_once():
    found = [data for data, _ in isolated(_both_ways)]
    assert sorted(data[-4:] for data in found) == [b"once", b"tout"]


def _cut():
    pair()
    with Rings(["vb"], RingOptions(snaplen=64, filter="udp port 53")) as rings, sender("va") as into:
        for port in (53, 54):
            into.send(ETHER + bytes.fromhex("4500006400000000401100000a0000010a000002") + port.to_bytes(2, "big") * 2
                      + bytes(76))
        return drain(rings)


def test_filter_and_snaplen():
    (data, length), = isolated(_cut)
    assert len(data) == 64 and length == 114 and data[34:36] == b"\0\x35"


def _full():
    pair()
    with Rings(["vb"], RingOptions(block_size=4096, blocks=2)) as rings, sender("va") as into:
        for _ in range(500):
            into.send(ETHER + bytes(60))
        return len(drain(rings)), rings.counts()["vb"]


def test_every_loss_is_counted():
    found, (received, dropped) = isolated(_full)
    assert found == received and received + dropped == 500 and dropped > 0


def _fanout():
    pair()
    options = RingOptions(blocks=4, fanout=(7, "hash"))
    with Rings(["vb"], options) as one, Rings(["vb"], options) as other, sender("va") as into:
        for port in range(200):
            for _ in range(3):
                into.send(ETHER + bytes.fromhex("4500002400000000401100000a0000010a000002") + port.to_bytes(2, "big")
                          + b"\0\x35\0\x10\0\0" + bytes(8))
        return [[data[34:36] for data, _ in drain(rings)] for rings in (one, other)]


def test_a_group_shares_packets_by_connection():
    ports = isolated(_fanout)
    assert sum(map(len, ports)) == 600 and all(ports)
    assert not set(ports[0]) & set(ports[1])


@pytest.mark.parametrize(("name", "options", "message"), [
    ("none0", {}, "none0: no interface with this name"), ("lo", {"filter": "udp port"}, "filter 'udp port': "),
    ("lo", {"filter": "port nonsense"}, "filter 'port nonsense': "),
])
def test_what_cannot_be_listened_to(name, options, message):
    with pytest.raises(ConfigError, match=message):
        Rings([name], RingOptions(**options))


@pytest.mark.parametrize("options", [{"block_size": 5000}, {"blocks": 0}, {"snaplen": 10}, {"timeout_ms": 0},
                                     {"fanout": (1, "luck")}])
def test_options_out_of_range(options):
    with pytest.raises(ConfigError):
        RingOptions(**options)


def test_addresses_of_interfaces():
    def asked():
        pair()
        subprocess.run(["ip", "addr", "add", "10.1.2.3/20", "dev", "va"], check=True)
        return addresses_of(["va"]), addresses_of(["lo"])

    assert isolated(asked) == (["10.1.2.3/20"], ["127.0.0.1/8"])
    with pytest.raises(ConfigError, match="none0: no interface with this name"):
        addresses_of(["lo", "none0"])
