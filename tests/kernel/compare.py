"""The same packets through the kernel and through fastct, compared after every one; see ``__main__`` for the command.

After every packet: class, direction, entry, expectations. Now and then, and at the end: what conntrack(8) lists. At the
end: its counters, and its events in their order.
"""

import re
import time
from collections import Counter, defaultdict

from tests import packets as p
from tests.kernel.eventlog import EventLog, in_order, unlike
from tests.kernel.fragments import random_fragments
from tests.kernel.generator import KINDS, random_packets
from tests.kernel.helper_dialogues import HELPERS, helped_packets
from tests.kernel.kernel import Kernel
from tests.kernel.mixed import MIXED, mixed_packets, timed_packets
from tests.kernel.observation import expectations_of
from tests.kernel.settings import ALL_HELPERS, RANGES, SHORT, Settings, lasting
from tests.kernel.subject import Subject

SHOWN = 100  # bytes of a packet in such a report
CHECKED = 4000  # packets between looks at whole tables
STREAM_AGE_S, TICKS_S = 2, 0.02
TIMEOUT = re.compile(r"^((?:ipv\d +\d+ )?\w+ +\d+) (\d+) ")


class Comparison:
    """Both, told the same settings, and how they have differed so far."""

    def __init__(self, settings, log=True):
        self.log = EventLog() if log else None
        self.kernel, self.subject = Kernel(settings), Subject(settings, keep_events=True)
        self.differences, self.tables = [], []
        self._history, self._since = defaultdict(list), {}
        self.classes, self.most, self.packets = Counter(), 0, 0

    def _let_ripen(self, flow):
        """Linux counts the age of a UDP conversation in ticks: nothing is sent while it may be becoming a stream."""
        if flow and flow.proto == p.UDP and abs(time.monotonic() - self._since.get(flow, 0) - STREAM_AGE_S) < TICKS_S:
            time.sleep(2 * TICKS_S)

    def send(self, packet):
        """A packet through both."""
        self.packets += 1
        self._let_ripen(packet.flow)
        theirs, now = self.kernel.send(packet)
        ours = self.subject.send(packet, now)
        if theirs.differs(ours):
            # /proc is walked in several reads, and all namespaces share what is walked: a line may have been missed.
            theirs = theirs._replace(expectations=self.kernel.expectations())
        self.classes[theirs.ctstate] += 1
        if theirs.ctstate == "NEW" or packet.flow not in self._since:
            self._since[packet.flow] = time.monotonic()
        self.most = max(self.most, len(theirs.expectations))
        line = f"{self.packets} side {packet.side} {packet.label}: kernel {theirs[:3]}"
        history = self._history[packet.flow]
        history.append(line)
        if theirs.differs(ours):
            report = [*history[-9:], f"    fastct {ours[:3]}", *theirs.unlike(ours)]
            self.differences.append("\n".join([*report, f"    {packet.data[:SHOWN].hex()}"]))
            history.append("    (differed)")
        if packet.mark is not None and packet.flow:
            for each in (self.kernel, self.subject):
                each.mark(packet.flow, packet.mark)

    def check(self):
        """Compare what conntrack(8) lists; returns how many connections."""
        theirs, ours = self.kernel.listing(), self.subject.listing(time.time_ns())
        self.tables += listing_differences(theirs, ours)
        theirs_expected, ours_expected = self.kernel.listing("expect"), self.subject.expected()
        kernel, fastct = (expectations_of("\n".join(lines)) for lines in (theirs_expected, ours_expected))
        self.tables += [
            f"{'kernel' if line in kernel else 'fastct'} only, expected: {line}"
            for line in sorted(kernel.keys() ^ fastct.keys())
        ]
        return len(theirs)

    def finish(self, expiring):
        """What is compared at the end: tables, counters, events. ``expiring``: when all has expired, which ends
        connections in any order."""
        order = list
        if expiring:
            time.sleep(SHORT.stop)
            order = in_order
        lines = self.check()
        theirs, ours = self.kernel.statistics(), self.subject.statistics()
        unequal = [name for name in ours if theirs[name] != ours[name]]
        return {
            "packets": self.packets,
            "connections": len(self._history) - (None in self._history),
            "differences": self.differences,
            "listing": self.tables,
            "lines": lines,
            "statistics": [f"{name}: kernel {theirs[name]}, fastct {ours[name]}" for name in unequal],
            "events": unlike(order(self.log.close()), order(self.subject.events())),
            "classes": dict(self.classes),
            "most": self.most,
        }


FOUND = ("differences", "listing", "statistics", "events")


def found(result):
    """All that differed in a run, as text."""
    return [text for kind in FOUND for text in result[kind]]


def run(packets, sysctls, helpers=None, ranges=(), enough=1000, expiring=False):
    """Send packets through both until there are enough differences; returns those (as text) and counts. In a namespace
    of its own. ``expiring``: the sysctls are such that all expires soon."""
    comparison = Comparison(Settings(sysctls, helpers or {}, ranges))
    began = time.monotonic()
    for number, packet in enumerate(packets, 1):
        comparison.send(packet)
        if number % CHECKED == 0:
            comparison.check()
        if len(comparison.differences) == enough:
            break
    return comparison.finish(expiring) | {"rate": number / (time.monotonic() - began)}


def first_difference(packets, settings):
    """The number of the first packet after which both differ, or 0. In a namespace of its own."""
    comparison = Comparison(settings, log=False)
    for number, packet in enumerate(packets, 1):
        comparison.send(packet)
        if comparison.differences:
            return number
    return 0


def listing_differences(theirs, ours):
    """Lines of one listing that the other lacks, a second of timeout apart allowed."""

    def parsed(lines):
        rows = {}
        for line in lines:
            match = TIMEOUT.match(line)
            # conntrack prints use=2 while it looks at an entry itself
            rows[TIMEOUT.sub(r"\1 ", line).replace("use=2", "use=1")] = int(match[2]) if match else 0
        return rows

    theirs, ours = parsed(theirs), parsed(ours)
    # What is about to expire may have done so in between.
    found = [f"kernel only: {line}" for line in theirs if line not in ours and theirs[line] > 1]
    found += [f"fastct only: {line}" for line in ours if line not in theirs and ours[line] > 1]
    found += [
        f"timeout {theirs[line]}, fastct {ours[line]}: {line}"
        for line in theirs
        if line in ours and abs(theirs[line] - ours[line]) > 1
    ]
    return found


def compare_random(seed, count, sysctls, kinds=tuple(KINDS)):
    """``count`` random packets of some kinds of conversations; as ``run``."""
    return run(random_packets(seed, count, kinds), sysctls)


def compare_fragments(seed, count, sysctls):
    """``count`` random fragments; as ``run``."""
    return run(random_fragments(seed, count), sysctls)


def compare_helped(seed, count, sysctls):
    """``count`` random packets of connections with helpers; as ``run``."""
    return run(helped_packets(seed, count), lasting(sysctls), HELPERS)


def compare_mixed(seed, count, sysctls, kinds=tuple(MIXED)):
    """``count`` random packets of everything, with helpers and ranges of addresses; as ``run``."""
    return run(mixed_packets(seed, count, kinds), sysctls, ALL_HELPERS, RANGES)


def compare_timed(seed, count, sysctls):
    """``count`` random packets of everything but helpers, with pauses in which what is not refreshed expires."""
    return run(timed_packets(seed, count), sysctls, {}, RANGES, expiring=True)
