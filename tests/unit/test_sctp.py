"""SCTP: every cell of the table of transitions, the rules of tags and chunks, and how associations end."""
import pytest

import fastct
from fastct.records import CTSTATES, ENDS, STATES
from fastct.wire.reason import REASONS
from tests import packets as p
from tests.kernel.associations import (
    ABORT,
    COOKIE_ACK,
    COOKIE_ECHO,
    DATA,
    HEARTBEAT,
    HEARTBEAT_ACK,
    INIT_ACK,
    SHUTDOWN,
    SHUTDOWN_ACK,
    SHUTDOWN_COMPLETE,
    init,
)
from tests.kernel.flows import CLIENT, SERVER
from tests.sctp_cells import CHUNKS, PATHS, cell

RAW = 101
ENDS_OF = {"IPv4": ("10.1.0.1", "10.2.0.1"), "IPv6": ("fd00:1::1", "fd00:2::1")}
PORTS = (1000, 36412)
SHORT = dict(zip(("cl", "cw", "ce", "es", "ss", "sr", "sa", "hs"), PATHS, strict=True)) | {"iv": None}

# From:                 cl cw ce es ss sr sa hs, of the opener's packets and of the other side's.
TABLE = {
    "INIT":              ("cl cw ce es cl cl sa cw", "cl cw ce es ss sr sa iv"),
    "INIT_ACK":          ("cl cw ce es ss sr sa cl", "cw cw ce es ss sr sa iv"),
    "ABORT":             ("cl cl cl cl cl cl cl cl", "cl cl cl cl cl cl cl iv"),
    "SHUTDOWN":          ("cl cw ce ss ss sr sa cl", "cl cw ce sr ss sr sa iv"),
    "SHUTDOWN_ACK":      ("cl cw ce es sa sa sa sa", "cl cw ce es sa sa sa iv"),
    "ERROR":             ("cl cw ce es ss sr sa cl", "cl cw cl es ss sr sa iv"),
    "COOKIE_ECHO":       ("cl ce ce es ss sr sa cl", "cl ce ce es ss sr sa iv"),
    "COOKIE_ACK":        ("cl cw es es ss sr sa cl", "cl cw es es ss sr sa iv"),
    "SHUTDOWN_COMPLETE": ("cl cw ce es ss sr cl cl", "cl cw ce es ss sr cl iv"),
    "HEARTBEAT":         ("cl cw ce es ss sr sa hs", "cl cw ce es ss sr sa hs"),
    "HEARTBEAT_ACK":     ("cl cw ce es ss sr sa hs", "cl cw ce es ss sr sa es"),
}
CELLS = [(name, side, before, SHORT[after])
         for name, halves in TABLE.items() for side in (CLIENT, SERVER)
         for before, after in zip(PATHS, halves[side].split(), strict=True)]


def tracked(packets, tracker=None):
    """The rows of (side, packet), a millisecond apart."""
    if tracker is None:
        tracker = fastct.Tracker(checksum="on", seed=1)
    times = [tracker.now + 10**6 * (number + 1) for number in range(len(packets))]
    return tracker.process_bytes([data for _, data in packets], times, linktype=RAW)


def s(side, tag, *chunks, **wrong):
    """A packet of the association that most tests are about."""
    ends, ports = (ENDS_OF["IPv4"], PORTS) if side == CLIENT else (ENDS_OF["IPv4"][::-1], PORTS[::-1])
    return side, p.sctp(*ends, *ports, tag, chunks, **wrong)


OPENING = [s(CLIENT, 0, init(11)), s(SERVER, 11, init(22, INIT_ACK)), s(CLIENT, 22, p.chunk(COOKIE_ECHO, bytes(8))),
           s(SERVER, 11, p.chunk(COOKIE_ACK))]


@pytest.mark.parametrize("family", ENDS_OF)
@pytest.mark.parametrize("name, side, before, after", CELLS)
def test_transition(family, name, side, before, after):
    *way, last = tracked(cell(ENDS_OF[family], PORTS, before, side, CHUNKS[name]))
    assert STATES[way[-1]["state"]] == before
    if after is None:
        assert (CTSTATES[last["ctstate"]], REASONS[last["reason"]]) == ("INVALID", "sctp_state_invalid")
    else:
        assert STATES[last["state"]] == after


@pytest.mark.parametrize("packet, reason", [
    (s(CLIENT, 0), "sctp_no_chunk"),
    (s(CLIENT, 0, b"\1\0\0"), "sctp_no_chunk"),
    (s(CLIENT, 0, p.chunk(HEARTBEAT, length=0)), "sctp_chunk_length"),
    (s(CLIENT, 0, init(11), p.chunk(DATA)), "sctp_chunk_order"),
    (s(CLIENT, 0, p.chunk(DATA), p.chunk(COOKIE_ECHO)), "sctp_chunk_order"),
    (s(CLIENT, 0, p.chunk(DATA)), "sctp_new_invalid"),
    (s(CLIENT, 0, p.chunk(ABORT)), "sctp_new_invalid"),
    (s(CLIENT, 0, p.chunk(COOKIE_ACK)), "sctp_new_invalid"),
    (s(CLIENT, 0, p.chunk(SHUTDOWN_COMPLETE)), "sctp_new_invalid"),
    (s(CLIENT, 5, init(11)), "sctp_init_tag"),
    (s(CLIENT, 0, init(11)[:12]), "sctp_init_short"),
    (s(CLIENT, 5, p.chunk(SHUTDOWN)), "sctp_tag"),
    (s(CLIENT, 0, init(11), bad_sum=True), "sctp_checksum"),
])
def test_first_packet_refused(packet, reason):
    row, = tracked([packet])
    assert (CTSTATES[row["ctstate"]], REASONS[row["reason"]]) == ("INVALID", reason)


@pytest.mark.parametrize("packet, reason", [
    (s(CLIENT, 11, p.chunk(DATA)), "sctp_tag"),
    (s(SERVER, 0, p.chunk(DATA)), "sctp_tag"),
    (s(CLIENT, 11, p.chunk(ABORT)), "sctp_tag"),
    (s(CLIENT, 22, p.chunk(ABORT, flags=1)), "sctp_tag"),
    (s(CLIENT, 11, p.chunk(SHUTDOWN_COMPLETE)), "sctp_tag"),
    (s(CLIENT, 11, p.chunk(COOKIE_ECHO)), "sctp_tag"),
    (s(CLIENT, 11, p.chunk(HEARTBEAT), p.chunk(DATA)), "sctp_tag"),
    (s(CLIENT, 11, p.chunk(HEARTBEAT_ACK)), "sctp_tag"),
    (s(SERVER, 11, init(33, INIT_ACK)), "sctp_init_ack_tag"),
])
def test_wrong_tag_in_an_association(packet, reason):
    tracker = fastct.Tracker(checksum="on", seed=1)
    *_, last = tracked([*OPENING, packet], tracker)
    assert (CTSTATES[last["ctstate"]], REASONS[last["reason"]]) == ("INVALID", reason)
    assert STATES[tracker.connections()["state"][0]] == "ESTABLISHED"


@pytest.mark.parametrize("tag, flags", [(22, 0), (11, 1)])
def test_abort_with_its_own_tag_or_the_reflected_one(tag, flags):
    *_, last = tracked([*OPENING, s(CLIENT, tag, p.chunk(ABORT, flags=flags))])
    assert STATES[last["state"]] == "CLOSED"


def test_a_heartbeat_teaches_tags():
    tracker = fastct.Tracker(checksum="on", seed=1)
    rows = tracked([s(CLIENT, 22, p.chunk(HEARTBEAT)), s(SERVER, 11, p.chunk(HEARTBEAT_ACK))], tracker)
    assert [STATES[row["state"]] for row in rows] == ["HEARTBEAT_SENT", "ESTABLISHED"]
    handle = tracker.find("sctp", *ENDS_OF["IPv4"], *PORTS)
    assert tracker.sctp_tags(handle) == (22, 11)


def test_a_heartbeat_with_another_tag_and_its_answer():
    """Let through without a refresh; the acknowledgement makes both tags be learned anew."""
    tracker = fastct.Tracker(checksum="on", seed=1)
    rows = tracked([*OPENING, s(CLIENT, 99, p.chunk(HEARTBEAT)), s(SERVER, 88, p.chunk(HEARTBEAT_ACK)),
                    s(CLIENT, 99, p.chunk(HEARTBEAT))], tracker)
    assert [REASONS[row["reason"]] for row in rows[-3:]] == ["sctp_heartbeat_tag", "", ""]
    assert tracker.sctp_tags(tracker.find("sctp", *ENDS_OF["IPv4"], *PORTS)) == (99, 88)


def test_init_again_does_not_refresh():
    tracker = fastct.Tracker(checksum="on", seed=1)
    first, again = tracker.process_bytes([OPENING[0][1]] * 2, [10**9, 6 * 10**9], linktype=RAW)
    assert (first["timeout"], again["timeout"]) == (10, 5)
    assert REASONS[again["reason"]] == "sctp_init_again"


def test_timeouts_are_settings():
    tracker = fastct.Tracker(checksum="on", seed=1, sysctls={"nf_conntrack_sctp_timeout_established": 77})
    rows = tracked(OPENING, tracker)
    assert rows["timeout"].tolist() == [10, 3, 3, 77]


@pytest.mark.parametrize("packets, end", [
    ([s(CLIENT, 0, init(11))], "expired"),
    ([*OPENING, s(CLIENT, 22, p.chunk(ABORT))], "reset"),
    ([*OPENING, s(CLIENT, 22, p.chunk(SHUTDOWN, bytes(4))), s(SERVER, 11, p.chunk(SHUTDOWN_ACK)),
      s(CLIENT, 22, p.chunk(SHUTDOWN_COMPLETE))], "closed"),
])
def test_how_it_ended(packets, end):
    tracker = fastct.Tracker(checksum="on", seed=1, keep_ended=True)
    tracked(packets, tracker)
    tracker.gc.sweep(10**13)
    assert [ENDS[row["end"]] for row in tracker.drain_ended()] == [end]


@pytest.mark.parametrize("size", range(40))
def test_checksum_of_every_length(size):
    """Eight bytes at a time, and what is left over."""
    good = s(CLIENT, 0, p.chunk(HEARTBEAT, bytes(range(size))))
    bad = s(CLIENT, 0, p.chunk(HEARTBEAT, bytes(range(size))), bad_sum=True)
    assert [CTSTATES[row["ctstate"]] for row in tracked([good, bad])] == ["NEW", "INVALID"]


def test_chunks_that_the_capture_cut_off_are_not_judged(tmp_path):
    """Of a bundle only the first chunk's header is there: that is what counts. Less is a cut header."""
    path = tmp_path / "cut.pcap"
    frame = bytes(12) + b"\x08\x00" + s(CLIENT, 5, p.chunk(HEARTBEAT, bytes(8)), p.chunk(DATA, bytes(20)))[1]
    found = []
    for length in (14 + 20 + 12, 14 + 20 + 12 + 4, len(frame)):
        with fastct.capture.PcapWriter(path, snaplen=length) as out:
            out.write(1_000_000_000, frame)
        row = fastct.track(path, checksum="on", packets=True).packets[0]
        found.append((CTSTATES[row["ctstate"]], REASONS[row["reason"]]))
    assert found == [("INVALID", "l4_header_cut"), ("NEW", ""), ("INVALID", "sctp_new_invalid")]
