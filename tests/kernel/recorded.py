"""Sequences of packets with what the kernel said of them: made by ``shortest`` of one that differed, replayed without a
kernel ever after.

A file has a line of settings, a line for each packet (``t``: seconds since the first one), and a last one with the
tables, counters and events at the end.
"""

import json
import time
from pathlib import Path

from tests.kernel.compare import SHOWN, first_difference, found, listing_differences, run
from tests.kernel.eventlog import EventLog, unlike
from tests.kernel.flows import Flow, Packet
from tests.kernel.kernel import Kernel
from tests.kernel.namespace import isolated
from tests.kernel.observation import Entry, Observation
from tests.kernel.settings import RANGES, Settings
from tests.kernel.subject import Subject

FOLDER = Path(__file__).parents[1] / "regressions"
TRIES = 250  # of shorter sequences
START_NS = 1_700_000_000 * 10**9


def shortest(packets, settings):
    """A part of a failing sequence that still fails and, tries permitting, of which no packet can be left out."""
    first = isolated(first_difference, packets, settings)
    packets = packets[:first] if first else packets
    left = TRIES

    def fails(tried):
        nonlocal left
        left -= 1
        if first:
            return bool(isolated(first_difference, tried, settings))
        return bool(tried) and bool(found(isolated(run, tried, *settings)))

    size = len(packets) // 2
    while size and left > 0:
        at = 0
        while at < len(packets) and left > 0:
            tried = packets[:at] + packets[at + size :]
            if fails(tried):
                packets = tried
            else:
                at += size
        size = min(size // 2, len(packets) // 2) if size > 1 else 0
    return packets


def answers(packets, settings):
    """Lines of a file: what the kernel says of every packet, and at the end. In a namespace of its own."""
    log, kernel = EventLog(), Kernel(settings)
    yield {"sysctls": settings.sysctls, "helpers": settings.helpers, "ranges": bool(settings.ranges)}
    begin = None
    for packet in packets:
        seen, now = kernel.send(packet)
        begin = now if begin is None else begin
        if packet.mark is not None and packet.flow:
            kernel.mark(packet.flow, packet.mark)
        flow = packet.flow and [packet.flow.src.hex(), packet.flow.dst.hex(), *packet.flow[2:]]
        yield {"t": (now - begin) / 1e9, "label": packet.label, "hex": packet.data.hex(), "flow": flow,
               "mark": packet.mark, "seen": seen[:2], "entry": seen.entry, "expectations": seen.expectations}
    yield {"t": (time.time_ns() - begin) / 1e9, "listing": kernel.listing(), "statistics": kernel.statistics(),
           "events": log.close()}


def _recorded(packets, settings):
    return list(answers(packets, settings))


def record(name, packets, settings):
    """Write the file of a sequence; returns its path."""
    FOLDER.mkdir(exist_ok=True)
    path = FOLDER / f"{name}.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in isolated(_recorded, packets, settings)))
    return path


def lines_of(path):
    """The lines of a file."""
    return [json.loads(line) for line in path.read_text().splitlines()]


def _tupled(entry):
    return entry and Entry(*(tuple(value) if isinstance(value, list) else value for value in entry))


def replay(lines):
    """What fastct says otherwise than the kernel did: text."""
    first, *packets, last = lines
    subject = Subject(Settings(first["sysctls"], first["helpers"], RANGES if first["ranges"] else ()), keep_events=True)
    differences = []
    for number, line in enumerate(packets, 1):
        flow = line["flow"] and Flow(*map(bytes.fromhex, line["flow"][:2]), *line["flow"][2:])
        packet = Packet(0, bytes.fromhex(line["hex"]), flow, line["label"], mark=line["mark"])
        theirs = Observation(*line["seen"], _tupled(line["entry"]), line["expectations"])
        ours = subject.send(packet, START_NS + int(line["t"] * 1e9))
        if theirs.differs(ours):
            differences.append(f"{number} {packet.label}: kernel {theirs}, fastct {ours} {line['hex'][:SHOWN]}")
        if packet.mark is not None and flow:
            subject.mark(flow, packet.mark)
    differences += listing_differences(last["listing"], subject.listing(START_NS + int(last["t"] * 1e9)))
    ours = subject.statistics()
    differences += [name for name in ours if ours[name] != last["statistics"][name]]
    return differences + unlike(last["events"], subject.events())
