"""Making many objects at once."""
import gc
from contextlib import contextmanager


@contextmanager
def collector_paused():
    """Python's search for cycles waits: rules have none, and would be looked through again and again as they come."""
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
