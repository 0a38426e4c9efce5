"""What the commands of conntrack(8) do to a tracker, and what they print."""
import errno
import os
import socket
import struct
import sys

import numpy as np

from fastct import control
from fastct.cli.conntrack.command import Failure
from fastct.cli.conntrack.selection import selected
from fastct.errors import ConfigError
from fastct.export.expectations import format_expectations
from fastct.export.fields import DIRECTIONS, SCTP
from fastct.export.lines import format_connections
from fastct.export.save import save_lines
from fastct.export.statistics import statistics_line
from fastct.export.xml import XML_BEGIN, XML_END, xml_flows
from fastct.tracker import Tracker

# The words for what ctnetlink refuses.
ERRORS = {control.EXISTS: "Such conntrack exists, try -U to update", control.INVALID: "invalid parameters",
          control.BUSY: "Device or resource busy", control.NO_MEMORY: "Not enough memory",
          control.NOT_PERMITTED: "sorry, you must be root or get CAP_NET_ADMIN capability to do this",
          "ENOENT": "such conntrack doesn't exist", "EOPNOTSUPP": "Operation not supported"}
IN_USE = 1      # who looks at one connection holds it


def _failed(why):
    return Failure(f"Operation failed: {ERRORS[why]}", Failure.OTHER)


class _Printer:
    """Rows to standard output, in the form that ``-o`` asks for."""

    def __init__(self, request, tracker):
        self._output, self._command, self._tracker = request.output, request.command, tracker
        self._begun = request.command == "D"        # an XML list of what was deleted has no frame
        self.shown = 0

    def write(self, rows):
        """Print rows."""
        if len(rows) == 0:
            return
        self.shown += len(rows)
        if "xml" in self._output:
            if not self._begun:
                sys.stdout.write(XML_BEGIN)
                self._begun = True
            sys.stdout.writelines(xml_flows(rows))
        elif "save" in self._output:
            tags = tags_of(self._tracker) if SCTP in rows["l4proto"] else {}
            sys.stdout.writelines(save_lines(rows, "-D" if self._command == "D" else "-A", tags))
        else:
            sys.stdout.write(format_connections(rows, extended="extended" in self._output,
                                                ids="id" in self._output).decode())

    def close(self):
        """Complete a list; the output of ``-G`` is none."""
        if "xml" in self._output and self.shown and self._command == "L":
            sys.stdout.write(XML_END)
        sys.stdout.flush()


def tags_of(tracker):
    """The verification tags of all SCTP associations, by number of the connection.

    As conntrack takes and shows them: their bytes, in network order, read in the machine's.
    """
    rows, handles = tracker.connections(), tracker.handles()
    return {int(row["conn"]): [socket.htonl(tag) for tag in tracker.sctp_tags(handle)]
            for row, handle in zip(rows, handles.tolist(), strict=True) if row["l4proto"] == SCTP}


# ---- what names one connection

def _tuple_of(request):
    """The original tuple that the options name: header, protocol and ids as ``Engine.find`` takes them."""
    fields, addresses = request.fields, request.addresses
    given = {"s", "d"} <= addresses.keys()
    src, dst = (addresses["s"], addresses["d"]) if given else (addresses["q"], addresses["r"])
    names = ("sport", "dport") if "sport" in fields else ("reply_dport", "reply_sport")
    ports = [fields.get(name, 0) for name in names]
    if not given and "reply_sport" in fields:
        ports = [fields["reply_dport"], fields["reply_sport"]]
    if request.protocol in (socket.IPPROTO_ICMP, socket.IPPROTO_ICMPV6):
        ids = struct.pack("!BB2xH2x", fields.get("icmp_type", 0), fields.get("icmp_code", 0), fields.get("icmp_id", 0))
    else:
        ids = struct.pack("!HH4x", *ports)
    head = (b"\x45" + bytes(11)) if src.version == 4 else (b"\x60" + bytes(7))
    return head + src.packed + dst.packed, request.protocol, ids


def _zones_of(request):
    """The zones of a new connection's tuples: arguments of ``Tracker.insert_tuple``."""
    both = request.zones.get("w", 0)
    return {"zone": request.zones.get("(", both), "reply_zone": request.zones.get(")", both)}


def _is_translated(request):
    """Whether the two tuples that the options name are not each other's inverse."""
    addresses, fields = request.addresses, request.fields
    pairs = (("s", "q"), ("d", "r"))
    if any(one in addresses and other in addresses and addresses[one] != addresses[other] for one, other in pairs):
        return True
    pairs = (("sport", "reply_dport"), ("dport", "reply_sport"))
    return bool(request.nat) or any(
        one in fields and other in fields and fields[one] != fields[other] for one, other in pairs)


# ---- the commands

def _list(request, tracker, say):
    if request.status == 0 and not request.unreplied:
        raise _failed(control.INVALID)
    printer = _Printer(request, tracker)
    if request.table == "conntrack":
        for rows in tracker.connection_blocks():
            printer.write(rows[selected(request, rows)])
    elif request.table == "expect":
        rows = tracker.expectations()
        if request.family is not None:
            rows = rows[rows["l3proto"] == request.family]
        sys.stdout.write(format_expectations(rows).decode())
        printer.shown = len(rows)
    printer.close()
    if "z" in request.letters:
        tracker.zero_counters()
    say(f"{printer.shown} {'expectations' if request.table == 'expect' else 'flow entries'} have been shown.")
    return 0


def _get(request, tracker, say):
    kind = request.fields.get("icmp_type")
    if not {"s", "d"} <= request.addresses.keys() or (
            kind is not None and not control.is_answered(request.addresses["s"].version, kind)):
        raise _failed(control.INVALID)
    handle = tracker.find_tuple(*_tuple_of(request))
    if handle is None:
        raise _failed("ENOENT")
    rows = np.array([tracker.get(handle)])
    rows = rows[selected(request, rows)]
    rows["use"] += IN_USE
    printer = _Printer(request, tracker)
    printer.write(rows)
    printer.close()
    say(f"{len(rows)} flow entries have been shown.")
    return 0 if len(rows) else 1


def _delete(request, tracker, say):
    printer = _Printer(request, tracker)
    rows, handles = tracker.connections(), tracker.handles()
    chosen = selected(request, rows)
    printer.write(rows[chosen])
    printer.close()
    for handle in handles[chosen].tolist():
        tracker.delete(handle)
    say(f"{printer.shown} flow entries have been deleted.")
    return 0 if printer.shown else 1


def _create(request, tracker, say):
    if _is_translated(request):
        raise _failed("EOPNOTSUPP")
    why = tracker.insert_tuple(*_tuple_of(request), **_zones_of(request), timeout=request.timeout,
                               status=request.status or 0, state=request.fields.get("state", 0),
                               mark=request.mark[0] if request.mark else 0,
                               tags=[socket.htonl(request.fields.get(f"{side}_vtag", 0)) for side in DIRECTIONS])
    done = not why
    if why and request.command == "I":
        raise _failed(why)
    if why not in ("", control.EXISTS):
        raise Failure(f"Operation failed: {os.strerror(getattr(errno, why))}", Failure.OTHER)
    say(f"{int(done)} flow entries have been {'added' if request.command == 'A' else 'created'}.")
    return 0


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
    return changes


def _update(request, tracker, say):
    printer = _Printer(request, tracker)
    rows, handles = tracker.connections(), tracker.handles()
    chosen = selected(request, rows)
    for row, handle in zip(rows[chosen], handles[chosen].tolist(), strict=True):
        changes = _changes(request, row)
        if not changes:
            continue
        why = tracker.update(handle, **changes)
        if why:
            print(f"Operation failed: {ERRORS[why]}", file=sys.stderr)
            raise _failed(why)
        after = np.array([tracker.get(handle)])
        after["use"] += IN_USE
        printer.write(after)
    printer.close()
    say(f"{printer.shown} flow entries have been updated.")
    return 0 if printer.shown else 1


def _count(request, tracker, say):
    tracker.gc.sweep()
    print(len(tracker.expectations()) if request.table == "expect" else len(tracker))
    return 0


def _statistics(request, tracker, say):
    print(statistics_line(tracker.stats))
    return 0


def _flush(request, tracker, say):
    if request.table == "expect":
        tracker.flush_expectations()
        say("expectation table has been emptied.")
        return 0
    rows, handles = tracker.connections(), tracker.handles()
    chosen = rows["l3proto"] == request.family if request.family else np.ones(len(rows), dtype=bool)
    for handle in handles[chosen].tolist():
        tracker.delete(handle)
    say("connection tracking table has been emptied.")
    return 0


# By letter: what it does, and whether the snapshot is another one then.
RUN = {"L": (_list, False), "G": (_get, False), "C": (_count, False), "S": (_statistics, False), "D": (_delete, True),
       "I": (_create, True), "A": (_create, True), "U": (_update, True), "F": (_flush, True)}


def run(request, path, say):
    """Do what a request says to the tracker of a snapshot; returns the exit status.

    Raises
    ------
    Failure
        With what conntrack says.
    SnapshotError
        For a snapshot that cannot be read or written.
    """
    if request.command not in RUN:
        raise ConfigError("conntrack -E is for a running appliance; fastct events has those of a capture")
    command, changes = RUN[request.command]
    tracker = Tracker.from_snapshot(path)
    status = command(request, tracker, say)
    if changes or "z" in request.letters:
        tracker.save(path)
    return status
