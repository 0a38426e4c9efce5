"""Packets built by hand: whatever is wrong with them is meant."""

import socket
import struct

FIN, SYN, RST, PSH, ACK, URG = 0x01, 0x02, 0x04, 0x08, 0x10, 0x20
ICMP, TCP, UDP, GRE, ICMPV6, SCTP, UDPLITE = 1, 6, 17, 47, 58, 132, 136


def checksum(data):
    """The internet checksum."""
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def address(text):
    """An address as bytes."""
    return socket.inet_pton(socket.AF_INET6 if ":" in text else socket.AF_INET, text)


def pseudo(src, dst, proto, length):
    """The pseudo-header of either family."""
    return (
        address(src)
        + address(dst)
        + (struct.pack("!IxxxB", length, proto) if ":" in src else struct.pack("!xBH", proto, length))
    )


def ip(src, dst, proto, payload, ttl=64, options=b"", extensions=b"", first_extension=None):
    """An IP packet of the addresses' family; ``options`` for IPv4, ``extensions`` for IPv6."""
    if ":" in src:
        body = extensions + payload
        head = struct.pack("!IHBB", 6 << 28, len(body), proto if first_extension is None else first_extension, ttl)
        return head + address(src) + address(dst) + body
    length = 20 + len(options)
    head = struct.pack("!BBHHHBBH", 0x40 | length // 4, 0, length + len(payload), 1, 0, ttl, proto, 0)
    head += address(src) + address(dst) + options
    return head[:10] + struct.pack("!H", checksum(head)) + head[12:] + payload


def tcp(src, dst, sport, dport, seq, ack, flags, window=65535, options=b"", data=b"", *, bad_sum=False, offset=None):
    """A TCP segment in its IP packet; options are filled up to whole words."""
    options += b"\x01" * (-len(options) % 4)
    words = 5 + len(options) // 4 if offset is None else offset
    head = struct.pack("!HHIIBBHHH", sport, dport, seq & 0xFFFFFFFF, ack & 0xFFFFFFFF, words << 4, flags, window, 0, 0)
    return ip(
        src, dst, TCP, summed(pseudo(src, dst, TCP, len(head + options + data)), head + options + data, 16, bad_sum)
    )


def udp(src, dst, sport, dport, data=b"", *, length=None, no_sum=False, bad_sum=False):
    """A UDP datagram in its IP packet."""
    body = struct.pack("!HHHH", sport, dport, 8 + len(data) if length is None else length, 0) + data
    if no_sum:
        return ip(src, dst, UDP, body)
    return ip(src, dst, UDP, summed(pseudo(src, dst, UDP, len(body)), body, 6, bad_sum))


def udplite(src, dst, sport, dport, data=b"", *, coverage=0, pseudo_proto=UDP, no_sum=False, bad_sum=False):
    """A UDP-Lite datagram in its IP packet. Linux wants the checksum over UDP's pseudo-header, the RFC over its own."""
    body = struct.pack("!HHHH", sport, dport, coverage, 0) + data
    if no_sum:
        return ip(src, dst, UDPLITE, body)
    covered = coverage if 8 <= coverage <= len(body) else len(body)
    head = summed(pseudo(src, dst, pseudo_proto, len(body)), body[:covered], 6, bad_sum)
    return ip(src, dst, UDPLITE, head + body[covered:])


def _crc32c_table():
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ (0x82F63B78 if byte & 1 else 0)
        yield byte


CRC32C = tuple(_crc32c_table())


def crc32c(data):
    """The checksum of SCTP."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = CRC32C[(crc ^ byte) & 255] ^ crc >> 8
    return ~crc & 0xFFFFFFFF


def chunk(kind, body=b"", flags=0, length=None):
    """An SCTP chunk, filled up to whole words."""
    return struct.pack("!BBH", kind, flags, 4 + len(body) if length is None else length) + body + bytes(-len(body) % 4)


def sctp(src, dst, sport, dport, tag, chunks, *, bad_sum=False):
    """An SCTP packet of chunks in its IP packet."""
    head, body = struct.pack("!HHI", sport, dport, tag), b"".join(chunks)
    total = crc32c(head + bytes(4) + body) ^ (0x5555 if bad_sum else 0)
    return ip(src, dst, SCTP, head + struct.pack("<I", total) + body)


def icmp(src, dst, kind, code, rest, *, bad_sum=False):
    """An ICMP or ICMPv6 message; ``rest`` is what follows the checksum."""
    body = struct.pack("!BBH", kind, code, 0) + rest
    if ":" in src:
        return ip(src, dst, ICMPV6, summed(pseudo(src, dst, ICMPV6, len(body)), body, 2, bad_sum))
    return ip(src, dst, ICMP, summed(b"", body, 2, bad_sum))


def summed(prefix, body, at, bad):
    """``body`` with its checksum at an offset."""
    total = checksum(prefix + body) or 0xFFFF
    if bad:
        total ^= 0x5555
    return body[:at] + struct.pack("!H", total) + body[at + 2 :]


def pieces(packet, cuts, ident=7, **wrong):
    """A packet as fragments, cut at these bytes of its payload. IPv6: extension headers count as payload."""
    whole = payload_of(packet)
    ends = [*cuts, len(whole)]
    return [piece(packet, at, whole[at:end], end < len(whole), ident, **wrong)
            for at, end in zip([0, *cuts], ends, strict=True)]


def payload_of(packet):
    """What is behind the IP header."""
    return packet[(packet[0] & 15) * 4 if packet[0] >> 4 == 4 else 40 :]


def piece(packet, at, data, more, ident=7, *, ecn=0, extensions=b"", first_extension=None):
    """A fragment of a packet: its bytes ``data`` from ``at`` on. ``extensions`` come before an IPv6 fragment header."""
    if packet[0] >> 4 == 6:
        head = bytearray(packet[:40])
        body = struct.pack("!BBHI", head[6], 0, at | more, ident) + data
        head[1] |= ecn << 4
        head[4:6] = struct.pack("!H", len(extensions) + len(body))
        head[6] = 44 if first_extension is None else first_extension
        return bytes(head) + extensions + body
    head = bytearray(packet[: (packet[0] & 15) * 4])
    head[1] |= ecn
    head[2:8] = struct.pack("!HHH", len(head) + len(data), ident, at >> 3 | more << 13)
    head[10:12] = b"\0\0"
    head[10:12] = struct.pack("!H", checksum(bytes(head)))
    return bytes(head) + data
