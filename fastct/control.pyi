from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from fastct.face import Engine

TIMEOUT_MAX_S: int
DONE: str
EXISTS: str
INVALID: str
BUSY: str
NOT_PERMITTED: str
NO_MEMORY: str

def handles_of(engine: Engine, order: NDArray[np.uint64]) -> NDArray[np.uint64]: ...
def zero_counters(engine: Engine) -> None: ...
def flush_expectations(engine: Engine) -> None: ...
def is_answered(l3proto: int, type: int) -> bool: ...
def insert(
    engine: Engine,
    header: bytes,
    l4proto: int,
    ids: bytes,
    zone: int,
    reply_zone: int,
    timeout_s: int,
    status: int,
    state: int,
    mark: int = 0,
    tags: Sequence[int] = (0, 0),
) -> str: ...
def change(
    engine: Engine, handle: int, timeout_s: int | None = None, status: int = 0, state: int | None = None
) -> str: ...
