"""Explanations of packets of a capture, and of packets in words."""
from dataclasses import replace

from fastct import capture
from fastct.capture.frames import LINKTYPE_RAW, frames_from_bytes
from fastct.errors import ConfigError
from fastct.offline import blocks
from fastct.rules.described import described
from fastct.tracker import Template, Tracker
from fastct.trial import NS_PER_S, START, STEP_NS, placed


def explain(paths, numbers, **settings):
    """What became of packets of a capture, and why.

    Parameters
    ----------
    paths
        As for ``fastct.track``.
    numbers : int or iterable of int
        Of packets, from 1, as in the column ``packet``.
    **settings
        As for ``Tracker``: rules, local and so on.

    Returns
    -------
    list of Explanation
        In the order of the capture. Nothing is read behind the last.

    Raises
    ------
    ConfigError
        If the captures have no packet of a number.
    CaptureError
        If a capture cannot be read.
    """
    wanted = sorted({numbers} if isinstance(numbers, int) else set(numbers), reverse=True)
    if not wanted or wanted[-1] < 1:
        raise ConfigError("explain: expected numbers of packets, from 1")
    tracker, found = Tracker(**settings), []
    with capture.open(paths) as source:
        for frames in blocks(source):
            tracker.name_interfaces(source.interfaces)
            begin = 0
            while wanted and wanted[-1] < frames.first + len(frames):
                at = wanted.pop() - frames.first
                tracker.process(frames.part(begin, at), rows=False)
                found += tracker.explain(frames.part(at, at + 1))
                begin = at + 1
            if not wanted:
                return found
            tracker.process(frames.part(begin, len(frames)), rows=False)
        damage = "".join(f"; {fault}" for fault in source.damage)
        raise ConfigError(f"explain: there is no packet {wanted[-1]}, the last is {source.packets}{damage}")


def explain_described(texts, snapshot=None, *, local=(), interfaces=(), routes=(), **settings):
    """What would become of packets in words, one after the other, and why.

    Parameters
    ----------
    texts : sequence of str
        As for ``fastct.rules.described``: "in=eth0 tcp 10.0.0.1:1234 > 1.2.3.4:80 syn".
    snapshot : path, optional
        The state of a tracker that they come to; else they come to an empty table.
    local, interfaces, routes, **settings
        As for ``Tracker``; see ``fastct.trial.placed`` for what holds without them.

    Returns
    -------
    list of Explanation

    Raises
    ------
    PacketError
        For words that describe no packet.
    """
    dialogue = {}
    packets = [described(text, dialogue) for text in texts]
    tracker = Tracker(**placed(packets, local=local, interfaces=interfaces, routes=routes), **settings)
    if snapshot is not None:
        tracker.restore(snapshot)
    first = now = tracker.now or round(START.timestamp()) * NS_PER_S
    found = []
    for number, packet in enumerate(packets, 1):
        now = first + round(packet.at * NS_PER_S) if packet.at is not None else now + STEP_NS * bool(found)
        frames = frames_from_bytes([packet.data], [now], LINKTYPE_RAW)
        explanation, = tracker.explain(frames, Template(mark=packet.mark))
        found.append(replace(explanation, packet=number))
    return found
