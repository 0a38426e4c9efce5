"""What is compared after every packet."""

from typing import NamedTuple


class Observation(NamedTuple):
    """Class and direction of the packet (empty: it did not get through), and the entry of its tuple afterwards:
    (state, status, timeout), or None."""

    ctstate: str
    direction: str
    entry: tuple | None

    def differs(self, other):
        """Whether two observations differ by more than a second of timeout."""
        if self[:2] != other[:2] or (self.entry is None) != (other.entry is None):
            return True
        if self.entry is None:
            return False
        return self.entry[:2] != other.entry[:2] or abs(self.entry[2] - other.entry[2]) > 1
