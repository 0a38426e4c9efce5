"""fastct, asked the same questions as the kernel."""

from ipaddress import ip_address

import fastct
from fastct.cli.conntrack.commands import tags_of
from fastct.export.lines import format_connections, format_events
from fastct.records import CTDIRS, CTSTATES, STATES
from tests.kernel.observation import Entry, Observation

RAW = 101


class Subject:
    """A tracker behind the kernel's face."""

    def __init__(self, keep_events=False):
        self._tracker = fastct.Tracker(checksum="on", seed=1, keep_events=keep_events)

    def configure(self, sysctls):
        """Set ``nf_conntrack_*``."""
        self._tracker.sysctls = sysctls

    def send(self, packet, now):
        """What fastct makes of a ``generator.Packet`` at a time (ns since the epoch)."""
        row = self._tracker.process_bytes([packet.data], [now], linktype=RAW)[0]
        return Observation(CTSTATES[row["ctstate"]], CTDIRS[row["ctdir"]], self._entry(packet.flow))

    def _entry(self, flow):
        if flow is None:
            return None
        handle = self._tracker.find(
            flow.proto,
            str(ip_address(flow.src)),
            str(ip_address(flow.dst)),
            flow.sport,
            flow.dport,
            type=flow.type,
            code=flow.code,
            id=flow.id,
        )
        row = None if handle is None else self._tracker.get(handle)
        if row is None:
            return None
        counters = tuple(int(row[name]) for name in ("orig_packets", "orig_bytes", "reply_packets", "reply_bytes"))
        tags = self._tracker.sctp_tags(handle)
        return Entry(STATES[row["state"]], int(row["status"]), int(row["timeout"]), tags, counters)

    def listing(self, now):
        """The table at a time, as fastct prints it."""
        return format_connections(self.rows(now)).decode().splitlines()

    def rows(self, now):
        """The table at a time."""
        self._tracker.gc.sweep(now)
        return self._tracker.connections()

    def tags(self):
        """The verification tags of SCTP associations."""
        return tags_of(self._tracker)

    def flush(self):
        """End every connection."""
        for row in self._tracker.connections():
            size = 4 if row["l3proto"] == 4 else 16
            ends = [str(ip_address(row[name].tobytes()[:size])) for name in ("orig_src", "orig_dst")]
            ports = int(row["orig_sport"]), int(row["orig_dport"])
            ids = {name: int(row[f"icmp_{name}"]) for name in ("type", "code", "id")}
            self._tracker.delete(self._tracker.find(int(row["l4proto"]), *ends, *ports, **ids))

    def events(self):
        """What happened, as fastct prints it."""
        return format_events(self.event_rows(), timestamps=False).decode().splitlines()

    def event_rows(self):
        """What happened."""
        return self._tracker.drain_events()
