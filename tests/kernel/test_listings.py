"""Listings and events in their other forms: as the running kernel and conntrack(8) show the same conversations."""
import re
import subprocess
import time

import pytest

from fastct.export.lines import format_events
from fastct.export.proc import proc_lines
from fastct.export.save import save_lines
from fastct.export.xml import xml_events, xml_flows
from tests.kernel.eventlog import ASKED, SETTLE_S
from tests.kernel.generator import Packet
from tests.kernel.kernel import Kernel
from tests.kernel.namespace import isolated, unavailable
from tests.kernel.subject import Subject
from tests.kernel.test_text import CONVERSATIONS, FAMILIES

pytestmark = [pytest.mark.kernel, pytest.mark.skipif(bool(unavailable()), reason=unavailable() or "available")]

FORMS = ("extended", "xml")
IDS = re.compile(r" id=\d+$|<id>\d+</id>")
SECONDS = re.compile(r"(?<=-t )\d+|(?<=<timeout>)\d+|(?<=\d )\d+(?= (?:timeout=|src=|[A-Z_0-9]+ src=))")
FRAME = ("<?xml", "<conntrack>", "</conntrack>")


def normal(lines):
    """Lines without ids, and the seconds of timeout as numbers to compare with."""
    kept = [IDS.sub("", ASKED.sub("", line)) for line in lines if line and not line.startswith(FRAME)]
    return [(SECONDS.sub("T", line), [int(each) for each in SECONDS.findall(line)]) for line in kept]


def listed(*words):
    """What conntrack lists of both families."""
    return subprocess.run(["conntrack", "-L", *words], capture_output=True, text=True, check=True).stdout.splitlines()


def seen(conversation):
    """Pairs of what the kernel and fastct show: events by form, then listings by form."""
    kernel, subject = Kernel(), Subject(keep_events=True)
    logs = [subprocess.Popen(["conntrack", "-E", "-o", form], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                             text=True) for form in FORMS]
    time.sleep(SETTLE_S)
    for side, data in conversation:
        _, now = kernel.send(Packet(side, data, None, ""))
        subject.send(Packet(side, data, None, ""), now)
    with open("/proc/net/nf_conntrack") as file:
        shown = [file.read().splitlines(), listed("-o", "xml"), listed("-o", "save")]
    rows = subject.rows(time.time_ns())
    ours = ["".join(form).splitlines()
            for form in (proc_lines(rows), xml_flows(rows), save_lines(rows, tags=subject.tags()))]
    subprocess.run(["conntrack", "-F"], check=True, capture_output=True)
    subject.flush()
    time.sleep(SETTLE_S)
    for log in logs:
        log.terminate()
    events = subject.event_rows()
    told = [format_events(events, False, extended=True).decode().splitlines(), "".join(xml_events(events)).splitlines()]
    heard = [log.communicate()[0].splitlines() for log in logs]
    # The order of a listing, and in which a flush ends what was in it, is that of a hash.
    return [(sorted(normal(theirs)), sorted(normal(own)))
            for theirs, own in zip(heard + shown, told + ours, strict=True)]


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("protocol", CONVERSATIONS)
def test_forms(protocol, family):
    for theirs, ours in isolated(seen, CONVERSATIONS[protocol](FAMILIES[family])):
        assert [line for line, _ in theirs] == [line for line, _ in ours]
        for (line, seconds), (_, own) in zip(theirs, ours, strict=True):
            assert all(abs(one - other) <= 1 for one, other in zip(seconds, own, strict=True)), line
