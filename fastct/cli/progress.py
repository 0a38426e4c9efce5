"""A progress line on a terminal."""
import sys
import time

SHOW_AFTER_S = 1.0      # short captures are done before anyone wonders


class Progress:
    """Called with bytes done, bytes in all (or None) and packets; draws on standard error if that is a terminal."""

    def __init__(self, quiet=False):
        self._on = not quiet and sys.stderr.isatty()
        self._began = time.monotonic()
        self._drawn = False

    def __call__(self, done, total, packets):
        spent = time.monotonic() - self._began
        if not self._on or spent < SHOW_AFTER_S:
            return
        share = f"{100 * done / total:3.0f} %  " if total else ""
        print(f"\r{share}{packets / 1e6:.1f} M packets  {packets / spent / 1e6:.2f} M/s ", end="", file=sys.stderr,
              flush=True)
        self._drawn = True

    def clear(self):
        """Take the line away."""
        if self._drawn:
            print("\r" + " " * 60 + "\r", end="", file=sys.stderr, flush=True)
            self._drawn = False
