"""Captures in, connections out: source ► tracker ► sinks.

``replay`` feeds a capture through a tracker and hands on what comes out, a block at a time, so that memory
does not grow with the capture; ``track`` collects it all into a ``Result``. Both give out

    connections that ended     by the time they ended, then by number
    connections still alive    after them, in order of creation (``track``: all in order of creation)
    events                     by time; at one time, expiries come before what packets caused
"""
import datetime
import operator
import time
from dataclasses import dataclass, field

import numpy as np

from fastct import capture
from fastct.errors import ConfigError, UnsupportedLinkType
from fastct.records import CONNECTION_DTYPE, EVENT_DTYPE, EVENTS, PACKET_DTYPE
from fastct.rows import Table
from fastct.tracker import Tracker

HELD_ROWS = 1 << 16         # rows that wait for their turn before the table is swept to let them go
PROGRESS_S = 0.2            # between two reports of progress
NS_MAX = np.iinfo(np.uint64).max
DESTROY = EVENTS.index("DESTROY")


@dataclass
class Summary:
    """What ``replay`` read and met.

    Attributes
    ----------
    packets, bytes, connections : int
        Frames read, their bytes on the wire, connections created.
    first_ns, last_ns : int
        Packet time of the first packet and the highest, ns since the epoch; 0 without packets.
    stats : dict
        Counters by name, as ``Tracker.stats``.
    notes : list of str
        What the reader of the result should know.
    damage : list of CaptureError
        Where captures could not be read to their end.
    interrupted : bool
        Whether the replay was stopped by Ctrl-C; everything up to there has been handed on.
    """
    packets: int = 0
    bytes: int = 0
    connections: int = 0
    first_ns: int = 0
    last_ns: int = 0
    stats: dict = field(default_factory=dict)
    notes: list = field(default_factory=list)
    damage: list = field(default_factory=list)
    interrupted: bool = False


@dataclass
class Result:
    """What ``track`` returns.

    Attributes
    ----------
    connections : Table
        One row per connection in order of creation (``fastct.CONNECTION_DTYPE``).
    packets : Table or None
        One row per packet (``fastct.PACKET_DTYPE``), if asked for; its ``deciders`` are the words of ``decided``.
    events : Table or None
        NEW, UPDATE and DESTROY (``fastct.EVENT_DTYPE``), if asked for.
    summary : Summary
        Totals, notes and damage.
    rules, rules6 : fastct.rules.Ruleset or None
        The tables that packets ran through, with their counters.

    As an Arrow stream (PyCapsule interface) a result is its connections, so that pyarrow, polars, pandas and duckdb
    take it as it is.
    """
    connections: Table
    packets: Table | None
    events: Table | None
    summary: Summary
    rules: object = None
    rules6: object = None

    def __arrow_c_stream__(self, requested_schema=None):
        """The connections as an Arrow stream."""
        return self.connections.__arrow_c_stream__(requested_schema)

    @property
    def stats(self):
        """Counters by name: packets by ctstate and reason, connections by how they ended."""
        return self.summary.stats

    @property
    def damage(self):
        """Where captures could not be read to their end: list of CaptureError."""
        return self.summary.damage


class _Ended:
    """Connections that ended, put in the order of their ends."""

    def __init__(self, tracker, sink):
        self._drain, self._sink = tracker.drain_ended, sink
        self._held = []
        self.rows = 0

    def collect(self):
        rows = self._drain()
        if len(rows):
            self._held.append(rows)
            self.rows += len(rows)

    def release(self, before):
        """Hand on what ended before ``before`` (ns): no more such rows can come."""
        if not self._held:
            return
        rows = np.concatenate(self._held)
        rows = rows[self._order(rows)]
        n = int(np.searchsorted(self._times(rows), before))
        if n:
            self._sink(rows[:n])
        self._held = [rows[n:]] if n < len(rows) else []
        self.rows = len(rows) - n

    @staticmethod
    def _times(rows):
        return rows["stop_ns"]

    @staticmethod
    def _order(rows):
        return np.lexsort((rows["conn"], rows["stop_ns"]))


class _Events(_Ended):
    """Events in the order of time; they are noticed in another, since an expiry is noticed late."""

    def __init__(self, tracker, sink):
        super().__init__(tracker, sink)
        self._drain = tracker.drain_events

    @staticmethod
    def _times(rows):
        return rows["ts"]

    @staticmethod
    def _order(rows):
        # An entry that nothing touched at the time of its end was gone before the packets of that time; among
        # several such, the order in which the sweep met them means nothing. The rest keeps the packets' order.
        expiry = (rows["type"] == DESTROY) & (rows["row"]["last_ns"] < rows["ts"])
        among = np.where(expiry, rows["row"]["conn"], np.arange(len(rows), dtype=np.uint64))
        return np.lexsort((among, ~expiry, rows["ts"]))


class _ExpectEvents(_Events):
    """Events of expectations, in the order of time."""

    def __init__(self, tracker, sink):
        super().__init__(tracker, sink)
        self._drain = tracker.drain_expect_events

    @staticmethod
    def _order(rows):
        return np.argsort(rows["ts"], kind="stable")


class _Progress:
    """Calls ``report`` a few times a second."""

    def __init__(self, report, source):
        self._report, self._source = report, source
        self._next = time.monotonic() + PROGRESS_S

    def tick(self):
        if self._report is not None and time.monotonic() >= self._next:
            self._report(self._source.bytes_done, self._source.bytes_total, self._source.packets)
            self._next = time.monotonic() + PROGRESS_S


class _Until:
    """The moment up to which packets count, if there is one."""

    def __init__(self, at):
        self.ns = at
        if at is None or isinstance(at, datetime.timedelta):
            return
        try:
            self.ns = operator.index(at)
        except TypeError:
            raise ConfigError(f"at: expected ns since the epoch or a timedelta, got {at!r}") from None
        if not 0 <= self.ns <= NS_MAX:
            raise ConfigError(f"at: expected 0 to {NS_MAX} ns since the epoch, got {at}")

    def cut(self, frames):
        """The frames of a block that are not later."""
        if isinstance(self.ns, datetime.timedelta):
            self.ns = frames[0][0] + self.ns // datetime.timedelta(microseconds=1) * 1000
            self.ns = min(max(self.ns, 0), NS_MAX)
        if self.ns is None or frames.until(self.ns) == len(frames):
            return frames
        return frames.part(0, frames.until(self.ns))


def blocks(source):
    """The blocks of a source. A file that comes to an interface fastct does not read has ended there, as with damage;
    it is refused only when nothing of it can be read."""
    while True:
        try:
            yield next(source)
        except StopIteration:
            return
        except UnsupportedLinkType as error:
            if not error.packet:
                raise
            source.damage.append(error)


def _feed(source, tracker, packets, leaving, until):
    """Run the blocks of a source through the tracker; yields after each."""
    for frames in blocks(source):
        part = until.cut(frames)
        tracker.name_interfaces(source.interfaces)
        rows = tracker.process(part, rows=packets is not None or leaving is not None)
        if packets is not None and len(rows):
            packets(rows)
        if leaving is not None:
            leaving(tracker.leaving(part, rows))
        yield
        if part is not frames:
            return


def _release_waiting(tracker, late):
    """Hand on all rows whose turn has come; returns how many may wait before that is worth trying again."""
    tracker.gc.sweep()
    for kept in late:
        kept.collect()
        kept.release(tracker.now)
    # Where time stands still nothing can go; trying again at every block would be quadratic.
    return max(HELD_ROWS, 2 * max(kept.rows for kept in late))


def _go_on(tracker, now, late):
    """Let time pass without packets (``now``: None if there were some), and hand on what has been noticed."""
    if now is not None:
        tracker.gc.advance(now)
        for kept in late:
            kept.collect()
    for kept in late:
        kept.release(NS_MAX)


def replay(source, tracker, *, connections=None, packets=None, events=None, expectations=None, leaving=None,
           log=None, at=None, progress=None, idle_ns=None):
    """Feed a capture through a tracker and hand on what comes out.

    Ctrl-C ends the reading, not the output: what had been read is handed on in full.

    Parameters
    ----------
    source : Capture
        As ``fastct.open`` returns it.
    tracker : Tracker
        Made with ``keep_ended`` if ``connections`` is given, with ``keep_events`` if ``events`` or
        ``expectations`` is.
    connections, packets, events, expectations : callable, optional
        Called with arrays of rows (CONNECTION_DTYPE, PACKET_DTYPE, EVENT_DTYPE, EXPECT_EVENT_DTYPE).
    leaving : callable, optional
        Called with blocks of frames: the packets that leave. The tracker is made with ``keep_leaving`` then.
    log : callable, optional
        Called with lists of ``rules.linetext.Line``: what rules wrote to the log.
    at : int or datetime.timedelta, optional
        Stop before the first packet later than this (ns since the epoch, or a timedelta after the first packet);
        connections are then those alive at that time, and no others.
    progress : callable, optional
        Called with (bytes done, bytes in all or None, packets) a few times a second.
    idle_ns : callable, optional
        Of a source that waits for packets: the time (ns since the epoch) while there are none, to which packet time
        goes on, else None. Rows are then handed on as soon as they are noticed.

    Returns
    -------
    Summary

    Raises
    ------
    UnsupportedLinkType
        If the first packet of a capture has a link type that is not read; further on it is damage.
    ConfigError
        If ``at`` is neither.
    """
    late = (_Ended(tracker, connections if at is None and connections else lambda rows: None),
            _Events(tracker, events or (lambda rows: None)),
            _ExpectEvents(tracker, expectations or (lambda rows: None)))
    ticker = _Progress(progress, source)
    until = _Until(at)
    interrupted = False
    held_most = HELD_ROWS
    try:
        for _ in _feed(source, tracker, packets, leaving, until):
            for kept in late:
                kept.collect()
            if idle_ns is not None:
                _go_on(tracker, idle_ns(), late)
            elif max(kept.rows for kept in late) >= held_most:
                held_most = _release_waiting(tracker, late)
            if log is not None:
                log(tracker.drain_log())
            ticker.tick()
    except KeyboardInterrupt:
        interrupted = True
    last_ns = tracker.now
    tracker.gc.sweep(None if interrupted or not tracker.stats["packets"] else until.ns)
    for kept in late:
        kept.collect()
        kept.release(NS_MAX)
    if log is not None:
        log(tracker.drain_log())        # of a block that was interrupted
    if connections:
        for rows in tracker.connection_blocks():
            connections(rows)
    return _summary(source, tracker.stats | {"last_ns": last_ns}, interrupted)


def _summary(source, stats, interrupted):
    notes = []
    if stats["offload_packet"]:
        notes.append(f"packet {stats['offload_packet']} has a checksum that its sender left to the network card: "
                     "checksums are not verified from there on")
    notes += [f"{stats[f'lost_{what}']} {what} were lost for want of memory" for what in ("rows", "frames", "lines")
              if stats[f"lost_{what}"]]
    return Summary(packets=stats["packets"], bytes=stats["bytes"], connections=stats["connections"],
                   first_ns=stats["first_ns"], last_ns=stats["last_ns"], stats=stats, notes=notes,
                   damage=list(source.damage), interrupted=interrupted)


def _table(parts, dtype, deciders=None):
    return Table(np.concatenate(parts) if parts else np.empty(0, dtype=dtype), deciders)


def track(paths, *, packets=False, events=False, at=None, **settings):
    """Track captures; returns everything.

    Parameters
    ----------
    paths : str, path or sequence of them
        Capture files (pcap, pcapng, also ``.gz`` and ``.zst``), globs, ``-`` for standard input; several are merged by
        time.
    packets, events : bool
        Keep a row per packet, a row per event.
    at : int or datetime.timedelta, optional
        The table as of this time: ns since the epoch, or since the first packet.
    **settings
        As for ``Tracker``: sysctls, checksum, max_entries, seed, helpers, auto_helpers, local, rules and so on.

    Returns
    -------
    Result

    Raises
    ------
    CaptureError
        If a capture cannot be read at all. Damage further on is in ``Result.damage``.
    ConfigError
        For an argument that cannot be used.
    """
    tracker = Tracker(keep_ended=True, keep_events=events, **settings)
    found, packet_rows, event_rows = [], [], []
    with capture.open(paths) as source:
        summary = replay(source, tracker, connections=found.append, packets=packet_rows.append if packets else None,
                         events=event_rows.append if events else None, at=at)
    if summary.interrupted:
        raise KeyboardInterrupt
    connections = _table(found, CONNECTION_DTYPE)
    return Result(connections[np.argsort(connections["conn"], kind="stable")],
                  _table(packet_rows, PACKET_DTYPE, tracker.deciders) if packets else None,
                  _table(event_rows, EVENT_DTYPE) if events else None, summary,
                  tracker.rules if tracker.firewalled else None, tracker.rules6 if tracker.firewalled else None)
