"""What the commands of conntrack(8) do to a tracker's expectations.

The options ``-s`` and ``-d`` with their ports name the master for ``-I``, but what is expected for ``-G`` and ``-D``.
"""
import sys
import time

from fastct.cli.conntrack.printing import failed
from fastct.cli.conntrack.tuples import Ends, original_of
from fastct.export.expectations import XML_BEGIN, XML_END, format_expectations, xml_expectations
from fastct.export.statistics import expect_statistics_line


def _print(request, rows, now):
    """Rows as ``-o`` asks for: of its words, xml and timestamp mean something here."""
    seconds, ns = divmod(now, 10**9)
    if "xml" not in request.output:
        stamp = f"[{seconds:<8}.{ns // 1000:<6}]\t" if "timestamp" in request.output else ""
        sys.stdout.writelines(f"{stamp}{line}\n" for line in format_expectations(rows).decode().splitlines())
    elif len(rows):
        sys.stdout.write(XML_BEGIN)
        sys.stdout.writelines(xml_expectations(rows, _when(seconds) if "timestamp" in request.output else ""))


def _when(seconds):
    """A time as libnetfilter_conntrack takes it apart: the week begins with 1."""
    t = time.localtime(seconds)
    parts = (("hour", t.tm_hour), ("min", f"{t.tm_min:02}"), ("sec", f"{t.tm_sec:02}"),
             ("wday", (t.tm_wday + 1) % 7 + 1), ("day", t.tm_mday), ("month", t.tm_mon), ("year", t.tm_year))
    return f"<when>{''.join(f'<{name}>{value}</{name}>' for name, value in parts)}</when>"


def _of_family(request, tracker):
    rows = tracker.expectations()
    return rows[rows["l3proto"] == (request.family or 4)]


def _list(request, tracker, say):
    rows = _of_family(request, tracker)
    _print(request, rows, tracker.now)
    if "xml" in request.output and len(rows):
        sys.stdout.write(XML_END)
    sys.stdout.flush()
    say(f"{len(rows)} expectations have been shown.")
    return 0


def _get(request, tracker, say):
    rows = tracker.find_expectation(original_of(request).packed(request.protocol), request.protocol)
    if len(rows) == 0:
        raise failed("ENOENT", request)
    _print(request, rows, tracker.now)
    sys.stdout.flush()
    return 0


def _delete(request, tracker, say):
    if not tracker.forget_expectation(original_of(request).packed(request.protocol), request.protocol):
        raise failed("ENOENT", request)
    say("0 expectations have been shown.")      # conntrack counts none, and so believes to have failed
    return 1


def _create(request, tracker, say):
    fields, protocol = request.fields, request.protocol
    ends = Ends(request.addresses["["], request.addresses["]"], fields.get("tuple_sport", 0),
                fields.get("tuple_dport", 0)).packed(protocol)
    if len(tracker.find_expectation(ends, protocol)):
        raise failed("EEXIST", request)
    header, ids = original_of(request).packed(protocol)
    master = tracker.find_tuple(header, protocol, ids)
    if master is None:
        raise failed("ENOENT", request)
    mask = request.addresses["{"].packed.ljust(16, b"\0")
    why = tracker.expect(ends, protocol, mask, fields.get("mask_sport", 0), master)
    if why:
        raise failed(why, request)
    return 0


def _count(request, tracker, say):
    print(len(_of_family(request, tracker)))
    return 0


def _statistics(request, tracker, say):
    print(expect_statistics_line(tracker.stats))
    return 0


def _flush(request, tracker, say):
    tracker.flush_expectations()
    say("expectation table has been emptied.")
    return 0


# By letter: what it does, and whether the snapshot is another one then.
COMMANDS = {"L": (_list, False), "G": (_get, False), "C": (_count, False), "S": (_statistics, False),
            "D": (_delete, True), "I": (_create, True), "F": (_flush, True)}
