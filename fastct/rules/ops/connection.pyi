from fastct.rules.compiled import OpKind

DIRECTION_NUMBERS: dict[str, int]
MODE_NUMBERS: dict[str, int]
OPS: dict[str, OpKind]
