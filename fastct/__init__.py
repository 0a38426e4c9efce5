"""fastct: a userspace Netfilter. Connection tracking as Linux does it, on captures and packets in memory."""
import importlib
from typing import TYPE_CHECKING

from fastct.version import __version__

if TYPE_CHECKING:
    from fastct import rules
    from fastct.capture import open
    from fastct.conntrack.opts import SYSCTLS
    from fastct.errors import (
        CaptureError,
        ConfigError,
        Error,
        PacketError,
        RuleError,
        SnapshotError,
        TextError,
        UnsupportedLinkType,
    )
    from fastct.explaining import explain
    from fastct.explanation import Explanation
    from fastct.offline import Result, Summary, track
    from fastct.records import CONNECTION_DTYPE, EVENT_DTYPE, EXPECT_EVENT_DTYPE, EXPECTATION_DTYPE, PACKET_DTYPE
    from fastct.rows import Table
    from fastct.tracker import GarbageCollector, Template, Tracker
    from fastct.trial import Trial

__all__ = ["CONNECTION_DTYPE", "CaptureError", "ConfigError", "EVENT_DTYPE", "EXPECTATION_DTYPE", "EXPECT_EVENT_DTYPE",
           "Error", "Explanation", "GarbageCollector", "PACKET_DTYPE", "PacketError", "Result", "RuleError", "SYSCTLS",
           "SnapshotError", "Summary", "Table", "Template", "TextError", "Tracker", "Trial", "UnsupportedLinkType",
           "__version__", "explain", "open", "rules", "track"]

# Where each name lives: it is imported when it is first asked for, so that the program starts at once.
_HOMES = {
    "capture": ("open",),
    "conntrack.opts": ("SYSCTLS",),
    "errors": ("CaptureError", "ConfigError", "Error", "PacketError", "RuleError", "SnapshotError", "TextError",
               "UnsupportedLinkType"),
    "explaining": ("explain",),
    "explanation": ("Explanation",),
    "offline": ("Result", "Summary", "track"),
    "records": ("CONNECTION_DTYPE", "EVENT_DTYPE", "EXPECT_EVENT_DTYPE", "EXPECTATION_DTYPE", "PACKET_DTYPE"),
    "rows": ("Table",),
    "rules": ("rules",),
    "tracker": ("GarbageCollector", "Template", "Tracker"),
    "trial": ("Trial",),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name):
    if name not in _HOME_OF:
        raise AttributeError(f"module 'fastct' has no attribute {name!r}")
    home = importlib.import_module(f"fastct.{_HOME_OF[name]}")
    value = globals()[name] = home if name == _HOME_OF[name] else getattr(home, name)
    return value


def __dir__():
    return __all__
