"""The traffic behind ``fastct bench`` is what it is said to be: every packet valid, every connection ASSURED."""
import numpy as np
import pytest

import fastct
from fastct.benchmark import PROTOCOLS, Traffic, measure_expiry, measure_memory, measure_new, measure_packets


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_conversations_are_valid(protocol):
    traffic = Traffic(protocol, 300, seed=3)
    tracker = fastct.Tracker(checksum="on")
    rows = [tracker.process(block) for block in (*traffic.establish(), *traffic.conversation(5000))]
    assert len(tracker) == 300
    assert not np.concatenate(rows)["reason"].any()
    assert (tracker.connections()["status"] & 4).all()


@pytest.mark.parametrize("measure", [measure_new, measure_expiry, measure_memory])
def test_measurements_measure(measure):
    figure = measure("udp", 1000)
    assert figure.connections == 1000
    assert figure.value >= 0
    assert measure_packets("tcp", 100, 1000).value > 0
