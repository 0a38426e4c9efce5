"""What is compared after every packet."""

from typing import NamedTuple


class Entry(NamedTuple):
    """What an entry says: state by name, status bits, seconds left; of SCTP both verification tags; packets and
    bytes of both directions."""

    state: str
    status: int
    timeout: int
    tags: tuple | None = None
    counters: tuple | None = None


class Observation(NamedTuple):
    """Class and direction of the packet (empty: it did not get through), and the entry of its tuple afterwards, or
    None."""

    ctstate: str
    direction: str
    entry: Entry | None

    def differs(self, other):
        """Whether two observations differ by more than a second of timeout."""
        if self[:2] != other[:2] or (self.entry is None) != (other.entry is None):
            return True
        if self.entry is None:
            return False
        same = self.entry._replace(timeout=0) == other.entry._replace(timeout=0)
        return not same or abs(self.entry.timeout - other.entry.timeout) > 1
