"""Words of matches on what stands in packets, such as the packets of ``packet_matches`` have a chance to meet."""

import itertools
import time

from fastct.rules.extension import MATCHES

PROTOCOLS = {
    "tcp": 6,
    "udp": 17,
    "icmp": 1,
    "icmp6": 58,
    "sctp": 132,
    "dccp": 33,
    "udplite": 136,
    "esp": 50,
    "ah": 51,
    "ipcomp": 108,
    "mh": 135,
}
HOSTS = {4: ("10.1.0.1", "10.1.0.2", "10.1.1.9"), 6: ("fd00:1::1", "fd00:1::2", "fd00:1::a00:ff:fe00:1")}
FAR = {4: ("10.2.0.1", "10.2.3.4"), 6: ("fd00:2::1", "fd00:2::9:9")}
MAC = "0a:00:00:00:00:ff"  # of the devices
MACS = ("0a:00:00:00:00:01", "0a:00:00:00:00:02")
PORTS = (1, 53, 80, 81, 443, 1000, 65535)
TEXTS = ("GET /", "aab", "abab", "é", "|00|", "X", "aaaab")


class Words:
    """Draws the words of rules. ``protocol``, ``hook``: what the rule is for, and where it stands."""

    def __init__(self, rng, family):
        self.rng, self.family = rng, family
        self.protocol = self.hook = ""
        self._tag, self._names = f"{rng.getrandbits(20):x}", itertools.count()

    def name(self, kind):
        """The name of something that rules keep: no other ruleset has it, and other rules of this one seldom."""
        return f"{kind}{self.family}{self._tag}{next(self._names) // self.rng.choice((1, 2))}"

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
    return w.maybe(
        *w.ends(),
        w.option("tcp-option", 2, 3, 4, 5, 8),
        w.option("tcp-flags", ("SYN", "SYN"), ("ALL", "ACK"), ("FIN,RST", "NONE"), ("SYN,RST,ACK,FIN", "SYN")),
    )


def _sctp(w):
    chunks = ("DATA", "INIT,DATA", "SACK,HEARTBEAT", "ABORT:T", "DATA:Be", "DATA:uB,SACK", "ALL", "NONE", "COOKIE_ECHO")
    return w.maybe(
        *w.ends(), w.option("chunk-types", *((how, chunk) for how in ("all", "any", "only") for chunk in chunks))
    )


def _dccp(w):
    return w.maybe(
        *w.ends(),
        w.option("dccp-types", "REQUEST", "DATA,ACK", "RESET", "INVALID", "SYNC,CLOSE"),
        w.option("dccp-option", 1, 5, 44),
    )


def _options(prefix):
    return lambda w: w.maybe(
        w.option(f"{prefix}-len", 8, 16, 24, 9),
        w.option(
            f"{prefix}-opts", "1", "1:4", "5:2", "0", "0,0", "1:0,5:2", "0,1", "1:4,30:2", "1,1,1,1", "5", bang=False
        ),
    )


def _rt(w):
    kind = w.maybe(
        w.option("rt-type", 0, 4, 2), w.option("rt-len", 8, 24, 40, 23), w.option("rt-segsleft", 0, "1:3", 2)
    )
    addresses = ("fd00:2::1", "fd00:2::9:9", "fd00:2::1,fd00:2::9:9", "fd00:2::9:9,fd00:2::1")
    zero = ["--rt-type", "0", *w.flag("rt-0-res"), *w.maybe(w.option("rt-0-addrs", *addresses, bang=False))]
    zero += w.flag("rt-0-not-strict") if "--rt-0-addrs" in zero else []
    return w.rng.choice((kind, zero))


def _srh(w):
    fields = [
        w.option(f"srh-{field}-{test}", 0, 1, 2, 3, 255)
        for field in ("hdr-len", "segs-left", "last-entry")
        for test in ("eq", "gt", "lt")
    ]
    segments = [
        w.option(f"srh-{name}", "fd00:2::1", "fd00:2::/64", "fd00:2::9:0/112") for name in ("psid", "nsid", "lsid")
    ]
    return w.maybe(
        w.option("srh-next-hdr", 6, 17, 59), w.option("srh-tag", 0, 258, 513), *w.rng.sample(fields, 2), *segments
    )


def _frag(w):
    return w.maybe(
        w.option("fragid", "0:2147483647", "1073741824:4294967295", 7),
        w.flag("fragres"),
        w.flag("fragfirst"),
        w.rng.choice((["--fragmore"], ["--fraglast"])),
        w.option("fraglen", 8),
    )


def _bpf(w):
    load = "48 0 0 9" if w.family == 4 else "48 0 0 6"
    return [
        "--bytecode",
        *w.pick(
            f"4,{load},21 0 1 6,6 0 0 65535,6 0 0 0",
            "4,177 0 0 0,72 0 0 2,21 0 1 80,6 0 0 1,6 0 0 0".replace("4,", "5,", 1),
            "3,128 0 0 0,36 0 0 3,22 0 0 0",
            "6,128 0 0 0,7 0 0 0,80 0 0 4294967295,84 0 0 1,22 0 0 0,6 0 0 0",
            "4,32 0 0 4294963200,21 0 1 2048,6 0 0 1,6 0 0 0",
            "4,32 0 0 4294963204,21 0 1 1,6 0 0 1,6 0 0 0",
            "3,40 0 0 4293918732,84 0 0 255,22 0 0 0",
            "3,48 0 0 4292870144,84 0 0 2,22 0 0 0",
            "7,48 0 0 4,2 0 0 3,48 0 0 5,7 0 0 0,96 0 0 3,28 0 0 0,22 0 0 0",
            "5,48 0 0 21,7 0 0 0,48 0 0 20,60 0 0 0,22 0 0 0",
            "5,48 0 0 1,164 0 0 7,132 0 0 0,116 0 0 3,22 0 0 0",
            "4,32 0 0 60,69 0 1 1,6 0 0 7,6 0 0 0",
            "2,80 0 0 40,22 0 0 0",
        ),
    ]


def _u32(w):
    return w.option(
        "u32",
        "0>>22&0x3C@0>>16=53,80:443",
        "2&0xFFFF=0x28:0x100",
        "6&0xFF=6,17",
        "0>>22&0x3C@12>>26&0x3C@0=1:5",
        "40=0:0x7fffffff&&0=0:0xffffffff",
        "8<<8&0xff00=0:0x4000",
        "9999=0",
        "0&0xffffffff@0=0:9",
        "36@4=1",
    )


def _time(w):
    now = time.gmtime()
    return w.maybe(
        w.option("weekdays", now.tm_wday + 1, "1,2,3", "Mon,Sun"),
        w.option("monthdays", now.tm_mday, "1,15,31"),
        [
            *w.option("timestart", f"{now.tm_hour:02}:00", bang=False),
            *w.option("timestop", "23:59", "00:10", bang=False),
        ],
        w.option("datestart", "2020", "2037-01-02T03", bang=False),
        w.option("datestop", "2024", "2038", bang=False),
    )


def _addrtype(w):
    types = (
        "UNICAST",
        "LOCAL",
        "MULTICAST",
        "UNICAST,MULTICAST",
        "UNSPEC",
        *(("BROADCAST", "ANYCAST") if w.family == 4 else ()),
    )
    return w.some(w.option("src-type", *types), w.option("dst-type", *types))


def _owner(w):
    return w.some(w.option("uid-owner", 0, "0-9"), w.option("gid-owner", 0), ["!", "--socket-exists"])


PACKET_WORDS = {
    "tcp": _tcp,
    "udp": lambda w: w.maybe(*w.ends()),
    "sctp": _sctp,
    "dccp": _dccp,
    "multiport": lambda w: w.option(w.rng.choice(("sports", "dports", "ports")), w.ports()),
    "icmp": lambda w: w.option("icmp-type", "any", 8, 3, "3/1", "255/3", 11),
    "icmp6": lambda w: w.option("icmpv6-type", 128, 1, "1/4", 255, 135, "3/0"),
    "ah": lambda w: w.maybe(
        w.option("ahspi", 5, "0:9"), *((w.option("ahlen", 24, 12, 16), w.flag("ahres")) if w.family == 6 else ())
    ),
    "esp": lambda w: w.maybe(w.option("espspi", 5, "0:9")),
    "ipcomp": lambda w: w.maybe(w.option("ipcompspi", 5, "0:9"), w.flag("compres")),
    "ttl": lambda w: (
        w.option("ttl-eq", 1, 63, 64)
        if w.rng.random() < 0.5
        else w.option(w.rng.choice(("ttl-lt", "ttl-gt")), 0, 64, 63, 255, bang=False)
    ),
    "hl": lambda w: (
        w.option("hl-eq", 1, 63, 64)
        if w.rng.random() < 0.5
        else w.option(w.rng.choice(("hl-lt", "hl-gt")), 0, 64, 63, 255, bang=False)
    ),
    "length": lambda w: w.option("length", 40, "0:60", "61:100", "100:", 48),
    "tos": lambda w: w.option("tos", "0x10", "8/0x3f", "Minimize-Delay", "0/3", "2/3"),
    "dscp": lambda w: w.option("dscp", 0, 4, 46, 2),
    "ecn": lambda w: w.some(w.option("ecn-tcp-ece", ()), w.option("ecn-tcp-cwr", ()), w.option("ecn-ip-ect", 0, 1, 3)),
    "tcpmss": lambda w: w.option("mss", 1460, "500:1400", 0),
    "comment": lambda w: ["--comment", "x"],
    "iprange": lambda w: w.some(
        *(
            w.option(name, *(f"{a}-{b}" for a in hosts for b in hosts))
            for name, hosts in (("src-range", HOSTS[w.family]), ("dst-range", FAR[w.family]))
        )
    ),
    "mac": lambda w: w.option("mac-source", *MACS),
    "pkttype": lambda w: w.option("pkt-type", "unicast", "broadcast", "multicast", "otherhost"),
    "addrtype": _addrtype,
    "rpfilter": lambda w: w.flag("loose") + w.flag("accept-local") + w.flag("invert"),
    "realm": lambda w: w.option("realm", 0, "5/4", "0/7"),
    "cpu": lambda w: w.option("cpu", 4000),
    "devgroup": lambda w: w.option("src-group", 0, 1, "4/3"),
    "string": lambda w: [
        *w.option(w.rng.choice(("string", "hex-string")), *TEXTS),
        "--algo",
        *w.pick("bm", "kmp"),
        *w.maybe(
            w.option("from", 0, 28, 41, 44, bang=False), w.option("to", 60, 44, 65535, bang=False), w.flag("icase")
        ),
    ],
    "u32": _u32,
    "bpf": _bpf,
    "time": _time,
    "eui64": lambda w: [],
    "hbh": _options("hbh"),
    "dst": _options("dst"),
    "frag": _frag,
    "ipv6header": lambda w: [
        *w.option(
            "header", "hop", "dst,prot", "none", "ah,prot", "prot", "route,prot", "frag,prot", "esp", "hop,dst,prot"
        ),
        *w.flag("soft"),
    ],
    "mh": lambda w: w.maybe(w.option("mh-type", 0, "1:3", 5)),
    "rt": _rt,
    "srh": _srh,
    "owner": _owner,
    "socket": lambda w: w.flag("nowildcard"),
    "cgroup": lambda w: w.option("cgroup", 1),
    "physdev": lambda w: w.some(w.option("physdev-in", "f0"), w.option("physdev-is-in", ())),
    "policy": lambda w: ["--dir", "in", "--pol", *w.pick("none", "ipsec")],
    "osf": lambda w: w.option("genre", "Linux"),
}
NEEDS = {"multiport": ("tcp", "udp", "sctp", "dccp", "udplite"), "ecn": ("tcp",)}


def rule(rng, family, name, chain):
    """The words of a rule about a match, sometimes with another in front of it or behind."""
    words = []
    protocols = NEEDS.get(name) or [
        p for p, number in PROTOCOLS.items() if number in (MATCHES[name, family].protocols or ())
    ]
    if protocols:
        words += ["-p", str(PROTOCOLS[rng.choice(protocols)])]
    if not protocols and rng.random() < 0.2:
        words += [*(["!"] if rng.random() < 0.3 else []), "-p", rng.choice(("6", "17", "59", "44", "58", "1"))]
    matches = [["-m", name, *PACKET_WORDS[name](Words(rng, family))]]
    if rng.random() < 0.25:
        matches.insert(rng.randrange(2), ["-m", "length", "--length", rng.choice(("0:70", "50:"))])
    if rng.random() < 0.1:
        matches.insert(rng.randrange(2), ["-m", "iprange", "--src-range", HOSTS[family][0]])
    return ["-t", "mangle", "-A", chain, *words, *sum(matches, [])]
