"""What differs is shortened, recorded, and replayed without a kernel: with a fastct that is wrong about one thing."""

import pytest

from tests.kernel import recorded
from tests.kernel.generator import random_packets
from tests.kernel.namespace import unavailable
from tests.kernel.settings import NOTHING
from tests.kernel.subject import Subject

pytestmark = [pytest.mark.kernel, pytest.mark.skipif(bool(unavailable()), reason=unavailable() or "available")]


def test_what_differs_is_shortened_and_recorded(tmp_path, monkeypatch):
    honest = Subject.send

    def send(subject, packet, now):
        seen = honest(subject, packet, now)
        return seen._replace(ctstate="UNTRACKED") if packet.label == "data" else seen

    monkeypatch.setattr(Subject, "send", send)
    monkeypatch.setattr(recorded, "FOLDER", tmp_path)
    packets = recorded.shortest(list(random_packets(1, 300, ("tcp",), pieces=False)), NOTHING)
    assert [packet.label for packet in packets] == ["data"]
    lines = recorded.lines_of(recorded.record("made_up", packets, NOTHING))
    assert len(recorded.replay(lines)) == 1
    monkeypatch.setattr(Subject, "send", honest)
    assert recorded.replay(lines) == []
