from typing import Any

import numpy as np
from numpy.typing import NDArray
from typing_extensions import disjoint_base

KINDS: dict[int, str]
TRACE_DTYPE: np.dtype[np.void]

@disjoint_base
class Trace:
    def drain(self) -> tuple[NDArray[Any], list[bytes]]: ...
