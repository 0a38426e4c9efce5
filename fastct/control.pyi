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
NOT_SUPPORTED: str
TOO_MANY: str


def handles_of(engine: Engine, order: NDArray[np.uint64]) -> NDArray[np.uint64]: ...
def zero_counters(engine: Engine, l3proto: int = 0) -> None: ...
def find_expectation(engine: Engine, ends: tuple[bytes, bytes], l4proto: int) -> NDArray[np.void]: ...
def forget_expectation(engine: Engine, ends: tuple[bytes, bytes], l4proto: int) -> bool: ...
def expect(
    engine: Engine, ends: tuple[bytes, bytes], l4proto: int, mask: bytes, sport_mask: int, master: int
) -> str: ...
def flush_expectations(engine: Engine) -> None: ...
def answer(l3proto: int, type: int) -> int | None: ...
def insert(
    engine: Engine,
    orig: tuple[bytes, bytes],
    reply: tuple[bytes, bytes] | None,
    l4proto: int,
    zone: int,
    reply_zone: int,
    timeout_s: int,
    status: int,
    state: int,
    mark: int = 0,
    tags: Sequence[int] = (0, 0),
    labels: bytes | None = None,
) -> str: ...
def change(
    engine: Engine, handle: int, timeout_s: int | None = None, status: int = 0, state: int | None = None
) -> str: ...
