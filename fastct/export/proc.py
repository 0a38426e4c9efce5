"""Connections and counters as the files of Linux's /proc/net show them.

    nf_conntrack         ipv4     2 tcp      6 99 ESTABLISHED src=.. dst=.. sport=.. dport=.. packets=.. bytes=.. ..
    stat/nf_conntrack    a line of names, a line of hexadecimal numbers

Unlike conntrack's, the addresses of IPv6 are written in full, the zone always stands there, and ``use``
counts the reader.
"""
from ipaddress import ip_address

from fastct.conntrack.opts import SYSCTLS
from fastct.export.fields import ASSURED, FAMILY_NAMES, FAMILY_NUMBERS, GRE, ICMP, SEEN_REPLY, protocol_of, state_of
from fastct.export.statistics import linux_stats
from fastct.records import ZONE_DIRS

DCCP = 33
GRE_TIMEOUTS = ("nf_conntrack_gre_timeout", "nf_conntrack_gre_timeout_stream")
REQUEST_OF_REPLY = {0: 8, 8: 0, 13: 14, 14: 13, 15: 16, 16: 15, 17: 18, 18: 17, 128: 129, 129: 128, 139: 140, 140: 139}
# Names of stat/nf_conntrack, and the counters behind those that one tracker has.
STATISTICS = (
    ("entries", "live"), (" clashres", None), ("found", None), ("new", None), ("invalid", "invalid"), ("ignore", None),
    ("delete", None), ("chainlength", None), ("insert", None), ("insert_failed", "full"), ("drop", "full"),
    ("early_drop", "evicted"), ("icmp_error", "error"), (" expect_new", "expect_new"),
    ("expect_create", "expect_create"), ("expect_delete", "expect_delete"), ("search_restart", None),
)


def _name(row):
    """Linux' name of a protocol: of those it has a tracker for."""
    return "unknown" if row["l4proto"] == DCCP else protocol_of(row)


def _address(row, name):
    return ip_address(row[name].tobytes()[:4 if row["l3proto"] == 4 else 16]).exploded


def _ids(row, side):
    """What stands behind the addresses of a tuple."""
    protocol = row["l4proto"]
    if protocol in ICMP:
        kind = int(row["icmp_type"])
        kind = kind if side == "orig" else REQUEST_OF_REPLY.get(kind, kind)
        return f"type={kind} code={row['icmp_code']} id={row['icmp_id' if side == 'orig' else 'reply_icmp_id']} "
    if protocol == GRE:
        return f"srckey={int(row[f'{side}_sport']):#x} dstkey={int(row[f'{side}_dport']):#x} "
    if _name(row) == "unknown":
        return ""
    return f"sport={row[f'{side}_sport']} dport={row[f'{side}_dport']} "


def _zone(row, direction):
    return f"zone{direction and '-'}{direction}={row['zone']} " if ZONE_DIRS[row["zone_dir"]] == direction else ""


def _direction(row, side):
    return (f"src={_address(row, f'{side}_src')} dst={_address(row, f'{side}_dst')} {_ids(row, side)}"
            f"{_zone(row, side)}packets={row[f'{side}_packets']} bytes={row[f'{side}_bytes']} ")


def proc_lines(rows, sysctls=SYSCTLS):
    """Yield the lines of /proc/net/nf_conntrack. ``sysctls``: settings in force, for the timeouts that GRE shows."""
    gre = "timeout={}, stream_timeout={} ".format(*(sysctls[name] for name in GRE_TIMEOUTS))
    for row in rows:
        family, state = int(row["l3proto"]), state_of(row)
        yield (f"{FAMILY_NAMES[family]:8} {FAMILY_NUMBERS[family]} {_name(row):8} {row['l4proto']} "
               f"{row['timeout']} {gre if row['l4proto'] == GRE else ''}{f'{state} ' if state else ''}"
               f"{_direction(row, 'orig')}{'' if row['status'] & SEEN_REPLY else '[UNREPLIED] '}"
               f"{_direction(row, 'reply')}{'[ASSURED] ' if row['status'] & ASSURED else ''}"
               f"mark={row['mark']} {_zone(row, '')}use={row['use'] + 1}\n")


def proc_statistics(stats):
    """The two lines of /proc/net/stat/nf_conntrack: one tracker is one processor."""
    counted = linux_stats(stats)
    values = [counted[counter] & 0xFFFFFFFF if counter else 0 for _, counter in STATISTICS]
    pairs = zip(STATISTICS, values, strict=True)
    return (" ".join(name for name, _ in STATISTICS) + "\n"
            + " ".join(f"{' ' * name.startswith(' ')}{value:08x}" for (name, _), value in pairs) + "\n")
