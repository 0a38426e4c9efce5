BOTH: int
IPV4: int
PROTOCOLS: dict[str, int]
TABLE: dict[str, tuple[str, int, int, tuple[tuple[int, int], ...]]]
