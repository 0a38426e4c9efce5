"""Random words for an extension, drawn from its table of options and from the kinds of their arguments.

Most are right; some are wrong in the ways in which people get them wrong. A kind that is not in SAMPLES, neither itself
nor one it is derived from, wants a row there.
"""
from fastct.rules import kinds
from fastct.rules.extension import MATCHES
from fastct.rules.matches import (
    address,
    bpf,
    clock,
    connection,
    hashlimit,
    headers,
    icmp,
    packet,
    payload,
    ports,
    rate,
    rateest,
    recent,
    sctp,
    sockets,
    state,
    u32,
)
from fastct.rules.model import TABLES

ODD = ("", "x", "-1", "+3", "5x", "0x1f", "010", "4294967296", "18446744073709551616", "1:2:3", "9:1", ":", "5:", ",",
       "a b", "65535", "65536", "256", "1/", "/1", "1/2/3", "1,,2", "!")
NAMES = ("a", "web", "a b", "x.y", 'q"t', "0123456789012345678901234567890123456789")
PROTOCOL_NAMES = {1: "icmp", 6: "tcp", 17: "udp", 33: "dccp", 50: "esp", 51: "ah", 58: "icmpv6", 108: "ipcomp",
                  132: "sctp", 135: "mobility-header", 136: "udplite"}
ADDRESSES = {4: ("10.0.0.1", "10.1.2.3", "0.0.0.0", "255.255.255.255", "192.168.7.9"),
             6: ("fd00::1", "::", "fe80::1:2", "2001:db8::ffff", "::ffff:1.2.3.4")}
MASKS = {4: ("0", "8", "24", "31", "32", "255.255.0.0", "255.0.255.0", "33"),
         6: ("0", "7", "64", "127", "128", "ffff:ffff::", "129")}


def _number(rng, kind):
    high = (1 << kind.bits) - 1 if kind.high is None else kind.high
    return str(rng.choice((kind.low, high, high + 1 if rng.random() < 0.1 else high, rng.randint(kind.low, high),
                           min(high, kind.low + rng.randrange(40)))))


def _range(rng, bits, separator=":"):
    high = (1 << bits) - 1
    ends = [str(rng.choice((0, high, rng.randrange(200), rng.randint(0, high)))) for _ in range(rng.choice((1, 2, 2)))]
    if rng.random() < 0.1:
        ends[rng.randrange(len(ends))] = ""
    return separator.join(ends)


def _ports(rng, *_):
    names = ":".join(rng.sample(("http", "domain", "22", "ssh", "0", "80", "1024"), 2))
    return rng.choice((_range(rng, 16), names, "ssh"))


def _some(rng, names, separator=","):
    names = list(names)
    return separator.join(rng.sample(names, rng.randint(1, min(len(names), 4))))


def _port_list(rng, *_):
    return ",".join(_ports(rng) if rng.random() < 0.3 else str(rng.randrange(65536))
                    for _ in range(rng.choice((1, 1, 2, 3, 8, 16))))


def _mask(rng, *_):
    return rng.choice(("1", "0x10/0xf0", "5/0", "0xffffffff", "7/0xffffffff", "0/0", f"{rng.randrange(1 << 32)}"))


def _tcp_flags(rng, *_):
    return [_some(rng, ports.FLAG_BITS) for _ in range(2)]


def _chunks(rng, *_):
    texts = [name + rng.choice(("", "", "", ":t", ":IuB", ":T", ":e", ":"))
             for name in rng.sample(sorted(sctp.CHUNKS), rng.randint(1, 4))]
    return [rng.choice(("all", "any", "only", "ANY")), rng.choice((",".join(texts), "ALL", "NONE"))]


def _icmp(rng, kind):
    name = rng.choice(kind.types)[0]
    return rng.choice((name, name[:rng.randint(2, len(name))], name.upper(), f"{rng.randrange(45)}",
                       f"{rng.randrange(14)}/{rng.randrange(17)}", "255/3"))


def _host_mask(rng, kind):
    host = rng.choice(ADDRESSES[kind.family])
    return rng.choice((host, f"{host}/{rng.choice(MASKS[kind.family])}"))


def _u32(rng, *_):
    def test():
        steps = "".join(rng.choice(("&0xff", ">>22&0x3C@", " @ ", "<<3", "&5", ">>")) + str(rng.randrange(99))
                        for _ in range(rng.randrange(4)))
        values = ",".join(_range(rng, 32) for _ in range(rng.choice((1, 1, 2, 11))))
        return f"{rng.randrange(60)}{steps}{rng.choice(('=', ' = '))}{values}"
    return "&&".join(test() for _ in range(rng.choice((1, 1, 2, 3, 11))))


def _bytecode(rng, *_):
    codes = sorted(bpf.CODES)
    program = [f"{rng.choice(codes)} {rng.randrange(2)} {rng.randrange(2)} {rng.choice((0, 1, 9, 33, 4294963200))}"
               for _ in range(rng.randrange(4))] + ["22 0 0 0"]
    return f"{len(program)},{','.join(program)}{rng.choice(('', ','))}"


def _date(rng, *_):
    fields = [f"{rng.randint(1969, 2039)}", f"-{rng.randint(1, 12):02}", f"-{rng.randint(1, 31):02}",
              f"T{rng.randrange(24):02}", f":{rng.randrange(60):02}", f":{rng.randrange(61):02}"]
    return "".join(fields[:rng.randint(1, 6)])


def _rate(rng, *_):
    unit = rng.choice(("", "/s", "/sec", "/minute", "/min", "/h", "/day", "/x"))
    return f"{rng.choice((1, 2, 3, 7, 60, 100, 999, 5000, 10001, 0))}{unit}"


def _hash_rate(rng, *_):
    return rng.choice((_rate(rng), f"{rng.choice((1, 15, 16, 100, 1000, 4096))}{rng.choice(('', 'k', 'm'))}b/s"))


def _pattern(rng, kind):
    return rng.choice(("foo", "GET /", "|00 01|ab", "|deadbeef|", "a|b", 'q"u\\o', "|7e7e|x|41|", "ä", "|4|", "x" * 129,
                       "\\"))


def _header_options(rng, *_):
    return ",".join(rng.choice(("{}", "{}:{}")).format(rng.randrange(256), rng.randrange(256))
                    for _ in range(rng.choice((1, 2, 5, 17))))


def _owner(rng, *_):
    return rng.choice(("root", "0", "daemon", "0-10", "7:9", "9-3", "nosuch", "4294967294", "4294967295"))


# What an argument may be, by the class of its kind.
SAMPLES = {
    kinds.Number: _number,
    kinds.NumberRange: lambda rng, kind: _range(rng, kind.bits, kind.separator),
    kinds.Text: lambda rng, kind: rng.choice(NAMES),
    kinds.Mask: _mask,
    kinds.Choice: lambda rng, kind: rng.choice(kind.names),
    kinds.PortRange: _ports,
    kinds.Service: lambda rng, kind: rng.choice(("http", "53", "65536", "nosuch")),
    kinds.ServiceRange: _ports,
    ports.TcpFlags: _tcp_flags,
    ports.TcpOption: _number,
    ports.DccpTypes: lambda rng, kind: _some(rng, ports.DCCP_TYPES),
    ports.PortList: _port_list,
    sctp.Chunks: _chunks,
    icmp.IcmpType: _icmp,
    icmp.MobilityTypes: lambda rng, kind: rng.choice((_range(rng, 8), _some(rng, sum(icmp.MOBILITY, ()), ":"))),
    packet.TosMask: lambda rng, kind: rng.choice((*(name for name, _ in packet.TOS_NAMES), "0x10", "8/0x3f", "1/2")),
    packet.DscpClass: lambda rng, kind: rng.choice(sorted(packet.DSCP_CLASSES)),
    packet.PacketType: lambda rng, kind: rng.choice((*packet.PACKET_TYPES, "host", "Unicast")),
    packet.Mac: lambda rng, kind: ":".join(f"{rng.randrange(256):x}" for _ in range(6)),
    address.HostMask: _host_mask,
    address.PrefixLength: lambda rng, kind: rng.choice(MASKS[kind.family]),
    address.AddressTypes: lambda rng, kind: _some(rng, address.ADDRESS_TYPES),
    address.HostRange: lambda rng, kind: "-".join(rng.choices(ADDRESSES[kind.family], k=rng.choice((1, 2, 2)))),
    address.InterfaceName: lambda rng, kind: rng.choice(("eth0", "br+", "+", "0123456789abcdef", "0123456789abcde")),
    state.Bits: lambda rng, kind: _some(rng, kind.names),
    state.Protocol: lambda rng, kind: rng.choice(("tcp", "17", "esp", "ah", "256", "0")),
    connection.Label: lambda rng, kind: str(rng.choice((0, 7, 127, 128, 65536))),
    recent.HostAddress: lambda rng, kind: rng.choice((*ADDRESSES[kind.family], *MASKS[kind.family])),
    rate.Rate: _rate,
    rate.Probability: lambda rng, kind: rng.choice(("0", "1", "0.5", "1e-4", "1.5", f"{rng.random():.6f}")),
    hashlimit.HashRate: _hash_rate,
    hashlimit.Burst: lambda rng, kind: rng.choice(("1", "7", "100", "1kb", "5mb", "200mb", "0", "1000001")),
    hashlimit.Interval: lambda rng, kind: rng.choice(("1", "5", "3600", "0", "2147483647", "2147483648")),
    hashlimit.Modes: lambda rng, kind: _some(rng, hashlimit.MODES),
    clock.Date: _date,
    clock.Daytime: lambda rng, kind: f"{rng.randrange(25)}:{rng.randrange(61):02}{rng.choice(('', ':07', ':60'))}",
    clock.Weekdays: lambda rng, kind: _some(rng, (*clock.WEEKDAYS, "Mo", "Fr", "3", "7", "8", "0", "sun")),
    clock.Monthdays: lambda rng, kind: _some(rng, map(str, range(33))),
    payload.Pattern: _pattern,
    bpf.Bytecode: _bytecode,
    bpf.Pinned: lambda rng, kind: "/sys/fs/bpf/none",
    u32.Tests: _u32,
    sockets.UserIds: _owner,
    sockets.GroupIds: _owner,
    headers.HeaderOptions: _header_options,
    headers.HeaderNames: lambda rng, kind: _some(rng, [str(name) for header in headers.HEADERS for name in header[1:]]),
    headers.AddressList: lambda rng, kind: ",".join(rng.choices(ADDRESSES[6], k=rng.choice((1, 2, 17)))),
    rateest.ByteRate: lambda rng, kind: rng.choice(([], "5", "8kbit", "1.5mbps", "7foo", "99gibit")),
    rateest.PacketRate: lambda rng, kind: rng.choice(([], "5", "0", "7x")),
}


class RandomRules:
    """Words of rules with one extension or more. ``careless``: how often something is done wrong on purpose."""

    def __init__(self, rng, family, careless=0.05):
        self.rng, self.family, self.careless = rng, family, careless

    def slip(self):
        """Whether to do this one wrong."""
        return self.rng.random() < self.careless

    def argument(self, kind):
        """The words of an argument."""
        if not kind.count and not kind.optional:
            return []
        sample = next(SAMPLES[cls] for cls in type(kind).__mro__ if cls in SAMPLES)
        words = sample(self.rng, kind) if not self.slip() else self.rng.choice(ODD)
        return words if isinstance(words, list) else [words]

    def option(self, option):
        """The words of an option."""
        invert = self.slip() if not option.invert else self.rng.random() < 0.25
        name = self.rng.choice((option.name, option.name, *option.alias))
        if self.slip():
            name = name[:-1]
        return [*(["!"] if invert else []), f"--{name}", *self.argument(option.kind)]

    def chosen(self, extension):
        """Some of its options, those that are needed among them, and hardly any that exclude each other."""
        chosen = [option for option in extension.options if option.needed and not self.slip()]
        others = [option for option in extension.options if not option.needed]
        for option in self.rng.sample(others, self.rng.choice((0, 1, 1, 2, 3, len(others))) % (len(others) + 1)):
            names = {other.name for other in chosen}
            excluded = names & set(option.excludes) or any(option.name in other.excludes for other in chosen)
            if not excluded or self.slip():
                chosen.append(option)
        chosen += [self.rng.choice(chosen)] if chosen and self.slip() else []
        wanted = {name for option in chosen for name in option.requires} - {option.name for option in chosen}
        chosen += [option for option in extension.options if option.name in wanted and not self.slip()]
        self.rng.shuffle(chosen)
        return chosen

    def match(self, extension):
        """``-m NAME`` with options."""
        return ["-m", extension.name, *(word for option in self.chosen(extension) for word in self.option(option))]

    def protocol(self, extension):
        """The ``-p`` that an extension asks for, or any."""
        usual = extension.protocols or ((6, 17, 132) if extension.name == "multiport" else (0, 0, 6))
        number = self.rng.choice((*usual, 17) if self.slip() else usual)
        words = ["-p", PROTOCOL_NAMES[number]] if number else []
        return ["!", *words] if words and self.slip() else words

    def place(self, extension):
        """A table and one of its chains, mostly one where the kernel takes the extension."""
        places = [(table, hook) for table, hooks in TABLES.items() for hook in hooks if table != "nat"]
        right = [(table, hook) for table, hook in places
                 if (extension.tables is None or table in extension.tables)
                 and (extension.hooks is None or hook in extension.hooks)]
        return self.rng.choice(places if self.slip() else right)

    def rule(self, name):
        """A rule about one match, sometimes with another, and without addresses: its place, its words."""
        extension = MATCHES[name, self.family]
        words = [*self.protocol(extension), *self.match(extension)]
        if self.rng.random() < 0.2:
            other = self.rng.choice(sorted(self.names()))
            words += self.match(MATCHES[other, self.family])
        return self.place(extension), words + self.rng.choice(([], ["-j", "ACCEPT"], ["-j", "RETURN"]))

    def names(self):
        """The matches of the family. ``set`` needs sets, which are not made here; of ``ipvs`` iptables says that this
        kernel has no such module."""
        return [name for name, family in MATCHES if family == self.family and name not in ("set", "ipvs")]
