"""Connections as conntrack -o save prints them: options that make them again."""
from fastct.export.fields import DST_NAT_DONE, GRE, ICMP, SCTP, SRC_NAT_DONE, address_of, protocol_of, state_of

# What a user may have set, in the order in which conntrack names it.
STATUS_WORDS = (("SEEN_REPLY", 1 << 1), ("ASSURED", 1 << 2), ("FIXED_TIMEOUT", 1 << 10), ("EXPECTED", 1))
DCCP = 33
ZONE_OPTIONS = ("-w", "--orig-zone", "--reply-zone")     # by records.ZONE_DIRS
PORTS = ("sport", "dport", "reply-port-src", "reply-port-dst")
KEYS = ("srckey", "dstkey", "reply-key-src", "reply-key-dst")
COLUMNS = ("orig_sport", "orig_dport", "reply_sport", "reply_dport")


def _status(row):
    return ",".join(word for word, bit in STATUS_WORDS if row["status"] & bit) or "UNSET"


def _protocol(row, tags):
    """The protocol and what comes with it."""
    protocol, name = int(row["l4proto"]), protocol_of(row)
    yield f"-p {protocol if name == 'unknown' else name}"
    if name == "unknown":
        return
    if protocol in ICMP:
        yield from (f"--{name}-{part} {row[f'icmp_{part}']}" for part in ("type", "code", "id"))
        return
    if protocol == DCCP:        # without a tracker of it, Linux has nothing more
        return
    options = KEYS if protocol == GRE else PORTS
    yield from (f"--{option} {row[column]}" for option, column in zip(options, COLUMNS, strict=True))
    if state_of(row):
        yield f"--state {state_of(row)}"
    if protocol == SCTP:
        yield "--orig-vtag {} --reply-vtag {}".format(*tags.get(int(row["conn"]), (0, 0)))


def save_lines(rows, command="-A", tags=None):
    """Yield a line for each connection. ``tags``: pairs of SCTP's verification tags, by number of the connection."""
    for row in rows:
        src, dst = address_of(row, "orig_src"), address_of(row, "orig_dst")
        back, forth = address_of(row, "reply_src"), address_of(row, "reply_dst")
        dnat = back != dst and row["status"] & DST_NAT_DONE
        snat = forth != src and row["status"] & SRC_NAT_DONE
        zone = f" {ZONE_OPTIONS[row['zone_dir']]} {row['zone']}" if row["zone"] else ""
        yield (f"{command} -t {row['timeout']} -u {_status(row)}{zone} "
               f"-s {src} -d {dst} {'-g' if dnat else '-r'} {back} {'-n' if snat else '-q'} {forth} "
               f"{' '.join(_protocol(row, tags or {}))}\n")
