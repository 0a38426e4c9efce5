"""Snapshot files: the whole state of a tracker, to go on from as if nothing had happened.

    magic, byte order, version                   16 + 4 + 4 bytes
    section  ► tag, length, CRC-32, payload      4 + 4 + 4 bytes, payload
    ...
    END      ► number of sections, CRC-32 of their CRC-32s

    HEAD     JSON: counters, times, settings, the hash key (``state.state_numbers``)
    CONN     a block of connections (``state.state_connections``); as many sections as it takes
    EXPT     a block of expectations (``state.state_expectations``), behind the connections
    CALL     a block of the PPTP keymap (``state.state_calls``), behind the connections
    FRAG     the fragments of some datagrams that are not whole yet (``fragstate.state_fragments``)
    RING     a block of candidates for early drop (``state.state_probation``), behind the connections

Whoever adds to the state adds a kind of section. A file is written under a temporary name, synced,
and renamed: what carries the name is always a whole snapshot. A section is checked before anything in it is looked
at, and its content is checked value by value, so that a file made to do harm does none. Reading and writing take as
much memory as a section. The file holds the hash key, so only its owner may read it.
"""
import json
import os
import struct
import zlib

from fastct.errors import SnapshotError
from fastct.fragstate import state_fragments, take_fragments
from fastct.join import join_connections, take_calls, take_expectations, take_probation
from fastct.replaced import replaced
from fastct.restore import complete, engine_from, take_connections
from fastct.state import state_calls, state_connections, state_expectations, state_numbers, state_probation

VERSION = 1
MAGIC = b"\x89fastct state\r\n\n"
PREAMBLE = struct.Struct("=16sII")
BYTE_ORDER = 0x01020304         # in the order of the machine: records lie in the file as in memory
SECTION = struct.Struct("=4sII")
END = struct.Struct("=QI")
# What a tracker is made with, besides numbers, and what each has to be.
SETTINGS = {"sysctls": dict, "personality": str, "helpers": dict, "auto_helpers": bool, "on_full": str, "local": list}
# The sections behind the head: what gives their content, and what takes those that know the connections.
BLOCKS = {b"CONN": state_connections, b"EXPT": state_expectations, b"CALL": state_calls, b"RING": state_probation,
          b"FRAG": state_fragments}
TAKERS = {b"EXPT": take_expectations, b"CALL": take_calls, b"RING": take_probation,
          b"FRAG": take_fragments}
HEAD_MAX, SECTION_MAX = 1 << 20, 1 << 26


# ---- writing

class _Sections:
    """Sections into an open file."""

    def __init__(self, file):
        self._file, self._n, self._sums = file, 0, 0
        file.write(PREAMBLE.pack(MAGIC, BYTE_ORDER, VERSION))

    def write(self, tag, buffers):
        """A section whose payload lies in several buffers."""
        views = [memoryview(buffer).cast("B") for buffer in buffers]
        length = sum(map(len, views))
        total = _sum_of(tag, length, *views)
        self._file.write(SECTION.pack(tag, length, total))
        for view in views:
            self._file.write(view)
        self._sums = zlib.crc32(struct.pack("=I", total), self._sums)
        self._n += 1

    def finish(self):
        """The end, by which a reader knows that nothing is missing."""
        self.write(b"END ", [END.pack(self._n, self._sums)])


def _sum_of(tag, length, *buffers):
    total = zlib.crc32(struct.pack("=4sI", tag, length))
    for buffer in buffers:
        total = zlib.crc32(buffer, total)
    return total


def save(path, engine, settings):
    """Write the state of an engine, and the settings it was made with.

    Raises
    ------
    SnapshotError
        If the file cannot be written; what had the name before still has it.
    """
    path = os.fspath(path)
    try:
        with replaced(path) as file:
            sections = _Sections(file)
            head = state_numbers(engine) | {"settings": settings}
            sections.write(b"HEAD", [json.dumps(head).encode()])
            for tag, blocks_of in BLOCKS.items():
                for block in blocks_of(engine):
                    sections.write(tag, block)
            sections.finish()
    except OSError as error:
        raise SnapshotError(path, f"cannot be written: {(error.strerror or str(error)).lower()}") from None


# ---- reading

def _exactly(file, n, what):
    data = file.read(n)
    if len(data) != n:
        raise ValueError(f"cut in {what}")
    return data


def _check_preamble(file):
    data = file.read(PREAMBLE.size)
    if not data.startswith(MAGIC[:len(data)]) or not data:
        raise ValueError("not a snapshot")
    if len(data) != PREAMBLE.size:
        raise ValueError("cut in its first bytes")
    _, order, version = PREAMBLE.unpack(data)
    if order != BYTE_ORDER:
        raise ValueError("from a machine with another byte order, or damaged")
    if version != VERSION:
        raise ValueError(f"version {version} of the format; this fastct reads {VERSION}")


def _sections(file):
    """Yield tag and payload of every section but the last, each checked; the last says whether that was all."""
    sums = n = 0
    while True:
        tag, length, total = SECTION.unpack(_exactly(file, SECTION.size, f"section {n + 1}"))
        if length > SECTION_MAX:
            raise ValueError(f"section {n + 1} is damaged: impossible length")
        payload = _exactly(file, length, f"section {n + 1}")
        if _sum_of(tag, length, payload) != total:
            raise ValueError(f"section {n + 1} is damaged: wrong checksum")
        if tag == b"END ":
            break
        yield tag, payload
        sums = zlib.crc32(struct.pack("=I", total), sums)
        n += 1
    if payload != END.pack(n, sums):
        raise ValueError("sections are missing or out of order")
    if file.read(1):
        raise ValueError("something follows its end")


def _head_of(tag, payload):
    """The first section: numbers and settings."""
    if tag != b"HEAD" or len(payload) > HEAD_MAX:
        raise ValueError("does not begin with its head")
    try:
        head = json.loads(payload)
    except (ValueError, RecursionError):
        raise ValueError("its head is not JSON") from None
    settings = head.get("settings") if isinstance(head, dict) else None
    if not isinstance(settings, dict) or settings.keys() != SETTINGS.keys():
        raise ValueError("its head has no settings of this version")
    for name, kind in SETTINGS.items():
        if not isinstance(settings[name], kind):
            raise ValueError(f"{name}: expected a {kind.__name__}, got {settings[name]!r}")
    return head, settings


def _restored(file, keep_ended, keep_events, key):
    _check_preamble(file)
    sections = _sections(file)
    head, settings = _head_of(*next(sections, (None, b"")))
    engine = engine_from(head, settings, keep_ended, keep_events, key)
    placed = key is None and head["lines"] > 0
    order = None
    for tag, payload in sections:
        if tag == b"CONN" and order is None:
            take_connections(engine, payload, placed)
        elif tag in TAKERS:
            order = join_connections(engine) if order is None else order
            TAKERS[tag](engine, payload, order)
        else:
            raise ValueError(f"a section of a kind that does not belong here: {tag!r}")
    if order is None:
        join_connections(engine)
    complete(engine, head)
    return engine, settings


def load(path, key=None, *, keep_ended=False, keep_events=False):
    """An engine from a snapshot, and the settings it was made with.

    Parameters
    ----------
    key : bytes, optional
        Another hash key than that in the file.

    Raises
    ------
    SnapshotError
        If the file cannot be read, is no whole snapshot, or is not of this version.
    """
    path = os.fspath(path)
    try:
        with open(path, "rb") as file:
            return _restored(file, keep_ended, keep_events, key)
    except OSError as error:
        raise SnapshotError(path, f"cannot be read: {(error.strerror or str(error)).lower()}") from None
    except ValueError as error:
        raise SnapshotError(path, str(error)) from None
