"""Connections in the columns of ``cilium bpf ct list global`` and ``cilium bpf nat list``.

    TCP OUT 10.0.0.1:33334 -> 10.0.1.2:80 expires=17000 RxPackets=4 RxBytes=400 RxFlagsSeen=0x00 LastRxReport=16990 ..
    TCP OUT 10.0.0.5:44444 -> 1.2.3.4:443 XLATE_SRC 192.0.2.1:44444 Created=12sec ago NeedsCT=0

Rx is what came back to the opener, Tx what it sent; times are seconds of packet time. What only Cilium knows (flags
that were seen, service, identity, interface) is 0. An ICMP identifier stands where the destination's port would.
"""
from fastct.export.fields import ICMP, TCP, address_of, protocol_of
from fastct.records import STATES

NS_PER_S = 10**9
EXPECTED = 1
RX_CLOSING, TX_CLOSING, SEEN_NON_SYN = 0x01, 0x02, 0x10
FLAG_WORDS = ((RX_CLOSING, "RxClosing"), (TX_CLOSING, "TxClosing"), (SEEN_NON_SYN, "SeenNonSyn"))
BOTH_CLOSING = ("LAST_ACK", "TIME_WAIT", "CLOSE")


def _end(row, side, end, port_of_icmp=0):
    """An address with its port, as Go writes it: of IPv6 in brackets."""
    address = address_of(row, f"{side}_{end}")
    port = port_of_icmp if row["l4proto"] in ICMP else row[f"{side}_{end[0]}port"]
    return f"[{address}]:{port}" if row["l3proto"] == 6 else f"{address}:{port}"


def _path(row, side):
    identifier = row["icmp_id"] if row["l4proto"] in ICMP else 0
    ports = (0, identifier) if side == "orig" else (identifier, 0)
    return f"{_end(row, side, 'src', ports[0])} -> {_end(row, side, 'dst', ports[1])}"


def _flags(row):
    """Bits that a state of TCP implies."""
    if row["l4proto"] != TCP:
        return 0
    state = STATES[row["state"]]
    flags = SEEN_NON_SYN if state not in ("", "SYN_SENT", "SYN_SENT2") else 0
    return flags | (RX_CLOSING | TX_CLOSING if state in BOTH_CLOSING else 0)


def ct_lines(rows, now_ns, time_diff=False):
    """Yield a line for each connection, as of packet time ``now_ns``; with ``time_diff``, also how long it has left."""
    now = now_ns // NS_PER_S
    for row in rows:
        flags, left, last = _flags(row), int(row["timeout"]), int(row["last_ns"]) // NS_PER_S
        words = " ".join(word for bit, word in FLAG_WORDS if flags & bit)
        yield (f"{protocol_of(row).upper()} OUT {_path(row, 'orig')} {'related ' if row['status'] & EXPECTED else ''}"
               f"expires={now + left} {f'(remaining: {left} sec(s)) ' if time_diff else ''}"
               f"RxPackets={row['reply_packets']} RxBytes={row['reply_bytes']} RxFlagsSeen=0x00 LastRxReport={last} "
               f"TxPackets={row['orig_packets']} TxBytes={row['orig_bytes']} TxFlagsSeen=0x00 LastTxReport={last} "
               f"Flags=0x{flags:04x} [ {words}{' ' if words else ''}] RevNAT=0 SourceSecurityID=0 IfIndex=0 \n")


def is_translated(row, side):
    """Whether the original direction's ``src`` or ``dst`` is not what the reply says."""
    other = "dst" if side == "src" else "src"
    return (row[f"orig_{side}"] != row[f"reply_{other}"]).any() or (
        row[f"orig_{side[0]}port"] != row[f"reply_{other[0]}port"])


def nat_lines(rows, now_ns):
    """Yield the two lines of each translation: there, and back."""
    for row in rows:
        name, age = protocol_of(row).upper(), (now_ns - int(row["start_ns"])) // NS_PER_S
        rest = f"Created={age}sec ago NeedsCT=0\n"
        if is_translated(row, "src"):
            yield f"{name} OUT {_path(row, 'orig')} XLATE_SRC {_end(row, 'reply', 'dst')} {rest}"
            yield f"{name} IN {_path(row, 'reply')} XLATE_DST {_end(row, 'orig', 'src')} {rest}"
        if is_translated(row, "dst"):
            yield f"{name} OUT {_path(row, 'orig')} XLATE_DST {_end(row, 'reply', 'src')} {rest}"
            yield f"{name} IN {_path(row, 'reply')} XLATE_SRC {_end(row, 'orig', 'dst')} {rest}"
