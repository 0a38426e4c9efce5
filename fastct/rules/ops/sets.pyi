from typing import Any, Self

from typing_extensions import disjoint_base

from fastct.rules.compiled import OpKind, State

PARTS: dict[str, int]
RELATION_NUMBERS: dict[str, int]
UPDATE_FLAGS: dict[str, int]
COMPARE_PLACE: int
DIRECTIONS_PLACE: int
NOMATCH_FLAG: int
OPS: dict[str, OpKind]

@disjoint_base
class SetTable(State):
    source: Any
    def __new__(cls, source: Any, members: list[SetTable]) -> Self: ...
    def sync(self) -> None: ...
