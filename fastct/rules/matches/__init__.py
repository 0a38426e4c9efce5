"""The matches, by what they look at; each registers itself."""
from fastct.rules.matches import packet, ports, sets

__all__ = ["packet", "ports", "sets"]
