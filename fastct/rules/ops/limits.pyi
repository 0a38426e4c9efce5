from fastct.rules.compiled import OpKind

CREDITS_PER_S: int
OPS: dict[str, OpKind]
