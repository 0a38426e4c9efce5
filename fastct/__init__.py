"""fastct: a userspace Netfilter. Connection tracking as Linux does it, on captures and packets in memory."""
from fastct.capture import open
from fastct.conntrack.opts import SYSCTLS
from fastct.errors import CaptureError, ConfigError, Error, RuleError, SnapshotError, UnsupportedLinkType
from fastct.offline import Result, Summary, track
from fastct.records import CONNECTION_DTYPE, EVENT_DTYPE, PACKET_DTYPE
from fastct.rows import Table
from fastct.tracker import GarbageCollector, Tracker
from fastct.version import __version__

__all__ = ["CONNECTION_DTYPE", "CaptureError", "ConfigError", "EVENT_DTYPE", "Error", "GarbageCollector",
           "PACKET_DTYPE", "Result", "RuleError", "SYSCTLS", "SnapshotError", "Summary", "Table", "Tracker",
           "UnsupportedLinkType", "__version__", "open", "track"]
