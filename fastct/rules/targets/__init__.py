"""The targets, by what they do; each registers itself."""
from fastct.rules.targets import devices, handover, header, hmark, logs, marks, nat, sets, tracking, verdicts

__all__ = ["devices", "handover", "header", "hmark", "logs", "marks", "nat", "sets", "tracking", "verdicts"]
