"""Packets that once told fastct from the kernel, or would if it were broken: what the kernel said of them, replayed.

``python -m tests.kernel`` finds, shortens and records them.
"""
import pytest

from tests.kernel.recorded import FOLDER, lines_of, replay

FILES = sorted(FOLDER.glob("*.jsonl"))


def test_there_are_some():
    assert len(FILES) > 5


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_replay(path):
    assert replay(lines_of(path)) == []


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_replay_can_fail(path):
    """Each of the kernel's answers is compared."""
    for number in range(1, len(lines_of(path)) - 1):
        lines = lines_of(path)
        lines[number]["seen"] = ["UNTRACKED" if lines[number]["seen"][0] != "UNTRACKED" else "", ""]
        assert replay(lines)
    lines = lines_of(path)
    lines[-1]["events"] += ["    [NEW] udp      17 30"]
    assert replay(lines)
