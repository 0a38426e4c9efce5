"""Outputs: rows into files, by the ending of their names, a block at a time.

    .txt      lines as conntrack prints them (connections, events), and as the kernel does: those of
              expectations and of the rules' log, which have no other form
    .csv      comma-separated, with a header
    .jsonl    one JSON object a line
    .arrow    Arrow IPC file         .parquet    Parquet file

A file appears under its name when it is complete: until ``close`` it has a temporary one.
"""
import contextlib
import io
import os
import queue
import sys
import threading

from fastct.columns import KINDS
from fastct.errors import ConfigError
from fastct.export.cells import CellFormat
from fastct.export.expectations import format_expect_events
from fastct.export.lines import format_connections, format_events
from fastct.export.loglines import format_log

LINES = {"connections": format_connections, "events": format_events, "expectations": format_expect_events,
         "log": format_log}
COLUMNAR = (".arrow", ".parquet")
SUFFIXES = (".txt", ".csv", ".jsonl", *COLUMNAR)
GROUP_ROWS = 1 << 16        # rows of an Arrow batch or a Parquet row group
PIECES_BEHIND = 8           # pieces of text that may wait to be written


def _format(suffix, kind, deciders):
    """What turns rows into pieces of bytes, and the header."""
    if suffix == ".txt":
        return lambda rows: [LINES[kind](rows)], b""
    if kind not in KINDS:
        raise ConfigError(f"{kind}: as lines of text only, .txt")
    cells = CellFormat(kind, suffix == ".jsonl", deciders)
    return cells.format, cells.header


class _Bytes:
    """Rows as text into a file object."""

    def __init__(self, file, suffix, kind, deciders=None):
        self._file = file
        self._pieces, header = _format(suffix, kind, deciders)
        file.write(header)

    def write(self, rows):
        for piece in self._pieces(rows):
            self._file.write(piece)

    def finish(self):
        self._file.flush()


class _Behind:
    """A file that a thread writes, so that the next rows are made meanwhile: where the disk is slow, it is half the
    work. What goes wrong is raised by a later call, at the latest by ``flush``."""

    def __init__(self, file):
        self._file, self._error = file, None
        self._pieces = queue.Queue(PIECES_BEHIND)
        self._thread = threading.Thread(target=self._run, name="fastct-writer", daemon=True)
        self._thread.start()

    def _run(self):
        while (piece := self._pieces.get()) is not None:
            if self._error is None:
                try:
                    self._file.write(piece)
                except OSError as error:
                    self._error = error

    def write(self, piece):
        """Append bytes."""
        if self._error is not None:
            raise self._error
        self._pieces.put(piece)

    def flush(self):
        """Wait until everything is written, and end the thread."""
        self._pieces.put(None)
        self._thread.join()
        if self._error is not None:
            raise self._error
        self._file.flush()


class _Columnar:
    """Rows as Arrow or Parquet into a file object; small blocks are gathered."""

    def __init__(self, file, suffix, kind, deciders=None):
        import numpy as np

        from fastct.export.arrow import arrow_batch, pa
        self._batch, self._join = lambda rows: arrow_batch(rows, deciders), np.concatenate
        schema = self._batch(np.empty(0, dtype=KINDS[kind][0])).schema
        if suffix == ".arrow":
            self._sink = pa.ipc.new_file(file, schema)
        else:
            import pyarrow.parquet
            self._sink = pyarrow.parquet.ParquetWriter(file, schema)
        self._held, self._rows = [], 0

    def write(self, rows):
        self._held.append(rows)
        self._rows += len(rows)
        if self._rows >= GROUP_ROWS:
            self._put()

    def _put(self):
        if self._held:
            self._sink.write_batch(self._batch(self._join(self._held)))
        self._held, self._rows = [], 0

    def finish(self):
        self._put()
        self._sink.close()


def _why(error):
    """The reason of an OSError, for a message."""
    return (error.strerror or str(error)).lower()


def is_device(path):
    """Whether something lies there that is neither file nor directory: it is written to, not replaced."""
    return os.path.exists(path) and not os.path.isfile(path) and not os.path.isdir(path)


def discard_standard_output():
    """Send what is still buffered, and all that follows, to nowhere: the interpreter would complain when it ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _suffix(path, kind):
    """The format of an output, by the ending of its name."""
    suffix = os.path.splitext(path)[1].lower()
    known = [each for each in SUFFIXES if each != ".txt" or kind in LINES]
    if suffix in known:
        return suffix
    if suffix not in SUFFIXES and is_device(path):
        return ".txt" if kind in LINES else ".csv"
    raise ConfigError(f"{path or repr(path)}: the ending says the format; known for {kind} are {', '.join(known)}")


class Writer:
    """An output that is being written; ``close`` completes it, ``abort`` leaves nothing behind.

    ``deciders``: the words behind the column ``decided`` of packets, if there are rules.

    Raises
    ------
    ConfigError
        If the ending of the name is not known, or the file cannot be written.
    """

    def __init__(self, path, kind, deciders=None):
        suffix = _suffix(path, kind)
        device = is_device(path)
        self._path, self._temporary = path, path if device else f"{path}.{os.getpid()}.part"
        self._rename, self._form = not device, None
        if os.path.isdir(path):
            raise ConfigError(f"cannot write {path}: is a directory")
        try:
            self._file = open(self._temporary, "wb")
        except OSError as error:
            raise ConfigError(f"cannot write {path}: {_why(error)}") from None
        try:
            if suffix in COLUMNAR:
                self._form = _Columnar(self._file, suffix, kind, deciders)
            else:
                self._form = _Bytes(_Behind(self._file), suffix, kind, deciders)
        except ImportError as error:
            self.abort()
            raise ConfigError(f"{path}: {error}") from None
        except BaseException:
            self.abort()
            raise

    def write(self, rows):
        """Append rows."""
        try:
            self._form.write(rows)
        except OSError as error:
            raise ConfigError(f"cannot write {self._path}: {_why(error)}") from None

    def close(self):
        """Complete the file and give it its name."""
        try:
            self._form.finish()
            self._file.close()
            if self._rename:
                os.replace(self._temporary, self._path)
        except OSError as error:
            self.abort()
            raise ConfigError(f"cannot write {self._path}: {_why(error)}") from None

    def abort(self):
        """Give up: remove what was written."""
        with contextlib.suppress(OSError):
            if self._form is not None:
                self._form.finish()
        with contextlib.suppress(OSError):
            self._file.close()
        if self._rename:
            with contextlib.suppress(OSError):
                os.remove(self._temporary)


class StandardOutput:
    """Rows on standard output.

    When the reader goes away, ``broken`` is set; with ``stop`` BrokenPipeError is raised as well, otherwise further
    rows are dropped in silence, since other outputs still want them.

    Raises
    ------
    ConfigError
        If standard output is closed, or cannot be written.
    """

    def __init__(self, kind, suffix=".txt", stop=True):
        if sys.stdout is None:
            raise ConfigError("cannot write standard output: closed")
        self.broken, self._stop = False, stop
        file = sys.stdout.buffer
        if isinstance(file, io.RawIOBase):      # python -u: a write may stop half-way
            file = io.BufferedWriter(file)
        self._form = _Bytes(file, suffix, kind)

    def write(self, rows):
        """Append rows."""
        self._guarded(lambda: self._form.write(rows))
        # Whole lines: progress may be drawn below them, or somebody wait for them at the other end of a pipe.
        self._guarded(self._form.finish)

    def close(self):
        """Hand everything on."""
        self._guarded(self._form.finish)

    def abort(self):
        """Nothing is left behind here."""

    def _guarded(self, act):
        if self.broken:
            return
        try:
            act()
        except BrokenPipeError:
            self.broken = True
            discard_standard_output()
            if self._stop:
                raise
        except OSError as error:
            discard_standard_output()
            raise ConfigError(f"cannot write standard output: {_why(error)}") from None
