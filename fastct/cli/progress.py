"""Progress on a terminal: a bar with the extra ``cli`` (rich), a line of text without it."""
import sys
import time

SHOW_AFTER_S = 1.0      # short captures are done before anyone wonders


class _Line:
    """A line of text that is written over and over."""

    WIDTH = 60

    def draw(self, done, total, text):
        share = f"{100 * done / total:3.0f} %  " if total else ""
        print(f"\r{share + text:{self.WIDTH}}", end="", file=sys.stderr, flush=True)

    def erase(self):
        print("\r" + " " * self.WIDTH + "\r", end="", file=sys.stderr, flush=True)


class _Bar:
    """A bar with the time that is left; needs rich."""

    def __init__(self):
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
        self._bar = Progress(BarColumn(), TaskProgressColumn(), TextColumn("{task.description}"), TimeRemainingColumn(),
                             console=Console(stderr=True), transient=True, auto_refresh=False)
        self._task = self._bar.add_task("", total=None)
        self._bar.start()

    def draw(self, done, total, text):
        self._bar.update(self._task, completed=done, total=total, description=text, refresh=True)

    def erase(self):
        self._bar.stop()


def _drawn():
    try:
        return _Bar()
    except ImportError:
        return _Line()


class Progress:
    """Called with bytes done, bytes in all (or None) and packets; draws on standard error if that is a terminal."""

    def __init__(self, quiet=False):
        self._on = not quiet and sys.stderr.isatty()
        self._began = time.monotonic()
        self._display = None

    def __call__(self, done, total, packets):
        spent = time.monotonic() - self._began
        if not self._on or spent < SHOW_AFTER_S:
            return
        if self._display is None:
            self._display = _drawn()
        self._display.draw(done, total, f"{packets / 1e6:.1f} M packets  {packets / spent / 1e6:.2f} M/s")

    def clear(self):
        """Take it away, for other text to come; the next call draws it again."""
        if self._display is not None:
            self._display.erase()
            self._display = None
