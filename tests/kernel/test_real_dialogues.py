"""Real programs talk through a router: its conntrack and fastct, which gets the capture, say the same about them."""
import re
import shutil
import time
from collections import Counter
from typing import NamedTuple

import pytest

import fastct
from fastct.export.expectations import format_expectations
from fastct.export.lines import format_connections
from fastct.records import CTSTATES
from tests.captures.dialogues import DIALOGUES
from tests.captures.network import captured
from tests.captures.stage import SAID, stage
from tests.kernel import test_helper_dialogues
from tests.kernel.compare import listing_differences
from tests.kernel.eventlog import unlike
from tests.kernel.namespace import unavailable
from tests.kernel.router import CLASSES, Router
from tests.kernel.settings import Settings
from tests.kernel.subject import Subject, flow_of

NEEDED = ("iptables-legacy", "ss", "ethtool", "tcpdump")
SECONDS = re.compile(r"(?:^|(?<=\]) )\d+ ")
INACTIVE = re.compile(",INACTIVE")      # no event tells that this ends

pytestmark = [pytest.mark.kernel, pytest.mark.skipif(bool(unavailable()), reason=unavailable() or "available")]


class Said(NamedTuple):
    """What one side says of a dialogue."""

    classes: dict           # packets
    events: list
    expected: list          # what came to be expected, and no longer was
    expects: list           # what is still expected
    listing: list
    entries: list           # what is known of each connection, and the tuple of its master


def normal(told):
    """Lines of expectations that came and went, to be compared."""
    return sorted(INACTIVE.sub("", SECONDS.sub(" ", line)).strip() for line in told)


def replayed(subject, path):
    """Rows of a capture's packets, and what came to be expected, and no longer was, with each."""
    rows, told, known = [], [], set()
    for frames in fastct.open(path, block=1):
        rows.extend(subject.tracker.process(frames))
        expected = set(normal(format_expectations(subject.tracker.expectations()).decode().splitlines()))
        told += [f"[NEW] {line}" for line in expected - known] + [f"[DESTROY] {line}" for line in known - expected]
        known = expected
    return rows, told


def compared(dialogue, path):
    """What the kernel and fastct say of a dialogue: a ``Said`` of each."""
    with stage() as scene:
        router = Router(scene.router, dialogue.helpers)
        with router.told() as (events, expected), captured(scene.router, path, SAID):
            dialogue.speak(scene)
        subject = Subject(Settings(helpers=dialogue.helpers), keep_events=True)
        packets, ours_expected = replayed(subject, path)
        rows = subject.rows(time.time_ns())
        flows = {int(row["conn"]): flow_of(row) for row in rows}
        theirs = Said(router.classes(), events, normal(expected), router.listing("expect"),
                      router.listing("-o", "extended"),
                      [(router.conntrack.get(flow), router.conntrack.master(flow)) for flow in flows.values()])
    counts = Counter(CTSTATES[row["ctstate"]] for row in packets)
    ours = Said({name: counts[name] for name in CLASSES}, subject.events(), sorted(ours_expected),
                format_expectations(subject.tracker.expectations()).decode().splitlines(),
                format_connections(rows, extended=True).decode().splitlines(),
                [(subject.entry(flows[int(row["conn"])]), flows.get(int(row["master"]))) for row in rows])
    return theirs, ours


@pytest.mark.parametrize("name", DIALOGUES)
def test_no_difference(name, tmp_path):
    dialogue = DIALOGUES[name]
    missing = [program for program in (*NEEDED, *dialogue.programs) if not shutil.which(program)]
    if missing:
        pytest.skip(f"needs {' '.join(missing)}")
    theirs, ours = compared(dialogue, tmp_path / "dialogue.pcap")
    assert theirs.classes == ours.classes
    assert theirs.expected == ours.expected
    assert test_helper_dialogues.agree(theirs.expects, ours.expects), f"{theirs.expects}\n{ours.expects}"
    assert unlike(theirs.events, ours.events) == []
    assert listing_differences(theirs.listing, ours.listing) == []
    for (entry, master), (own, own_master) in zip(theirs.entries, ours.entries, strict=True):
        assert entry._replace(timeout=own.timeout) == own
        assert abs(entry.timeout - own.timeout) <= 1
        assert master == own_master
    assert (ours.classes["RELATED"] > 0) == any(master for _, master in theirs.entries) == bool(dialogue.helpers)
