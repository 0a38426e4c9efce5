from collections.abc import Sequence
from os import PathLike
from types import TracebackType
from typing import Self

from typing_extensions import disjoint_base

from fastct.capture.frames import Frames
from fastct.errors import CaptureError

@disjoint_base
class Capture:
    packets: int
    bytes_total: int | None
    damage: list[CaptureError]
    interfaces: list[str]
    def __init__(self, paths: str | PathLike[str] | Sequence[str | PathLike[str]], block: int = ...) -> None: ...
    def __iter__(self) -> Self: ...
    def __next__(self) -> Frames: ...
    @property
    def bytes_done(self) -> int: ...
    def close(self) -> None: ...
    def __enter__(self) -> Self: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

def open(paths: str | PathLike[str] | Sequence[str | PathLike[str]], *, block: int = 4096) -> Capture: ...
