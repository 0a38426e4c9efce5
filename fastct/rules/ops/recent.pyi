from typing import Self

from typing_extensions import disjoint_base

from fastct.rules.compiled import OpKind, State

JIFFY_NS: int
ACTION_NUMBERS: dict[str, int]
FLAGS: dict[str, int]
OPS: dict[str, OpKind]

@disjoint_base
class RecentList(State):
    def __new__(cls, mask: bytes) -> Self: ...
    def grow(self, hits: int) -> None: ...
    def flush(self) -> None: ...
    def write(self, command: str, now: int) -> None: ...
    def lines(self) -> list[str]: ...
