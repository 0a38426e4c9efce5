"""Memory of a large table is made present by a thread of its own: it comes with growth and goes with the table."""
import os

import fastct
from fastct.benchmark import Traffic
from tests.waiting import until

LARGE = 60_000      # connections: more than the first stretch of an arena holds


def threads():
    return len(os.listdir("/proc/self/task"))


def filled(connections):
    tracker = fastct.Tracker(seed=1)
    for block in Traffic("udp", connections).openings():
        tracker.process(block, rows=False)
    assert len(tracker) == connections
    return tracker


def test_a_small_table_has_no_thread():
    before = threads()
    tracker = filled(1000)
    assert threads() == before
    assert tracker._engine.selfcheck() == []


def test_the_thread_ends_with_its_table():
    before = threads()
    trackers = [filled(LARGE) for _ in range(3)]
    assert threads() == before + 3
    assert trackers[0]._engine.selfcheck() == []
    del trackers
    assert until(lambda: threads() == before)


def test_a_forked_child_frees_its_copy():
    tracker = filled(LARGE)
    child = os.fork()
    if child == 0:
        more = Traffic("udp", LARGE, first=LARGE)
        for block in more.openings():
            tracker.process(block, rows=False)
        count = len(tracker)
        del tracker
        os._exit(0 if count == 2 * LARGE else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert len(tracker) == LARGE
