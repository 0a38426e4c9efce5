"""The one table of columns: name, form and emptiness of every column of every output.

CSV, JSON Lines, Arrow and ``Table.columns`` read it. A column's place in its record follows from the dtype, so a
column added here and in ``records.pxd`` appears everywhere.

    form       the value            csv, jsonl               arrow
    number     unsigned integer     decimal                  the integer type of the record
    time       ns since the epoch   decimal                  int64
    hex        bits                 0x..                     uint32
    word       index into words     the word                 dictionary of strings
    address    16 bytes             as inet_ntop writes it   string
    labels     16 bytes             0x.. (32 digits)         string
"""
from typing import NamedTuple

from fastct.records import (
    CONNECTION_DTYPE,
    CTDIRS,
    CTSTATES,
    DECIDERS,
    ENDS,
    EVENT_DTYPE,
    EVENTS,
    HELPERS,
    PACKET_DTYPE,
    STATES,
    VERDICTS,
    ZONE_DIRS,
)
from fastct.wire.reason import REASONS

# When a cell is empty, besides a word that is the empty string.
ALWAYS_THERE, IF_ZERO, WITHOUT_PORTS, WITHOUT_ICMP, WITHOUT_ENTRY = range(5)

# Protocols by name as conntrack prints them, and those whose tuples have ports (GRE: keys).
PROTOCOL_NAMES = {1: "icmp", 6: "tcp", 17: "udp", 33: "dccp", 47: "gre", 58: "icmpv6", 132: "sctp", 136: "udplite"}
WITH_PORTS = (6, 17, 33, 47, 132, 136)
WITH_ICMP = (1, 58)

L3_WORDS = ("", "", "", "", "ipv4", "", "ipv6")
L4_WORDS = tuple(PROTOCOL_NAMES.get(number, str(number)) for number in range(256))


class Column(NamedTuple):
    """One column: its ``name``, ``form`` (see above), rule of emptiness, words, and the fields that lead to it."""
    name: str
    form: str = "number"
    empty: int = ALWAYS_THERE
    words: tuple = ()
    path: tuple = ()

    def of(self, rows):
        """The column of an array of rows, as it lies there."""
        for name in self.path or (self.name,):
            rows = rows[name]
        return rows


CONNECTIONS = (
    Column("conn"),
    Column("l3proto", "word", words=L3_WORDS),
    Column("l4proto", "word", words=L4_WORDS),
    Column("zone"),
    Column("orig_src", "address"),
    Column("orig_dst", "address"),
    Column("orig_sport", empty=WITHOUT_PORTS),
    Column("orig_dport", empty=WITHOUT_PORTS),
    Column("reply_src", "address"),
    Column("reply_dst", "address"),
    Column("reply_sport", empty=WITHOUT_PORTS),
    Column("reply_dport", empty=WITHOUT_PORTS),
    Column("icmp_type", empty=WITHOUT_ICMP),
    Column("icmp_code", empty=WITHOUT_ICMP),
    Column("icmp_id", empty=WITHOUT_ICMP),
    Column("state", "word", words=STATES),
    Column("status", "hex"),
    Column("start_ns", "time"),
    Column("last_ns", "time"),
    Column("stop_ns", "time", IF_ZERO),
    Column("orig_packets"),
    Column("orig_bytes"),
    Column("reply_packets"),
    Column("reply_bytes"),
    Column("mark", "hex"),
    Column("labels", "labels", IF_ZERO),
    Column("helper", "word", words=HELPERS),
    Column("master", empty=IF_ZERO),
    Column("timeout"),
    Column("end", "word", words=ENDS),
    Column("zone_dir", "word", words=ZONE_DIRS),
)

PACKETS = (
    Column("packet"),
    Column("ts", "time"),
    Column("ctstate", "word", words=CTSTATES),
    Column("ctdir", "word", words=CTDIRS),
    Column("conn", empty=WITHOUT_ENTRY),
    Column("state", "word", words=STATES),
    Column("status", "hex", WITHOUT_ENTRY),
    Column("timeout", empty=WITHOUT_ENTRY),
    Column("mark", "hex"),
    Column("verdict", "word", words=VERDICTS),
    Column("decided", "word", words=DECIDERS),
    # Reason 0 is "none" in the table of reasons and nothing in the output.
    Column("reason", "word", words=("", *REASONS[1:])),
)

EVENT_COLUMNS = (
    Column("ts", "time"),
    Column("type", "word", words=EVENTS),
    *(column._replace(path=("row", column.name)) for column in CONNECTIONS),
)

KINDS = {"connections": (CONNECTION_DTYPE, CONNECTIONS), "packets": (PACKET_DTYPE, PACKETS),
         "events": (EVENT_DTYPE, EVENT_COLUMNS)}


def columns_of(kind, deciders=None):
    """The columns of a kind of rows; ``deciders``: the words behind ``decided``, where there were rules."""
    columns = KINDS[kind][1]
    if deciders is None:
        return columns
    return tuple(column._replace(words=tuple(deciders)) if column.name == "decided" else column for column in columns)


def kind_of(dtype):
    """The kind of rows with this dtype: connections, packets or events; None for any other."""
    return next((kind for kind, (known, _) in KINDS.items() if known == dtype), None)


def offset_of(dtype, column):
    """Byte offset and size of a column in its record."""
    offset = 0
    for name in column.path or (column.name,):
        dtype, at = dtype.fields[name][:2]
        offset += at
    return offset, dtype.itemsize
