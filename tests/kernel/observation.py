"""What is compared after every packet."""

from typing import NamedTuple


class Entry(NamedTuple):
    """What an entry says: state by name, status bits, seconds left; of SCTP both verification tags; packets and
    bytes of both directions; its mark."""

    state: str
    status: int
    timeout: int
    tags: tuple | None = None
    counters: tuple | None = None
    mark: int = 0


class Observation(NamedTuple):
    """Class and direction of the packet (empty: it did not get through), the entry of its tuple afterwards, or None,
    and seconds left by what else a line of nf_conntrack_expect says, if asked for."""

    ctstate: str
    direction: str
    entry: Entry | None
    expectations: dict = {}

    def differs(self, other):
        """Whether two observations differ by more than a second of timeout."""
        if self[:2] != other[:2] or (self.entry is None) != (other.entry is None):
            return True
        if self.expectations.keys() != other.expectations.keys():
            return True
        if any(abs(self.expectations[line] - other.expectations[line]) > 1 for line in self.expectations):
            return True
        if self.entry is None:
            return False
        same = self.entry._replace(timeout=0) == other.entry._replace(timeout=0)
        return not same or abs(self.entry.timeout - other.entry.timeout) > 1

    def unlike(self, other):
        """Expectations that only one of two has, as lines."""
        return [
            f"    {'kernel' if line in self.expectations else 'fastct'} expects {line}"
            for line in sorted(self.expectations.keys() ^ other.expectations.keys())
        ]


def expectations_of(text):
    """Lines of ``/proc/net/nf_conntrack_expect`` as an observation has them."""
    return {line: int(seconds) for seconds, _, line in (line.partition(" ") for line in text.splitlines())}
