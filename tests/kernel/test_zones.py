"""Zones, of both directions and of one."""
import random
import subprocess
import time

import pytest

from fastct.records import CTDIRS, CTSTATES, VERDICTS
from tests.kernel.compare import listing_differences
from tests.kernel.kernel import Kernel
from tests.kernel.namespace import isolated, unavailable
from tests.kernel.settings import LASTING, Settings, drawn
from tests.kernel.subject import RAW, Subject
from tests.kernel.zones import TARGETS, random_packet

pytestmark = [pytest.mark.kernel, pytest.mark.skipif(bool(unavailable()), reason=unavailable() or "available")]


def set_targets():
    """The rules that choose by TTL."""
    for program, match in (("iptables-legacy", ("ttl", "--ttl-eq")), ("ip6tables-legacy", ("hl", "--hl-eq"))):
        for ttl, (words, template) in TARGETS.items():
            chosen = ("-t", "raw", "-A", "PREROUTING", "-m", match[0], match[1], str(ttl), "-j")
            if template and template.mark:
                subprocess.run([program, *chosen, "MARK", "--set-mark", str(template.mark)], check=True)
            if words:
                subprocess.run([program, *chosen, "CT", *words], check=True)


def compare(seed, count):
    """Differences after each packet and in the listings."""
    settings = Settings(dict(drawn(random.Random(seed), LASTING)))
    rng, kernel, subject = random.Random(seed), Kernel(settings), Subject(settings, keep_events=True)
    set_targets()
    found, classes = [], set()
    for number in range(count):
        packet, ttl = random_packet(rng, number)
        theirs, now = kernel.send(packet)
        row = subject.tracker.process_bytes([packet.data], [now], linktype=RAW, template=TARGETS[ttl][1])[0]
        ours = (CTSTATES[row["ctstate"]], CTDIRS[row["ctdir"]]) if VERDICTS[row["verdict"]] != "DROP" else ("", "")
        classes.add(ours)
        if theirs[:2] != ours:
            found.append(f"{number} side {packet.side} {packet.label} ttl {ttl}: kernel {theirs[:2]}, fastct {ours}")
    listed = kernel.listing()
    return {"differences": found, "classes": classes, "lines": len(listed),
            "faults": subject.tracker._engine.selfcheck(),
            "listing": listing_differences(listed, subject.listing(time.time_ns()))}


@pytest.mark.parametrize("seed", range(4))
def test_random_packets_in_zones(seed):
    result = isolated(compare, seed, 3000)
    assert result["differences"][:5] == []
    assert result["listing"][:5] == []
    assert result["faults"] == []
    assert {("", ""), ("NEW", "ORIGINAL"), ("ESTABLISHED", "REPLY"), ("RELATED", "REPLY"), ("RELATED", "ORIGINAL"),
            ("ESTABLISHED", "ORIGINAL"), ("INVALID", "")} <= result["classes"]
    assert result["lines"] > 30
