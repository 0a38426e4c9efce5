"""Reading a capture: from a file in memory to frames, nothing looked at."""
import pytest

from fastct.capture import open as open_capture


def read(path, block):
    with open_capture(path, block=block) as source:
        return sum(len(frames) for frames in source)


@pytest.mark.parametrize("block", [64, 4096])
def test_read(capture, per_packet, block):
    path, packets = capture
    assert per_packet(packets, read, lambda: (path, block)) == packets
