"""Every shared capture through the tracker: counted, consistent, independent of the batch, and as dpkt reads it."""
import contextlib
import csv
import os
import shutil
import subprocess
from ipaddress import ip_address

import dpkt
import numpy as np
import pytest

import fastct
from fastct.capture.linktypes import SUPPORTED
from fastct.records import CTSTATES, VERDICTS
from tests.shared_data import SHARED, shared

INDEX = SHARED / "captures" / "INDEX.tsv"
CAPTURES = list(csv.DictReader(INDEX.open(), delimiter="\t")) if INDEX.exists() else []
BLOCKS = (1, 7, 64, 4096)


def tracked(path, block, checksum="auto"):
    """Packet rows, connections and statistics of a capture read in blocks of this size."""
    tracker = fastct.Tracker(seed=1, keep_ended=True, checksum=checksum)
    with fastct.open(path, block=block) as source:
        rows = [tracker.process(frames) for frames in source]
    packets = np.concatenate(rows) if rows else np.empty(0, dtype=fastct.PACKET_DTYPE)
    connections = np.sort(np.concatenate((tracker.drain_ended(), tracker.connections())), order="conn")
    return packets, connections, tracker


@pytest.mark.skipif(not CAPTURES, reason="shared test data is absent (captures)")
@pytest.mark.parametrize("entry", CAPTURES, ids=lambda entry: entry["file"])
def test_counted_whatever_the_batch(entry):
    path = shared("captures", entry["file"])
    try:
        packets, connections, tracker = tracked(path, BLOCKS[-1])
    except fastct.UnsupportedLinkType as error:
        assert str(error.number) in entry["linktypes"]
        assert error.number not in SUPPORTED
        assert error.name in str(error)
        return
    assert len(packets) == int(entry["packets"])
    assert tracker._engine.selfcheck() == []
    for block in BLOCKS[:-1]:
        again, connections_again, _ = tracked(path, block)
        assert (again == packets).all()
        # The sweep may notice an end sooner or later, and an end has its own time: rows are the same all the same.
        assert (connections_again == connections).all()


@pytest.mark.skipif(not CAPTURES, reason="shared test data is absent (captures)")
@pytest.mark.skipif(shutil.which("capinfos") is None, reason="needs capinfos")
def test_counted_as_capinfos_does():
    paths = [shared("captures", entry["file"]) for entry in CAPTURES]
    # A sanitizer that is preloaded here is none of its business.
    plain = {name: value for name, value in os.environ.items() if name != "LD_PRELOAD"}
    command = ["capinfos", "-T", "-M", "-r", "-c", *paths]
    listed = subprocess.run(command, capture_output=True, text=True, env=plain, timeout=300).stdout
    counts = dict(line.split("\t") for line in listed.splitlines())
    compared = 0
    for path in map(str, paths):
        with contextlib.suppress(fastct.UnsupportedLinkType):
            summary = fastct.track(path).summary
            # What capinfos calls corrupt it does not count.
            assert summary.packets == int(counts[path]) if path in counts else summary.damage
            compared += 1
    assert compared >= len(CAPTURES) - 1


def l4_of(data, linktype):
    """IP packet and transport of a frame, as dpkt sees it; None for what dpkt does not take apart alike."""
    try:
        if linktype == 1:
            ip = dpkt.ethernet.Ethernet(data).data
        elif linktype in (12, 14, 101):
            ip = dpkt.ip.IP(data) if data[0] >> 4 == 4 else dpkt.ip6.IP6(data)
        else:
            return None
    except (dpkt.UnpackError, IndexError):
        return None
    if not isinstance(ip, dpkt.ip.IP | dpkt.ip6.IP6) or not isinstance(ip.data, dpkt.tcp.TCP | dpkt.udp.UDP):
        return None
    return ip


def compare_tuples(path):
    """Assert that each packet's connection is the one its addresses and ports lead to; returns how many could be."""
    tracker = fastct.Tracker(seed=1, checksum="off")
    compared = 0
    for frames in fastct.open(path, block=1):
        linktype = int(frames.linktypes[0])
        _, _, data = frames[0]
        row = tracker.process(frames)[0]
        ip = l4_of(data, linktype)
        if ip is None or not row["conn"] or CTSTATES[row["ctstate"]] == "RELATED":
            continue
        proto = 6 if isinstance(ip.data, dpkt.tcp.TCP) else 17
        src, dst = (str(ip_address(address)) for address in (ip.src, ip.dst))
        handle = tracker.find(proto, src, dst, sport=ip.data.sport, dport=ip.data.dport)
        if handle is None:
            # A RST ends a connection that was never answered.
            assert proto == 6
            assert ip.data.flags & dpkt.tcp.TH_RST
            continue
        assert handle >> 32 == row["conn"]
        compared += 1
    return compared


def test_tuples_as_dpkt_reads_them():
    compared = 0
    for entry in CAPTURES:
        with contextlib.suppress(fastct.UnsupportedLinkType):
            compared += compare_tuples(shared("captures", entry["file"]))
    if not CAPTURES:
        pytest.skip("shared test data is absent (captures)")
    assert compared > 10_000


def test_verdicts_of_a_shipped_capture():
    rows, connections, _ = tracked("pcaps/tcp_closes.pcap", 64)
    assert set(rows["verdict"]) == {VERDICTS.index("ACCEPT")}
    assert len(connections) == 4
