from collections.abc import Sequence
from typing import Any, Self

from typing_extensions import disjoint_base

from fastct.rules.compiled import OpKind, State

OPS: dict[str, OpKind]

@disjoint_base
class RateTable(State):
    def __new__(cls, value: dict[str, Any], masks: Sequence[int]) -> Self: ...
    @property
    def full(self) -> int: ...
