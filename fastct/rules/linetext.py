"""The text of a line of the log, as the kernel's nf_log_syslog writes it."""
import struct
from contextlib import suppress
from ipaddress import IPv6Address
from typing import NamedTuple

# Flags of LOG.
TCP_SEQUENCE, TCP_OPTIONS, IP_OPTIONS, MAC_DECODE = 1, 2, 4, 32
ETHERNET = 1

ICMP, TCP, UDP, ESP, AH, ICMPV6, UDPLITE = 1, 6, 17, 50, 51, 58, 136
HOP_BY_HOP, ROUTING, FRAGMENT, NO_NEXT, DESTINATION = 0, 43, 44, 59, 60
EXTENSIONS = {HOP_BY_HOP, ROUTING, FRAGMENT, ESP, AH, DESTINATION}
TCP_FLAGS = ((0x80, "CWR"), (0x40, "ECE"), (0x20, "URG"), (0x10, "ACK"), (0x08, "PSH"), (0x04, "RST"), (0x02, "SYN"),
             (0x01, "FIN"))
# Bytes of ICMP without which its type says no more.
ICMP_LEAST = {0: 4, 3: 28, 4: 28, 5: 28, 8: 4, 11: 28, 12: 28, 13: 20, 14: 20, 17: 12, 18: 12}


class Line(NamedTuple):
    """A line: of which packet and when, by which kind of target, with which level or group."""
    packet: int
    ts: int
    kind: str
    group: int
    text: str


class _Over(Exception):
    """The packet ends here, and with it the line."""


class _Text:
    """The words about one packet. ``data`` is what there is of it, ``length`` what there was."""

    def __init__(self, data, length, flags):
        self.data, self.length, self.flags = data, length, flags
        self.words = []

    def say(self, *words):
        self.words += words

    def header(self, at, size, incomplete=True):
        """The bytes of a header; if the packet has not got them, says so and raises _Over."""
        if at + size > min(self.length, len(self.data)):
            self.say(f"INCOMPLETE [{max(0, self.length - at)} bytes] " if incomplete else "TRUNCATED")
            raise _Over
        return self.data[at:at + size]

    def options(self, at, size):
        self.say(f"OPT ({self.header(at, size, incomplete=False).hex().upper()}) ")

    # -- transport headers

    def tcp(self, at, fragment):
        self.say("PROTO=TCP ")
        if fragment:
            return
        head = self.header(at, 20)
        sport, dport, seq, ack, offset, flags, window, _, urgent = struct.unpack("!HHIIBBHHH", head)
        self.say(f"SPT={sport} DPT={dport} ")
        if self.flags & TCP_SEQUENCE:
            self.say(f"SEQ={seq} ACK={ack} ")
        self.say(f"WINDOW={window} RES=0x{(offset & 15) << 2:02x} ")
        self.say(*(f"{name} " for bit, name in TCP_FLAGS if flags & bit), f"URGP={urgent} ")
        size = (offset >> 4) * 4 - 20
        if self.flags & TCP_OPTIONS and size > 0:
            if at + 20 + size > min(self.length, len(self.data)):
                self.say("OPT (TRUNCATED)")
                raise _Over
            self.options(at + 20, size)

    def udp(self, at, fragment, name):
        self.say(f"PROTO={name} ")
        if not fragment:
            self.say("SPT={} DPT={} LEN={} ".format(*struct.unpack("!HHH", self.header(at, 8)[:6])))

    def icmp(self, at, fragment, nested):
        self.say("PROTO=ICMP ")
        if fragment:
            return
        try:
            kind, code, _, first, second = struct.unpack("!BBHHH", self.header(at, 8))
            self.say(f"TYPE={kind} CODE={code} ")
            self.header(at, ICMP_LEAST.get(kind, 0))
        except _Over:
            return                               # what follows ICMP is said all the same
        if kind in (0, 8):
            self.say(f"ID={first} SEQ={second} ")
        elif kind == 12:
            self.say(f"PARAMETER={first >> 8} ")
        elif kind in (3, 4, 5, 11):
            if kind == 5:
                self.say("GATEWAY={}.{}.{}.{} ".format(*self.data[at + 4:at + 8]))
            if not nested:
                self.quoted(self.ipv4, at + 8)
            if kind == 3 and code == 4:
                self.say(f"MTU={second} ")

    def quoted(self, dump, at):
        self.say("[")
        with suppress(_Over):
            dump(at, nested=True)
        self.say("] ")

    def security(self, at, size, name, fragment):
        """ESP and AH, of which there is an SPI to tell."""
        if name == "AH" and fragment:
            return
        self.say(f"PROTO={name} ")
        if fragment:
            return
        try:
            head = self.header(at, size)
        except _Over:
            return
        self.say(f"SPI=0x{int.from_bytes(head[-8:-4] if name == 'AH' else head[:4], 'big'):x} ")

    # -- IP headers

    def ipv4(self, at, nested=False):
        head = self.header(at, 20, incomplete=False)
        first, tos, length, ident, offset, ttl, protocol = struct.unpack("!BBHHHBB", head[:10])
        self.say("SRC={}.{}.{}.{} DST={}.{}.{}.{} ".format(*head[12:20]))
        self.say(f"LEN={length} TOS=0x{tos & 0x1E:02X} PREC=0x{tos & 0xE0:02X} TTL={ttl} ID={ident} ")
        self.say(*(name for bit, name in ((0x8000, "CE "), (0x4000, "DF "), (0x2000, "MF ")) if offset & bit))
        fragment = offset & 0x1FFF
        if fragment:
            self.say(f"FRAG:{fragment} ")
        size = (first & 15) * 4
        if self.flags & IP_OPTIONS and size > 20:
            self.options(at + 20, size - 20)
        at += size
        if protocol == TCP:
            self.tcp(at, fragment)
        elif protocol in (UDP, UDPLITE):
            self.udp(at, fragment, "UDP" if protocol == UDP else "UDPLITE")
        elif protocol == ICMP:
            self.icmp(at, fragment, nested)
        elif protocol in (ESP, AH):
            self.security(at, *((8, "ESP") if protocol == ESP else (12, "AH")), fragment)
        else:
            self.say(f"PROTO={protocol} ")

    def ipv6(self, at, nested=False):
        head = self.header(at, 40, incomplete=False)
        first, length, protocol, hops = struct.unpack("!IHBB", head[:8])
        self.say(*(f"{name}={IPv6Address(bytes(head[place:place + 16])).exploded} "
                   for name, place in (("SRC", 8), ("DST", 24))))
        self.say(f"LEN={length + 40} TC={first >> 20 & 0xFF} HOPLIMIT={hops} FLOWLBL={first & 0xFFFFF} ")
        protocol, at, fragment = self.extensions(protocol, at + 40)
        if protocol == TCP:
            self.tcp(at, fragment)
        elif protocol in (UDP, UDPLITE):
            self.udp(at, fragment, "UDP" if protocol == UDP else "UDPLITE")
        elif protocol == ICMPV6:
            self.icmpv6(at, fragment, nested)
        else:
            self.say(f"PROTO={protocol} ")

    def extensions(self, protocol, at):
        """Tell extension headers; returns the protocol behind them, where it begins, and if it is a later fragment."""
        told, fragment = self.flags & IP_OPTIONS, False
        while protocol in EXTENSIONS:
            head = self.header(at, 2, incomplete=False)
            if told:
                self.say("OPT ( ")
            size = (head[1] + 1) * 8
            if protocol == FRAGMENT:
                size, fragment = 8, self.fragment(at)
            elif protocol in (AH, ESP):
                name, need = ("AH", 12) if protocol == AH else ("ESP", 8)
                if told:
                    self.spi(at, name, need, fragment)
                if protocol == ESP:
                    raise _Over
                size = (head[1] + 2) * 4
            elif fragment:
                self.say(*[")"] * bool(told))
                raise _Over
            if told:
                self.say(") ")
            protocol, at = head[0], at + size
        return protocol, at, fragment

    def fragment(self, at):
        self.say("FRAG:")
        offset, ident = struct.unpack("!2xHI", self.header(at, 8, incomplete=False))
        self.say(f"{offset & 0xFFF8} ", *["INCOMPLETE "] * (offset & 1), f"ID:{ident:08x} ")
        return bool(offset & 0xFFF8)

    def spi(self, at, name, need, fragment):
        self.say(f"{name} ")
        if fragment:
            self.say(")")
            raise _Over
        try:
            head = self.header(at, need)
        except _Over:
            self.say(")")
            raise
        self.say(f"SPI=0x{int.from_bytes(head[need - 8:need - 4], 'big'):x} ", *[")"] * (name == "ESP"))

    def icmpv6(self, at, fragment, nested):
        self.say("PROTO=ICMPv6 ")
        if fragment:
            return
        kind, code, _, rest = struct.unpack("!BBHI", self.header(at, 8))
        self.say(f"TYPE={kind} CODE={code} ")
        if kind in (128, 129):
            self.say(f"ID={rest >> 16} SEQ={rest & 0xFFFF} ")
        elif kind in (1, 2, 3, 4):
            if kind == 4:
                self.say(f"POINTER={rest:08x} ")
            if not nested:
                self.quoted(self.ipv6, at + 8)
            if kind == 2:
                self.say(f"MTU={rest} ")


def _link(header, linktype, flags):
    """The words about the link header of a packet that came in."""
    if flags & MAC_DECODE and linktype == ETHERNET:
        return f"MACSRC={header[6:12].hex(':')} MACDST={header[:6].hex(':')} MACPROTO={header[12:14].hex()} "
    return f"MAC={header[:14].hex(':') if linktype == ETHERNET else ''} "


def line_of(packet, ts, kind, group, family, flags, prefix, in_name, out_name, comes_in, linktype, link, data, length,
            mark):
    """The Line of what ``line_t`` of the compiled rules keeps."""
    text = _Text(data, length, flags)
    text.say(f"{prefix.decode(errors='replace')}IN={in_name} OUT={out_name} ")
    if comes_in:
        text.say(_link(link, linktype, flags))
    try:
        (text.ipv4 if family == 4 else text.ipv6)(0)
        if mark:
            text.say(f"MARK=0x{mark:x} ")
    except _Over:
        pass
    return Line(packet, ts, kind, group, "".join(text.words))
