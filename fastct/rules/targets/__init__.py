"""The targets, by what they do; each registers itself."""
from fastct.rules.targets import verdicts

__all__ = ["verdicts"]
