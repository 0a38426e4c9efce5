from typing import Self

from typing_extensions import disjoint_base

from fastct.rules.compiled import OpKind, State

RELATION_NUMBERS: dict[str, int]
FLAGS: dict[str, int]
OPS: dict[str, OpKind]

@disjoint_base
class Estimator(State):
    def measure(self, interval_log: int, ewma_log: int) -> None: ...

@disjoint_base
class Comparison(State):
    def __new__(cls, one: Estimator, other: Estimator | None) -> Self: ...
