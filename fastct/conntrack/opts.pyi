SYSCTLS: dict[str, int]
PREFIX: str
SECONDS_MAX: int
