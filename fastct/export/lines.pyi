import numpy as np
from numpy.typing import NDArray

def format_connections(rows: NDArray[np.void], *, extended: bool = False, ids: bool = False) -> bytes: ...
def format_events(
    rows: NDArray[np.void], timestamps: bool = True, *, extended: bool = False, ids: bool = False
) -> bytes: ...
