"""What kernels and standards disagree about, and that every personality has its way."""
import pytest

import fastct
from fastct.conntrack.opts import PERSONALITIES
from fastct.records import CTSTATES, STATES
from fastct.wire.reason import REASONS
from tests import packets as p

RAW = 101
C, S = "10.1.0.1", "10.2.0.1"


def rows_of(personality, packets):
    tracker = fastct.Tracker(checksum="on", seed=1, personality=personality)
    return tracker.process_bytes(packets, [10**9] * len(packets), linktype=RAW)


@pytest.mark.parametrize("personality, timeout", [("6.18", 10), ("6.12", 300), ("rfc", 10)])
def test_rst_that_does_not_close_yet(personality, timeout):
    """In the window, but not exactly in sequence: the entry stays ESTABLISHED, for a while."""
    rows = rows_of(personality, [
        p.tcp(C, S, 1000, 80, 99, 0, p.SYN), p.tcp(S, C, 80, 1000, 499, 100, p.SYN | p.ACK),
        p.tcp(C, S, 1000, 80, 100, 500, p.ACK), p.tcp(S, C, 80, 1000, 500, 100, p.ACK | p.PSH, data=b"x"),
        p.tcp(C, S, 1000, 80, 100, 501, p.ACK), p.tcp(C, S, 1000, 80, 150, 0, p.RST)])
    assert (STATES[rows[-1]["state"]], rows[-1]["timeout"]) == ("ESTABLISHED", timeout)


@pytest.mark.parametrize("personality, pseudo", [("6.18", p.UDP), ("6.12", p.UDP), ("rfc", p.UDPLITE)])
def test_pseudo_header_of_udplite(personality, pseudo):
    rows = rows_of(personality, [p.udplite(C, S, 1000, 53, b"x", pseudo_proto=proto) for proto in (p.UDP, p.UDPLITE)])
    good, bad = (rows[0], rows[1]) if pseudo == p.UDP else (rows[1], rows[0])
    assert (CTSTATES[good["ctstate"]], REASONS[bad["reason"]]) == ("NEW", "udplite_checksum")


def test_settings_keep_the_personality():
    tracker = fastct.Tracker(checksum="on", seed=1, personality="rfc")
    tracker.sysctls = {"nf_conntrack_udp_timeout": 5}
    packet = p.udplite(C, S, 1000, 53, b"x", pseudo_proto=p.UDPLITE)
    assert tracker.process_bytes([packet], [10**9], linktype=RAW)[0]["timeout"] == 5


def test_unknown():
    assert PERSONALITIES == ("6.18", "6.12", "rfc")
    with pytest.raises(fastct.ConfigError, match="personality"):
        fastct.Tracker(personality="2.4")
