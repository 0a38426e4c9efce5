from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from typing_extensions import Buffer

from fastct.face import Engine

def state_fragments(engine: Engine) -> Iterator[list[NDArray[np.uint8]]]: ...
def take_fragments(engine: Engine, block: Buffer, order: NDArray[np.uint64] | None = None) -> None: ...
