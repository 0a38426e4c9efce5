"""Benchmarks of what comes after tracking: conntrack lines, CSV and JSON Lines."""
import pytest

import fastct
from fastct.export.cells import CellFormat
from fastct.export.lines import format_connections


@pytest.fixture(scope="module")
def connections(capture):
    return fastct.track(capture[0]).connections


def test_conntrack_lines(benchmark, connections):
    assert benchmark(format_connections, connections).count(b"\n") == len(connections)


@pytest.mark.parametrize("json", [False, True], ids=["csv", "jsonl"])
def test_cells(benchmark, connections, json):
    cells = CellFormat("connections", json)
    lines = b"".join(benchmark(lambda: list(cells.format(connections)))).count(b"\n")
    assert lines == len(connections)
