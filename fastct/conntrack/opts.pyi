SYSCTLS: dict[str, int]
PERSONALITIES: tuple[str, ...]
PREFIX: str
SECONDS_MAX: int

def full_name(name: str) -> str: ...
