"""What the slower listings share: the parts of a row as text."""
import socket
from ipaddress import ip_address

from fastct.columns import PROTOCOL_NAMES
from fastct.records import STATES

FAMILY_NUMBERS = {4: 2, 6: 10}          # of the layer 3, as Linux counts them
FAMILY_NAMES = {4: "ipv4", 6: "ipv6"}
ICMP = (socket.IPPROTO_ICMP, socket.IPPROTO_ICMPV6)
GRE = socket.IPPROTO_GRE
TCP, SCTP = socket.IPPROTO_TCP, socket.IPPROTO_SCTP
DIRECTIONS = ("orig", "reply")
SEEN_REPLY, ASSURED = 1 << 1, 1 << 2
SRC_NAT_DONE, DST_NAT_DONE = 1 << 7, 1 << 8


def protocol_of(row):
    """conntrack's name of the protocol."""
    return PROTOCOL_NAMES.get(int(row["l4proto"]), "unknown")


def address_of(row, name):
    """An address as text."""
    return str(ip_address(row[name].tobytes()[:4 if row["l3proto"] == 4 else 16]))


def state_of(row):
    """The word for the state; empty where the protocol has none."""
    if row["l4proto"] in (TCP, SCTP):
        return STATES[row["state"]] or "NONE"
    return ""
