from collections.abc import Sequence
from typing import Self

from typing_extensions import disjoint_base

NAME_MAX: int

@disjoint_base
class Routes:
    interfaces: tuple[str, ...]
    def number(self, name: str) -> int: ...
    def __new__(cls, local: Sequence[str] = (), interfaces: Sequence[tuple[str, str]] = (),
                 routes: Sequence[tuple[str, str]] = ()) -> Self: ...
