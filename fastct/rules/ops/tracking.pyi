from fastct.rules.compiled import OpKind

ZONE_OF_MARK: int
OPS: dict[str, OpKind]
