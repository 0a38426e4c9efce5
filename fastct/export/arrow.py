"""Rows as Arrow columns, by the table of columns. The one module that imports pyarrow, and only when asked."""
import numpy as np

from fastct.columns import (
    IF_ZERO,
    WITH_ICMP,
    WITH_PORTS,
    WITHOUT_ENTRY,
    WITHOUT_ICMP,
    WITHOUT_PORTS,
    columns_of,
    kind_of,
)
from fastct.export.cells import address_buffers

try:
    import pyarrow as pa
except ImportError:
    raise ImportError("pyarrow is needed for this; install it with: pip install 'fastct[arrow]'") from None


def _of(rows, name):
    """A field of the rows, or of the connection in an event."""
    return rows[name] if name in rows.dtype.names else rows["row"][name]


def _empty(column, rows, values):
    """Which cells are empty: a boolean array, or None."""
    if column.empty == IF_ZERO:
        return ~values.any(axis=1) if values.ndim == 2 else values == 0
    if column.empty == WITHOUT_ENTRY:
        return rows["conn"] == 0
    if column.empty in (WITHOUT_PORTS, WITHOUT_ICMP):
        having = WITH_PORTS if column.empty == WITHOUT_PORTS else WITH_ICMP
        return ~np.isin(_of(rows, "l4proto"), having)
    return None


def _words(column, values):
    """Codes as a dictionary of strings, each word in it once; the empty word is null."""
    words = list(dict.fromkeys(word for word in column.words if word))
    number = {word: code for code, word in enumerate(words)}
    place = np.array([number.get(word, -1) for word in column.words], dtype=np.int32)
    codes = place[np.minimum(values, len(place) - 1)]
    return pa.DictionaryArray.from_arrays(pa.array(codes, mask=codes < 0), pa.array(words, pa.string()))


def _addresses(rows, values):
    offsets, text = address_buffers(values, _of(rows, "l3proto"))
    return pa.StringArray.from_buffers(len(values), pa.py_buffer(offsets), pa.py_buffer(text))


def _column(column, rows):
    values = np.ascontiguousarray(column.of(rows))
    if column.form == "word":
        return _words(column, values)
    if column.form == "address":
        return _addresses(rows, values)
    empty = _empty(column, rows, values)
    if column.form == "labels":
        return pa.array([None if none else "0x" + row.tobytes().hex()
                         for row, none in zip(values, empty, strict=True)], pa.string())
    if column.form == "time":
        values = values.astype(np.int64)
    return pa.array(values, mask=empty)


def arrow_batch(rows, deciders=None):
    """A ``pyarrow.RecordBatch`` of rows of connections, packets or events; ``deciders``: the words of ``decided``."""
    rows = np.asarray(rows)
    columns = columns_of(kind_of(rows.dtype), deciders)
    return pa.RecordBatch.from_arrays([_column(column, rows) for column in columns],
                                      names=[column.name for column in columns])


def arrow_table(rows, deciders=None):
    """A ``pyarrow.Table`` of rows of connections, packets or events."""
    return pa.Table.from_batches([arrow_batch(rows, deciders)])
