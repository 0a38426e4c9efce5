"""What new rules do otherwise than old ones, by the connections of captures: ``fastct diff``.

    captures ─┬► no rules      which connection a packet is of
              ├► old rules ┐
              └► new rules ┴─► packets whose verdict, deciding rule or translation differ ► connections

A rule is itself wherever it stands: one that another pushes down in its chain decides as before.
"""
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from fastct.errors import ConfigError
from fastct.records import CTSTATES, PACKET_DTYPE, VERDICTS
from fastct.rules.save import rule_line
from fastct.tracker import Tracker
from fastct.trial import SEED

TRANSLATED = [CTSTATES.index(word) for word in ("NEW", "RELATED")]      # what may come to the nat table
NO_CONNECTION = 0


class Decision(NamedTuple):
    """What rules said of a packet: the verdict, what decided, and the rules that translate its connection, by place
    (``filter/INPUT/3``)."""
    verdict: str
    decided: str
    nat: tuple = ()


@dataclass
class Change:
    """How a connection fares otherwise.

    Attributes
    ----------
    old, new : Decision
        On the first packet that fares otherwise.
    first : int
        Its number.
    packets : int
        How many do.
    connection : numpy.void or None
        As it is without rules (``fastct.CONNECTION_DTYPE``); None for all packets of none that fare the same way.
    """
    old: Decision
    new: Decision
    first: int
    packets: int = 0
    connection: object = None


@dataclass
class Differences:
    """All changes, and of how much: ``changes`` (list of Change), ``connections`` and ``packets`` there were, ``rules``
    (a pair of dicts: texts of the old and new rules by place), ``damage`` as of ``fastct.track``."""
    changes: list
    connections: int
    packets: int
    rules: tuple
    damage: list


def _places(ruleset):
    """All rules with their places."""
    for table in ruleset.model.tables.values():
        for chain in table.chains.values():
            for number, rule in enumerate(chain.rules, 1):
                yield f"{table.name}/{chain.name}/{number}", chain, rule


def texts_of(ruleset):
    """The text of every rule, by its place: ``filter/INPUT/3`` to ``-A INPUT …``."""
    return {place: rule_line(chain, rule, ruleset.family) for place, chain, rule in _places(ruleset)}


def _translating(ruleset):
    """Places of the rules that translate: whose target is one of the nat table's own."""
    return [place for place, _, rule in _places(ruleset) if rule.target and rule.target.extension.tables == ("nat",)]


class _Side:
    """Rules that a capture runs through.

    ``meaning``: what stands behind places, a rule's text or the place itself, as numbers that both sides share.
    """

    def __init__(self, ruleset, meanings, settings):
        self.tracker = Tracker(**{"rules" if ruleset.family == 4 else "rules6": ruleset}, **settings)
        self.family, self.texts, self._meanings = ruleset.family, texts_of(ruleset), meanings
        self.words = self.tracker.deciders
        self.meaning = np.array([self._meaning(word) for word in self.words])
        names, _ = self.tracker.firewall.counted(self.family)
        translating = set(_translating(ruleset))
        self._nat = [i for i, name in enumerate(names) if name in translating]
        self._nat_names = [names[i] for i in self._nat]

    def _meaning(self, place):
        table_and_chain = place.rpartition("/")[0]
        return self._meanings.setdefault((table_and_chain, self.texts.get(place, place)), len(self._meanings))

    def process(self, frames, at):
        """The rows of a block, and by the index of packets ``at`` which rules translate each."""
        if not self._nat:
            return self.tracker.process(frames), {}
        rows, taken = np.empty(len(frames), dtype=PACKET_DTYPE), {}
        done, before = 0, self._packets()
        for i in at.tolist():
            if done < i:
                rows[done:i] = self.tracker.process(frames.part(done, i))
                before = self._packets()
            rows[i:i + 1] = self.tracker.process(frames.part(i, i + 1))
            after = self._packets()
            hit = np.flatnonzero(after - before)
            if len(hit):
                taken[i] = tuple(self._nat_names[k] for k in hit)
            done, before = i + 1, after
        rows[done:] = self.tracker.process(frames.part(done, len(frames)))
        return rows, taken

    def _packets(self):
        return self.tracker.firewall.counted(self.family)[1][self._nat]

    def decision(self, row, nat):
        return Decision(VERDICTS[row["verdict"]], self.words[row["decided"]], nat)

    def meant(self, nat):
        """What rules that translate mean."""
        return sorted(map(self._meaning, nat))


class _Comparison:
    """Old and new rules, and the changes that were found so far."""

    def __init__(self, old, new, settings):
        meanings = {}
        self.sides = tuple(_Side(ruleset, meanings, settings) for ruleset in (old, new))
        self.plain = Tracker(keep_ended=True, **settings)
        self.changes = {}           # by number of the connection; without one, by decisions

    def process(self, frames):
        """Compare the decisions on a block."""
        rows = self.plain.process(frames)
        at = np.flatnonzero(np.isin(rows["ctstate"], TRANSLATED))
        (old, old_nat), (new, new_nat) = (side.process(frames, at) for side in self.sides)
        before, after = self.sides
        differs = (old["verdict"] != new["verdict"]) | (before.meaning[old["decided"]] != after.meaning[new["decided"]])
        for i in old_nat.keys() | new_nat.keys():
            differs[i] |= before.meant(old_nat.get(i, ())) != after.meant(new_nat.get(i, ()))
        for i in np.flatnonzero(differs).tolist():
            key = int(rows[i]["conn"])
            decisions = before.decision(old[i], old_nat.get(i, ())), after.decision(new[i], new_nat.get(i, ()))
            key = key if key != NO_CONNECTION else decisions
            self.changes.setdefault(key, Change(*decisions, int(rows[i]["packet"]))).packets += 1
        self._know(self.plain.drain_ended())

    def _know(self, connections):
        for i, number in enumerate(connections["conn"].tolist()):
            if number in self.changes:
                self.changes[number].connection = connections[i].copy()

    def finish(self):
        """Look up the connections that are still there."""
        self.plain.gc.sweep()
        self._know(self.plain.drain_ended())
        for rows in self.plain.connection_blocks():
            self._know(rows)


def differences(captures, old, new, **settings):
    """Run captures through old and new rules.

    Parameters
    ----------
    captures : Capture
        As ``fastct.open`` returns it.
    old, new : fastct.rules.Ruleset
        Of one family; the other has no rules.
    **settings
        As for ``Tracker``.

    Returns
    -------
    Differences
        Changes in the order of their first packets.

    Raises
    ------
    CaptureError
        If a capture cannot be read at all. Damage further on is in the result.
    ConfigError
    """
    if old.family != new.family:
        raise ConfigError(f"the old rules are of IPv{old.family}, the new ones of IPv{new.family}")
    if settings.get("seed") is None:
        settings["seed"] = SEED     # what Linux leaves to chance is no difference
    comparison = _Comparison(old, new, settings)
    for frames in captures:
        for side in comparison.sides:
            side.tracker.name_interfaces(captures.interfaces)
        comparison.process(frames)
    comparison.finish()
    stats = comparison.plain.stats
    return Differences(sorted(comparison.changes.values(), key=lambda change: change.first), stats["connections"],
                       stats["packets"], tuple(side.texts for side in comparison.sides), list(captures.damage))
