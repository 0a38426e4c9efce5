"""Dtypes of the rows and the words behind their codes; the structs are in ``records.pxd``."""
import re

import numpy as np

# Words behind the one-byte codes, by index. Netfilter's names.
CTSTATES = ("", "NEW", "ESTABLISHED", "RELATED", "INVALID", "UNTRACKED")
CTDIRS = ("", "ORIGINAL", "REPLY")
VERDICTS = ("ACCEPT", "DROP", "REJECT", "QUEUE", "STOLEN")
DECIDERS = ("", "conntrack", "defrag", "wire", "helper", "route")
STATES = ("", "SYN_SENT", "SYN_RECV", "ESTABLISHED", "FIN_WAIT", "CLOSE_WAIT", "LAST_ACK",
          "TIME_WAIT", "CLOSE", "SYN_SENT2",
          # SCTP, from 10 on
          "", "CLOSED", "COOKIE_WAIT", "COOKIE_ECHOED", "ESTABLISHED", "SHUTDOWN_SENT", "SHUTDOWN_RECD",
          "SHUTDOWN_ACK_SENT", "HEARTBEAT_SENT")
ENDS = ("live", "expired", "closed", "reset", "evicted", "deleted")
ZONE_DIRS = ("", "orig", "reply")      # where a zone counts; "": in both
EVENTS = ("NEW", "UPDATE", "DESTROY")
HELPERS = ("", "ftp", "tftp", "irc", "sane", "amanda", "netbios-ns", "pptp", "sip")
# Classes of expectations by helper; those of other helpers have no names.
EXPECT_CLASSES = {"sip": ("signalling", "audio", "video", "image")}


def _dtype(view):
    """The NumPy dtype of a view's struct. NumPy itself does not read Cython's ``^(16)B`` arrays."""
    text = memoryview(view).format
    fields = []
    for count, code, name in re.findall(r"\^(?:\((\d+)\))?(\w):(\w+):", text):
        fields.append((name, code, (int(count),)) if count else (name, code))
    return np.dtype(fields)


cdef conn_row_t _conn
cdef conn_row_t[::1] _conn_view = <conn_row_t[:1]>&_conn
CONNECTION_DTYPE = _dtype(_conn_view)

cdef packet_row_t _packet
cdef packet_row_t[::1] _packet_view = <packet_row_t[:1]>&_packet
PACKET_DTYPE = _dtype(_packet_view)

cdef expect_row_t _expect
cdef expect_row_t[::1] _expect_view = <expect_row_t[:1]>&_expect
EXPECTATION_DTYPE = _dtype(_expect_view)

EVENT_DTYPE = np.dtype([("ts", "u8"), ("type", "u1"), ("row", CONNECTION_DTYPE)])

EXPECT_EVENT_DTYPE = np.dtype([("ts", "u8"), ("type", "u1"), ("after", "u8"), ("row", EXPECTATION_DTYPE)])

# All must be the structs byte for byte: the engine writes one, NumPy reads the other.
assert CONNECTION_DTYPE.itemsize == sizeof(conn_row_t)
assert PACKET_DTYPE.itemsize == sizeof(packet_row_t)
assert EXPECTATION_DTYPE.itemsize == sizeof(expect_row_t)
assert EVENT_DTYPE.itemsize == sizeof(event_row_t)
assert EXPECT_EVENT_DTYPE.itemsize == sizeof(expect_event_row_t)
