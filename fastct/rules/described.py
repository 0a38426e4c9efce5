"""Packets described in words, in those of iptables where it has some.

    in=eth0 tcp 10.0.0.1:1234 > 1.2.3.4:80 syn
    in=eth0 out=eth1 udp [2001:db8::1]:5353 > [2001:db8::2]:53 len=100 ttl=3 mark=0x10
    icmp 10.0.0.9 > 10.0.0.1 port-unreachable about udp 10.0.0.1:1234 > 1.2.3.4:53

    PROTOCOL SOURCE > DESTINATION [WORD ...] [NAME=VALUE ...] [about PACKET]

A protocol is a name or a number. Words behind the addresses are TCP's flags (``syn`` when there are none), the type of
an ICMP or ICMPv6 message (``echo-request``), the chunks of SCTP (``init``). ``about``: the packet that an ICMP error
quotes. ``NAME=VALUE`` may stand anywhere; ``SETTINGS`` has them all.
"""
import re
import struct
from dataclasses import dataclass, field
from functools import partial
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import NamedTuple

from fastct.errors import PacketError
from fastct.rules import names
from fastct.rules.kinds import number, port
from fastct.rules.matches.icmp import ICMP, ICMPV6, IcmpType
from fastct.rules.matches.ports import FLAG_BITS
from fastct.rules.matches.sctp import CHUNKS
from fastct.rules.words import Failure, Word
from fastct.wire import build

FLAGS = {name.lower(): bits for name, bits in FLAG_BITS.items()} | {"ece": 0x40, "cwr": 0x80}
TYPES = {build.ICMP: IcmpType("ICMP", ICMP[1:]), build.ICMPV6: IcmpType("ICMPv6", ICMPV6)}
PORTS = {build.TCP: "tcp", build.UDP: "udp", build.SCTP: "sctp", build.UDPLITE: "udplite"}
FAMILY_OF = {build.ICMP: 4, build.ICMPV6: 6}
IP_MOST = 65535
HIGHEST = {"byte": 0xFF, "short": 0xFFFF, "long": 0xFFFFFFFF}
INIT_TAG = 1            # of both ends of every SCTP association, so that packets need not know each other
CHUNK_INIT, CHUNK_DATA = CHUNKS["INIT"], CHUNKS["DATA"]
# What a chunk has that needs something: an INIT its tag, window, streams and number.
_INIT = struct.pack("!IIHHI", INIT_TAG, 65536, 1, 1, 1)
CHUNK_BODIES = {"INIT": _INIT, "INIT_ACK": _INIT, "DATA": struct.pack("!IHHI", 1, 0, 0, 0), "SACK": bytes(12),
                "HEARTBEAT": struct.pack("!HHI", 1, 8, 0), "HEARTBEAT_ACK": struct.pack("!HHI", 1, 8, 0),
                "SHUTDOWN": bytes(4), "COOKIE_ECHO": bytes(4)}


class Setting(NamedTuple):
    """A ``NAME=VALUE``: what the value is, and the protocols that it is for (None: all)."""
    kind: str
    protocols: tuple | None = None


SETTINGS = {
    "in": Setting("interface"), "out": Setting("interface"), "at": Setting("seconds"), "mark": Setting("long"),
    "ttl": Setting("byte"), "tos": Setting("byte"), "len": Setting("short"), "data": Setting("text"),
    "seq": Setting("long", (build.TCP,)), "ack": Setting("long", (build.TCP,)), "mss": Setting("short", (build.TCP,)),
    "tag": Setting("long", (build.SCTP,)), "id": Setting("short", (build.ICMP, build.ICMPV6)),
}
OF_THE_WHOLE = ("in", "out", "at", "mark")      # those that a quoted packet does not have

_WORD = re.compile(r'>|[^\s>="]+(?:=(?:"(?:[^"\\]|\\.)*"|[^\s">]*))?|\S')
_ESCAPE = re.compile(rb'\\(?:x([0-9a-fA-F]{2})|(.?))', re.DOTALL)
_MEANT = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"0": b"\0", b"\\": b"\\", b'"': b'"'}


@dataclass(frozen=True)
class Described:
    """A packet made from words.

    Attributes
    ----------
    text : str
        The words.
    data : bytes
        The packet from its IP header on (LINKTYPE_RAW), with right checksums.
    source, destination : ipaddress.IPv4Address or IPv6Address
    in_interface, out_interface : str
        Where it comes in and goes out; "" where the words do not say.
    mark : int
    at : float or None
        Seconds after the first packet of a sequence.
    """
    text: str
    data: bytes
    source: IPv4Address | IPv6Address
    destination: IPv4Address | IPv6Address
    in_interface: str = ""
    out_interface: str = ""
    mark: int = 0
    at: float | None = None

    @property
    def family(self):
        """4 or 6."""
        return self.source.version


def described(text, dialogue=None):
    """The packet that words describe.

    Parameters
    ----------
    text : str
    dialogue : dict, optional
        Shared by the packets of a sequence, of which it is told: TCP's ``seq`` and ``ack``, where the words do not say
        them, go on from the packets before. Empty at first.

    Returns
    -------
    Described

    Raises
    ------
    PacketError
        With the column and the token of the word that cannot be used.
    """
    words = [Word.at(found[0], found.start() + 1) for found in _WORD.finditer(text)]
    return _Reader(words, len(text) + 1, {} if dialogue is None else dialogue).packet(text)


def _error(message, word):
    return PacketError(message, column=word.column, token=str(word))


@dataclass
class _Reader:
    """The words of one packet, and what they said so far."""
    words: list
    end: int                # column behind the last
    dialogue: dict
    quoted: bool = False
    settings: dict = field(default_factory=dict)
    said: dict = field(default_factory=dict)        # the word of every setting
    plain: list = field(default_factory=list)       # words that are no settings
    about: Word | None = None
    inner: bytes = b""                              # the packet that an ICMP error is about

    def packet(self, text):
        """The packet of all words."""
        for place, word in enumerate(self.words):
            if word == "about":
                self.about = word
                self.inner = _Reader(self.words[place + 1:], self.end, {}, True).packet("").data
                break
            if "=" in word:
                self.setting(word)
            else:
                self.plain.append(word)
        protocol_word = self.next("a protocol")
        protocol = _protocol(protocol_word)
        ends, ports = self.addresses(protocol, protocol_word)
        for name, word in self.said.items():
            if SETTINGS[name].protocols is not None and protocol not in SETTINGS[name].protocols:
                raise _error(f"{protocol_word} has no {name}", word)
        payload = self.payload(protocol, ends, ports)
        get = self.settings.get
        data = build.ip(*ends, protocol, payload, get("ttl", 64), get("tos", 0))
        return Described(text, data, *ends, get("in", ""), get("out", ""), get("mark", 0), get("at"))

    def setting(self, word):
        """``NAME=VALUE``."""
        name, _, value = word.partition("=")
        if name not in SETTINGS or self.quoted and name in OF_THE_WHOLE:
            raise _error(f"expected one of {', '.join(SETTINGS)} before the =", word)
        if name in self.said:
            raise _error(f"{name} is said twice", word)
        self.said[name] = word
        self.settings[name] = _value(SETTINGS[name].kind, value, word)

    def next(self, what):
        """The next word that is no setting; ``what`` it should be, for the error without one."""
        if not self.plain:
            raise PacketError(f"expected {what} at the end", column=self.end)
        return self.plain.pop(0)

    def addresses(self, protocol, protocol_word):
        """``SOURCE > DESTINATION``: a pair of addresses and one of ports, or None."""
        source = self.next("a source")
        arrow = self.next("> and a destination")
        if arrow != ">":
            raise _error("expected > between source and destination", arrow)
        destination = self.next("a destination")
        pairs = [_end(word, protocol, protocol_word) for word in (source, destination)]
        ends, ports = zip(*pairs, strict=True)
        if ends[0].version != ends[1].version:
            raise _error(f"{source} is of IPv{ends[0].version}, {destination} of IPv{ends[1].version}", destination)
        if FAMILY_OF.get(protocol, ends[0].version) != ends[0].version:
            raise _error(f"{protocol_word} is not of IPv{ends[0].version}", protocol_word)
        return ends, None if None in ports else ports

    def payload(self, protocol, ends, ports):
        """What is behind the IP header."""
        data = self.data(protocol)
        if self.about and protocol not in TYPES:
            raise _error("only icmp and icmpv6 are about a packet", self.about)
        if protocol == build.TCP:
            return self.tcp(ends, ports, data)
        if protocol == build.SCTP:
            return self.sctp(ports, data)
        if protocol in TYPES:
            return self.icmp(protocol, ends, data)
        if self.plain:
            raise _error("expected nothing more", self.plain[0])
        if protocol in (build.UDP, build.UDPLITE):
            return (build.udp if protocol == build.UDP else build.udplite)(ends, ports, data)
        return data

    def data(self, protocol):
        """``data=`` or ``len=`` zeros."""
        data = self.settings.get("data", bytes(self.settings.get("len", 0)))
        for name in ("data", "len"):
            if len(data) > IP_MOST - 100 and name in self.said:
                raise _error(f"a packet has at most {IP_MOST} bytes, its headers included", self.said[name])
        if "data" in self.said and "len" in self.said:
            raise _error("len is that of data", self.said["len"])
        return data

    def tcp(self, ends, ports, data):
        """A segment; where it stands in its stream, the dialogue knows."""
        flags = 0
        for word in self.plain:
            if word.lower() not in FLAGS:
                raise _error(f"expected flags ({' '.join(FLAGS)})", word)
            flags |= FLAGS[word.lower()]
        flags = flags if self.plain else FLAGS["syn"]
        stream = tuple(zip(ends, ports, strict=True))
        seq = self.settings.get("seq", self.dialogue.get(stream, 0))
        ack = self.settings.get("ack", self.dialogue.get(stream[::-1], 0) if flags & FLAGS["ack"] else 0)
        takes = len(data) + bool(flags & FLAGS["syn"]) + bool(flags & FLAGS["fin"])
        self.dialogue[stream] = (seq + takes) & HIGHEST["long"]
        options = struct.pack("!BBH", 2, 4, self.settings["mss"]) if "mss" in self.settings else b""
        return build.tcp(ends, ports, flags, seq, ack, options, data)

    def sctp(self, ports, data):
        """A packet of chunks; data is that of a DATA chunk."""
        kinds = [_chunk(word) for word in self.plain] or ["INIT"]
        if data and "DATA" not in kinds:
            raise _error("only a DATA chunk has data", self.said.get("data") or self.said["len"])
        chunks = [build.sctp_chunk(CHUNKS[kind], CHUNK_BODIES.get(kind, b"") + (data if kind == "DATA" else b""))
                  for kind in kinds]
        return build.sctp(ports, self.settings.get("tag", 0 if "INIT" in kinds else INIT_TAG), chunks)

    def icmp(self, protocol, ends, data):
        """A message: with an identifier, or about a packet."""
        word = self.plain.pop(0) if self.plain else "echo-request"
        if self.plain:
            raise _error("expected nothing more", self.plain[0])
        try:
            kind, code, _ = TYPES[protocol].read([word], None)
        except Failure as failure:
            raise _error(str(failure), word) from None
        if self.about:
            return build.icmp(ends, kind, code, bytes(4) + self.inner + data)
        return build.icmp(ends, kind, code, struct.pack("!HH", self.settings.get("id", 0), 1) + data)


def _protocol(word):
    try:
        found = names.protocol(word)
    except Failure:
        raise _error("expected a protocol, by name or number", word) from None
    return found


def _end(word, protocol, protocol_word):
    """``ADDRESS``, ``ADDRESS:PORT``, ``[ADDRESS]:PORT``: the address, and its port or None."""
    found = re.fullmatch(r"\[([^]]*)\](?::(.*))?|([^:]*):([^:]*)|(.*)", word, re.DOTALL)
    text = found[1] or found[3] or found[5] or ""
    port_text = found[2] if found[2] is not None else found[4]
    try:
        address = ip_address(text)
    except ValueError:
        address = None
    if address is None or getattr(address, "scope_id", None):
        raise _error(f"expected an address{', [ADDRESS]:PORT or ADDRESS:PORT' if protocol in PORTS else ''}", word)
    if (port_text is not None) != (protocol in PORTS):
        raise _error(f"{protocol_word} has no ports" if port_text is not None
                     else f"{protocol_word} needs a port: {f'[{text}]' if address.version == 6 else text}:PORT", word)
    number_of_port = None if port_text is None else port(port_text, PORTS[protocol])
    if port_text is not None and number_of_port is None:
        raise _error("expected a port, by number or service", word)
    return address, number_of_port


def _chunk(word):
    """The name of a chunk, as iptables has it."""
    name = word.upper().replace("-", "_")
    if name not in CHUNKS:
        raise _error(f"expected chunks ({' '.join(CHUNKS)})", word)
    return name


def _value(kind, text, word):
    """The value of a setting."""
    if kind == "interface":
        if not 0 < len(text.encode()) <= names.INTERFACE_MAX:
            raise _error(f"expected the name of an interface, of up to {names.INTERFACE_MAX} characters", word)
        return text
    if kind == "text":
        return _ESCAPE.sub(partial(_meant, word), (text[1:-1] if text[:1] == '"' else text).encode())
    if kind == "seconds":
        if not re.fullmatch(r"\d{1,9}(\.\d+)?", text):
            raise _error("expected seconds after the first packet", word)
        return float(text)
    value, rest = number(text)
    if value is None or rest or value > HIGHEST[kind]:
        raise _error(f"expected a number up to {HIGHEST[kind]}", word)
    return value


def _meant(word, found):
    """What an escape in the text of a word stands for."""
    digits, letter = found.groups()
    if digits:
        return bytes.fromhex(digits.decode())
    if letter not in _MEANT:
        raise _error(r'expected \xHH or one of \n \r \t \0 \\ \" behind a backslash', word)
    return _MEANT[letter]
