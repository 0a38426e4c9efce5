"""Reassembly: every rule and cap as a table, every order of pieces, every batch size, and a slow obvious model."""

import itertools
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fastct
from fastct.records import CTSTATES, DECIDERS, VERDICTS
from fastct.wire.reason import REASONS
from tests import captures_build as build
from tests import packets as p

S = 10**9
START = 1_700_000_000 * S
RAW = 101
ENDS = {4: ("10.0.0.1", "10.0.1.1"), 6: ("fd00::1", "fd00:1::1")}
FAMILIES = pytest.mark.parametrize("family", [4, 6])
CONTENT = random.Random(1).randbytes(70_000)
ESP = 50


def datagram(family, size=100, **kw):
    return p.udp(*ENDS[family], 1000, 53, CONTENT[:size], **kw)


def part(family, at, end, more=True, **kw):
    """A fragment of ``datagram(family)``."""
    packet = datagram(family)
    return p.piece(packet, at, p.payload_of(packet)[at:end], more, **kw)


def thirds(family, **kw):
    return p.pieces(datagram(family), [16, 40], **kw)


def process(packets, times=None, batch=None, **kw):
    """Rows of bare IP packets, fed so many at a time, and the tracker."""
    tracker = fastct.Tracker(checksum="on", seed=1, **kw)
    times = times or [START] * len(packets)
    size = batch or len(packets)
    rows = []
    for at in range(0, len(packets), size):
        rows += list(tracker.process_bytes(packets[at : at + size], times[at : at + size], linktype=RAW))
    return rows, tracker


def said(packets, *args, **kw):
    """What becomes of each packet: its class, else the reason."""
    rows, _ = process(packets, *args, **kw)
    return [CTSTATES[row["ctstate"]] or REASONS[row["reason"]] for row in rows]


HELD, NEW = "fragment", "NEW"


@FAMILIES
@pytest.mark.parametrize("order", list(itertools.permutations(range(4))))
def test_every_order(family, order):
    """The checksum over the whole tells whether the bytes lie right."""
    sent = p.pieces(datagram(family), [16, 40, 72])
    rows, tracker = process([sent[i] for i in order])
    assert [VERDICTS[row["verdict"]] for row in rows] == ["STOLEN"] * 3 + ["ACCEPT"]
    assert [DECIDERS[row["decided"]] for row in rows] == ["defrag"] * 3 + [""]
    assert [REASONS[row["reason"]] for row in rows] == [HELD] * 3 + [""]
    assert CTSTATES[rows[3]["ctstate"]] == NEW and rows[3]["conn"] == 1
    (connection,) = tracker.connections()
    assert connection["orig_packets"] == 1 and connection["orig_bytes"] == len(datagram(family))
    assert tracker.stats["fragment_datagrams"] == 1 and tracker.stats["fragment_queues"] == 0
    assert tracker.stats["fragment_memory"] == 0


CASES = {
    "duplicate": (lambda f: [thirds(f)[i] for i in (0, 0, 1, 1, 2)],
                  [HELD, "fragment_duplicate", HELD, "fragment_duplicate", NEW]),
    "inside what came in order": (lambda f: [*thirds(f)[:2], part(f, 8, 24), thirds(f)[2]],
                                  [HELD, HELD, "fragment_duplicate", NEW]),
    "over what came out of order": (lambda f: [thirds(f)[1], thirds(f)[0], part(f, 8, 24), thirds(f)[2]],
                                    [HELD, HELD, "fragment_overlap", HELD]),
    "overlap": (lambda f: [thirds(f)[0], part(f, 8, 32), *thirds(f)],
                [HELD, "fragment_overlap", HELD, HELD, NEW]),
    "ECN of some": (lambda f: [*thirds(f, ecn=2)[:2], thirds(f)[2], *thirds(f)],
                    [HELD, HELD, "fragment_ecn", HELD, HELD, NEW]),
    "congestion": (lambda f: [*thirds(f, ecn=2)[:2], thirds(f, ecn=3)[2]], [HELD, HELD, NEW]),
    "checksum": (lambda f: p.pieces(datagram(f, bad_sum=True), [16]), [HELD, "INVALID"]),
    "identification": (lambda f: [thirds(f)[0], *thirds(f, ident=8)], [HELD, HELD, HELD, NEW]),
    "late": (lambda f: [*thirds(f), thirds(f)[1]], [HELD, HELD, NEW, HELD]),
}
# What the families treat differently: fragments, then what IPv4 says and what IPv6 says.
APART = {
    "two ends": (lambda f: [thirds(f)[2], part(f, 40, 60, False), *thirds(f)[:2]],
                 [HELD, "fragment_end", HELD, HELD], [HELD, "fragment_end", HELD, NEW]),
    "behind the end": (lambda f: [thirds(f)[2], p.piece(datagram(f), 200, bytes(8), True), *thirds(f)[:2]],
                       [HELD, "fragment_end", HELD, HELD], [HELD, "fragment_end", HELD, NEW]),
    "empty": (lambda f: [thirds(f)[0], part(f, 16, 16), *thirds(f)[1:]],
              [HELD, "fragment_empty", HELD, HELD], [HELD, "fragment_empty", HELD, NEW]),
    "odd length": (lambda f: [thirds(f)[0], part(f, 16, 43), thirds(f)[2]],
                   [HELD, HELD, NEW], [HELD, "INVALID", HELD]),
    "end beyond": (lambda f: [thirds(f)[0], p.piece(datagram(f), 65528, bytes(9), False), *thirds(f)[1:]],
                   [HELD, HELD, HELD, "fragment_end"], [HELD, "fragment_oversize", HELD, NEW]),
    "no transport header": (lambda f: p.pieces(p.tcp(*ENDS[f], 1, 2, 3, 0, p.SYN), [8]),
                            [HELD, NEW], ["INVALID", HELD]),
    "protocol": (lambda f: [thirds(f)[0], p.pieces(p.ip(*ENDS[f], ESP, bytes(24)), [16])[1], *thirds(f)[1:]],
                 [HELD, HELD, HELD, NEW], [HELD, "INVALID", HELD, HELD]),
}


@FAMILIES
@pytest.mark.parametrize("batch", [1, 7, 64])
@pytest.mark.parametrize("name", [*CASES, *APART])
def test_case(family, name, batch):
    make, *expected = CASES.get(name) or APART[name]
    assert said(make(family), batch=batch) == expected[len(expected) > 1 and family == 6]


@pytest.mark.parametrize("family, most", [(4, 65515), (6, 65535)])
def test_ping_of_death(family, most):
    packet = p.ip(*ENDS[family], ESP, b"")

    def whole(size):
        return [p.piece(packet, at, CONTENT[at : min(at + 1480, size)], at + 1480 < size)
                for at in range(0, size, 1480)]

    assert said(whole(most))[-1] == NEW
    assert said(whole(most + 1))[-1] == "fragment_oversize"


def test_ipv6_atomic():
    assert said(p.pieces(datagram(6), [])) == [NEW]
    _, tracker = process(p.pieces(datagram(6), []))
    assert tracker.connections()["orig_bytes"] == len(datagram(6))
    assert said([thirds(6)[1], *p.pieces(datagram(6), [])]) == [HELD, "fragment_overlap"]


def test_ipv6_headers():
    cut = [p.ip(*ENDS[6], 44, bytes(size)) for size in range(8)]
    assert said(cut) == ["INVALID"] + ["fragment_header"] * 7       # without payload it may be a jumbogram
    options = bytes((44, 0, 1, 4, 0, 0, 0, 0))
    rows, tracker = process(p.pieces(datagram(6), [16], extensions=options, first_extension=60))
    assert CTSTATES[rows[1]["ctstate"]] == NEW
    assert tracker.connections()["orig_bytes"] == len(datagram(6)) + 8


@pytest.mark.parametrize("destination, apart", [("ff02::1:3", True), ("fe80::5", True), ("fd00::9", False)])
def test_ipv6_scope(tmp_path, destination, apart):
    """Interfaces matter where the destination means something only there."""
    first, last = p.pieces(p.udp("fd00::1", destination, 1, 2, bytes(40)), [16])
    two = build.section() + build.interface(RAW) * 2
    for numbers, expected in (((1, 1), NEW), ((0, 1), "" if apart else NEW)):
        records = [build.enhanced(1, data, number) for data, number in zip((first, last), numbers, strict=True)]
        (tmp_path / "two.pcapng").write_bytes(two + b"".join(records))
        rows = fastct.track(tmp_path / "two.pcapng", packets=True).packets
        assert [CTSTATES[row["ctstate"]] for row in rows] == ["", expected]


@FAMILIES
def test_quoted_fragments(family):
    """What an error quotes is never reassembled: a first fragment has a tuple, another has none."""
    error = {4: 3, 6: 1}[family]
    first, last = p.pieces(datagram(family), [16])

    def about(fragment):
        return p.icmp(*ENDS[family][::-1], error, 1, bytes(4) + fragment)

    assert said([datagram(family), about(first), about(last)]) == [NEW, "RELATED", "INVALID"]


@pytest.mark.parametrize("family, name, seconds", [(4, "ipfrag_time", 30), (6, "nf_conntrack_frag6_timeout", 60)])
def test_time(family, name, seconds):
    sent = thirds(family)
    times = [START, START + 5 * S, START + seconds * S - 1]
    assert said(sent, times)[2] == NEW
    assert said(sent, [*times[:2], times[2] + 1])[2] == HELD
    assert said(sent, [START, START, START + 9 * S], sysctls={name: 9})[2] == HELD
    assert said(sent, [START, START, START + 9 * S], sysctls={name: 10})[2] == NEW
    assert said(sent, sysctls={name: 0}) == [HELD] * 3
    rows, tracker = process(sent[:2], times[:2])
    tracker.gc.sweep(START + seconds * S)
    assert tracker.stats["fragment_queues_expired"] == 1 and tracker.stats["fragment_memory"] == 0


def test_a_shorter_time_later():
    """Queues keep the lifetime they began with, and a younger one may end first."""
    tracker = fastct.Tracker(seed=1)
    first, last = p.pieces(datagram(4), [16])
    second, _ = p.pieces(datagram(4), [16], ident=8)
    tracker.process_bytes([first], [START], linktype=RAW)
    tracker.sysctls = {"ipfrag_time": 1}
    tracker.process_bytes([second], [START], linktype=RAW)
    rows = tracker.process_bytes([p.pieces(datagram(4), [16], ident=8)[1], last], [START + S] * 2, linktype=RAW)
    assert [CTSTATES[row["ctstate"]] for row in rows] == ["", NEW]


@pytest.mark.parametrize("family, name, queue", [(4, "ipfrag_high_thresh", 200),
                                                 (6, "nf_conntrack_frag6_high_thresh", 184)])
def test_memory(family, name, queue):
    """Above the threshold everything is refused, also the piece that would make room."""
    for budget, last in ((queue + 831, "fragment_limit"), (queue + 832, NEW)):
        assert said(p.pieces(datagram(family), [16]), sysctls={name: budget}) == [HELD, last]
    assert said(thirds(family), sysctls={name: 0}) == ["fragment_limit"] * 3


def test_distance():
    """Pieces of other datagrams from the same source, between two of one."""
    first, last = p.pieces(datagram(4), [16])
    others = [p.pieces(datagram(4), [16], ident=100 + i)[0] for i in range(64)]
    elsewhere = p.pieces(p.udp("10.0.0.9", ENDS[4][1], 1, 2, bytes(40)), [16])[0]
    assert said([first, *others[:63], last])[-1] == NEW
    assert said([first, *others, last])[-1] == HELD
    assert said([first, *others, first, last])[-1] == NEW
    assert said([first, *[elsewhere] * 99, last])[-1] == NEW
    assert said([first, *others, last], sysctls={"ipfrag_max_dist": 0})[-1] == NEW
    assert said([first, others[0], last], sysctls={"ipfrag_max_dist": 1})[-1] == HELD


@FAMILIES
def test_cut_by_the_capture(tmp_path, family):
    """What was not captured is not judged: no checksum, and INVALID if the transport header is not all there."""
    header = {4: bytes(12) + b"\x08\x00", 6: bytes(12) + b"\x86\xdd"}[family]
    before = 14 + {4: 20, 6: 48}[family]
    for snaplen, expected in ((before + 40, NEW), (before + 8, NEW), (before + 7, "INVALID")):
        with fastct.capture.PcapWriter(tmp_path / "cut.pcap", snaplen=snaplen) as out:
            for fragment in p.pieces(datagram(family, bad_sum=True), [56]):
                out.write(START, header + fragment)
        result = fastct.track(tmp_path / "cut.pcap", checksum="on", packets=True)
        assert CTSTATES[result.packets[1]["ctstate"]] == expected
        assert expected != NEW or result.connections[0]["orig_bytes"] == len(datagram(family))


def test_offload_is_noticed_in_a_datagram():
    packet = datagram(4)
    left = 0xFFFF ^ p.checksum(p.pseudo(*ENDS[4], p.UDP, len(packet) - 20))
    packet = packet[:26] + left.to_bytes(2, "big") + packet[28:]
    tracker = fastct.Tracker(checksum="auto", seed=1)
    rows = tracker.process_bytes(p.pieces(packet, [16]), linktype=RAW)
    assert CTSTATES[rows[1]["ctstate"]] == NEW and tracker.stats["offload_packet"] == 2


def flood(count, rng):
    """First and middle pieces of datagrams that never become whole, of many sizes, from many sources."""
    for number in range(count):
        family = rng.choice((4, 6))
        source = f"10.{number % 200}.0.1" if family == 4 else f"fd00::{number % 5000:x}"
        packet = p.ip(source, ENDS[family][1], ESP, b"")
        yield p.piece(packet, 8 * rng.randrange(8000), CONTENT[: 8 * rng.randrange(1, 180)], True, rng.randrange(9000))


def test_flood():
    """Memory stays within its bounds, and reassembly goes on when the flood is over."""
    tracker = fastct.Tracker(seed=1)
    rng = random.Random(2)
    packets = list(flood(6000, rng))
    held = []
    for turn in range(6):
        tracker.process_bytes(packets, [START + turn * 100 * S] * len(packets), linktype=RAW)
        held.append(tracker.stats["fragment_held"])
        assert tracker.stats["fragment_memory"] <= 2 * (4 << 20) + 2 * 4096
    assert tracker.stats["reason_fragment_limit"] > 1000
    assert held[-1] == held[1] < 64 << 20
    rows = tracker.process_bytes(thirds(4) + thirds(6), [START + 1000 * S] * 6, linktype=RAW)
    assert [CTSTATES[row["ctstate"]] for row in rows] == ["", "", NEW] * 2


@FAMILIES
@pytest.mark.parametrize("order", ["forth", "back", "shuffled"])
def test_smallest_pieces(family, order):
    """The datagram of the most pieces, in the worst orders."""
    packet = p.ip(*ENDS[family], ESP, CONTENT[:65504])
    sent = p.pieces(packet, range(8, 65504, 8))
    if order == "back":
        sent.reverse()
    elif order == "shuffled":
        random.Random(3).shuffle(sent)
    budget = {"ipfrag_high_thresh": 1 << 30, "nf_conntrack_frag6_high_thresh": 1 << 30, "ipfrag_max_dist": 0}
    found = said(sent, sysctls=budget)
    assert found == [HELD] * (len(sent) - 1) + [NEW]


# ---- the model

class Model:
    """Reassembly in lists. A run is [begin, end]."""

    def __init__(self):
        self.queues = {}

    def fragment(self, family, key, at, end, more, ecn, now):
        """The reason, or the payload's length when the datagram is whole; None: IPv6 lets it pass."""
        self.queues = {k: q for k, q in self.queues.items() if q["deadline"] > now}
        lifetime = 30 if family == 4 else 60
        fresh = {"deadline": now + lifetime * S, "runs": [], "size": 0, "ended": False, "ecn": set(), "meat": 0}
        queue = self.queues.setdefault((family, key), fresh)
        outcome, dies = self._placed(queue, family, at, end, more, ecn)
        if dies:
            del self.queues[family, key]
        return outcome

    def _placed(self, queue, family, at, end, more, ecn):
        if family == 6 and more and end % 8:
            return None, True
        if more:
            end -= end % 8
        if (more and queue["ended"] and end > queue["size"]) or (
                not more and (end < queue["size"] or (queue["ended"] and end != queue["size"]))):
            return "fragment_end", family == 4
        queue["size"] = max(queue["size"], end)
        queue["ended"] |= not more
        if at == end:
            return "fragment_empty", family == 4
        runs = queue["runs"]
        for begin, stop in runs:
            if begin <= at and end <= stop:
                return "fragment_duplicate", False
            if at < stop and begin < end:
                return "fragment_overlap", True
        if runs and at == runs[-1][1]:
            runs[-1][1] = end
        else:
            runs.append([at, end])
            runs.sort()
        queue["meat"] += end - at
        queue["ecn"].add(ecn)
        if not queue["ended"] or queue["meat"] != queue["size"]:
            return "fragment", False
        if 0 in queue["ecn"] and len(queue["ecn"]) > 1:
            return "fragment_ecn", True
        return queue["size"], True


PIECES = st.lists(
    st.tuples(st.sampled_from((4, 6)), st.integers(0, 1), st.integers(0, 6), st.sampled_from((0, 8, 8, 16, 16, 24, 5)),
              st.sampled_from((True, True, False)), st.sampled_from((0, 0, 0, 0, 0, 2, 3)),
              st.sampled_from((0, 0, 0, 0, S, 31 * S))), max_size=50)


@settings(max_examples=500, deadline=None)
@given(PIECES, st.sampled_from((1, 7, 64)))
def test_against_the_model(pieces, batch):
    model, now, sent, times, expected = Model(), START, [], [], []
    sizes = {4: [], 6: []}
    for family, key, unit, length, more, ecn, step in pieces:
        now += step
        at, end = 8 * unit, 8 * unit + length
        if at == 0 and ((family == 6 and not length) or (family == 4 and not more)):
            continue        # without its transport header, or no fragment at all: other rules
        packet = p.ip(*ENDS[family], ESP, b"")
        sent.append(p.piece(packet, at, CONTENT[at:end], more, key, ecn=ecn))
        times.append(now)
        outcome = model.fragment(family, key, at, end, more, ecn, now)
        if outcome is None and at:
            outcome = "INVALID"
        elif not isinstance(outcome, str):
            # One that passes keeps its fragment header, of which its length is counted.
            sizes[family].append(40 + 8 + length if outcome is None else (20 if family == 4 else 40) + outcome)
            outcome = NEW
        expected.append(outcome)
    rows, tracker = process(sent, times, batch, sysctls={"nf_conntrack_generic_timeout": 100_000})
    assert [CTSTATES[row["ctstate"]] or REASONS[row["reason"]] for row in rows] == expected
    counted = {int(row["l3proto"]): (row["orig_packets"], row["orig_bytes"]) for row in tracker.connections()}
    assert counted == {family: (len(found), sum(found)) for family, found in sizes.items() if found}


@pytest.mark.parametrize("seed", range(3))
def test_batches_do_not_matter(seed):
    """Whole connections and pieces mixed: the same rows whatever the batches."""
    rng = random.Random(seed)
    packets = []
    for number in range(400):
        family = rng.choice((4, 6))
        packet = p.udp(*ENDS[family], 1000 + number % 7, 53, CONTENT[: rng.randrange(8, 200)])
        if rng.random() < 0.5:
            packets.append(packet)
        else:
            packets += p.pieces(packet, [8 * rng.randrange(1, 2)], rng.randrange(4))
    for at in range(len(packets) - 3):
        if rng.random() < 0.3:
            packets[at], packets[at + 2] = packets[at + 2], packets[at]
    found = [[tuple(row) for row in process(packets, batch=batch)[0]] for batch in (1, 7, 64, len(packets))]
    numbered = [[row[1:] for row in rows] for rows in found]
    assert numbered[1:] == numbered[:1] * 3
