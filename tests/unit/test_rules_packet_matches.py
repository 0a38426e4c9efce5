"""Matches that look at the packet: by hand, and against slow models."""

import calendar
import re
import struct
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fastct
from fastct.rules import program
from fastct.rules.compile import compile_ruleset
from fastct.rules.matches import bpf
from fastct.rules.model import Ruleset
from fastct.rules.route import Routes
from tests.packets import icmp, ip, tcp, udp

RAW, ETHERNET = 101, 1
SRC, DST = "10.1.0.1", "10.2.0.1"
SRC6, DST6 = "fd00:1::1", "fd00:2::1"
ROUTING = bytes((17, 2, 0, 1, 0, 0, 0, 0)) + bytes(16)
HOP = bytes((17, 0, 1, 4, 0, 0, 0, 0))


class Asked:
    """Rules in PREROUTING that only count, and the packets that were put to them."""

    def __init__(self, *rules, family=4, routes=None):
        model = Ruleset(family)
        for words in (rule.split() if isinstance(rule, str) else rule for rule in rules):
            outcome = program.iptables(["-t", "mangle", "-A", "PREROUTING", *words], model)
            assert not outcome.status, outcome.err
        self.program = compile_ruleset(model)
        self.tracker = fastct.Tracker(checksum="off", seed=1)
        self.tracker._engine.rules(*((self.program, None) if family == 4 else (None, self.program)), routes or Routes())
        self.n, self.last = len(rules), [0] * len(rules)

    def __call__(self, packet, now=0, linktype=RAW):
        """Whether each rule took a packet."""
        self.tracker.process_bytes([packet], ts=[now], linktype=linktype)
        counts = [int(count) for count in self.program.counters()[: self.n, 0]]
        before, self.last = self.last, counts
        return [count > earlier for count, earlier in zip(counts, before, strict=True)]


def holds(words, packet, **how):
    """Whether a rule takes a packet."""
    linktype = how.pop("linktype", RAW)
    now = how.pop("now", 0)
    return Asked(words, **how)(packet, now, linktype)[0]


def six(payload, protocol, extensions=b"", first=None):
    """An IPv6 packet."""
    return ip(SRC6, DST6, protocol, payload, extensions=extensions, first_extension=first)


SYN = tcp(SRC, DST, 1000, 80, 1, 0, 2, options=b"\2\4\5\xb4\1\3\3\7")
DATAGRAM = udp(SRC, DST, 53, 1000, b"GET / aaab")
PING = icmp(SRC, DST, 8, 0, bytes(4))
CHUNKS = struct.pack("!HHII", 5, 6, 7, 0) + bytes((0, 3, 0, 8, 0, 0, 0, 0, 3, 0, 0, 4))
DCCP = struct.pack("!HHBBHBBH", 5, 6, 5, 0, 0, 0, 0, 9) + bytes((0, 0, 0, 0, 1, 44, 3, 0))
HAND_MADE = (
    (4, "-p tcp --dport 80", SYN, True),
    (4, "-p tcp ! --dport 80", SYN, False),
    (4, "-p tcp --sport 80:", SYN, True),
    (4, "-p tcp --syn", SYN, True),
    (4, "-p tcp --tcp-option 3", SYN, True),
    (4, "-p tcp --tcp-option 8", SYN, False),
    (4, "-p tcp -m tcpmss --mss 1460", SYN, True),
    (4, "-p tcp -m tcpmss ! --mss 1:1459", SYN, True),
    (4, "-p udp --dport 80", SYN, False),
    (4, "-p udp --sport 53", DATAGRAM, True),
    (4, "-p udp -m multiport --ports 1:60,99", DATAGRAM, True),
    (4, "-p udp -m multiport ! --dports 1:60,99", DATAGRAM, True),
    (4, "-p udp -m multiport --dports 53", DATAGRAM, False),
    (4, "-p sctp -m sctp --chunk-types any SACK", ip(SRC, DST, 132, CHUNKS), True),
    (4, "-p sctp -m sctp --chunk-types only SACK", ip(SRC, DST, 132, CHUNKS), False),
    (4, "-p sctp -m sctp --chunk-types all DATA:BE,SACK", ip(SRC, DST, 132, CHUNKS), True),
    (4, "-p sctp -m sctp --chunk-types all DATA:be", ip(SRC, DST, 132, CHUNKS), False),
    (4, "-p dccp -m dccp --dccp-types REQUEST", ip(SRC, DST, 33, DCCP), True),
    (4, "-p dccp -m dccp --dccp-option 44", ip(SRC, DST, 33, DCCP), True),
    (4, "-p icmp --icmp-type 8", PING, True),
    (4, "-p icmp --icmp-type any", PING, True),
    (4, "-p icmp --icmp-type 3", PING, False),
    (4, "-p esp -m esp --espspi 5:9", ip(SRC, DST, 50, struct.pack("!II", 7, 1)), True),
    (4, "-p ah -m ah --ahspi 7", ip(SRC, DST, 51, struct.pack("!III", 0, 7, 1)), True),
    (4, "-p 108 -m ipcomp --ipcompspi 7", ip(SRC, DST, 108, struct.pack("!HH", 0, 7)), True),
    (4, "-m ttl --ttl-lt 65", SYN, True),
    (4, "-m ttl --ttl-gt 64", SYN, False),
    (4, "-m ttl --ttl-lt 0", SYN, False),
    (4, "-m length --length 48", SYN, True),
    (4, "-m length ! --length :47", SYN, True),
    (4, "-m tos --tos 0/0xff", SYN, True),
    (4, "-m dscp --dscp 1", SYN, False),
    (4, "-p tcp -m ecn ! --ecn-tcp-cwr --ecn-ip-ect 0", SYN, True),
    (4, "-m comment --comment x", SYN, True),
    (4, "-m iprange --src-range 10.1.0.1-10.1.0.9", SYN, True),
    (4, "-m iprange ! --dst-range 10.2.0.1", SYN, False),
    (4, "-m mac --mac-source 00:00:00:00:00:00", SYN, False),
    (4, "-m mac ! --mac-source 00:00:00:00:00:00", SYN, False),
    (4, "-m addrtype --src-type UNICAST", SYN, True),
    (4, "-m addrtype ! --dst-type LOCAL", SYN, True),
    (4, "-m rpfilter", SYN, True),
    (4, "-m rpfilter --invert", SYN, False),
    (4, "-m socket", SYN, False),
    (4, "-m physdev --physdev-is-in", SYN, False),
    (4, "-m physdev ! --physdev-is-in", SYN, True),
    (4, "-m policy --dir in --pol none", SYN, True),
    (4, "-m policy --dir in --pol ipsec", SYN, False),
    (4, "-p tcp -m osf --genre Linux", SYN, False),
    (4, "-m cpu --cpu 0", SYN, True),
    (4, "-m devgroup --src-group 0", SYN, True),
    (6, "-m hl --hl-eq 64", six(DATAGRAM[20:], 17), True),
    (6, "-p udp --sport 53", six(DATAGRAM[20:], 17), True),
    (6, "-m hbh --hbh-len 8 --hbh-opts 1:4", six(DATAGRAM[20:], 17, HOP, 0), True),
    (6, "-m hbh --hbh-opts 1:3", six(DATAGRAM[20:], 17, HOP, 0), False),
    (6, "-m dst", six(DATAGRAM[20:], 17, HOP, 0), False),
    (6, "-m dst", six(DATAGRAM[20:], 17, HOP, 60), True),
    (6, "-p udp --sport 53", six(DATAGRAM[20:], 17, HOP, 60), True),
    (6, "-m rt --rt-type 0 --rt-len 24 --rt-segsleft 1", six(DATAGRAM[20:], 17, ROUTING, 43), True),
    (6, "-m rt --rt-type 0 --rt-0-addrs :: ", six(DATAGRAM[20:], 17, ROUTING, 43), True),
    (6, "-m rt --rt-type 0 --rt-0-addrs ::1", six(DATAGRAM[20:], 17, ROUTING, 43), False),
    (6, "-m ipv6header --header route,prot", six(DATAGRAM[20:], 17, ROUTING, 43), True),
    (6, "-m ipv6header --header prot", six(DATAGRAM[20:], 17, ROUTING, 43), False),
    (6, "-m ipv6header --header prot --soft", six(DATAGRAM[20:], 17, ROUTING, 43), True),
    (6, "-p mh -m mh --mh-type 5", six(bytes((59, 0, 5, 0, 0, 0, 0, 0)), 135), True),
    (6, "-m addrtype --src-type UNICAST", six(DATAGRAM[20:], 17), True),
)


@pytest.mark.parametrize(("family", "words", "packet", "answer"), HAND_MADE, ids=lambda each: str(each)[:50])
def test_by_hand(family, words, packet, answer):
    assert holds(words, packet, family=family) is answer


@pytest.mark.parametrize(
    ("family", "words", "packet"),
    (
        (4, "-p tcp -m tcp", ip(SRC, DST, 6, bytes(19))),
        (4, "-p udp -m udp", ip(SRC, DST, 17, bytes(7))),
        (4, "-p icmp --icmp-type any", ip(SRC, DST, 1, b"\x08" + bytes(6))),
        (4, "-p esp -m esp", ip(SRC, DST, 50, bytes(7))),
        (4, "-p udp -m multiport --ports 1", ip(SRC, DST, 17, bytes(3))),
        (6, "-m rt", six(b"", 17, ROUTING[:10], 43)),
        (6, "-m dst", six(b"", 17, HOP[:7], 60)),
        (6, "-p 17", six(b"", 17, b"\x11", 60)),
    ),
)
def test_a_header_that_ends_early_has_the_packet_dropped(family, words, packet):
    asked = Asked(words, ["-m", "comment", "--comment", "behind"], family=family)
    assert asked(packet) == [False, False]


def test_what_comes_before_a_damaged_header_is_asked_before_it():
    asked = Asked("-m length --length 1000: -p tcp -m tcp --dport 80", ["-m", "comment", "--comment", "behind"])
    assert asked(ip(SRC, DST, 6, bytes(10))) == [False, True]


def test_an_inverted_match_on_damage_counts_and_the_packet_is_dropped():
    asked = Asked("-p sctp -m sctp ! --chunk-types any INIT", ["-m", "comment", "--comment", "behind"])
    assert asked(ip(SRC, DST, 132, CHUNKS[:12] + bytes(4))) == [True, False]


def test_damage_is_not_remembered_for_the_connection():
    asked = Asked("-p 253", family=6)
    assert asked(six(b"", 253, b"\xfd\0\0", 43)) == [False]
    assert asked(six(b"x", 253)) == [True]
    assert asked(six(b"", 253, b"\xfd\0\0", 43)) == [False]
    assert asked(six(b"x", 253)) == [True]


FRAME = bytes.fromhex("0a00000000ff0a00000000010800") + SYN


def test_frames():
    assert holds("-m mac --mac-source 0a:00:00:00:00:01", FRAME, linktype=ETHERNET)
    assert not holds("-m mac ! --mac-source 0a:00:00:00:00:01", FRAME, linktype=ETHERNET)
    assert holds("-m pkttype --pkt-type unicast", FRAME, linktype=ETHERNET)
    assert holds("-m pkttype --pkt-type broadcast", b"\xff" * 6 + FRAME[6:], linktype=ETHERNET)
    assert holds("-m pkttype --pkt-type multicast", b"\1" + FRAME[1:], linktype=ETHERNET)
    cooked = struct.pack("!HHH6sxxH", 1, 1, 6, bytes.fromhex("0a0000000001"), 0x0800) + SYN
    assert holds("-m mac --mac-source 0a:00:00:00:00:01 -m pkttype --pkt-type broadcast", cooked, linktype=113)
    suffixed = ip("fd00::800:ff:fe00:1", DST6, 59, b"")
    head = bytes.fromhex("0a00000000ff0a000000000186dd")
    assert holds("-m eui64", head + suffixed, linktype=ETHERNET, family=6)
    assert not holds("-m eui64", head + six(b"", 59), linktype=ETHERNET, family=6)


def test_notes_are_said_once():
    words = ["-m", "socket"]
    assert Asked(words, words).program.notes == ["socket: no packet is for a socket"]
    assert Asked(["-m", "ttl", "--ttl-eq", "1"]).program.notes == []


def upper(data):
    """A text in the kernel's capitals."""
    return bytes(octet - 32 if 97 <= octet <= 122 or (octet >= 0xDF and octet != 0xF7) else octet for octet in data)


texts = st.lists(st.sampled_from((b"a", b"b", b"A", b"ab", b"\xe9", b"\xc9", b"\0")), min_size=1, max_size=8).map(
    b"".join
)


@settings(max_examples=150, deadline=None)
@given(
    text=texts,
    data=texts,
    algorithm=st.sampled_from(("bm", "kmp")),
    first=st.integers(0, 40),
    size=st.integers(0, 40),
    icase=st.booleans(),
)
def test_string(text, data, algorithm, first, size, icase):
    packet = ip(SRC, DST, 253, data)
    words = [
        "-m",
        "string",
        "--hex-string",
        f"|{text.hex()}|",
        "--algo",
        algorithm,
        "--from",
        str(first),
        "--to",
        str(first + size),
        *(["--icase"] if icase else []),
    ]
    there, wanted = (upper(packet), upper(text)) if icase else (packet, text)
    assert holds(words, packet) == (wanted in there[first : first + size])


def u32_model(tests, packet):
    """What the match says, as its manual has it."""
    for steps, ranges in tests:
        at, place, value = 0, steps[0][1], None
        for operator, number in (("@0", place), *steps[1:]):
            if operator.startswith("@"):
                at += value or 0
                if at + number + 4 > len(packet):
                    return False
                value = int.from_bytes(packet[at + number : at + number + 4], "big")
            elif operator == "&":
                value &= number
            elif operator == "<<":
                value = value << number & 0xFFFFFFFF
            else:
                value >>= number
        if not any(low <= value <= high for low, high in ranges):
            return False
    return True


steps = st.one_of(
    st.tuples(st.just("&"), st.sampled_from((0xFF, 0xF, 0x3C, 0xFFFF))),
    st.tuples(st.sampled_from(("<<", ">>")), st.sampled_from((0, 8, 22, 24, 31))),
    st.tuples(st.just("@"), st.integers(0, 20)),
)
u32_tests = st.lists(
    st.tuples(
        st.tuples(st.integers(0, 44), st.lists(steps, max_size=5)),
        st.lists(st.tuples(st.integers(0, 0xFFFF), st.integers(0, 0xFFFFFFFF)), min_size=1, max_size=3),
    ),
    min_size=1,
    max_size=2,
)


@settings(max_examples=200, deadline=None)
@given(tests=u32_tests)
def test_u32(tests):
    model = [((("", place), *rest), ranges) for (place, rest), ranges in tests]
    text = "&&".join(
        str(place)
        + "".join(f"{operator}{number}" for operator, number in rest)
        + "="
        + ",".join(f"{low}:{high}" for low, high in ranges)
        for (place, rest), ranges in tests
    )
    assert holds(["-m", "u32", "--u32", text], DATAGRAM) == u32_model(model, DATAGRAM)


def calculated(operation, a, operand):
    """The accumulator behind an operation."""
    table = {
        0: lambda: a + operand,
        0x10: lambda: a - operand,
        0x20: lambda: a * operand,
        0x30: lambda: a // operand,
        0x40: lambda: a | operand,
        0x50: lambda: a & operand,
        0x60: lambda: a << (operand & 31),
        0x70: lambda: a >> (operand & 31),
        0x80: lambda: -a,
        0x90: lambda: a % operand,
        0xA0: lambda: a ^ operand,
    }
    return table[operation]() & 0xFFFFFFFF


def bpf_model(code, packet):
    """The result of a program as its first paper has it, for what is in the packet."""
    a = x = place = 0
    memory = [0] * 16
    while True:
        operation, true, false, k = code[place]
        place += 1
        kind, high = operation & 7, operation & 0xF0
        if kind == 6:
            return a if operation & 0x10 else k
        if kind < 2:
            mode, size = operation & 0xE0, {0: 4, 8: 2, 0x10: 1}[operation & 0x18]
            at = x + k & 0xFFFFFFFF if mode == 0x40 else k
            if mode in (0x20, 0x40, 0xA0):
                if at + size > len(packet):
                    return 0
                value = int.from_bytes(packet[at : at + size], "big")
                value = (value & 15) * 4 if mode == 0xA0 else value
            else:
                value = {0: k, 0x60: memory[k % 16], 0x80: len(packet)}[mode]
            a, x = (value, x) if kind == 0 else (a, value)
        elif kind == 5:
            operand = x if operation & 8 else k
            taken = {0x10: a == operand, 0x20: a > operand, 0x30: a >= operand, 0x40: a & operand != 0}.get(high)
            place += k if high == 0 else true if taken else false
        elif kind == 7:
            a, x = (x, x) if operation & 0x80 else (a, a)
        elif kind == 4:
            operand = x if operation & 8 else k
            if high in (0x30, 0x90) and not operand:
                return 0
            a = calculated(high, a, operand)
        else:
            memory[k] = a if kind == 2 else x


instructions = st.tuples(
    st.sampled_from(sorted(bpf.CODES - bpf.RETURNS)),
    st.integers(0, 2),
    st.integers(0, 2),
    st.sampled_from((0, 1, 2, 5, 9, 12, 31, 255)),
)
programs = st.lists(instructions, min_size=1, max_size=9).map(
    lambda code: (*code, (6, 0, 0, 0), (6, 0, 0, 1), (22, 0, 0, 0))
)


@settings(max_examples=300, deadline=None)
@given(code=programs.filter(bpf.valid))
def test_bpf(code):
    text = f"{len(code)}," + ",".join(" ".join(map(str, instruction)) for instruction in code)
    assert holds(["-m", "bpf", "--bytecode", text], DATAGRAM) == (bpf_model(code, DATAGRAM) != 0)


@settings(max_examples=200, deadline=None)
@given(
    now=st.integers(0, 0x7FFFFFFF),
    days=st.sets(st.integers(1, 31), min_size=1),
    week=st.sets(st.integers(1, 7), min_size=1),
    ends=st.tuples(st.integers(0, 1439), st.integers(0, 1439)),
    contiguous=st.booleans(),
)
def test_time(now, days, week, ends, contiguous):
    start, stop = (f"{end // 60:02}:{end % 60:02}" for end in ends)
    words = [
        "-m",
        "time",
        "--monthdays",
        ",".join(map(str, days)),
        "--weekdays",
        ",".join(map(str, week)),
        "--timestart",
        start,
        "--timestop",
        stop,
    ]
    contiguous &= ends[0] > ends[1]
    words += ["--contiguous"] if contiguous else []
    second, (low, high) = now % 86400, (end * 60 for end in ends)
    inside = low <= second <= high if low < high else second >= low or second <= high
    day = time.gmtime(now - 86400 if contiguous and second <= high else now)
    expected = inside and day.tm_mday in days and day.tm_wday + 1 in week
    assert holds(words, DATAGRAM, now=now * 10**9 + 1) == expected


def test_dates():
    words = ["-m", "time", "--datestart", "2024-02-29T12:00:00", "--datestop", "2024-03-01"]
    for text, answer in (
        ("2024-02-29 11:59:59", False),
        ("2024-02-29 12:00:00", True),
        ("2024-03-01 00:00:00", True),
        ("2024-03-01 00:00:01", False),
    ):
        now = calendar.timegm(time.strptime(text, "%Y-%m-%d %H:%M:%S"))
        assert holds(words, DATAGRAM, now=now * 10**9) is answer


def test_own_addresses():
    routes = {"routes": Routes(local=["10.2.0.1/16"])}
    assert holds("-m addrtype --dst-type LOCAL", SYN, **routes)
    assert holds("-m addrtype --dst-type BROADCAST", udp(SRC, "10.2.255.255", 1, 2), **routes)
    assert holds("-m addrtype --dst-type MULTICAST", udp(SRC, "224.0.0.9", 1, 2), **routes)
    assert re.match("socket", Asked(["-m", "socket"]).program.notes[0])
