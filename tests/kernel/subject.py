"""fastct, asked the same questions as the kernel."""

from ipaddress import ip_address

import fastct
from fastct.cli.conntrack.commands import tags_of
from fastct.export.expectations import format_expectations_proc
from fastct.export.lines import format_connections, format_events
from fastct.records import CTDIRS, CTSTATES, STATES, VERDICTS
from tests.kernel.flows import Flow
from tests.kernel.observation import Entry, Observation, expectations_of

RAW = 101


def flow_of(row):
    """The tuple of a connection's row."""
    size = 4 if row["l3proto"] == 4 else 16
    ends = (row[name].tobytes()[:size] for name in ("orig_src", "orig_dst"))
    numbers = ("l4proto", "orig_sport", "orig_dport", "icmp_type", "icmp_code", "icmp_id")
    return Flow(*ends, *(int(row[name]) for name in numbers))


class Subject:
    """A tracker behind the kernel's face."""

    def __init__(self, **settings):
        self.tracker = fastct.Tracker(checksum="on", seed=1, **settings)

    def configure(self, sysctls):
        """Set ``nf_conntrack_*``."""
        self.tracker.sysctls = sysctls

    def send(self, packet, now):
        """What fastct makes of a ``generator.Packet`` at a time (ns since the epoch)."""
        row = self.tracker.process_bytes([packet.data], [now], linktype=RAW)[0]
        seen = (CTSTATES[row["ctstate"]], CTDIRS[row["ctdir"]])
        if VERDICTS[row["verdict"]] == "DROP":
            seen = ("", "")
        return Observation(*seen, packet.flow and self.entry(packet.flow), self.expectations())

    def expectations(self):
        """What is expected now."""
        return expectations_of(format_expectations_proc(self.tracker.expectations()).decode())

    def _find(self, flow):
        ends = (str(ip_address(address)) for address in flow[:2])
        return self.tracker.find(flow.proto, *ends, flow.sport, flow.dport, type=flow.type, code=flow.code, id=flow.id)

    def entry(self, flow):
        """What is known of a connection, or None."""
        handle = self._find(flow)
        row = None if handle is None else self.tracker.get(handle)
        if row is None:
            return None
        counters = tuple(int(row[name]) for name in ("orig_packets", "orig_bytes", "reply_packets", "reply_bytes"))
        tags = self.tracker.sctp_tags(handle)
        return Entry(STATES[row["state"]], int(row["status"]), int(row["timeout"]), tags, counters)

    def listing(self, now):
        """The table at a time, as fastct prints it."""
        return format_connections(self.rows(now)).decode().splitlines()

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
