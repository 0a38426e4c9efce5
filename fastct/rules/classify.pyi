from typing import Any, Self, final

import numpy as np
from numpy.typing import NDArray

FIELD_NAMES: tuple[str, ...]
WORTH: int
NONE: int
CONDITION_DTYPE: np.dtype[Any]
FIELDS_DTYPE: np.dtype[Any]

@final
class Classifier:
    def __new__(cls, n_rules: int, conditions: NDArray[Any], ipv6: bool = False) -> Self: ...
    @property
    def memory(self) -> int: ...
    def find(self, packets: NDArray[Any], starts: NDArray[Any] | None = None) -> NDArray[np.uint32]: ...
