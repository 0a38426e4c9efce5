from typing import Any

Reason: Any
TEXT: dict[Any, str]
REASONS: tuple[str, ...]
