"""Packets in words: the bytes that come out, read by others; what is wrong with words, and where."""
import dpkt
import pytest

import fastct
from fastct.errors import PacketError
from fastct.records import CTSTATES, STATES
from fastct.rules.described import described
from tests import packets as p

A, B = "10.0.0.1", "10.0.0.2"


def ip(text):
    """dpkt's reading of the packet of a text; its checksums must be those that dpkt makes."""
    data = described(text).data
    packet = (dpkt.ip.IP if data[0] >> 4 == 4 else dpkt.ip6.IP6)(data)
    assert bytes(packet) == data
    return packet


def test_tcp():
    packet = described("in=eth0 tcp 10.0.0.1:1234 > 1.2.3.4:80 syn")
    assert packet.data == p.tcp("10.0.0.1", "1.2.3.4", 1234, 80, 0, 0, p.SYN)
    assert (packet.in_interface, packet.out_interface, packet.mark, packet.at) == ("eth0", "", 0, None)
    assert (str(packet.source), str(packet.destination), packet.family) == ("10.0.0.1", "1.2.3.4", 4)
    assert described("tcp 10.0.0.1:1234>1.2.3.4:80 in=eth0 SYN").data == packet.data


@pytest.mark.parametrize(("words", "flags"), [
    ("", p.SYN), ("syn ack", p.SYN | p.ACK), ("fin psh urg", p.FIN | p.PSH | p.URG), ("none", 0), ("all", 0x3F),
    ("rst ece cwr", p.RST | 0xC0)])
def test_flags(words, flags):
    assert ip(f"tcp 10.0.0.1:1 > 10.0.0.2:2 {words}").tcp.flags == flags


def test_fields():
    packet = ip("tcp 10.0.0.1:1 > 10.0.0.2:http ack seq=7 ack=0x10 mss=1460 ttl=3 tos=0x10 len=9")
    assert (packet.ttl, packet.tos, packet.len) == (3, 0x10, 53)
    assert (packet.tcp.seq, packet.tcp.ack, packet.tcp.dport) == (7, 16, 80)
    assert (packet.tcp.opts, packet.tcp.data) == (b"\2\4\5\xb4", bytes(9))
    outside = described("udp [2001:db8::1]:5 > [2001:db8::2]:53 out=lo mark=0x10 at=1.5")
    assert (outside.out_interface, outside.mark, outside.at, outside.family) == ("lo", 16, 1.5, 6)


def test_ipv6():
    packet = ip("tcp [2001:db8::1]:1 > [2001:db8::2]:80 ttl=9 tos=0x28")
    assert (packet.hlim, packet.fc, packet.nxt, packet.data.dport) == (9, 0x28, 6, 80)
    assert described("icmpv6 2001:db8::1 > [2001:db8::2] ping id=3").data == p.icmp(
        "2001:db8::1", "2001:db8::2", 128, 0, b"\0\3\0\1")


def test_data():
    assert ip(r'udp 10.0.0.1:1 > 10.0.0.2:2 data="a \"b\"\r\n\x00\\"').udp.data == b'a "b"\r\n\0\\'
    assert ip("udp 10.0.0.1:1 > 10.0.0.2:2 data=GET").udp.data == b"GET"


@pytest.mark.parametrize(("word", "kind", "code"), [
    ("", 8, 0), ("echo-reply", 0, 0), ("port-unreach", 3, 3), ("3/4", 3, 4), ("11", 11, 0)])
def test_icmp_types(word, kind, code):
    packet = ip(f"icmp {A} > {B} {word} id=7").icmp
    assert (packet.type, packet.code, packet.data.id if kind in (0, 8) else 7) == (kind, code, 7)


def test_other_protocols():
    assert described(f"udplite {A}:1 > {B}:2 len=3").data == p.udplite(A, B, 1, 2, bytes(3))
    assert described(f"50 {A} > {B} len=8").data == described(f"esp {A} > {B} len=8").data == p.ip(A, B, 50, bytes(8))
    assert described(f"sctp {A}:1 > {B}:2 data len=5").data == p.sctp(
        A, B, 1, 2, 1, [p.chunk(0, b"\0\0\0\1" + bytes(8) + bytes(5))])


def tracked(*texts):
    """ctstate and state of the packets of a sequence; checksums are verified."""
    dialogue = {}
    packets = [described(text, dialogue).data for text in texts]
    rows = fastct.Tracker(checksum="on").process_bytes(packets, linktype=101)
    return [(CTSTATES[row["ctstate"]], STATES[row["state"]]) for row in rows]


def test_a_dialogue_needs_no_numbers():
    ends = (f"{A}:1000 > {B}:80", f"{B}:80 > {A}:1000")
    said = [(0, "syn"), (1, "syn ack"), (0, "ack"), (0, "psh ack len=100"), (1, "ack len=1000"), (1, "fin ack"),
            (0, "fin ack"), (1, "ack")]
    assert tracked(*(f"tcp {ends[way]} {words}" for way, words in said)) == [
        ("NEW", "SYN_SENT"), ("ESTABLISHED", "SYN_RECV"), *[("ESTABLISHED", "ESTABLISHED")] * 3,
        ("ESTABLISHED", "FIN_WAIT"), ("ESTABLISHED", "LAST_ACK"), ("ESTABLISHED", "TIME_WAIT")]
    outside = tracked(*(f"tcp {ends[way]} {words}" for way, words in [*said[:3], (0, "ack len=9 seq=3000000")]))
    assert outside[-1][0] == "INVALID"


def test_an_association_needs_no_tags():
    ends = (f"{A}:1000 > {B}:80", f"{B}:80 > {A}:1000")
    said = [(0, "init"), (1, "init-ack"), (0, "cookie_echo data"), (1, "COOKIE_ACK sack"), (0, "shutdown")]
    assert [state for _, state in tracked(*(f"sctp {ends[way]} {words}" for way, words in said))] == [
        "CLOSED", "COOKIE_WAIT", "COOKIE_ECHOED", "ESTABLISHED", "SHUTDOWN_SENT"]


def test_errors_are_about_packets():
    rows = tracked(f"udp {A}:1 > {B}:2", f"icmp 10.0.9.9 > {A} host-unreachable about udp {A}:1 > {B}:2",
                   f"icmp 10.0.9.9 > {A} ttl-exceeded about udp {A}:1 > {B}:3")
    assert [ctstate for ctstate, _ in rows] == ["NEW", "RELATED", "INVALID"]


@pytest.mark.parametrize(("text", "column", "token"), [
    ("", 1, None), ("tcp 10.0.0.1:1 >", 17, None), ("foo 10.0.0.1 > 10.0.0.2", 1, "foo"),
    ("tcp 10.0.0.1:1 10.0.0.2:2", 16, "10.0.0.2:2"), ("tcp 10.0.0.1 > 10.0.0.2:2", 5, "10.0.0.1"),
    ("gre 10.0.0.1:1 > 10.0.0.2", 5, "10.0.0.1:1"), ("tcp 10.0.0.1:1 > [::1]:2", 18, "[::1]:2"),
    ("tcp 10.0.0.1:1 > 10.0.0.2:70000", 18, "10.0.0.2:70000"), ("tcp 10.0.0:1 > 10.0.0.2:7", 5, "10.0.0:1"),
    ("udp 10.0.0.1:1 > 10.0.0.2:2 syn", 29, "syn"), ("tcp 10.0.0.1:1 > 10.0.0.2:2 sny", 29, "sny"),
    ("icmp ::1 > ::2", 1, "icmp"), ("icmp 10.0.0.1 > 10.0.0.2 8/0 x", 30, "x"),
    ("icmp 10.0.0.1 > 10.0.0.2 net", 26, "net"),
    ("ttl=256 udp 10.0.0.1:1 > 10.0.0.2:2", 1, "ttl=256"), ("udp 10.0.0.1:1 > 10.0.0.2:2 foo=1", 29, "foo=1"),
    ("udp 10.0.0.1:1 > 10.0.0.2:2 seq=1", 29, "seq=1"), ("udp 10.0.0.1:1 > 10.0.0.2:2 len=1 len=2", 35, "len=2"),
    ("udp 10.0.0.1:1 > 10.0.0.2:2 len=65535", 29, "len=65535"),
    ("udp 10.0.0.1:1 > 10.0.0.2:2 len=1 data=a", 29, "len=1"), ('udp 10.0.0.1:1 > 10.0.0.2:2 data="a', 34, '"'),
    (r"udp 10.0.0.1:1 > 10.0.0.2:2 data=\q", 29, r"data=\q"), ("sctp 10.0.0.1:1 > 10.0.0.2:2 foo", 30, "foo"),
    ("sctp 10.0.0.1:1 > 10.0.0.2:2 len=4", 30, "len=4"), ("in= udp 10.0.0.1:1 > 10.0.0.2:2", 1, "in="),
    ("udp 10.0.0.1:1 > 10.0.0.2:2 at=-1", 29, "at=-1"), ("udp fe80::1%eth0 > fe80::2", 5, "fe80::1%eth0"),
    ("icmp 10.0.0.9 > 10.0.0.1 3/3 about udp 10.0.0.1:1 > 10.0.0.2", 53, "10.0.0.2"),
    ("icmp 10.0.0.9 > 10.0.0.1 3/3 about in=eth0 udp 10.0.0.1:1 > 10.0.0.2:2", 36, "in=eth0"),
    ("udp 10.0.0.9:1 > 10.0.0.1:1 about udp 10.0.0.1:1 > 10.0.0.2:2", 29, "about"),
])
def test_what_is_wrong(text, column, token):
    with pytest.raises(PacketError) as caught:
        described(text)
    assert (caught.value.column, caught.value.token) == (column, token)
