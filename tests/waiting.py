"""Waiting for what happens soon, but not at once."""
import time

PATIENCE_S = 10


def until(holds):
    """Whether a condition comes to hold within ``PATIENCE_S``."""
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        if holds():
            return True
        time.sleep(0.01)
    return holds()
