"""Sets of packets as boxes: along each dimension (source, dport, ctstate …) some intervals of values.

A *box* is a dict of dimensions, each with its intervals: pairs of lowest and highest value, in order and apart. A
dimension that a box does not name may have any value. Boxes are not changed once they are made.
"""
import numpy as np

# Values by dimension that has them as numbers: from 0 to the highest one.
TOP_ADDRESS = {4: (1 << 32) - 1, 6: (1 << 128) - 1}
NO_MAC, NO_PROTOCOL = 1 << 48, 256           # of packets that have none, of which an inverted condition does not hold
TOPS = {"in_interface": (1 << 128) - 1, "out_interface": (1 << 128) - 1, "fragment": 1, "sport": 0xFFFF,
        "dport": 0xFFFF, "icmp": 0xFFFF, "flags": 63, "ctstate": 5, "mark": 0xFFFFFFFF, "length": 0xFFFFFFFF,
        "ttl": 0xFF, "mac": NO_MAC}
# Any other dimension is a condition that nobody looks into: whether it holds, and whether it holds when inverted. Both
# may be so, or neither, of packets that have not got what it asks about.
NEITHER, PLAIN, INVERTED, BOTH = range(4)
HOLDS = {False: ((PLAIN, PLAIN), (BOTH, BOTH)), True: ((INVERTED, BOTH),)}
ANY_ANSWER = ((NEITHER, BOTH),)

INDEXED = ("source", "destination", "protocol", "sport", "dport", "in_interface", "out_interface", "ctstate", "mac")
INDEX_WORTH = 48           # boxes from which an index is faster than going through them
STEPS_MOST = 20_000        # looks at a box before somebody gives up


def everything(family):
    """The box of all packets, with every dimension that has numbers."""
    whole = TOPS | dict.fromkeys(("source", "destination"), TOP_ADDRESS[family])
    whole["protocol"] = NO_PROTOCOL if family == 6 else NO_PROTOCOL - 1      # IPv6 headers may lead nowhere
    return {dimension: ((0, top),) for dimension, top in whole.items()} | {"ctstate": ((1, TOPS["ctstate"]),)}


# ---- intervals

def common(a, b):
    """The values in both."""
    found = []
    for low, high in a:
        for other_low, other_high in b:
            if low <= other_high and other_low <= high:
                found.append((max(low, other_low), min(high, other_high)))
    return tuple(found)


def without(a, b):
    """The values of ``a`` that are not in ``b``."""
    left = []
    for low, high in a:
        for other_low, other_high in b:
            if other_high < low or other_low > high:
                continue
            if other_low > low:
                left.append((low, other_low - 1))
            low = other_high + 1
        if low <= high:
            left.append((low, high))
    return tuple(left)


def joined(intervals):
    """Intervals in order and apart, of any."""
    made = []
    for low, high in sorted(intervals):
        if made and low <= made[-1][1] + 1:
            made[-1] = (made[-1][0], max(high, made[-1][1]))
        else:
            made.append((low, high))
    return tuple(made)


# ---- boxes

def meet(a, b):
    """The packets in both boxes; None if there are none."""
    made = dict(a)
    for dimension, intervals in b.items():
        mine = made.get(dimension)
        if mine is not None and mine != intervals:
            intervals = common(mine, intervals)
            if not intervals:
                return None
        made[dimension] = intervals
    return made


def cut(a, b):
    """What is left of box ``a`` when ``b`` is taken out of it: boxes that are apart; None if they do not meet.

    => What ``b`` asks of numbers, ``a`` names.
    """
    pieces, rest = [], a
    for dimension, intervals in b.items():
        mine = a.get(dimension, ANY_ANSWER)
        if mine == intervals:
            continue
        shared = common(mine, intervals)
        if not shared:
            return None
        if shared != mine:
            pieces.append(rest | {dimension: without(mine, intervals)})
            rest = rest | {dimension: shared}
    return pieces


def within(a, b):
    """Whether all packets of box ``a`` are in ``b``. => What ``b`` asks of numbers, ``a`` names."""
    return cut(a, b) == []


def taken_whole(box, boxes):
    """The places of those ``boxes`` that together take a box whole; None if they do not, or it takes long to say."""
    used, left, steps = set(), [(box, 0)], 0
    while left:
        piece, start = left.pop()
        if steps > STEPS_MOST:
            return None
        for at in range(start, len(boxes)):
            steps += 1
            pieces = cut(piece, boxes[at])
            if pieces is not None:
                used.add(at)
                left += [(part, at + 1) for part in pieces]
                break
        else:
            return None
    return sorted(used)


def fewest(box, boxes):
    """As ``taken_whole``, with none that is not needed."""
    used = taken_whole(box, boxes)
    if used is None:
        return None
    alone = next((at for at in range(len(boxes)) if within(box, boxes[at])), None)
    if alone is not None:
        return [alone]
    for at in reversed(used):
        others = [other for other in used if other != at]
        if taken_whole(box, [boxes[other] for other in others]) is not None:
            used = others
    return used


class Taken:
    """Boxes in the order in which they are taken out of a chain's traffic, each with who takes it."""

    def __init__(self, family):
        self.boxes, self.takers = [], []
        wide = {"source", "destination"} if family == 6 else set()
        self._shifts = [64 if name in wide or name.endswith("interface") else 0 for name in INDEXED]
        self._low = self._high = np.zeros((0, len(INDEXED)), dtype=np.uint64)

    def __len__(self):
        return len(self.boxes)

    def add(self, box, taker):
        """Take one more."""
        self.boxes.append(box)
        self.takers.append(taker)

    def near(self, box, n):
        """Pairs of those of the first ``n`` boxes that may meet a box, and their takers."""
        done = self._indexed(n)
        low, high = self._hull(box)
        found = np.flatnonzero(((self._low[:done] <= high) & (self._high[:done] >= low)).all(axis=1)) if done else ()
        return [(self.boxes[at], self.takers[at]) for at in (*found, *range(done, n))]

    def _indexed(self, n):
        """How many of the first ``n`` boxes are in the index, which grows by many at a time."""
        done = len(self._low)
        if done + INDEX_WORTH <= n:
            hulls = np.array([self._hull(box) for box in self.boxes[done:]])
            self._low = np.concatenate([self._low, hulls[:, 0]])
            self._high = np.concatenate([self._high, hulls[:, 1]])
        return min(n, len(self._low))

    def _hull(self, box):
        """The lowest and highest value of the dimensions that are indexed; of those with 128 bits the upper half."""
        ends = [(box[name][0][0] >> shift, box[name][-1][1] >> shift) if name in box else (0, (1 << 64) - 1)
                for name, shift in zip(INDEXED, self._shifts, strict=True)]
        return np.array(ends, dtype=np.uint64).T
