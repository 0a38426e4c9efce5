"""Fragments through the running kernel and through fastct: every rule of reassembly, then anything at random.

FASTCT_KERNEL_PACKETS and FASTCT_KERNEL_SEED as for ``test_random``.
"""

import time

import pytest

from tests import packets as p
from tests.kernel import compare
from tests.kernel.flows import CLIENT, SERVER, Flow, Packet
from tests.kernel.namespace import isolated, unavailable
from tests.kernel.settings import Settings
from tests.kernel.test_random import PACKETS, SEED

pytestmark = [pytest.mark.kernel, pytest.mark.skipif(bool(unavailable()), reason=unavailable() or "available")]

ENDS = {4: ("10.1.0.1", "10.2.0.1"), 6: ("fd00:1::1", "fd00:2::1")}
FRAGMENT, OPTIONS, NONE = 44, 60, 59
CONTENT = bytes(range(256)) * 260


def datagram(family, size=100, side=CLIENT, **kw):
    """A UDP datagram."""
    ends = ENDS[family] if side == CLIENT else ENDS[family][::-1]
    ports = (1000, 53) if side == CLIENT else (53, 1000)
    return p.udp(*ends, *ports, CONTENT[:size], **kw)


def options(following, words=0):
    """A destination options header full of padding."""
    size = 6 + 8 * words
    body = b""
    while size - len(body) > 1:
        length = min(size - len(body), 257)
        body += bytes((1, length - 2)) + bytes(length - 2)
    return bytes((following, words)) + body + bytes(size - len(body))


def sent(fragments):
    """Packets of the one UDP flow of their family."""
    for data in fragments:
        ends = [p.address(end) for end in ENDS[data[0] >> 4]]
        source = data[12:16] if data[0] >> 4 == 4 else data[8:24]
        yield Packet(SERVER if source == ends[1] else CLIENT, data, Flow(*ends, p.UDP, 1000, 53), "fragment")


def cut(family, cuts=(16, 40), **kw):
    return p.pieces(datagram(family), list(cuts), **kw)


def one(family, at, data, more, **kw):
    return p.piece(datagram(family), at, data, more, **kw)


def body(family, begin, end):
    return p.payload_of(datagram(family))[begin:end]


def both(make):
    """Of each family."""
    return [*make(4), *make(6)]


def large(family, size, at=65000, **kw):
    """Two fragments of a datagram with this much behind the IP header."""
    packet = p.ip(*ENDS[family], p.UDP, datagram(family, 8)[-16:])
    return [p.piece(packet, 0, CONTENT[:at], True, **kw), p.piece(packet, at, CONTENT[at:size], False, **kw)]


def behind_options(words, cuts=(16,)):
    """Fragments of an IPv6 datagram, their fragment header behind one of options."""
    return p.pieces(datagram(6), list(cuts), extensions=options(FRAGMENT, words), first_extension=OPTIONS)


def behind_two(words):
    """As ``behind_options``, with two headers of options."""
    both_headers = options(OPTIONS, words) + options(FRAGMENT)
    return p.pieces(datagram(6), [16], extensions=both_headers, first_extension=OPTIONS)


def errors_about(make):
    """A datagram, and an ICMP error that quotes one of its fragments."""
    packets = []
    for family, kind in ((4, 3), (6, 1)):
        for number in (0, 1):
            quoted = cut(family)[number]
            packets += [datagram(family), p.icmp(*ENDS[family][::-1], kind, 1, bytes(4) + quoted)]
    return packets


def next_header_number(packet, number):
    return packet[:6] + bytes((number,)) + packet[7:]


SHORT_UDP = next_header_number(p.ip(*ENDS[6], p.UDP, bytes(4)), p.UDP)
SCENARIOS = {
    "in order": both(cut),
    "reversed": both(lambda f: cut(f)[::-1]),
    "middle last": both(lambda f: [cut(f)[i] for i in (2, 0, 1)]),
    "pieces of 8 bytes": both(lambda f: cut(f, range(8, 108, 8))),
    "a late duplicate begins a queue": both(lambda f: [*cut(f), cut(f)[0], *cut(f)]),
    "duplicates": both(lambda f: [cut(f)[i] for i in (0, 0, 1, 0, 1, 2)]),
    "duplicate of the last": both(lambda f: [cut(f)[i] for i in (2, 2, 0, 1)]),
    "inside a run": both(lambda f: [cut(f)[0], cut(f)[1], one(f, 8, body(f, 8, 24), True), cut(f)[2]]),
    "over two runs": both(lambda f: [cut(f)[1], cut(f)[0], one(f, 8, body(f, 8, 24), True), *cut(f)]),
    "overlap at the front": both(lambda f: [cut(f)[1], one(f, 8, body(f, 8, 24), True), *cut(f)]),
    "overlap at the back": both(lambda f: [cut(f)[0], one(f, 8, body(f, 8, 32), True), *cut(f)]),
    "around": both(lambda f: [cut(f)[1], one(f, 8, body(f, 8, 48), True), *cut(f)]),
    "behind the end": both(lambda f: [cut(f)[2], one(f, 200, bytes(8), True), cut(f)[0], cut(f)[1]]),
    "another end": both(lambda f: [cut(f)[2], one(f, 40, body(f, 40, 60), False), cut(f)[0], cut(f)[1]]),
    "end before what is there": both(lambda f: [cut(f)[1], one(f, 0, body(f, 0, 16), False), cut(f)[0], cut(f)[2]]),
    "duplicate that says it is the end": both(
        lambda f: [cut(f)[0], cut(f)[1], one(f, 16, body(f, 16, 40), False), cut(f)[2]]
    ),
    "empty": both(lambda f: [one(f, 0, b"", True), one(f, 16, b"", True), one(f, 16, b"", False), *cut(f)]),
    "one byte": both(lambda f: [one(f, 0, b"x", True), cut(f)[1], cut(f)[2], cut(f)[0]]),
    "not a multiple of 8": both(
        lambda f: [cut(f)[0], one(f, 16, body(f, 16, 40) + b"abc", True), cut(f)[2], cut(f)[1]]
    ),
    "first not a multiple of 8": both(lambda f: [one(f, 0, body(f, 0, 16) + b"abc", True), *cut(f)[1:], *cut(f)]),
    "identifications apart": both(lambda f: [cut(f)[0], *cut(f, ident=8), *cut(f)[1:]]),
    "protocols apart": both(lambda f: [cut(f)[0], *p.pieces(p.ip(*ENDS[f], 50, bytes(40)), [16]), *cut(f)[1:]]),
    "directions apart": both(lambda f: [cut(f)[0], *p.pieces(datagram(f, side=SERVER), [16])[1:], *cut(f)[1:]]),
    "wrong checksum": both(lambda f: p.pieces(datagram(f, bad_sum=True), [16])),
    "UDP length beyond": both(lambda f: p.pieces(datagram(f, length=500), [16])),
    "ECN of some": both(lambda f: [*cut(f, ecn=2)[:2], *cut(f)[2:], *cut(f)]),
    "congestion met by one": both(lambda f: [*cut(f, ecn=2)[:2], *cut(f, ecn=3)[2:]]),
    "congestion met by all": both(lambda f: cut(f, ecn=3)),
    "congestion and no ECN": both(lambda f: [*cut(f, ecn=3)[:2], *cut(f)[2:]]),
    "as long as can be": both(lambda f: large(f, 65515 if f == 4 else 65535)),
    "longer than can be": both(lambda f: [*large(f, 65516 if f == 4 else 65535)[::-1], *cut(f)]),
    "end beyond 65535": both(lambda f: [one(f, 65528, bytes(9), False), *cut(f)]),
    "last place": both(lambda f: [one(f, 65528, bytes(7), False), *cut(f)]),
    "IPv4 options": p.pieces(p.ip(*ENDS[4], p.UDP, p.payload_of(datagram(4)), options=b"\x01" * 8), [16]),
    "IPv4 headers of two lengths": [
        cut(4, [16])[0],
        p.pieces(p.ip(*ENDS[4], p.UDP, p.payload_of(datagram(4)), options=b"\x01" * 8), [16])[1],
    ],
    "ports in the second piece": p.pieces(p.tcp(*ENDS[4], 1000, 53, 1, 0, p.SYN), [8]),
    "IPv6 without its transport header": [*p.pieces(p.tcp(*ENDS[6], 1000, 53, 1, 0, p.SYN), [8]), *cut(6)],
    "IPv6 short and whole": p.pieces(SHORT_UDP, []),
    "IPv6 first without payload": [one(6, 0, b"", True), *cut(6)],
    "IPv6 ESP without payload": p.pieces(p.ip(*ENDS[6], 50, b""), []),
    "IPv6 atomic": cut(6, ()),
    "IPv6 atomic among others": [cut(6)[0], *cut(6, ()), *cut(6)[1:]],
    "IPv6 behind options": behind_options(0) + behind_options(27) + behind_options(31),
    "IPv6 behind more options than 255 bytes": behind_options(40) + cut(6),
    "IPv6 behind two headers": behind_two(0) + behind_two(20) + behind_two(27) + behind_two(60),
    "IPv6 options within": p.pieces(
        next_header_number(p.ip(*ENDS[6], OPTIONS, options(p.UDP) + p.payload_of(datagram(6))), OPTIONS), [24, 40]
    ),
    "IPv6 options cut": p.pieces(
        next_header_number(p.ip(*ENDS[6], OPTIONS, options(p.UDP, 2) + p.payload_of(datagram(6))), OPTIONS), [8, 40]
    ),
    "IPv6 fragment header within": p.pieces(next_header_number(cut(6, [])[0], FRAGMENT), [24], ident=9)
    + p.pieces(next_header_number(cut(6, [16])[1], FRAGMENT), [24], ident=10)
    + p.pieces(next_header_number(cut(6, [16])[0], FRAGMENT), [], ident=11),
    "IPv6 fragment header cut": [
        p.ip(*ENDS[6], FRAGMENT, body(6, 0, size)) for size in range(8)
    ] + [p.ip(*ENDS[6], OPTIONS, options(FRAGMENT) + bytes(size)) for size in range(8)],
    "IPv6 no next header": p.pieces(p.ip(*ENDS[6], NONE, bytes(24)), [8]),
    "quoted in errors": errors_about(cut),
}


@pytest.mark.parametrize("name", SCENARIOS)
def test_scenario(name):
    result = isolated(compare.run, sent(SCENARIOS[name]), {})
    assert result["differences"] == []
    assert result["listing"] == []


def waiting(fragments, seconds):
    """Packets, with a pause before the last."""
    *first, last = fragments
    yield from first
    time.sleep(seconds)
    yield last


@pytest.mark.parametrize("family, name", [(4, "ipfrag_time"), (6, "nf_conntrack_frag6_timeout")])
@pytest.mark.parametrize("seconds", [0.5, 2.5])
def test_time(family, name, seconds):
    result = isolated(compare.run, waiting(sent(cut(family)), seconds), {name: 2})
    assert result["differences"] == []
    assert result["lines"] == (seconds < 2)


@pytest.mark.parametrize("family, names", [(4, "ipfrag_{}_thresh"), (6, "nf_conntrack_frag6_{}_thresh")])
@pytest.mark.parametrize("size", [152, 640, 1504, 3704, 9000])
def test_memory(family, names, size):
    """A budget is exceeded at the same byte: the second piece completes the datagram if the first fits."""
    found = {}
    for budget in range(0, 16000, 8):
        packets = sent(p.pieces(datagram(family, size + 8), [size]))
        subject = compare.Subject(Settings({names.format("high"): budget}))
        found[budget] = [subject.send(packet, 10**18).ctstate for packet in packets][-1]
    least = min(budget for budget, state in found.items() if state)
    for budget in (least - 8, least):
        result = isolated(
            compare.run,
            sent(p.pieces(datagram(family, size + 8), [size])),
            {names.format("low"): 0, names.format("high"): budget},
        )
        assert result["differences"] == []


SYSCTLS = (
    {},
    {"ipfrag_max_dist": 1},
    {"ipfrag_max_dist": 3},
    {"ipfrag_low_thresh": 0, "ipfrag_high_thresh": 3000},
    {"nf_conntrack_frag6_low_thresh": 0, "nf_conntrack_frag6_high_thresh": 5500},
    {"nf_conntrack_checksum": 0},
)


@pytest.mark.parametrize("sysctls", SYSCTLS, ids=lambda sysctls: ",".join(sysctls) or "defaults")
def test_random(sysctls):
    print(f"seed {SEED}")
    result = isolated(compare.compare_fragments, SEED, PACKETS // 2, sysctls)
    assert compare.found(result) == [], f"seed {SEED}"
