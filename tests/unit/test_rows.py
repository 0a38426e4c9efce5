"""Results for NumPy and for whoever reads Arrow."""
import numpy as np
import pytest

import fastct
from fastct.columns import KINDS

pyarrow = pytest.importorskip("pyarrow")


@pytest.fixture(scope="module")
def result():
    return fastct.track("pcaps/icmp_errors.pcap", packets=True, events=True)


@pytest.mark.parametrize("kind", KINDS)
def test_arrow_takes_rows(result, kind):
    rows = getattr(result, kind)
    table = pyarrow.table(rows)
    assert table.column_names == rows.columns == [column.name for column in KINDS[kind][1]]
    assert table.num_rows == len(rows) > 0


def test_words_and_nulls(result):
    table = result.connections.to_arrow()
    assert table.column("l4proto").to_pylist() == ["udp", "icmp", "icmp"]
    assert table.column("orig_dport").to_pylist() == [33434, None, None]
    assert table.column("icmp_type").to_pylist() == [None, 8, 8]
    assert table.column("orig_src").to_pylist() == ["10.2.0.2"] * 3
    assert table.column("end").to_pylist() == ["live"] * 3
    for column in table.columns:
        if pyarrow.types.is_dictionary(column.type):
            words = column.chunk(0).dictionary.to_pylist()
            assert len(set(words)) == len(words)


def test_rows_are_arrays(result):
    assert isinstance(result.connections, np.ndarray)
    assert result.connections.dtype == fastct.CONNECTION_DTYPE
    assert result.connections["orig_packets"].sum() == 3
    assert pyarrow.table(fastct.Table(np.empty(0, dtype=fastct.PACKET_DTYPE))).num_rows == 0


def test_a_result_is_its_connections(result):
    names = result.connections.columns
    assert pyarrow.table(result).column_names == names
    polars = pytest.importorskip("polars")
    assert polars.DataFrame(result)["orig_src"].to_list() == ["10.2.0.2"] * 3
    pandas = pytest.importorskip("pandas", "3")
    assert list(pandas.DataFrame.from_arrow(result).columns) == names
    duckdb = pytest.importorskip("duckdb")
    assert duckdb.sql("select l4proto, count(*) from result group by 1 order by 1").fetchall() == [("icmp", 2),
                                                                                                ("udp", 1)]


def test_pandas_and_polars(result):
    pytest.importorskip("pandas")
    assert result.connections.to_pandas().shape == (3, 30)
    pytest.importorskip("polars")
    assert result.connections.to_polars().shape == (3, 30)
