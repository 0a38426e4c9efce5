from collections.abc import Iterator
from typing import Any

from numpy.typing import NDArray

from fastct.face import Engine

NUMBERS: tuple[str, ...]
RECORD_BYTES: list[int]
COUNTERS: dict[str, tuple[str, ...]]

def state_numbers(engine: Engine) -> dict[str, Any]: ...
def state_connections(engine: Engine) -> Iterator[list[NDArray[Any]]]: ...
def state_expectations(engine: Engine) -> Iterator[list[NDArray[Any]]]: ...
def state_probation(engine: Engine) -> Iterator[list[NDArray[Any]]]: ...
