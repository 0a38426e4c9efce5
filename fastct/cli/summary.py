"""The summary of a run: what was read, what it was, what is worth knowing."""
import datetime
from collections import Counter

import numpy as np

from fastct.columns import L4_WORDS
from fastct.records import STATES, VERDICTS
from fastct.wire.reason import REASONS


class Tally:
    """Counts connections by protocol and state while they pass by."""

    def __init__(self):
        self._counts = Counter()

    def add(self, rows):
        """Count an array of connections."""
        codes, counts = np.unique(rows["l4proto"].astype(np.uint32) << 8 | rows["state"], return_counts=True)
        self._counts.update(dict(zip(codes.tolist(), counts.tolist(), strict=True)))

    def __str__(self):
        protocols = Counter()
        for code, n in self._counts.items():
            protocols[code >> 8] += n
        parts = []
        for protocol, n in protocols.most_common():
            states = [f"{STATES[code & 0xFF]} {m}" for code, m in self._counts.most_common()
                      if code >> 8 == protocol and STATES[code & 0xFF]]
            parts.append(f"{L4_WORDS[protocol]} {n}" + (f" ({', '.join(states)})" if states else ""))
        return ", ".join(parts)


class Verdicts:
    """Counts packets by verdict while they pass by."""

    def __init__(self):
        self._counts = np.zeros(len(VERDICTS), dtype=np.int64)

    def add(self, rows):
        """Count an array of packets."""
        self._counts += np.bincount(rows["verdict"], minlength=len(VERDICTS))

    def __str__(self):
        words = (f"{word} {n}" for word, n in zip(VERDICTS, self._counts, strict=True) if n)
        return f"verdicts     {', '.join(words)}"


def _span(first_ns, last_ns):
    began = datetime.datetime.fromtimestamp(first_ns / 1e9, datetime.UTC)
    return f"{began:%Y-%m-%d %H:%M:%S} UTC, {(last_ns - first_ns) / 1e9:.3f} s"


def _reasons(stats):
    found = [(stats[f"reason_{name}"], name) for name in REASONS[1:] if stats[f"reason_{name}"]]
    return ", ".join(f"{name} {n}" for n, name in sorted(found, key=lambda pair: -pair[0]))


def summary_lines(summary, tally):
    """The lines of a summary."""
    stats = summary.stats
    yield f"packets      {summary.packets} ({stats['ip_packets']} IP), {summary.bytes} bytes"
    if summary.packets:
        yield f"time         {_span(summary.first_ns, summary.last_ns)}"
    classes = [f"{name.upper()} {stats[name]}" for name in ("new", "established", "related", "invalid", "untracked")
               if stats[name]]
    yield f"connections  {summary.connections}" + (f": {tally}" if str(tally) else "")
    if classes:
        yield f"ctstate      {', '.join(classes)}"
    if _reasons(stats):
        yield f"reasons      {_reasons(stats)}"
    for note in summary.notes:
        yield f"note: {note}"
