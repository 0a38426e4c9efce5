"""What the commands of conntrack(8) do to the connections of a tracker."""
import socket
import sys

import numpy as np

from fastct import control
from fastct.cli.conntrack.labels import LABELS, label_bytes, labels_of
from fastct.cli.conntrack.printing import Printer, failed, words_of
from fastct.cli.conntrack.selection import selected
from fastct.cli.conntrack.tuples import Translation, original_of, tuples_of
from fastct.export.fields import DIRECTIONS
from fastct.export.statistics import statistics_line

IN_USE = 1      # who looks at one connection holds it


def _list(request, tracker, say):
    printer = Printer(request, tracker)
    if request.table == "conntrack":
        if request.status is not None and not request.status_mask:
            raise failed("EINVAL", request)
        for rows in tracker.connection_blocks():
            printer.write(rows[selected(request, rows)])
    printer.close()
    if "z" in request.letters and request.table == "conntrack":
        tracker.zero_counters(request.family or 0)      # of what the kernel showed, whatever conntrack left out
    say(f"{printer.shown} flow entries have been shown.")
    return 0


def _get(request, tracker, say):
    kind = request.fields.get("icmp_type")
    if not {"s", "d"} <= request.addresses.keys() or (
            kind is not None and control.answer(request.addresses["s"].version, kind) is None):
        raise failed("EINVAL", request)
    header, ids = original_of(request).packed(request.protocol)
    handle = tracker.find_tuple(header, request.protocol, ids)
    if handle is None:
        raise failed("ENOENT", request)
    rows = np.array([tracker.get(handle)])
    rows = rows[selected(request, rows)]
    rows["use"] += IN_USE
    printer = Printer(request, tracker)
    printer.write(rows)
    printer.close()
    say(f"{len(rows)} flow entries have been shown.")
    return 0 if len(rows) else 1


def _delete(request, tracker, say):
    printer = Printer(request, tracker)
    rows, handles = tracker.connections(), tracker.handles()
    chosen = selected(request, rows)
    printer.write(rows[chosen])
    printer.close()
    for handle in handles[chosen].tolist():
        tracker.delete(handle)
    say(f"{printer.shown} flow entries have been deleted.")
    return 0 if printer.shown else 1


def _create(request, tracker, say):
    why = _insert(request, tracker)
    if why and not (why == control.EXISTS and request.command == "A"):
        raise failed(why, request)
    say(f"{int(not why)} flow entries have been {'added' if request.command == 'A' else 'created'}.")
    return 0


def _insert(request, tracker):
    """Make the connection that a request names; returns why not, as an errno's name."""
    if any(bit >= LABELS for bit in request.label_changes or ()):
        return "ERANGE"
    protocol, orig, reply = tuples_of(request)
    both = request.zones.get("w", 0)
    zone, reply_zone = request.zones.get("(", both), request.zones.get(")", both)
    if orig is not None and zone == reply_zone and tracker.find_tuple(*_parts(orig, protocol), zone) is not None:
        return control.EXISTS           # what else is wrong, Linux does not see
    if None in (orig, reply):
        return control.INVALID
    reply, status = Translation(tracker, protocol, reply_zone).apply(orig, reply, request.nat)
    return tracker.insert_tuple(
        orig.packed(protocol), protocol, reply=reply.packed(protocol), zone=zone, reply_zone=reply_zone,
        timeout=request.timeout, status=(request.status or 0) | status,
        state=request.fields.get("state", 0) if request.protocol == protocol else 0,
        mark=request.mark[0] if request.mark else 0,
        tags=[socket.htonl(request.fields.get(f"{side}_vtag", 0)) for side in DIRECTIONS],
        labels=label_bytes(request.label_changes) if request.label_changes else None)


def _parts(ends, protocol):
    header, ids = ends.packed(protocol)
    return header, protocol, ids


# ---- changes

def _labels_after(request, row):
    """The labels of a row once they are changed, or None if conntrack would not ask for that."""
    now, asked = set(labels_of(row)), request.label_changes
    if "<" in request.letters:
        return now | {bit for bit in asked if bit < LABELS}
    if ">" in request.letters and now:
        return now - (now if asked is None else asked)
    return None


def _changes(request, row):
    """What an update would change of a connection: arguments of ``Tracker.update``, none if nothing."""
    changes = {}
    if request.timeout is not None and request.timeout != row["timeout"]:
        changes["timeout"] = request.timeout
    if request.status and request.status & ~int(row["status"]):
        changes["status"] = request.status
    if "state" in request.fields and request.fields["state"] != row["state"]:
        changes["state"] = request.fields["state"]
    if request.mark is not None:
        value, mask = request.mark
        mark = int(row["mark"]) & ~mask ^ value
        if mark != row["mark"]:
            changes["mark"] = mark
    labels = _labels_after(request, row)
    if labels is not None:
        changes["labels"] = label_bytes(labels)
    return changes


def _refused(request, row):
    """Why Linux would not even look at an update; empty if it would."""
    too_far = "<" in request.letters and any(bit >= LABELS for bit in request.label_changes)
    if too_far and not row["labels"].any():
        return "ERANGE"
    return "EOPNOTSUPP" if any(request.nat.values()) else ""


def _update(request, tracker, say):
    """What cannot be changed is said, shown, and counted all the same."""
    printer = Printer(request, tracker)
    rows, handles = tracker.connections(), tracker.handles()
    chosen = selected(request, rows)
    for row, handle in zip(rows[chosen], handles[chosen].tolist(), strict=True):
        changes, why = _changes(request, row), _refused(request, row)
        if not changes and not why:
            continue
        why = why or tracker.update(handle, **changes)
        if why:
            print(f"Operation failed: {words_of(why, request.key)}", file=sys.stderr)
        if why == "ERANGE":
            raise failed(why, request)
        after = np.array([tracker.get(handle)])
        after["use"] += IN_USE
        printer.write(after)
    printer.close()
    say(f"{printer.shown} flow entries have been updated.")
    return 0 if printer.shown else 1


# ---- the table as a whole

def _count(request, tracker, say):
    tracker.gc.sweep()
    print(len(tracker))
    return 0


def _statistics(request, tracker, say):
    print(statistics_line(tracker.stats))
    return 0


def _flush(request, tracker, say):
    rows, handles = tracker.connections(), tracker.handles()
    chosen = rows["l3proto"] == request.family if request.family else np.ones(len(rows), dtype=bool)
    for handle in handles[chosen].tolist():
        tracker.delete(handle)
    say("connection tracking table has been emptied.")
    return 0


# By letter: what it does, and whether the snapshot is another one then.
COMMANDS = {"L": (_list, False), "G": (_get, False), "C": (_count, False), "S": (_statistics, False),
            "D": (_delete, True), "I": (_create, True), "A": (_create, True), "U": (_update, True), "F": (_flush, True)}
