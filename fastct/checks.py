"""Expectations of rules, and whether they are met; ``checkfile`` reads them."""
import datetime
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

import numpy as np

from fastct.columns import CONNECTIONS, PACKETS, columns_of
from fastct.errors import PacketError
from fastct.offline import track
from fastct.trial import SEED, START, Trial, words_of

PACKET_COLUMNS = {column.name: column for column in PACKETS}
COLUMNS = {column.name: column for column in CONNECTIONS if column.form != "labels"} | PACKET_COLUMNS


@dataclass(frozen=True)
class Step:
    """A packet of a sequence, and the values that its columns may have."""
    packet: object
    expected: dict


@dataclass(frozen=True)
class Check:
    """One test of a file."""
    name: str
    path: str
    line: int | None
    steps: tuple = ()
    start: datetime.datetime = START
    capture: str = ""
    where: dict = field(default_factory=dict)
    expected: dict = field(default_factory=dict)
    count: int | None = None


@dataclass(frozen=True)
class Verdict:
    """What came of a check: what is wrong, in words; nothing when it passed. ``damage``: of its capture."""
    check: Check
    faults: list
    damage: tuple = ()


class Runner:
    """Runs checks on rules; ``settings`` as for ``Tracker``."""

    def __init__(self, rules, rules6=None, **settings):
        self._settings = {"seed": SEED} | settings
        self._trial = Trial(rules, rules6, **settings)
        self._captures = {}

    def run(self, check):
        """The Verdict on a check. Raises PacketError, CaptureError."""
        return self._capture(check) if check.capture else self._sequence(check)

    def _sequence(self, check):
        try:
            outcomes = self._trial.outcomes(*(step.packet for step in check.steps), start=check.start)
        except PacketError as error:
            raise PacketError(str(error), check.path, check.line, None, error.token) from None
        faults = []
        for step, outcome in zip(check.steps, outcomes, strict=True):
            wrong = [_wanted(name, values) for name, values in step.expected.items()
                     if not _is_one(outcome.row[name], values, name)]
            if wrong:
                faults.append(f"{step.packet.text}: expected {', '.join(wrong)}, "
                              f"got {_got(outcome.row, step.expected)}")
        return Verdict(check, faults)

    def _tracked(self, path):
        """A capture through the rules, and without them."""
        if path not in self._captures:
            ruled = track(path, packets=True, **self._trial.rules, **self._settings)
            self._captures = {path: (ruled, track(path, packets=True, **self._settings))}    # one at a time in memory
        return self._captures[path]

    def _capture(self, check):
        ruled, plain = self._tracked(check.capture)
        rows, columns = ruled.packets, {each.name: each for each in columns_of("packets", ruled.packets.deciders)}
        chosen = np.ones(len(rows), dtype=bool)
        for name, values in check.where.items():
            if name in columns:
                chosen &= _holds(rows, columns[name], values)
            else:
                of_number = np.zeros(int(plain.packets["conn"].max(initial=0)) + 1, dtype=bool)
                of_number[plain.connections["conn"]] = _holds(plain.connections, COLUMNS[name], values)
                chosen &= of_number[plain.packets["conn"]]
        n, faults = int(chosen.sum()), []
        if check.count not in (None, n):
            faults.append(f"expected {_packets(check.count)}, got {n}")
        elif check.count is None and not n:
            faults.append("no packet is as where says")
        as_expected = np.ones(len(rows), dtype=bool)
        for name, values in check.expected.items():
            as_expected &= _holds(rows, columns[name], values)
        wrong = np.flatnonzero(chosen & ~as_expected)
        if len(wrong):
            first = words_of(rows[wrong[0]], columns.values())
            faults.append(f"{len(wrong)} of {_packets(n)}: expected "
                          f"{', '.join(_wanted(*pair) for pair in check.expected.items())}; the first is packet "
                          f"{first['packet']}: {_got(first, check.expected)}")
        return Verdict(check, faults, tuple(ruled.damage))


def _packets(n):
    return f"{n} packet{'s' * (n != 1)}"


def _is_one(value, values, name):
    return any(fnmatchcase(value, each) for each in values) if name == "decided" else value in values


def _holds(rows, column, values):
    """Whether a column of rows has one of the values: array of bool."""
    data = rows[column.name]
    if column.form == "word":
        return np.isin(data, [code for code, word in enumerate(column.words) if _is_one(word, values, column.name)])
    if column.form != "address":
        return np.isin(data, np.array(values, dtype=np.uint64))
    holds = np.zeros(len(rows), dtype=bool)
    for network in values:
        mask, wanted = (np.frombuffer(address.packed, dtype=np.uint8)
                        for address in (network.netmask, network.network_address))
        holds |= ((data[:, :len(mask)] & mask) == wanted).all(axis=1) & (rows["l3proto"] == network.version)
    return holds


def _wanted(name, values):
    text = " or ".join(str(value) for value in values)
    return text if name in ("verdict", "decided") else f"{name} {text}"


def _got(row, expected):
    """A packet's verdict and what decided it, and what else was expected otherwise."""
    others = [f"{name} {row[name] or 'none'}" for name in expected if name not in ("verdict", "decided", "reason")]
    return ", ".join([" ".join(filter(None, (row["verdict"], row["decided"], row["reason"]))), *others])
