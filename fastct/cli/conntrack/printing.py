"""What conntrack(8) prints of connections, and what it says when something fails."""
import errno
import os
import socket
import sys

from fastct.cli.conntrack.labels import labels_of
from fastct.cli.conntrack.values import Failure
from fastct.export.fields import SCTP
from fastct.export.lines import format_connections
from fastct.export.save import save_lines
from fastct.export.xml import XML_BEGIN, XML_END, xml_flows

# conntrack's own words for what ctnetlink refuses, and the commands that have them; others have the system's.
ERRORS = {
    "EINVAL": ("invalid parameters", ("L", "I", "U", "D", "G", "F", "I expect", "D expect", "G expect")),
    "EEXIST": ("Such conntrack exists, try -U to update", ("I",)),
    "ENOENT": ("such conntrack doesn't exist", ("I", "A", "D", "G")),
    "ENOMEM": ("not enough memory", ("I", "A", "G")),
    "EPERM": ("sorry, you must be root or get CAP_NET_ADMIN capability to do this", None),
}


def words_of(why, key):
    """What is said of an errno, by its name, to the command ``key``."""
    if (why, key) == ("ENOENT", "I expect"):
        return "master conntrack not found"
    text, keys = ERRORS.get(why, ("", ()))
    return text if keys is None or key in keys else os.strerror(getattr(errno, why))


def failed(why, request):
    """A command that the kernel would have refused."""
    return Failure(f"Operation failed: {words_of(why, request.key)}", Failure.OTHER)


def tags_of(tracker):
    """The verification tags of all SCTP associations, by number of the connection.

    As conntrack takes and shows them: their bytes, in network order, read in the machine's.
    """
    rows, handles = tracker.connections(), tracker.handles()
    return {int(row["conn"]): [socket.htonl(tag) for tag in tracker.sctp_tags(handle)]
            for row, handle in zip(rows, handles.tolist(), strict=True) if row["l4proto"] == SCTP}


class Printer:
    """Rows to standard output, in the form that ``-o`` asks for."""

    def __init__(self, request, tracker):
        self._output, self._command, self._tracker = request.output, request.command, tracker
        self._names = request.label_names if request.command != "D" else {}     # whatever they were read for
        self._begun = request.command in "DU"       # an XML list of what was deleted or updated has no frame
        self.shown = 0

    def _labels(self, row):
        return [self._names[bit] for bit in labels_of(row) if bit in self._names]

    def write(self, rows):
        """Print rows."""
        if len(rows) == 0:
            return
        self.shown += len(rows)
        if "xml" in self._output:
            if not self._begun:
                sys.stdout.write(XML_BEGIN)
                self._begun = True
            sys.stdout.writelines(xml_flows(rows, self._labels))
        elif "save" in self._output:
            tags = tags_of(self._tracker) if SCTP in rows["l4proto"] else {}
            sys.stdout.writelines(save_lines(rows, "-D" if self._command == "D" else "-A", tags))
        else:
            text = format_connections(rows, extended="extended" in self._output, ids="id" in self._output).decode()
            sys.stdout.write(self._with_labels(rows, text) if self._names else text)

    def _with_labels(self, rows, text):
        lines = []
        for row, line in zip(rows, text.splitlines(), strict=True):
            labels = ",".join(self._labels(row))
            lines.append(f"{line} labels={labels}\n" if labels else f"{line}\n")
        return "".join(lines)

    def close(self):
        """Complete a list; the output of ``-G`` is none."""
        if "xml" in self._output and self.shown and self._command == "L":
            sys.stdout.write(XML_END)
        sys.stdout.flush()
