"""What became of a rule."""
from dataclasses import dataclass


@dataclass
class Answer:
    """What it was refused with, or its texts: that of -S, and those of the extensions in -L -n and in -L."""
    status: int = 0
    error: str = ""
    saved: str = ""
    numeric: str = ""
    named: str = ""
