from typing import Any

import numpy as np
from numpy.typing import NDArray
from typing_extensions import Buffer

from fastct.face import Engine

def engine_from(
    state: dict[str, Any],
    settings: dict[str, Any],
    keep_ended: bool = False,
    keep_events: bool = False,
    key: bytes | None = None,
) -> Engine: ...
def take_connections(engine: Engine, block: Buffer, placed: bool = True) -> None: ...
def join_masters(engine: Engine) -> NDArray[np.uint64]: ...
def take_expectations(engine: Engine, block: Buffer, order: NDArray[np.uint64]) -> None: ...
def take_probation(engine: Engine, block: Buffer, order: NDArray[np.uint64]) -> None: ...
def complete(engine: Engine, state: dict[str, Any]) -> None: ...
