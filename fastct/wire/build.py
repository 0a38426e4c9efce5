"""Packets made from what is in their headers, with right checksums: for whoever has no capture of them."""
import struct

ICMP, TCP, UDP, ICMPV6, SCTP, UDPLITE = 1, 6, 17, 58, 132, 136
IDENTIFICATION = 1      # of all IPv4 packets
WINDOW = 65535          # of all TCP segments
CRC32C_POLYNOMIAL = 0x82F63B78


def checksum(data):
    """The internet checksum."""
    data += bytes(len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def crc32c(data):
    """The checksum of SCTP."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (CRC32C_POLYNOMIAL if crc & 1 else 0)
    return ~crc & 0xFFFFFFFF


def ip(source, destination, protocol, payload, ttl=64, tos=0):
    """An IP packet of the addresses' family, which are ``ipaddress`` objects."""
    ends = source.packed + destination.packed
    if source.version == 6:
        return struct.pack("!IHBB", 6 << 28 | tos << 20, len(payload), protocol, ttl) + ends + payload
    head = struct.pack("!BBHHHBBH", 0x45, tos, 20 + len(payload), IDENTIFICATION, 0, ttl, protocol, 0) + ends
    return head[:10] + struct.pack("!H", checksum(head)) + head[12:] + payload


def _summed(ends, protocol, body, at):
    """A body with its checksum, which is at ``at`` and over the pseudo-header of ``ends``, too, if there are some."""
    pseudo = b"" if ends is None else ends[0].packed + ends[1].packed + struct.pack("!II", len(body), protocol)
    return body[:at] + struct.pack("!H", checksum(pseudo + body) or 0xFFFF) + body[at + 2:]


def tcp(ends, ports, flags, seq=0, ack=0, options=b"", data=b""):
    """A TCP segment; options in whole words of four bytes."""
    words = 5 + len(options) // 4
    head = struct.pack("!HHIIHHHH", *ports, seq, ack, words << 12 | flags, WINDOW, 0, 0)
    return _summed(ends, TCP, head + options + data, 16)


def udp(ends, ports, data=b""):
    """A UDP datagram."""
    return _summed(ends, UDP, struct.pack("!HHHH", *ports, 8 + len(data), 0) + data, 6)


def udplite(ends, ports, data=b""):
    """A UDP-Lite datagram whose checksum covers all of it: over UDP's pseudo-header, as Linux wants it."""
    return _summed(ends, UDP, struct.pack("!HHHH", *ports, 0, 0) + data, 6)


def icmp(ends, kind, code, rest):
    """An ICMP or ICMPv6 message; ``rest`` is what follows the checksum."""
    over = ends if ends[0].version == 6 else None
    return _summed(over, ICMPV6, struct.pack("!BBH", kind, code, 0) + rest, 2)


def sctp_chunk(kind, body=b""):
    """An SCTP chunk, filled up to whole words."""
    return struct.pack("!BBH", kind, 0, 4 + len(body)) + body + bytes(-len(body) % 4)


def sctp(ports, tag, chunks):
    """An SCTP packet of chunks."""
    head, body = struct.pack("!HHI", *ports, tag), b"".join(chunks)
    return head + struct.pack("<I", crc32c(head + bytes(4) + body)) + body
