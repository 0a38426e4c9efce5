from collections.abc import Sequence
from typing import Any, Self

from numpy.typing import NDArray
from typing_extensions import disjoint_base

HOOK_NUMBERS: dict[str, int]
TABLE_NUMBERS: dict[tuple[str, str], int]
VERDICTS: dict[str, int]

@disjoint_base
class OpKind:
    lives: int
    keeps: int
    drops: bool
    connmark: bool
    @property
    def works(self) -> bool: ...

@disjoint_base
class State: ...

@disjoint_base
class Program:
    names: list[str]
    notes: list[str]
    def __new__(cls, family: int, chains: Sequence[Any], rules: Sequence[Any], ops: Sequence[Any],
                 base: dict[tuple[int, int], int], names: list[str], counts: list[Any], status_asked: int = 0,
                 connmark_asked: bool = True, seed: int = 0, notes: Sequence[str] = ()) -> Self: ...
    def number(self, numbers: dict[str, int]) -> None: ...
    def remember(self, paths: int = ..., memos: int = ...) -> None: ...
    @property
    def forgotten(self) -> int: ...
    def sync(self) -> None: ...
    def counters(self) -> NDArray[Any]: ...
