"""``Table``: rows of connections, packets or events, for NumPy and for whoever reads Arrow."""
import numpy as np

from fastct.columns import KINDS, kind_of


class Table(np.ndarray):
    """A structured array that converts to what pyarrow, pandas, polars and duckdb work with.

    The fields are those of ``fastct.CONNECTION_DTYPE``, ``PACKET_DTYPE`` or ``EVENT_DTYPE``: numbers, codes and
    addresses as bytes. The conversions give the columns of the command line's outputs: words, address texts, nulls
    where a value does not exist. They need the extra ``fastct[arrow]``. What asks for Arrow's PyCapsule interface first
    (``pyarrow.table``, ``pandas.DataFrame.from_arrow``) gets these columns from the table itself; what looks for NumPy
    first (polars, duckdb) wants ``to_arrow()``, or the ``Result``.
    """

    deciders = None      # of packets: the words behind ``decided``, where there were rules

    def __new__(cls, rows, deciders=None):
        made = np.asarray(rows).view(cls)
        made.deciders = deciders
        return made

    def __array_finalize__(self, source):
        self.deciders = getattr(source, "deciders", None)

    @property
    def columns(self):
        """Names of the columns that the conversions give, in order."""
        return [column.name for column in KINDS[kind_of(self.dtype)][1]]

    def to_arrow(self):
        """The rows as a ``pyarrow.Table``."""
        from fastct.export.arrow import arrow_table
        return arrow_table(self, self.deciders)

    def to_pandas(self):
        """The rows as a ``pandas.DataFrame``."""
        return self.to_arrow().to_pandas()

    def to_polars(self):
        """The rows as a ``polars.DataFrame``."""
        import polars
        return polars.from_arrow(self.to_arrow())

    def __arrow_c_stream__(self, requested_schema=None):
        """The rows as an Arrow stream (PyCapsule interface)."""
        return self.to_arrow().__arrow_c_stream__(requested_schema)
