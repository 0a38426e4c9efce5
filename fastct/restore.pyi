from typing import Any

from typing_extensions import Buffer

from fastct.face import Engine

FAULTS: tuple[str, ...]

def engine_from(
    state: dict[str, Any],
    settings: dict[str, Any],
    keep_ended: bool = False,
    keep_events: bool = False,
    key: bytes | None = None,
) -> Engine: ...
def take_connections(engine: Engine, block: Buffer, placed: bool = True) -> None: ...
def complete(engine: Engine, state: dict[str, Any]) -> None: ...
