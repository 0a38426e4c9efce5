"""fastct: a userspace Netfilter. Connection tracking as Linux does it, on captures and packets in memory."""
from fastct.conntrack.opts import SYSCTLS
from fastct.errors import CaptureError, ConfigError, Error, RuleError, SnapshotError, UnsupportedLinkType
from fastct.records import CONNECTION_DTYPE, EVENT_DTYPE, PACKET_DTYPE
from fastct.tracker import GarbageCollector, Tracker

__version__ = "0.1.0"
__all__ = ["CONNECTION_DTYPE", "CaptureError", "ConfigError", "EVENT_DTYPE", "Error", "GarbageCollector",
           "PACKET_DTYPE", "RuleError", "SYSCTLS", "SnapshotError", "Tracker", "UnsupportedLinkType"]
