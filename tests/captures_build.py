"""Capture files built by hand, byte by byte, for the reader's tests."""
import struct

START = 1_700_000_000


def packets(n, step_ns=1_000_003_000):
    """``n`` packets of differing lengths: pairs of time in ns and bytes."""
    return [(START * 10**9 + i * step_ns, bytes((i + j) & 0xFF for j in range(14 + 7 * i % 61))) for i in range(n)]


def pcap(records, magic=0xA1B2C3D4, order="<", linktype=1, version=(2, 4)):
    """A pcap file; records are pairs of time and bytes, with the wire length as an optional third."""
    unit = 1 if magic == 0xA1B23C4D else 1000
    out = [struct.pack(order + "IHHIIII", magic, *version, 0, 0, 262144, linktype)]
    for ts, data, *wire_len in records:
        seconds, fraction = divmod(ts, 10**9)
        out.append(struct.pack(order + "IIII", seconds, fraction // unit, len(data), *(wire_len or [len(data)])))
        out.append(bytes(8) if magic == 0xA1B2CD34 else b"")
        out.append(data)
    return b"".join(out)


def block(kind, body, order="<"):
    """A pcapng block around ``body``, padded."""
    body += bytes(-len(body) % 4)
    length = struct.pack(order + "I", 12 + len(body))
    return struct.pack(order + "I", kind) + length + body + length


def section(order="<"):
    return block(0x0A0D0D0A, struct.pack(order + "IHHq", 0x1A2B3C4D, 1, 0, -1), order)


def interface(linktype=1, snaplen=0, order="<", **options):
    """An interface block; options: name (bytes), tsresol (the code), tsoffset (s)."""
    body = struct.pack(order + "HHI", linktype, 0, snaplen)
    for code, key, pack in ((2, "name", bytes), (9, "tsresol", lambda v: bytes([v])),
                            (14, "tsoffset", lambda v: struct.pack(order + "q", v))):
        if key in options:
            value = pack(options[key])
            body += struct.pack(order + "HH", code, len(value)) + value + bytes(-len(value) % 4)
    return block(1, body + bytes(4), order)


def enhanced(ticks, data, number=0, order="<", wire_len=None, cap_len=None):
    head = struct.pack(order + "IIIII", number, ticks >> 32, ticks & 0xFFFFFFFF,
                       len(data) if cap_len is None else cap_len, len(data) if wire_len is None else wire_len)
    return block(6, head + data, order)


def old_packet(ticks, data, number=0, order="<"):
    head = struct.pack(order + "HHIIII", number, 0, ticks >> 32, ticks & 0xFFFFFFFF, len(data), len(data))
    return block(2, head + data, order)


def simple(data, wire_len=None, order="<"):
    return block(3, struct.pack(order + "I", len(data) if wire_len is None else wire_len) + data, order)


def pcapng(records, order="<", linktype=1):
    """A pcapng file of one section and interface, in nanoseconds."""
    return (section(order) + interface(linktype, order=order, tsresol=9)
            + b"".join(enhanced(ts, data, order=order) for ts, data in records))
