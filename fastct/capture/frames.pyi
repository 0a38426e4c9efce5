from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from typing_extensions import Buffer, disjoint_base

LINKTYPE_ETHERNET: int
LINKTYPE_RAW: int

@disjoint_base
class Frames:
    n: int
    first: int
    def __len__(self) -> int: ...
    def __getitem__(self, i: int, /) -> tuple[int, int, bytes]: ...
    @property
    def linktypes(self) -> NDArray[np.uint16]: ...
    def linktypes_met(self) -> list[int]: ...
    def until(self, ts_ns: int) -> int: ...
    def part(self, begin: int, end: int) -> Frames: ...

def frames_from_bytes(
    packets: Sequence[Buffer], ts: Sequence[int] | None = None, linktype: int = ..., first: int = 1
) -> Frames: ...
def frames_from_buffer(
    buffer: Buffer,
    offsets: NDArray[np.uint64],
    lengths: NDArray[np.uint32],
    ts: NDArray[np.uint64],
    linktype: int = ...,
    first: int = 1,
) -> Frames: ...
