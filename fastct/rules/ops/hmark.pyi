from fastct.rules.compiled import OpKind

OPS: dict[str, OpKind]
