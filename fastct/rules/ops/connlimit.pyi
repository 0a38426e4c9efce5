from typing_extensions import disjoint_base

from fastct.rules.compiled import OpKind, State

OPS: dict[str, OpKind]

@disjoint_base
class ConnectionCount(State):
    @property
    def full(self) -> int: ...
