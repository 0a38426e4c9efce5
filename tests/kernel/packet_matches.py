"""Rules about what stands in packets, packets that such rules are about, and the counters of both sides.

    RULES        per match: words that a packet has a chance to meet
    Packets      frames with odd headers, many of them damaged
    differences  the same rules and frames through the kernel's mangle table and through ours
"""
import fcntl
import os
import random
import re
import struct
import subprocess
import time

import fastct
from fastct.rules import program
from fastct.rules.compile import compile_ruleset
from fastct.rules.extension import MATCHES
from fastct.rules.model import Ruleset as Model
from fastct.rules.route import Routes
from tests.kernel.kernel import IFF_NO_PI, TUNSETIFF, write_sysctl
from tests.packets import checksum, ip

IFF_TAP = 2
BATCH = 200
PROGRAMS = {4: "iptables-legacy", 6: "ip6tables-legacy"}
PROTOCOLS = {"tcp": 6, "udp": 17, "icmp": 1, "icmp6": 58, "sctp": 132, "dccp": 33, "udplite": 136, "esp": 50, "ah": 51,
             "ipcomp": 108, "mh": 135}
HOSTS = {4: ("10.1.0.1", "10.1.0.2", "10.1.1.9"), 6: ("fd00:1::1", "fd00:1::2", "fd00:1::a00:ff:fe00:1")}
FAR = {4: ("10.2.0.1", "10.2.3.4"), 6: ("fd00:2::1", "fd00:2::9:9")}
MAC = "0a:00:00:00:00:ff"       # of the devices
MACS = ("0a:00:00:00:00:01", "0a:00:00:00:00:02")
PORTS = (1, 53, 80, 81, 443, 1000, 65535)
TEXTS = ("GET /", "aab", "abab", "é", "|00|", "X", "aaaab")


class Words:
    """Draws the words of rules."""

    def __init__(self, rng, family):
        self.rng, self.family = rng, family

    def pick(self, *those):
        """One of some words; a tuple is several."""
        chosen = self.rng.choice(those)
        return list(chosen) if isinstance(chosen, tuple) else [str(chosen)]

    def option(self, name, *those, bang=True):
        """An option with one of some arguments, sometimes inverted."""
        return [*(["!"] if bang and self.rng.random() < 0.3 else []), f"--{name}", *self.pick(*those)]

    def flag(self, name, often=0.4):
        """An option without argument, or nothing."""
        return [f"--{name}"] if self.rng.random() < often else []

    def some(self, *options):
        """One or more of some options."""
        return sum(self.rng.sample(options, self.rng.randint(1, len(options))), [])

    def maybe(self, *options):
        """Some of them, or none."""
        return sum(self.rng.sample(options, self.rng.randint(0, len(options))), [])

    def ends(self):
        """Options about ports."""
        ports = (*PORTS, "53:81", "80:", ":80", "0:65535")
        return [self.option(name, *ports) for name in ("sport", "dport")]

    def ports(self):
        """A list for multiport."""
        return ",".join(self.rng.sample(("1", "53", "80:90", "443", "1000:2000", "65535"), self.rng.randint(1, 4)))


def _tcp(w):
    return w.maybe(*w.ends(), w.option("tcp-option", 2, 3, 4, 5, 8), w.option(
        "tcp-flags", ("SYN", "SYN"), ("ALL", "ACK"), ("FIN,RST", "NONE"), ("SYN,RST,ACK,FIN", "SYN")))


def _sctp(w):
    chunks = ("DATA", "INIT,DATA", "SACK,HEARTBEAT", "ABORT:T", "DATA:Be", "DATA:uB,SACK", "ALL", "NONE", "COOKIE_ECHO")
    return w.maybe(*w.ends(), w.option("chunk-types", *((how, chunk) for how in ("all", "any", "only")
                                                        for chunk in chunks)))


def _dccp(w):
    return w.maybe(*w.ends(), w.option("dccp-types", "REQUEST", "DATA,ACK", "RESET", "INVALID", "SYNC,CLOSE"),
                   w.option("dccp-option", 1, 5, 44))


def _options(prefix):
    return lambda w: w.maybe(w.option(f"{prefix}-len", 8, 16, 24, 9), w.option(
        f"{prefix}-opts", "1", "1:4", "5:2", "0", "0,0", "1:0,5:2", "0,1", "1:4,30:2", "1,1,1,1", "5", bang=False))


def _rt(w):
    kind = w.maybe(w.option("rt-type", 0, 4, 2), w.option("rt-len", 8, 24, 40, 23), w.option("rt-segsleft", 0, "1:3", 2))
    addresses = ("fd00:2::1", "fd00:2::9:9", "fd00:2::1,fd00:2::9:9", "fd00:2::9:9,fd00:2::1")
    zero = ["--rt-type", "0", *w.flag("rt-0-res"), *w.maybe(w.option("rt-0-addrs", *addresses, bang=False))]
    zero += w.flag("rt-0-not-strict") if "--rt-0-addrs" in zero else []
    return w.rng.choice((kind, zero))


def _srh(w):
    fields = [w.option(f"srh-{field}-{test}", 0, 1, 2, 3, 255) for field in ("hdr-len", "segs-left", "last-entry")
              for test in ("eq", "gt", "lt")]
    segments = [w.option(f"srh-{name}", "fd00:2::1", "fd00:2::/64", "fd00:2::9:0/112") for name in ("psid", "nsid", "lsid")]
    return w.maybe(w.option("srh-next-hdr", 6, 17, 59), w.option("srh-tag", 0, 258, 513), *w.rng.sample(fields, 2),
                   *segments)


def _frag(w):
    return w.maybe(w.option("fragid", "0:2147483647", "1073741824:4294967295", 7), w.flag("fragres"), w.flag("fragfirst"),
                   w.rng.choice((["--fragmore"], ["--fraglast"])), w.option("fraglen", 8))


def _bpf(w):
    load = "48 0 0 9" if w.family == 4 else "48 0 0 6"
    return ["--bytecode", *w.pick(
        f"4,{load},21 0 1 6,6 0 0 65535,6 0 0 0", "4,177 0 0 0,72 0 0 2,21 0 1 80,6 0 0 1,6 0 0 0".replace("4,", "5,", 1),
        "3,128 0 0 0,36 0 0 3,22 0 0 0", "6,128 0 0 0,7 0 0 0,80 0 0 4294967295,84 0 0 1,22 0 0 0,6 0 0 0",
        "4,32 0 0 4294963200,21 0 1 2048,6 0 0 1,6 0 0 0", "4,32 0 0 4294963204,21 0 1 1,6 0 0 1,6 0 0 0",
        "3,40 0 0 4293918732,84 0 0 255,22 0 0 0", "3,48 0 0 4292870144,84 0 0 2,22 0 0 0",
        "7,48 0 0 4,2 0 0 3,48 0 0 5,7 0 0 0,96 0 0 3,28 0 0 0,22 0 0 0",
        "5,48 0 0 21,7 0 0 0,48 0 0 20,60 0 0 0,22 0 0 0", "5,48 0 0 1,164 0 0 7,132 0 0 0,116 0 0 3,22 0 0 0",
        "4,32 0 0 60,69 0 1 1,6 0 0 7,6 0 0 0", "2,80 0 0 40,22 0 0 0")]


def _u32(w):
    return w.option("u32", "0>>22&0x3C@0>>16=53,80:443", "2&0xFFFF=0x28:0x100", "6&0xFF=6,17", "0>>22&0x3C@12>>26&0x3C@0=1:5",
                    "40=0:0x7fffffff&&0=0:0xffffffff", "8<<8&0xff00=0:0x4000", "9999=0", "0&0xffffffff@0=0:9", "36@4=1")


def _time(w):
    now = time.gmtime()
    return w.maybe(w.option("weekdays", now.tm_wday + 1, "1,2,3", "Mon,Sun"), w.option("monthdays", now.tm_mday, "1,15,31"),
                   [*w.option("timestart", f"{now.tm_hour:02}:00", bang=False), *w.option("timestop", "23:59", "00:10", bang=False)],
                   w.option("datestart", "2020", "2037-01-02T03", bang=False), w.option("datestop", "2024", "2038", bang=False))


def _addrtype(w):
    types = ("UNICAST", "LOCAL", "MULTICAST", "UNICAST,MULTICAST", "UNSPEC", *(("BROADCAST", "ANYCAST") if w.family == 4 else ()))
    return w.some(w.option("src-type", *types), w.option("dst-type", *types))


def _owner(w):
    return w.some(w.option("uid-owner", 0, "0-9"), w.option("gid-owner", 0), ["!", "--socket-exists"])


RULES = {
    "tcp": _tcp, "udp": lambda w: w.maybe(*w.ends()), "sctp": _sctp, "dccp": _dccp,
    "multiport": lambda w: w.option(w.rng.choice(("sports", "dports", "ports")), w.ports()),
    "icmp": lambda w: w.option("icmp-type", "any", 8, 3, "3/1", "255/3", 11),
    "icmp6": lambda w: w.option("icmpv6-type", 128, 1, "1/4", 255, 135, "3/0"),
    "ah": lambda w: w.maybe(w.option("ahspi", 5, "0:9"), *((w.option("ahlen", 24, 12, 16), w.flag("ahres"))
                                                           if w.family == 6 else ())),
    "esp": lambda w: w.maybe(w.option("espspi", 5, "0:9")),
    "ipcomp": lambda w: w.maybe(w.option("ipcompspi", 5, "0:9"), w.flag("compres")),
    "ttl": lambda w: w.option("ttl-eq", 1, 63, 64) if w.rng.random() < 0.5 else w.option(
        w.rng.choice(("ttl-lt", "ttl-gt")), 0, 64, 63, 255, bang=False),
    "hl": lambda w: w.option("hl-eq", 1, 63, 64) if w.rng.random() < 0.5 else w.option(
        w.rng.choice(("hl-lt", "hl-gt")), 0, 64, 63, 255, bang=False),
    "length": lambda w: w.option("length", 40, "0:60", "61:100", "100:", 48),
    "tos": lambda w: w.option("tos", "0x10", "8/0x3f", "Minimize-Delay", "0/3", "2/3"),
    "dscp": lambda w: w.option("dscp", 0, 4, 46, 2),
    "ecn": lambda w: w.some(w.option("ecn-tcp-ece", ()), w.option("ecn-tcp-cwr", ()), w.option("ecn-ip-ect", 0, 1, 3)),
    "tcpmss": lambda w: w.option("mss", 1460, "500:1400", 0), "comment": lambda w: ["--comment", "x"],
    "iprange": lambda w: w.some(*(w.option(name, *(f"{a}-{b}" for a in hosts for b in hosts)) for name, hosts in (
        ("src-range", HOSTS[w.family]), ("dst-range", FAR[w.family])))),
    "mac": lambda w: w.option("mac-source", *MACS),
    "pkttype": lambda w: w.option("pkt-type", "unicast", "broadcast", "multicast", "otherhost"),
    "addrtype": _addrtype, "rpfilter": lambda w: w.flag("loose") + w.flag("accept-local") + w.flag("invert"),
    "realm": lambda w: w.option("realm", 0, "5/4", "0/7"), "cpu": lambda w: w.option("cpu", 4000),
    "devgroup": lambda w: w.option("src-group", 0, 1, "4/3"),
    "string": lambda w: [*w.option(w.rng.choice(("string", "hex-string")), *TEXTS), "--algo", *w.pick("bm", "kmp"),
                         *w.maybe(w.option("from", 0, 28, 41, 44, bang=False), w.option("to", 60, 44, 65535, bang=False),
                                  w.flag("icase"))],
    "u32": _u32, "bpf": _bpf, "time": _time, "eui64": lambda w: [], "hbh": _options("hbh"), "dst": _options("dst"),
    "frag": _frag, "ipv6header": lambda w: [*w.option("header", "hop", "dst,prot", "none", "ah,prot", "prot", "route,prot",
                                                      "frag,prot", "esp", "hop,dst,prot"), *w.flag("soft")],
    "mh": lambda w: w.maybe(w.option("mh-type", 0, "1:3", 5)), "rt": _rt, "srh": _srh, "owner": _owner,
    "socket": lambda w: w.flag("nowildcard"), "cgroup": lambda w: w.option("cgroup", 1),
    "physdev": lambda w: w.some(w.option("physdev-in", "f0"), w.option("physdev-is-in", ())),
    "policy": lambda w: ["--dir", "in", "--pol", *w.pick("none", "ipsec")],
    "osf": lambda w: w.option("genre", "Linux"),
}
NEEDS = {"multiport": ("tcp", "udp", "sctp", "dccp", "udplite"), "ecn": ("tcp",)}


def rule(rng, family, name, chain):
    """The words of a rule about a match, sometimes with another in front of it or behind."""
    words = []
    protocols = NEEDS.get(name) or [p for p, number in PROTOCOLS.items()
                                    if number in (MATCHES[name, family].protocols or ())]
    if protocols:
        words += ["-p", str(PROTOCOLS[rng.choice(protocols)])]
    if not protocols and rng.random() < 0.2:
        words += [*(["!"] if rng.random() < 0.3 else []), "-p", rng.choice(("6", "17", "59", "44", "58", "1"))]
    matches = [["-m", name, *RULES[name](Words(rng, family))]]
    if rng.random() < 0.25:
        matches.insert(rng.randrange(2), ["-m", "length", "--length", rng.choice(("0:70", "50:"))])
    if rng.random() < 0.1:
        matches.insert(rng.randrange(2), ["-m", "iprange", "--src-range", HOSTS[family][0]])
    return ["-t", "mangle", "-A", chain, *words, *sum(matches, [])]


class Packets:
    """Draws frames. ``strays``: whether some go to all hosts, or to many addresses."""

    def __init__(self, rng, family, strays):
        self.rng, self.family, self.strays = rng, family, strays

    def _ports(self):
        return struct.pack("!HH", self.rng.choice(PORTS), self.rng.choice(PORTS))

    def _text(self):
        rng = self.rng
        return b"".join(rng.choice((b"GET /", b"aaab", b"ababab", b"x", b"X", b"\xc3\xa9", b"\xc3\x89", b"\0", b"aaaaab"))
                        for _ in range(rng.randrange(9)))

    def _tcp(self):
        rng = self.rng
        options = b"".join(rng.choice((b"\2\4\5\xb4", b"\2\4\2\0", b"\1", b"\3\3\7", b"\4\2", b"\0", b"\5\0", b"\2\3\1",
                                       b"\x08\x0a12345678")) for _ in range(rng.randrange(5)))[:40]
        options += bytes(-len(options) % 4)
        words = 5 + len(options) // 4 if rng.random() < 0.85 else rng.randrange(16)
        return self._ports() + struct.pack("!IIBBHHH", rng.randrange(99), 0, words << 4, rng.choice((2, 16, 18, 24, 1, 194, 80)),
                                           99, 0, 0) + options + self._text()

    def _chunks(self):
        rng = self.rng
        made = b""
        for _ in range(rng.randrange(4)):
            size = rng.choice((4, 5, 8, 16, 0, 2, 400)) if rng.random() < 0.3 else rng.choice((4, 8, 12))
            made += struct.pack("!BBH", rng.choice((0, 1, 3, 4, 6, 10, 130)), rng.randrange(8), size) + bytes(max(size - 4, 0) % 40)
        return self._ports() + struct.pack("!II", 7, 0) + made

    def _dccp(self):
        rng = self.rng
        return self._ports() + struct.pack("!BBHBBH", rng.randrange(3, 9), 0, 0, rng.randrange(32), 0, 9) + bytes(
            rng.choice((0, 1, 5, 2, 44, 3)) for _ in range(rng.randrange(30)))

    def transport(self):
        """A protocol and a header."""
        rng, icmp = self.rng, 1 if self.family == 4 else 58
        body = rng.choice((
            (6, self._tcp), (6, self._tcp), (17, lambda: self._ports() + struct.pack("!HH", rng.choice((8, 9, 30)), 0) + self._text()),
            (icmp, lambda: bytes((rng.choice((8, 0, 3, 11, 128, 1, 135, 255)), rng.choice((0, 1, 3, 4)))) + bytes(6) + self._text()),
            (132, self._chunks), (33, self._dccp), (136, lambda: self._ports() + bytes((0, 8, 1, 1)) + self._text()),
            (50, lambda: struct.pack("!II", rng.choice((5, 9, 77)), 1) + self._text()),
            (51, lambda: struct.pack("!BBHII", rng.choice((6, 59)), rng.choice((1, 4)), rng.choice((0, 1)), rng.choice((5, 9, 77)), 1)
             + self._ports() + bytes(24)),
            (108, lambda: struct.pack("!BBH", 6, rng.choice((0, 1)), rng.choice((0, 5, 9)))),
            (135, lambda: bytes((rng.choice((59, 59, 6)), 1, rng.randrange(7), 0, 0, 0)) + bytes(10)), (59, bytes), (253, self._text)))
        return body[0], body[1]()

    def _extension(self, following):
        """An extension header of IPv6: its number, its bytes."""
        rng = self.rng
        kind = rng.choice((0, 60, 60, 43, 43, 43, 44, 51))
        if kind in (0, 60):
            options = rng.choice((b"\1\4\0\0\0\0", b"\5\2\0\0\1\0", b"\0\0\1\2\0\0", b"\1\4\0\0\0\0\x1e\2\0\0\1\2\0\0", b"\0\5\2\0\0\0"))
            return kind, bytes((following, len(options) // 8)) + options
        if kind == 43:
            addresses = [rng.choice(FAR[6]) for _ in range(rng.randrange(4))]
            last = max(len(addresses) - 1, 0) if rng.random() < 0.8 else rng.randrange(4)
            head = bytes((following, 2 * len(addresses), rng.choice((0, 4, 4, 2)), rng.randrange(len(addresses) + 1),
                          last if rng.random() < 0.7 else 0, 0)) + rng.choice((b"\0\0", b"\1\2", b"\2\1"))
            return kind, head + b"".join(map(_packed, addresses))
        if kind == 44:
            return kind, struct.pack("!BBHI", following, rng.choice((0, 0, 3)), rng.choice((0, 0, 1, 6, 9)), rng.getrandbits(32))
        return kind, struct.pack("!BBHII", following, 4, rng.choice((0, 1)), rng.choice((5, 77)), 1) + bytes(12)

    def packet(self):
        """An IP packet."""
        rng = self.rng
        protocol, body = self.transport()
        extensions, first = b"", protocol
        for _ in range(rng.choice((0, 0, 1, 1, 2, 3)) if self.family == 6 else 0):
            first, made = self._extension(first)
            extensions = made + extensions
        data = extensions + body
        if rng.random() < 0.2 and data:
            data = bytearray(data)
            data[rng.randrange(min(len(data), 48))] = rng.choice((0, 255, rng.randrange(256)))
        if rng.random() < 0.25:
            data = data[:rng.randrange(len(data) + 1)]
        far = FAR[self.family]
        if self.strays:
            far += ("224.0.0.5", "255.255.255.255") if self.family == 4 else ("ff0e::5", "::5")
        ends = rng.choice(HOSTS[self.family]), rng.choice(far)
        packet = bytearray(ip(*ends, first, bytes(data), ttl=rng.choice((64, 63, 2, 255)), first_extension=first)
                           if self.family == 6 else ip(*ends, first, bytes(data), ttl=rng.choice((64, 63, 2, 255)),
                                                       options=rng.choice((b"", b"", b"\1\1\1\1"))))
        tos = rng.choice((0, 0x10, 8, 2, 3, 0xB8, 0x12))
        if self.family == 6:
            packet[:2] = struct.pack("!H", 0x6000 | tos << 4)
        else:
            packet[1] = tos
            size = (packet[0] & 15) * 4
            packet[10:12] = b"\0\0"
            packet[10:12] = struct.pack("!H", checksum(bytes(packet[:size])))
        return bytes(packet)

    def frame(self):
        """An Ethernet frame."""
        rng = self.rng
        to = rng.choice((MAC, "ff:ff:ff:ff:ff:ff", "01:00:5e:00:00:05")) if self.strays and rng.random() < 0.3 else MAC
        head = bytes.fromhex((to + rng.choice(MACS)).replace(":", ""))
        return head + (b"\x08\0" if self.family == 4 else b"\x86\xdd") + self.packet()


def _packed(text):
    from tests.packets import address
    return address(text)


def _device(name):
    file = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(file, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TAP | IFF_NO_PI))
    write_sysctl(f"ipv6.conf.{name}.router_solicitations", 0)
    write_sysctl(f"ipv6.conf.{name}.addr_gen_mode", 1)
    write_sysctl(f"ipv6.conf.{name}.accept_dad", 0)
    subprocess.run(["ip", "link", "set", name, "address", MAC, "arp", "off", "up"], check=True)
    return file


class Side:
    """A namespace's kernel and a tracker of ours with the same rules in a chain of the mangle table."""

    def __init__(self, family, words):
        self.family, self.words = family, words
        model = Model(family)
        for rule_words in words:
            outcome = program.iptables(rule_words, model)
            assert not outcome.status, (rule_words, outcome.err)
        lines = (" ".join(f'"{word}"' for word in rule_words[2:]) for rule_words in words)
        self.text = "\n".join(("*mangle", *lines, "COMMIT", ""))
        self.program = compile_ruleset(model)
        self.tracker = fastct.Tracker(checksum="on", seed=1)
        self.tracker._engine.rules(*((self.program, None) if family == 4 else (None, self.program)), Routes())
        self.load()

    def load(self):
        """Hand the rules to the kernel, counters at zero."""
        done = subprocess.run([f"{PROGRAMS[self.family]}-restore"], input=self.text, text=True, capture_output=True)
        assert not done.returncode, (done.stderr, self.text)

    def kernel_counters(self):
        """Packets of each rule."""
        out = subprocess.run([f"{PROGRAMS[self.family]}-save", "-c", "-t", "mangle"], capture_output=True, text=True, check=True)
        return [int(count) for count in re.findall(r"^\[(\d+):\d+\] -A", out.stdout, re.MULTILINE)]

    def send(self, file, frames):
        """Frames through both; the rules whose counters differ since the start."""
        for frame in frames:
            os.write(file, frame)
        now = time.time_ns()
        self.tracker.process_bytes(frames, ts=[now] * len(frames))
        ours = [int(count) for count in self.program.counters()[:len(self.words), 0]]
        theirs = self.kernel_counters()
        return [(words, mine, other) for words, mine, other in zip(self.words, ours, theirs, strict=True) if mine != other]


def rules_for(rng, family, chain, count):
    """Words of rules that both take, the first of which calls conntrack in."""
    names = [name for name in RULES if (name, family) in MATCHES
             and (MATCHES[name, family].hooks is None or chain in MATCHES[name, family].hooks)]
    made = [["-t", "mangle", "-A", chain, "-m", "state", "--state", "INVALID"]]
    while len(made) < count:
        words = rule(rng, family, rng.choice(names), chain)
        if not program.iptables(words, Model(family)).status:
            made.append(words)
    return made


def _setup():
    for name in ("ipv4.ip_forward", "ipv6.conf.all.forwarding"):
        write_sysctl(name, 1)
    for where in ("all", "default"):
        write_sysctl(f"ipv4.conf.{where}.rp_filter", 0)
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)      # by which there is a table of local addresses
    files = [_device(name) for name in ("f0", "f1")]
    for number, name in enumerate(("f0", "f1"), 1):
        for words in (("route", "add", f"10.{number}.0.0/16"), ("-6", "route", "add", f"fd00:{number}::/64")):
            subprocess.run(["ip", *words, "dev", name], check=True)
    subprocess.run(["ip", "route", "add", "default", "dev", "f1"], check=True)
    subprocess.run(["ip", "-6", "route", "add", "default", "dev", "f1"], check=True)
    return files


def _drain(files):
    for file in files:
        while True:
            try:
                os.read(file, 70_000)
            except BlockingIOError:
                break


def run(seed, family, chain, rule_count, packet_count):
    """Packets asked of rules on both sides, and the first difference: rule, both counts, the frame; or None."""
    rng = random.Random(f"{seed} {family} {chain}")
    files = _setup()
    side = Side(family, rules_for(rng, family, chain, rule_count))
    packets = Packets(rng, family, strays=chain == "PREROUTING")
    asked = 0
    for _ in range(packet_count // BATCH):
        frames = [packets.frame() for _ in range(BATCH)]
        different = side.send(files[0], frames)
        _drain(files)
        asked += len(frames) * rule_count
        if different:
            return asked, bisected(files, side, frames) or (different, None)
    return asked, None


def bisected(files, side, frames):
    """Send the frames once more, one by one: the first at which rules differ."""
    side = Side(side.family, side.words)
    for frame in frames:
        different = side.send(files[0], [frame])
        _drain(files)
        if different:
            return different, frame.hex()
    return None
