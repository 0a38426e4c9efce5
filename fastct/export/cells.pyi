from collections.abc import Iterator
from typing import Self

import numpy as np
from numpy.typing import NDArray
from typing_extensions import disjoint_base

@disjoint_base
class CellFormat:
    dtype: np.dtype[np.void]
    header: bytes
    def __new__(cls, kind: str, json: bool = False) -> Self: ...
    def format(self, rows: NDArray[np.void]) -> Iterator[bytes]: ...

def address_buffers(
    addresses: NDArray[np.uint8], l3protos: NDArray[np.uint8]
) -> tuple[NDArray[np.int32], NDArray[np.uint8]]: ...
