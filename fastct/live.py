"""Interfaces as a source for ``offline.replay``: blocks of frames as they come, until it is told to stop."""
import time

from fastct.capture.frames import frames_from_bytes
from fastct.capture.ring import Rings

TICK_MS = 100               # the longest wait for frames: how soon it notices what it is told
REST_MS = 100               # after it is told to stop: how long it waits for a block that is not full


class Live:
    """Rings, with an end.

    Parameters
    ----------
    names : sequence of str
        Interfaces.
    options : RingOptions
    duration : float, optional
        Seconds.
    most : int, optional
        Frames.

    Attributes
    ----------
    interfaces : list of str
    begin : callable
        Called with the tracker that gets the frames, before the first.
    counts : dict
        As ``Rings.counts``, at the end.
    """
    damage = ()             # there is no file that could have any
    bytes_done, bytes_total = 0, None

    def __init__(self, names, options, *, duration=None, most=None):
        self.rings, self.packets = Rings(names, options), 0
        self.interfaces = self.rings.interfaces
        self._most, self._idle_ns, self._chores = most, None, []
        self._stop_at = None if duration is None else time.monotonic() + duration
        self._stopped_ns = None
        self.begin, self.counts = lambda tracker: None, {}

    def soon(self, chore):
        """Have something done between two blocks; may be called by a signal handler."""
        self._chores.append(chore)

    def stop(self):
        """End soon; what has come in until now is still handed out."""
        self._stopped_ns = self._stopped_ns or time.time_ns()

    def idle_ns(self):
        """The time (ns since the epoch) if nothing has come, else None."""
        return self._idle_ns

    def __iter__(self):
        return self

    def __next__(self):
        while self._chores:
            self._chores.pop(0)()
        left_ms = TICK_MS if self._stop_at is None else (self._stop_at - time.monotonic()) * 1000
        if left_ms <= 0:
            self.stop()
        if self.packets == self._most:
            raise StopIteration
        frames = self.rings.next(REST_MS if self._stopped_ns else min(TICK_MS, int(left_ms) + 1))
        if self._stopped_ns and (frames is None or frames[0][0] > self._stopped_ns):
            raise StopIteration
        self._idle_ns = time.time_ns() if frames is None else None
        if frames is None:
            return frames_from_bytes([])
        if self._most is not None:
            frames = frames.part(0, self._most - self.packets)
        self.packets += len(frames)
        return frames

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.counts = self.rings.counts()
        self.rings.close()
