"""fastct, asked the same questions as the kernel."""

from ipaddress import ip_address

import fastct
from fastct.cli.conntrack.printing import tags_of
from fastct.export.expectations import format_expectations, format_expectations_proc
from fastct.export.lines import format_connections, format_events
from fastct.export.statistics import COUNTERS, linux_stats
from fastct.records import CTDIRS, CTSTATES, STATES, VERDICTS
from tests.kernel.flows import Flow
from tests.kernel.observation import Entry, Observation, expectations_of
from tests.kernel.settings import NOTHING

RAW = 101


def flow_of(row):
    """The tuple of a connection's row."""
    size = 4 if row["l3proto"] == 4 else 16
    ends = (row[name].tobytes()[:size] for name in ("orig_src", "orig_dst"))
    numbers = ("l4proto", "orig_sport", "orig_dport", "icmp_type", "icmp_code", "icmp_id")
    return Flow(*ends, *(int(row[name]) for name in numbers))


class Subject:
    """A tracker behind the kernel's face."""

    def __init__(self, settings=NOTHING, **more):
        self.tracker = fastct.Tracker(checksum="on", seed=1, helpers=settings.helpers, **more)
        self.tracker.sysctls = settings.sysctls
        self._settings = settings

    def send(self, packet, now):
        """What fastct makes of a ``generator.Packet`` at a time (ns since the epoch)."""
        template = self._settings.template_of(packet.data)
        row = self.tracker.process_bytes([packet.data], [now], linktype=RAW, template=template)[0]
        seen = (CTSTATES[row["ctstate"]], CTDIRS[row["ctdir"]])
        if VERDICTS[row["verdict"]] == "DROP":
            seen = ("", "")
        return Observation(*seen, packet.flow and self.entry(packet.flow), self.expectations())

    def expectations(self):
        """What is expected now."""
        return expectations_of(format_expectations_proc(self.tracker.expectations()).decode())

    def mark(self, flow, mark):
        """Mark the entry of a tuple, if there is one."""
        handle = self._find(flow)
        if handle is not None:
            self.tracker.mark(handle, mark)

    def _find(self, flow):
        ends = (str(ip_address(address)) for address in flow[:2])
        ids = {"type": flow.type, "code": flow.code, "id": flow.id}
        zone = self._settings.zone_of(flow)
        return self.tracker.find(flow.proto, *ends, flow.sport, flow.dport, zone=zone, **ids)

    def entry(self, flow):
        """What is known of a connection, or None."""
        handle = self._find(flow)
        row = None if handle is None else self.tracker.get(handle)
        if row is None:
            return None
        counters = tuple(int(row[name]) for name in ("orig_packets", "orig_bytes", "reply_packets", "reply_bytes"))
        tags = self.tracker.sctp_tags(handle)
        status, timeout, mark = (int(row[name]) for name in ("status", "timeout", "mark"))
        return Entry(STATES[row["state"]], status, timeout, tags, counters, mark)

    def listing(self, now):
        """The table at a time, as fastct prints it."""
        return format_connections(self.rows(now)).decode().splitlines()

    def expected(self):
        """What is expected now, as ``conntrack -L expect`` prints it."""
        return format_expectations(self.tracker.expectations()).decode().splitlines()

    def statistics(self):
        """The counters of ``conntrack -S`` that fastct has."""
        counted = linux_stats(self.tracker.stats)
        return {name: counted[counter] for name, counter in COUNTERS.items() if counter}

    def rows(self, now):
        """The table at a time."""
        self.tracker.gc.sweep(now)
        return self.tracker.connections()

    def tags(self):
        """The verification tags of SCTP associations."""
        return tags_of(self.tracker)

    def flush(self):
        """End every connection."""
        for row in self.tracker.connections():
            self.tracker.delete(self._find(flow_of(row)))

    def events(self):
        """What happened, as fastct prints it."""
        return format_events(self.event_rows(), timestamps=False).decode().splitlines()

    def event_rows(self):
        """What happened."""
        return self.tracker.drain_events()
