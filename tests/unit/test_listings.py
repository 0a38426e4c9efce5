"""Listings in every form, from rows of one table."""
import numpy as np
import pytest

import fastct
from fastct.export.cilium import ct_lines, nat_lines
from fastct.export.lines import format_connections, format_events
from fastct.export.proc import proc_lines, proc_statistics
from fastct.export.save import save_lines
from fastct.export.statistics import statistics_line
from fastct.export.xml import xml_events, xml_flows
from tests import packets as p

RAW, S = 101, 10**9
CLIENT, SERVER = "10.0.0.1", "10.0.0.2"


@pytest.fixture
def tracker():
    tracker = fastct.Tracker(seed=1, keep_events=True)
    tracker.process_bytes([p.udp(CLIENT, SERVER, 1000, 53, b"?"), p.udp(SERVER, CLIENT, 53, 1000, b"!"),
                           p.tcp("fd00::1", "fd00::2", 1001, 80, 1, 0, p.SYN),
                           p.icmp(CLIENT, SERVER, 8, 0, b"\x00\x05\x00\x01")],
                          [S, 2 * S, 3 * S, 4 * S], RAW)
    return tracker


@pytest.fixture
def rows(tracker):
    return tracker.connections()


def test_extended_and_ids(rows):
    plain = format_connections(rows).decode().splitlines()
    assert format_connections(rows, extended=True).decode().splitlines() == [
        f"{family} {line}" for family, line in zip(("ipv4     2", "ipv6     10", "ipv4     2"), plain, strict=True)]
    assert format_connections(rows, ids=True).decode().splitlines() == [
        f"{line} id={number}" for number, line in enumerate(plain, 1)]


def test_events(tracker):
    rows = tracker.drain_events()
    line = format_events(rows, extended=True, ids=True).decode().splitlines()[0]
    assert line.startswith("[1.000000]\t    [NEW] ipv4     2 udp      17 30 src=10.0.0.1 dst=10.0.0.2 sport=1000 ")
    assert line.endswith("[UNREPLIED] src=10.0.0.2 dst=10.0.0.1 sport=53 dport=1000 id=1")
    assert next(iter(xml_events(rows))).startswith('<flow type="new"><meta direction="original"><layer3 protonum="2"')


def test_an_update_tells_no_state_that_it_left():
    """As Linux; a listing does tell it."""
    tracker = fastct.Tracker(seed=1, keep_events=True)
    tracker.process_bytes([p.tcp(CLIENT, SERVER, 1000, 80, 100, 500, p.ACK, data=b"?"),
                           p.tcp(SERVER, CLIENT, 80, 1000, 500, 101, p.ACK, data=b"!"),
                           p.tcp(SERVER, CLIENT, 80, 1000, 501, 101, p.ACK | p.FIN)], [S, 2 * S, 3 * S], RAW)
    events = tracker.drain_events()
    told = [line.split(" src=")[0] for line in format_events(events, False).decode().splitlines()]
    assert told == ["    [NEW] tcp      6 300 ESTABLISHED", " [UPDATE] tcp      6 300",
                    " [UPDATE] tcp      6 120 FIN_WAIT"]
    assert ["<state>" in line for line in xml_events(events)] == [True, False, True]
    assert events["row"]["state"].tolist()[1] == 0
    assert b" FIN_WAIT " in format_connections(tracker.connections())


def test_proc(rows):
    assert list(proc_lines(rows))[1] == (
        "ipv6     10 tcp      6 119 SYN_SENT src=fd00:0000:0000:0000:0000:0000:0000:0001 "
        "dst=fd00:0000:0000:0000:0000:0000:0000:0002 sport=1001 dport=80 packets=1 bytes=60 [UNREPLIED] "
        "src=fd00:0000:0000:0000:0000:0000:0000:0002 dst=fd00:0000:0000:0000:0000:0000:0000:0001 sport=80 dport=1001 "
        "packets=0 bytes=0 mark=0 zone=0 use=2\n")


def test_proc_statistics(tracker):
    names, numbers = proc_statistics(tracker.stats).splitlines()
    assert names.startswith("entries  clashres found new invalid")
    assert numbers.startswith("00000003  00000000 00000000")
    assert len(names.split()) == len(numbers.split()) == 17


def test_statistics(tracker):
    assert statistics_line(tracker.stats) == (
        "cpu=0   \tfound=0 invalid=0 insert=0 insert_failed=0 drop=0 early_drop=0 error=0 search_restart=0 "
        "clash_resolve=0 chaintoolong=0 ")


def test_save(rows):
    assert list(save_lines(rows))[2] == (
        "-A -t 30 -u UNSET -s 10.0.0.1 -d 10.0.0.2 -r 10.0.0.2 -q 10.0.0.1 -p icmp --icmp-type 8 --icmp-code 0 "
        "--icmp-id 5\n")


def test_xml(rows):
    flow = next(iter(xml_flows(rows)))
    assert flow.startswith('<flow><meta direction="original"><layer3 protonum="2" protoname="ipv4"><src>10.0.0.1</src>')
    assert flow.endswith("<timeout>28</timeout><mark>0</mark><use>1</use><id>1</id></meta></flow>\n")


def test_cilium_connections(rows):
    lines = list(ct_lines(rows, 4 * S, time_diff=True))
    assert lines[0] == (
        "UDP OUT 10.0.0.1:1000 -> 10.0.0.2:53 expires=32 (remaining: 28 sec(s)) RxPackets=1 RxBytes=29 "
        "RxFlagsSeen=0x00 LastRxReport=2 TxPackets=1 TxBytes=29 TxFlagsSeen=0x00 LastTxReport=2 Flags=0x0000 [ ] "
        "RevNAT=0 SourceSecurityID=0 IfIndex=0 \n")
    assert lines[1].startswith("TCP OUT [fd00::1]:1001 -> [fd00::2]:80 expires=123 ")
    assert lines[2].startswith("ICMP OUT 10.0.0.1:0 -> 10.0.0.2:5 expires=34 ")


def test_cilium_translations(rows):
    assert list(nat_lines(rows, 4 * S)) == []
    rows["reply_dst"][0][:4] = (192, 0, 2, 1)
    assert list(nat_lines(rows, 4 * S)) == [
        "UDP OUT 10.0.0.1:1000 -> 10.0.0.2:53 XLATE_SRC 192.0.2.1:1000 Created=3sec ago NeedsCT=0\n",
        "UDP IN 10.0.0.2:53 -> 192.0.2.1:1000 XLATE_DST 10.0.0.1:1000 Created=3sec ago NeedsCT=0\n"]


def test_rows_of_another_kind_are_refused():
    with pytest.raises(TypeError):
        format_connections(np.zeros(1))
