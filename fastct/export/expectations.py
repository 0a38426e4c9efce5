"""Expectations as conntrack 1.4.7 prints them, and as Linux shows them in /proc, byte for byte.

    conntrack -L expect             299 proto=6 src=.. dst=.. sport=0 dport=20000 mask-src=.. mask-dst=.. sport=0
                                    dport=65535 master-src=.. master-dst=.. sport=.. dport=21 class=0 helper=ftp
    /proc/net/nf_conntrack_expect   299 l3proto = 2 proto=6 src=.. dst=.. sport=0 dport=20000 ftp

There are few of them, so this is plain Python.
"""
import socket

from fastct.columns import PROTOCOL_NAMES
from fastct.export.fields import FAMILY_NAMES, FAMILY_NUMBERS
from fastct.records import EVENTS, EXPECT_CLASSES, EXPECT_EVENT_DTYPE, EXPECTATION_DTYPE, HELPERS

FLAGS = ((1, "PERMANENT"), (2, "INACTIVE"), (4, "USERSPACE"))
FAMILIES = {4: (socket.AF_INET, 4), 6: (socket.AF_INET6, 16)}
GRE = 47


def _address(row, name):
    """An address as inet_ntop has it."""
    family, size = FAMILIES[int(row["l3proto"])]
    return socket.inet_ntop(family, row[name].tobytes()[:size])


def _full_address(row, name):
    """An address as the kernel has it: of IPv6 every digit."""
    if row["l3proto"] == 4:
        return _address(row, name)
    return row[name].tobytes().hex(":", 2)


def _flags(row):
    return ",".join(word for bit, word in FLAGS if row["flags"] & bit)


def _ports(row, source, destination):
    """What stands behind the addresses of a tuple."""
    if row["l4proto"] == GRE:
        return f"srckey={source:#x} dstkey={destination:#x}"
    return f"sport={source} dport={destination}"


def _line(row):
    """A line of ``conntrack -L expect``."""
    parts = [f"{row['timeout']} proto={row['l4proto']}",
             f"src={_address(row, 'src')} dst={_address(row, 'dst')}", _ports(row, row["sport"], row["dport"]),
             f"mask-src={_address(row, 'mask_src')}",
             f"mask-dst={'255.255.255.255' if row['l3proto'] == 4 else ':'.join(['ffff'] * 8)}",
             _ports(row, row["mask_sport"], 0xFFFF),
             f"master-src={_address(row, 'master_src')} master-dst={_address(row, 'master_dst')}",
             f"sport={row['master_sport']} dport={row['master_dport']}"]
    if row["flags"]:
        parts.append(_flags(row))
    parts.append(f"class={row['kind']} helper={HELPERS[row['helper']]}")
    return " ".join(parts)


def _proc_line(row):
    """A line of ``/proc/net/nf_conntrack_expect``."""
    helper = HELPERS[row["helper"]]
    if helper in EXPECT_CLASSES:
        helper = f"{helper}/{EXPECT_CLASSES[helper][row['kind']]}"
    family = FAMILIES[int(row["l3proto"])][0]
    parts = [f"{row['timeout']} l3proto = {int(family)} proto={row['l4proto']}",
             f"src={_full_address(row, 'src')} dst={_full_address(row, 'dst')}",
             _ports(row, row["sport"], row["dport"]), *filter(None, [_flags(row)]), helper]
    return " ".join(parts)


def _format(rows, line):
    if rows.dtype != EXPECTATION_DTYPE:
        raise TypeError("expected rows of fastct.EXPECTATION_DTYPE")
    return "".join(line(row) + "\n" for row in rows).encode()


def format_expectations(rows):
    """Lines of ``conntrack -L expect``.

    Parameters
    ----------
    rows : numpy.ndarray
        ``fastct.EXPECTATION_DTYPE``.

    Returns
    -------
    bytes
    """
    return _format(rows, _line)


XML_BEGIN = '<?xml version="1.0" encoding="utf-8"?>\n<expect>\n'
XML_END = "</expect>\n"


def xml_expectations(rows, when=""):
    """Yield a line of ``conntrack -L expect -o xml`` for each; ``when`` is put behind what belongs to neither layer."""
    for row in rows:
        family = int(row["l3proto"])
        broadest = "255.255.255.255" if family == 4 else ":".join(["ffff"] * 8)
        keys = ("srckey", "dstkey") if row["l4proto"] == GRE else ("sport", "dport")
        word = PROTOCOL_NAMES.get(int(row["l4proto"]), "unknown")
        layer3 = {"expected": (_address(row, "src"), _address(row, "dst")),
                  "mask": (_address(row, "mask_src"), broadest),
                  "master": (_address(row, "master_src"), _address(row, "master_dst"))}
        layer4 = {"expected": (row["sport"], row["dport"]), "mask": (row["mask_sport"], 0xFFFF),
                  "master": (row["master_sport"], row["master_dport"])}
        yield (f'<flow><layer3 protonum="{FAMILY_NUMBERS[family]}" protoname="{FAMILY_NAMES[family]}">'
               f'{_xml_parts(layer3, ("src", "dst"))}</layer3>'
               f'<layer4 protonum="{row["l4proto"]}" protoname="{word}">{_xml_parts(layer4, keys)}</layer4>'
               f"<meta><helper-name>{HELPERS[row['helper']]}</helper-name><timeout>{row['timeout']}</timeout>"
               f"<class>{row['kind']}</class>{when}</meta></flow>\n")


def _xml_parts(parts, names):
    return "".join(f"<{part}>{''.join(f'<{name}>{value}</{name}>' for name, value in zip(names, pair, strict=True))}"
                   f"</{part}>" for part, pair in parts.items())


def format_expect_events(rows, timestamps=True):
    """Lines of ``conntrack -E expect``.

    Parameters
    ----------
    rows : numpy.ndarray
        ``fastct.EXPECT_EVENT_DTYPE``.
    timestamps : bool
        Begin each line with its time, as ``-o timestamp`` does; conntrack does not fill these microseconds with zeros.

    Returns
    -------
    bytes
    """
    if rows.dtype != EXPECT_EVENT_DTYPE:
        raise TypeError("expected rows of fastct.EXPECT_EVENT_DTYPE")
    lines = []
    for event in rows:
        seconds, ns = divmod(int(event["ts"]), 10**9)
        time = f"[{seconds:<8}.{ns // 1000:<6}]\t" if timestamps else ""
        word = f"[{EVENTS[event['type']]}]"
        lines.append(f"{time}{word:>9} {_line(event['row'])}\n")
    return "".join(lines).encode()


def format_expectations_proc(rows):
    """Lines of ``/proc/net/nf_conntrack_expect``; arguments and result as of ``format_expectations``."""
    return _format(rows, _proc_line)
