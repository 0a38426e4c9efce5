"""Random words for any extension, drawn from its table of options: such as it takes, and such as it refuses."""
from fastct.rules import kinds
from fastct.rules.model import TABLES

PROTOCOLS = ("tcp", "udp", "icmp", "sctp", "dccp", "udplite", "47")
SYN = ("--syn", "--tcp-flags SYN,ACK SYN", "--dport 80")
SETS = (*("hash4", "hash6", "info4", "list") * 3, "missing", "x" * 32)
DIRECTIONS = (*("src", "dst", "src,dst", "dst,dst,src,src,dst,src") * 3, "src,dst,src,dst,src,dst,src", "both", "src,",
              "")

# Arguments by the kind of an option, the nearest of its classes first. What a kind refuses is among them.
ADDRESSES = ("10.0.0.1", "0.0.0.0", "fd00::1", "::", "1.2.3", "1.2.3.4/24", "")
PORTS = ("80", "80-90", "90-80", "80:90", "0", "70000", "80-70000", "ssh", "ssh-90", "90-ssh", "80-90/5", "80-80/9",
         "5/6", "80-90/0", "80-90x", "", "x")
SAMPLES = {
    "Range": tuple(f"{host}{port}" for host in ("10.0.0.1", "10.0.0.1-10.0.0.9", "10.0.0.9-10.0.0.1", "", "fd00::1",
                                                "[fd00::1]", "[fd00::1-fd00::9]", "[fd00::1", "fd00::9-fd00::9", "x")
                   for port in ("", *(f":{port}" for port in PORTS))),
    "Ports": PORTS,
    "Address": ADDRESSES,
    "Prefix": ("10.0.0.1/24", "10.0.0.0/255.255.0.0", "10.0.0.1", "10.0.0.0/33", "10.0.0.0/255.0.255.0", "10.0.0.0/x",
               "24", "0", "32", "64", "128", "fd00::/64", "fd00::1/64", "fd00::/48", "fd00::/65", "fd00::/129",
               "fd00::/ffff::"),
    "RejectWith": ("tcp-reset", "icmp-net-prohibited", "icmp6-no-route", "port-unreach", "icmp-p", "a", "x", ""),
    "Level": ("0", "4", "7", "8", "debug", "error", "warning", "warn", "err", "panic", "x", ""),
    "AuditType": ("accept", "DROP", "reject", "x"),
    "Balance": ("0:3", "3:0", "2:2", "0:65535", "1:65535", ":4", "4:", "4", "1:2:3", "x:y"),
    "OnPort": ("80", "0", "70000", "ssh", "0x50", "x", ""),
    "Class": ("1:10", "ffff:ffff", "0:0", "1", "1:", "x:1", "12345:1", "-1:1", "1:2y"),
    "SetTos": ("0x10", "0x10/0x3f", "16/0x3f", "0/0", "0x1f/0", "Minimize-Cost", "normal-service", "256", "1/256", "1x",
               "x"),
    "DscpClass": ("EF", "be", "CS7", "AF43", "AF44", "x"),
    "TcpOptions": ("2", "mss,wscale,sack,timestamp", "255,8", "8,timestamp", "0", "256", "x", ""),
    "Events": ("new", "destroy,new", "assured,mark,secmark,natseqinfo", "x", ""),
    "Zone": ("1", "0", "65535", "65536", "mark", "x"),
    "TimeoutName": ("policy", "a", ""),
    "Tuple": ("src", "src,dst,sport,dport,proto", "ct", "ct,spi", "spi,dst", "sport,spi", "src,src", "src,", "x"),
    "Delay": ("0", "5", "inf", "x", "4294967296"),
    "Time": ("250ms", "1s", "2", "0.5sec", "8s", "9s", "500000us", "60secs", "-1s", "x", "1m", "1e1s"),
    "HashMode": ("sourceip", "sourceip-sourceport", "x"),
    "ClusterMac": ("01:00:5e:00:00:20", "00:00:5e:00:00:20", "x"),
    "CounterValue": ("0", "7", "18446744073709551615", "18446744073709551616", "x"),
    "SetAndDirections": tuple((name, directions) for name in SETS for directions in DIRECTIONS),
    "Mask": ("1", "0xff", "0xff/0xf", "0/0", "0xf/0xff", "4294967295", "4294967296", "1/x", "x", ""),
    "NumberRange": ("1", "1:5", "5:1", ":", "1:2:3", "x"),
    "Text": ("a", "a b", "it's", 'a"b', "a\\b", "x" * 15, "x" * 31, "x" * 64, "", "power"),
}


def argument(rng, kind):
    """The words of an argument for a kind."""
    for cls in type(kind).__mro__:
        if cls.__name__ in SAMPLES:
            sample = rng.choice(SAMPLES[cls.__name__])
            return sample if isinstance(sample, tuple) else (sample,)
        if cls is kinds.Number:
            high = (1 << kind.bits) - 1 if kind.high is None else kind.high
            # Those in range three times as often as those outside.
            return (str(rng.choice([kind.low, high, 1, f"{high:#x}", rng.randint(kind.low, high), rng.randint(0, 32),
                                    high + 1, -1, "x"])),)
    assert not kind.count, f"{type(kind).__name__} has no samples"
    return ()


def options(rng, extension):
    """Words of a random choice of an extension's options: now and then one twice, or with a ``!``."""
    rows = list(extension.options)
    chosen = [row for row in rows if row.needed and rng.random() < 0.95]
    chosen += rng.sample(rows, min(len(rows), rng.choice((0, 1, 1, 1, 2, 2, 3))))
    chosen = chosen if rng.random() < 0.05 else list({row.name: row for row in chosen}.values())
    rng.shuffle(chosen)
    for row in chosen:
        if rng.random() < (0.3 if row.invert else 0.02):
            yield "!"
        yield f"--{row.name}"
        yield from argument(rng, row.kind)


def prefix(rng, extension):
    """Words of a protocol, which many extensions ask for."""
    protocol = rng.choice(PROTOCOLS)
    if extension.protocols and rng.random() < 0.9 or rng.random() < 0.4:
        protocol = "tcp"
    if rng.random() < 0.3 and not extension.protocols:
        return []
    words = ["!"] if rng.random() < 0.03 else []
    words += ["-p", protocol]
    return words + (rng.choice(SYN).split() if words[0] != "!" and protocol == "tcp" and rng.random() < 0.5 else [])


def target_rule(rng, extension):
    """Words of a rule with a target."""
    return [*prefix(rng, extension), "-j", extension.name, *options(rng, extension)]


def match_rule(rng, extension):
    """Words of a rule with a match."""
    return [*prefix(rng, extension), "-m", extension.name, *options(rng, extension)]


def place(rng, extension):
    """A table and a chain, such as the extension may stand in nine times of ten."""
    tables = extension.tables if extension.tables and rng.random() < 0.9 else tuple(TABLES)
    pairs = [(table, hook) for table in tables for hook in TABLES[table]]
    fitting = [pair for pair in pairs if extension.hooks is None or pair[1] in extension.hooks]
    return rng.choice(fitting if fitting and rng.random() < 0.9 else pairs)
