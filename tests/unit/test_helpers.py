"""Helpers and expectations: who is expected after which words, and what has no effect. Each of the holes that such
code had in the past has a case; the random comparison with the kernel is in ``tests/kernel``."""
import random
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fastct
from fastct.export.expectations import format_expectations, format_expectations_proc
from fastct.records import CTSTATES, HELPERS, VERDICTS
from tests import packets as p
from tests.dialogues import PORTS, PROTOCOLS, number

S = 10**9
START = 1_700_000_000 * S
V4, V6 = ("10.1.0.1", "10.2.0.1"), ("fd00:1::1", "fd00:2::1")
CLIENT, SERVER = 0, 1
OWN = number(V4[CLIENT])


class Net:
    """A tracker and its clock."""

    def __init__(self, **settings):
        settings.setdefault("helpers", {f"{PROTOCOLS[name]}/{PORTS[name]}": name for name in PROTOCOLS})
        self.tracker = fastct.Tracker(checksum="on", seed=1, **settings)
        self.now = START

    def packet(self, data):
        """(ctstate, verdict) of a packet."""
        row = self.tracker.process_bytes([data], [self.now], linktype=101)[0]
        return CTSTATES[row["ctstate"]], VERDICTS[row["verdict"]]

    def syn(self, src, dst, sport, dport):
        """The ctstate of a connection's first packet."""
        return self.packet(p.tcp(src, dst, sport, dport, 1, 0, p.SYN))[0]

    def expected(self):
        """What is expected now: source, destination, destination port and helper."""
        self.tracker.gc.sweep(self.now)
        found = []
        for line in format_expectations_proc(self.tracker.expectations()).decode().splitlines():
            words = line.split()
            pairs = dict(word.split("=") for word in words if "=" in word and word != "=")
            found.append((pairs["src"], pairs["dst"], int(pairs["dport"]), words[-1]))
        return found


class Talk:
    """A TCP connection with a helper."""

    def __init__(self, net, helper, ends=V4, sport=4000, isn=(1000, 5000), lines=True):
        self.net, self.ends, self.ports, self.next = net, ends, (sport, PORTS[helper]), list(isn)
        self.segment(CLIENT, p.SYN)
        self.segment(SERVER, p.SYN | p.ACK)
        self.segment(CLIENT, p.ACK)
        if lines:
            self.says(SERVER, b"220 hi\r\n")
            self.says(CLIENT, b"USER x\r\n")

    def segment(self, side, flags, data=b"", seq=None):
        """(ctstate, verdict) of a segment."""
        order = slice(None, None, -1 if side else 1)
        ack = self.next[1 - side] if flags & p.ACK else 0
        begin = self.next[side] if seq is None else seq
        made = p.tcp(*self.ends[order], *self.ports[order], begin & 0xFFFFFFFF, ack, flags, data=data)
        if seq is None:
            self.next[side] = (begin + len(data) + bool(flags & (p.SYN | p.FIN))) & 0xFFFFFFFF
        return self.net.packet(made)

    def says(self, side, data, seq=None):
        """The verdict on a segment with data."""
        return self.segment(side, p.ACK | p.PSH, data, seq)[1]


# ---- ftp

FTP_CASES = [
    (V4, CLIENT, b"PORT 10,1,0,1,78,32\r\n", "ACCEPT", ("10.2.0.1", "10.1.0.1", 20000)),
    (V4, CLIENT, b"port 10,1,0,1,78,32\r\n", "ACCEPT", ("10.2.0.1", "10.1.0.1", 20000)),
    (V4, CLIENT, b"PORT 10,1,0,1,78,32\n", "DROP", None),
    (V4, CLIENT, b"PORT 10,1,0,1,78\r\n", "DROP", None),
    (V4, CLIENT, b"PORT 10,1,0,1,78,", "DROP", None),
    (V4, CLIENT, b"PORT", "DROP", None),
    (V4, CLIENT, b"P", "DROP", None),
    (V4, CLIENT, b"PASV\r\n", "ACCEPT", None),
    (V4, CLIENT, b"PORT 10,1,0,2,78,32\r\n", "ACCEPT", None),            # a third party's address
    (V4, CLIENT, b"EPRT |1|10.1.0.1|20001|\r\n", "ACCEPT", ("10.2.0.1", "10.1.0.1", 20001)),
    (V4, CLIENT, b"EPRT !1!10.1.0.1!20001!", "ACCEPT", ("10.2.0.1", "10.1.0.1", 20001)),
    (V4, CLIENT, b"EPRT |1|10.9.0.1|20001|\r\n", "ACCEPT", None),
    (V4, CLIENT, b"EPRT |1|10.1.0.1|0|\r\n", "DROP", None),
    (V4, CLIENT, b"EPRT 11110.1.0.11200011\r\n", "DROP", None),          # a digit does not delimit
    (V4, CLIENT, b"EPRT |2|fd00:1::1|20001|\r\n", "DROP", None),         # the other family
    (V4, SERVER, b"227 Entering Passive Mode (10,2,0,1,78,33).\r\n", "ACCEPT", ("10.1.0.1", "10.2.0.1", 20001)),
    (V4, SERVER, b"227 10,2,0,1,78,33\r\n", "ACCEPT", ("10.1.0.1", "10.2.0.1", 20001)),
    (V4, SERVER, b"227 10,2,0,9,78,33\r\n", "ACCEPT", None),
    (V4, SERVER, b"227 none\r\n", "DROP", None),
    (V4, SERVER, b"229 Entering Extended Passive Mode (|||20002|)\r\n", "ACCEPT", ("10.1.0.1", "10.2.0.1", 20002)),
    (V4, SERVER, b"229 (|||20002\r\n", "DROP", None),
    (V4, SERVER, b"229 |||20002|\r\n", "DROP", None),
    (V4, SERVER, b"PORT 10,2,0,1,78,32\r\n", "ACCEPT", None),            # not for a server to say
    (V6, CLIENT, b"EPRT |2|fd00:1::1|20003|\r\n", "ACCEPT", ("fd00:2::1", "fd00:1::1", 20003)),
    (V6, CLIENT, b"EPRT |2|fd00:1::2|20003|\r\n", "ACCEPT", None),
    (V6, CLIENT, b"EPRT |1|10.1.0.1|20003|\r\n", "DROP", None),
    (V6, CLIENT, b"EPRT |2|" + b"f" * 400 + b"|20003|\r\n", "DROP", None),
    (V6, SERVER, b"229 Extended (|||20004|)\r\n", "ACCEPT", ("fd00:1::1", "fd00:2::1", 20004)),
]


def short(address):
    """An address of nf_conntrack_expect as people write it."""
    import ipaddress
    return str(ipaddress.ip_address(address))


@pytest.mark.parametrize(("ends", "side", "said", "verdict", "expected"), FTP_CASES)
def test_ftp(ends, side, said, verdict, expected):
    net = Net()
    talk = Talk(net, "ftp", ends)
    assert talk.says(side, said) == verdict
    found = [(short(src), short(dst), port) for src, dst, port, _ in net.expected()]
    assert found == ([expected] if expected else [])
    if expected:
        assert net.syn(expected[0], expected[1], 20, expected[2]) == "RELATED"
        assert net.expected() == []
        assert net.syn(expected[0], expected[1], 21, expected[2]) == "NEW"


def test_ftp_first_line_of_a_direction_is_not_read():
    net = Net()
    talk = Talk(net, "ftp", lines=False)
    assert talk.says(CLIENT, b"PORT 10,1,0,1,78,32\r\n") == "ACCEPT"
    assert net.expected() == []
    assert talk.says(CLIENT, b"PORT 10,1,0,1,78,32\r\n") == "ACCEPT"
    assert len(net.expected()) == 1


def test_ftp_split_command_is_dropped_until_it_comes_in_one_piece():
    net = Net()
    talk = Talk(net, "ftp")
    begin = talk.next[CLIENT]
    assert talk.says(CLIENT, b"PORT 10,1,0,") == "DROP"
    assert talk.says(CLIENT, b"1,78,32\r\n") == "ACCEPT"       # does not begin a line
    assert net.expected() == []
    assert talk.says(CLIENT, b"PORT 10,1,0,1,78,32\r\n", begin) == "ACCEPT"
    assert len(net.expected()) == 1
    assert talk.says(CLIENT, b"PORT 10,1,0,1,78,32\r\n", begin) == "ACCEPT"     # sent again: the same
    assert len(net.expected()) == 1


def test_ftp_lines_across_the_end_of_the_sequence_space():
    net = Net()
    talk = Talk(net, "ftp", isn=(0xFFFFFFF5, 0xFFFFFFF0))
    assert talk.says(CLIENT, b"PORT 10,1,0,1,78,32\r\n") == "ACCEPT"
    assert talk.says(SERVER, b"229 (|||20002|)\r\n") == "ACCEPT"
    assert len(net.expected()) == 1                                            # the second evicts the first
    assert net.expected()[0][2] == 20002


def test_ftp_two_lines_are_remembered_and_an_old_one_does_not_replace_them():
    net = Net()
    talk = Talk(net, "ftp")
    lines = [talk.next[CLIENT]]
    for _ in range(3):
        talk.says(CLIENT, b"NOOP\r\n")
        lines.append(talk.next[CLIENT])
    talk.says(CLIENT, b"A\r\n", lines[0] - 3)                 # ends where the oldest line begins: forgotten already
    for line, read in zip(lines, (False, False, True, True), strict=True):
        assert talk.says(CLIENT, b"PORT", line) == ("DROP" if read else "ACCEPT")


# ---- tftp

@pytest.mark.parametrize(("data", "expects"), [
    (b"\0\1file\0octet\0", True), (b"\0\2file\0octet\0", True), (b"\0\1", True), (b"\0\3", False), (b"\1\0", False),
    (b"\1", False), (b"", False)])
@pytest.mark.parametrize("ends", [V4, V6])
def test_tftp(ends, data, expects):
    net = Net()
    assert net.packet(p.udp(*ends, 6000, 69, data))[1] == "ACCEPT"
    assert len(net.expected()) == expects
    assert net.packet(p.udp(ends[1], ends[0], 7777, 6000, b"\0\3"))[0] == ("RELATED" if expects else "NEW")


def test_tftp_a_second_connection_may_not_expect_the_same():
    net = Net(helpers={"udp/69": "tftp", "udp/70": "tftp"})
    assert net.packet(p.udp(*V4, 6000, 69, b"\0\1x"))[1] == "ACCEPT"
    assert net.packet(p.udp(*V4, 6000, 70, b"\0\1x"))[1] == "DROP"
    assert len(net.tracker.connections()) == 1                # the second never was one
    assert net.packet(p.udp(*V4, 6000, 69, b"\0\1x"))[1] == "ACCEPT"
    assert len(net.expected()) == 1


# ---- irc

def offer(text, command="PRIVMSG bob"):
    """A private message with a DCC offer."""
    return f"{command} :\x01DCC {text}\x01\r\n".encode()


IRC_CASES = [
    (offer(f"SEND file.txt {OWN} 5555"), 5555),
    (offer(f"CHAT chat {OWN} 5555 1000"), 5555),
    (offer(f"TSEND t {OWN}   5555"), 5555),
    (offer(f"SEND t {int(OWN) + 2**32} 5555"), 5555),             # 32 bits are kept
    (offer(f"SEND t {OWN} {65536 + 7}"), 7),
    (b" \r\n " + offer(f"SEND t {OWN} 5555"), 5555),
    (offer(f"SEND t {OWN} 5555", "privmsg bob"), 5555),
    (offer(f"SEND t {number('10.1.0.2')} 5555"), None),           # somebody else's address
    (offer(f"SEND t {number(V4[SERVER])} 5555"), None),           # the server's
    (offer("SEND t 10.1.0.1 5555"), None),
    (offer(f"SEND t {OWN} 0"), None),
    (offer(f"SEND t {OWN} x"), None),
    (offer(f"SEND t {OWN} 5555").replace(b"\r\n", b""), None),    # no newline
    (offer(f"send t {OWN} 5555"), None),
    (offer(f"SEND x 5 5 :\x01DCC SEND t {OWN} 5555"), None),      # the first one decides
    (offer(f"FOO x 5 5 :\x01DCC SEND t {OWN} 5555"), 5555),
    (offer(f"SEND t {OWN} 5555", "NOTICE bob"), None),
    (offer(f"SEND {'f' * 200}{OWN}"), None),
    (b"PRIVMSG " + b"b" * 4070 + b" :\x01DCC SEND t " + OWN.encode() + b" 55\n", None),      # beyond what is looked at
    (b"PRIVMSG bob :\x01DCC SEND", None),
    (b"PRIVMSG bob :\x01DCC ", None),
]


@pytest.mark.parametrize(("said", "port"), IRC_CASES)
def test_irc(said, port):
    net = Net()
    talk = Talk(net, "irc")
    assert talk.says(CLIENT, said) == "ACCEPT"
    assert net.expected() == ([("0.0.0.0", "10.1.0.1", port, "irc")] if port else [])


def test_irc_the_server_offers_nothing():
    net = Net()
    talk = Talk(net, "irc")
    talk.says(SERVER, offer(f"SEND t {number(V4[SERVER])} 5555"))
    talk.says(SERVER, offer(f"SEND t {OWN} 5555"))
    assert net.expected() == []


def test_irc_eight_offers_then_the_oldest_goes():
    net = Net()
    talk = Talk(net, "irc")
    for port in range(5000, 5010):
        talk.says(CLIENT, offer(f"SEND t {OWN} {port}"))
    assert sorted(port for _, _, port, _ in net.expected()) == list(range(5002, 5010))


# ---- sane

def test_sane():
    net = Net()
    talk = Talk(net, "sane", lines=False)
    start, granted = struct.pack("!II", 7, 0), struct.pack("!IHH", 0, 0, 5000)
    talk.says(SERVER, granted)                                # nobody asked
    talk.says(CLIENT, start + b"x")                           # not a request's length
    talk.says(SERVER, granted)
    talk.says(CLIENT, start)
    talk.says(SERVER, struct.pack("!IHH", 1, 0, 5000))        # refused; and answered
    talk.says(SERVER, granted)
    talk.says(CLIENT, start)
    talk.says(CLIENT, struct.pack("!II", 6, 0))               # something else meanwhile
    talk.says(SERVER, granted)
    talk.says(CLIENT, start)
    talk.says(SERVER, granted[:7])
    talk.says(CLIENT, start)
    talk.says(SERVER, struct.pack("!IHH", 0, 1, 5000))
    assert net.expected() == []
    talk.says(CLIENT, start)
    talk.says(SERVER, granted + b"more")
    assert net.expected() == [("10.1.0.1", "10.2.0.1", 5000, "sane")]
    assert net.syn(*V4, 1024, 5000) == "RELATED"


# ---- amanda

AMANDA_CASES = [
    (b"CONNECT DATA 5000 MESG 5001 INDEX 5002 STATE 5003\n", [5000, 5001, 5002, 5003]),
    (b"CONNECT INDEX 5002 DATA 5000\nSTATE 9\n", [5000, 5002]),
    (b"CONNECT DATA 5000 MESG 5001", []),                      # no newline
    (b"CONNECT DATA 70000\n", [70000 - 65536]),
    (b"CONNECT DATA 123456\n", [12345]),
    (b"CONNECT DATA x MESG 5001\n", []),                       # what is no port ends the reading
    (b"CONNECT DATA 0 MESG 5001\n", []),
    (b"connect DATA 5000\n", []),
    (b"CONNECT data 5000\n", []),
    (b"CONNECT DATA \n", []),
    (b"CONNECT \n", []),
    (b"", []),
]


@pytest.mark.parametrize(("said", "ports"), AMANDA_CASES)
def test_amanda(said, ports):
    net = Net()
    net.packet(p.udp(*V4, 900, 10080, b"CONNECT DATA 1\n"))    # the backup server's own words are not read
    assert net.packet(p.udp(*V4[::-1], 10080, 900, said))[1] == "ACCEPT"
    assert sorted(port for _, _, port, _ in net.expected()) == ports
    assert net.tracker.connections()["timeout"][0] == 300
    for port in ports:
        assert net.syn(*V4, 1024, port) == "RELATED"


# ---- netbios-ns

def asked(dst="10.1.0.255", src="10.1.0.1", local=("10.1.0.1/24",)):
    """A name asked for."""
    net = Net(local=local)
    net.packet(p.udp(src, dst, 137, 137, b"name?"))
    return net


def test_netbios_ns_expects_the_whole_network_for_three_seconds():
    net = asked()
    assert net.expected() == [("10.1.0.255", "10.1.0.1", 137, "netbios-ns")]
    assert net.tracker.connections()["timeout"][0] == 3
    for last in (2, 3, 200):
        assert net.packet(p.udp(f"10.1.0.{last}", "10.1.0.1", 137, 137, b"me"))[0] == "RELATED"
    assert net.packet(p.udp("10.1.1.2", "10.1.0.1", 137, 137, b"me"))[0] == "NEW"
    assert net.packet(p.udp("10.1.0.4", "10.1.0.1", 138, 137, b"me"))[0] == "NEW"
    net.now += 3 * S
    assert net.packet(p.udp("10.1.0.5", "10.1.0.1", 137, 137, b"me"))[0] == "NEW"


@pytest.mark.parametrize("arguments", [
    {"local": ()}, {"local": ("10.1.0.2/24",)}, {"local": ("10.1.0.1",)}, {"dst": "10.1.0.254"},
    {"dst": "255.255.255.255"}, {"local": ("fd00::1/64",)}])
def test_netbios_ns_only_for_local_broadcasts(arguments):
    net = asked(**arguments)
    assert net.expected() == []
    assert net.tracker.connections()["timeout"][0] == 30


def test_netbios_ns_masks_of_any_length():
    net = asked("10.1.15.255", local=("10.1.0.1/20", "fd00::1/64"))
    assert net.packet(p.udp("10.1.14.9", "10.1.0.1", 137, 137, b"me"))[0] == "RELATED"
    assert net.packet(p.udp("10.1.16.9", "10.1.0.1", 137, 137, b"me"))[0] == "NEW"


@pytest.mark.parametrize("local", [("10.1.1",), ("10.1.0.1/33",), ("10.1.0.1",) * 65])
def test_local_refuses_what_is_no_address(local):
    with pytest.raises(fastct.ConfigError, match="local"):
        fastct.Tracker(local=local)


# ---- who gets a helper

def test_without_a_helper_nothing_is_expected():
    net = Net(helpers={})
    Talk(net, "ftp").says(CLIENT, b"PORT 10,1,0,1,78,32\r\n")
    assert net.expected() == []


def test_slipstreaming_needs_automatic_helpers():
    """A web page makes its reader's browser send, to a port that a helper watches, what looks like an announcement."""
    for automatic, expected in ((False, 0), (True, 1)):
        net = Net(helpers={}, auto_helpers=automatic)
        talk = Talk(net, "irc", lines=False)
        talk.says(CLIENT, b"POST / HTTP/1.1\r\n\r\n")
        talk.says(CLIENT, offer(f"CHAT chat {OWN} 22"))
        assert len(net.expected()) == expected


def test_what_was_expected_gets_no_helper_of_its_own():
    net = Net()
    Talk(net, "ftp").says(CLIENT, f"PORT {V4[CLIENT].replace('.', ',')},26,11\r\n".encode())     # irc's port
    assert net.syn(*V4[::-1], 20, 6667) == "RELATED"
    row = net.tracker.connections()[-1]
    assert HELPERS[row["helper"]] == "" and row["master"] == 1


def test_irc_is_not_for_ipv6():
    net = Net()
    Talk(net, "irc", V6)
    assert HELPERS[net.tracker.connections()["helper"][0]] == ""


# ---- the table of expectations

def test_the_same_again_is_replaced_and_its_time_begins_anew():
    net = Net()
    talk = Talk(net, "ftp")
    talk.says(CLIENT, b"PORT 10,1,0,1,78,32\r\n")
    net.now += 100 * S
    talk.says(CLIENT, b"PORT 10,1,0,1,78,32\r\n")
    assert list(net.tracker.expectations()["timeout"]) == [300]
    assert net.tracker.stats["expect_create"] == 2


def test_another_masters_expectation_is_not_replaced():
    net = Net()
    first, second = Talk(net, "ftp"), Talk(net, "ftp", sport=4001)
    assert first.says(CLIENT, b"PORT 10,1,0,1,78,32\r\n") == "ACCEPT"
    assert second.says(CLIENT, b"PORT 10,1,0,1,78,32\r\n") == "DROP"
    assert second.says(CLIENT, b"PORT 10,1,0,1,78,33\r\n") == "ACCEPT"
    assert sorted(net.tracker.expectations()["master"]) == [1, 2]


def test_an_overlap_of_masks_is_refused():
    net = Net()
    irc, ftp = Talk(net, "irc"), Talk(net, "ftp", sport=4001)
    assert irc.says(CLIENT, offer(f"SEND t {OWN} 20000")) == "ACCEPT"      # of anybody
    assert ftp.says(CLIENT, b"PORT 10,1,0,1,78,32\r\n") == "DROP"          # of the server
    assert [helper for *_, helper in net.expected()] == ["irc"]


def test_a_full_table_refuses_and_expired_ones_make_room():
    net = Net(sysctls={"nf_conntrack_expect_max": 2})
    talk = Talk(net, "irc")
    said = [talk.says(CLIENT, offer(f"SEND t {OWN} {port}")) for port in (1, 2, 3)]
    assert said == ["ACCEPT", "ACCEPT", "DROP"]
    net.now += 300 * S - 1
    assert talk.says(CLIENT, offer(f"SEND t {OWN} 4")) == "DROP"
    net.now += 1
    assert talk.says(CLIENT, offer(f"SEND t {OWN} 5")) == "ACCEPT"
    assert [port for _, _, port, _ in net.expected()] == [5]


@pytest.mark.parametrize(("late", "state"), [(-1, "RELATED"), (0, "NEW")])
def test_expiry_is_exact(late, state):
    net = Net()
    Talk(net, "ftp").says(CLIENT, b"PORT 10,1,0,1,78,32\r\n")
    net.now += 300 * S + late
    assert net.syn("10.2.0.1", "10.1.0.1", 20, 20000) == state


def test_expectations_end_with_their_master():
    net = Net()
    talk = Talk(net, "ftp")
    talk.says(CLIENT, b"PORT 10,1,0,1,78,32\r\n")
    net.tracker.delete(net.tracker.find(6, *V4, 4000, 21))
    assert net.expected() == []
    assert net.syn("10.2.0.1", "10.1.0.1", 20, 20000) == "NEW"


def test_expectations_of_a_master_that_has_expired_are_gone_unnoticed_or_not():
    net = Net()
    net.packet(p.udp(*V4, 6000, 69, b"\0\1x"))
    net.now += 30 * S
    net.tracker.process_bytes([b""], [net.now], linktype=101)
    assert len(net.tracker.expectations()) == 0
    assert net.packet(p.udp(*V4[::-1], 7777, 6000, b"x"))[0] == "NEW"
    assert net.packet(p.udp("10.1.0.1", "10.2.0.1", 6000, 69, b"\0\1x"))[1] == "ACCEPT"


def test_an_invalid_packet_uses_up_an_expectation():
    for flags, bad_sum in ((p.SYN | p.RST, False), (p.SYN, True), (p.FIN, False)):
        net = Net()
        Talk(net, "ftp").says(CLIENT, b"PORT 10,1,0,1,78,32\r\n")
        assert net.packet(p.tcp(*V4[::-1], 20, 20000, 1, 0, flags, bad_sum=bad_sum))[0] == "INVALID"
        assert net.expected() == []


def test_the_master_is_named_and_counts_its_children():
    net = Net()
    talk = Talk(net, "ftp")
    talk.says(CLIENT, b"PORT 10,1,0,1,78,32\r\n")
    net.tracker.mark(net.tracker.find(6, *V4, 4000, 21), 7)
    net.syn("10.2.0.1", "10.1.0.1", 20, 20000)
    master, child = net.tracker.connections()
    assert (child["master"], child["mark"], master["use"], child["status"] & 1) == (1, 7, 2, 1)
    talk.segment(CLIENT, p.RST)
    net.tracker.gc.sweep(net.now + 10 * S)
    assert net.tracker.connections()["master"].tolist() == [1]             # gone, and still named


class Model:
    """The expectations of some IRC clients, as a list, the oldest first."""

    def __init__(self):
        self.expected = []                        # client, port, deadline

    def offer(self, client, port, now):
        """Whether the packet passes."""
        self.expected = [row for row in self.expected if row[2] > now]
        same = [row for row in self.expected if row[1] == port]
        if same and same[0][0] != client:
            return False
        self.expected = [row for row in self.expected if row[1] != port]
        own = [row for row in self.expected if row[0] == client]
        if len(own) == 8:
            self.expected.remove(own[0])
        if len(self.expected) >= 12:
            return False
        self.expected.append((client, port, now + 300 * S))
        return True

    def open(self, port, now):
        """Whether a connection to a port is RELATED."""
        found = [row for row in self.expected if row[1] == port and row[2] > now]
        self.expected = [row for row in self.expected if row[1] != port]
        return bool(found)

    def end(self, client):
        self.expected = [row for row in self.expected if row[0] != client]


STEPS = st.lists(st.tuples(st.sampled_from(("offer", "offer", "offer", "open", "end", "wait")), st.integers(0, 2),
                           st.integers(1, 14), st.sampled_from((0, 1, 50, 299, 300))), max_size=60)


@settings(max_examples=150, deadline=None)
@given(STEPS)
def test_against_the_model(steps):
    """One host's clients of three servers: what they offer clashes, is evicted, is refused, and expires."""
    long = {f"nf_conntrack_tcp_timeout_{name}": 432000 for name in ("unacknowledged", "max_retrans")}
    net, model = Net(sysctls={"nf_conntrack_expect_max": 12} | long), Model()
    talks, sports = [None] * 3, 4000
    for kind, client, port, wait in steps:
        if talks[client] is None:
            sports += 1
            talks[client] = Talk(net, "irc", (V4[0], f"10.2.0.{client + 1}"), sport=sports, lines=False)
        talk = talks[client]
        if kind == "offer":
            passes = talk.says(CLIENT, offer(f"SEND t {OWN} {port}")) == "ACCEPT"
            assert passes == model.offer(client, port, net.now)
        elif kind == "open":
            sports += 1
            assert (net.syn("10.2.0.9", V4[0], sports, port) == "RELATED") == model.open(port, net.now)
        elif kind == "end":
            net.tracker.delete(net.tracker.find(6, *talk.ends, *talk.ports))
            talks[client] = None
            model.end(client)
        net.now += wait * S
        for other in talks:
            if other is not None:
                other.segment(CLIENT, p.ACK)             # stays alive
        live = [port for _, port, deadline in model.expected if deadline > net.now]
        assert sorted(port for _, _, port, _ in net.expected()) == sorted(live)
    assert net.tracker._engine.selfcheck() == []


# ---- as text

def test_text():
    net = Net()
    Talk(net, "ftp", V6).says(CLIENT, b"EPRT |2|fd00:1::1|20003|\r\n")
    rows = net.tracker.expectations()
    mask = ":".join(["ffff"] * 8)
    assert format_expectations(rows).decode() == (
        f"300 proto=6 src=fd00:2::1 dst=fd00:1::1 sport=0 dport=20003 mask-src={mask} mask-dst={mask} sport=0 "
        "dport=65535 master-src=fd00:1::1 master-dst=fd00:2::1 sport=4000 dport=21 class=0 helper=ftp\n")
    assert format_expectations_proc(rows).decode() == (
        "300 l3proto = 10 proto=6 src=fd00:0002:0000:0000:0000:0000:0000:0001 "
        "dst=fd00:0001:0000:0000:0000:0000:0000:0001 sport=0 dport=20003 ftp\n")
    with pytest.raises(TypeError, match="EXPECTATION_DTYPE"):
        format_expectations(np.zeros(1))


def test_flags_as_text():
    rows = asked().tracker.expectations()
    rows["flags"] = 7
    rows["zone"] = 3        # conntrack does not print it
    assert b" dport=137 PERMANENT,INACTIVE,USERSPACE class=0 " in format_expectations(rows)
    assert b" PERMANENT,INACTIVE,USERSPACE netbios-ns\n" in format_expectations_proc(rows)


def test_dialogues_are_repeatable():
    from tests.dialogues import says
    first, second = (says(random.Random(5), "ftp", CLIENT, V4, "10.1.0.3") for _ in range(2))
    assert first == second
