"""The running kernel as a tracker: raw packets in, its opinion out.

    write to f0 or f1 (TUN) ► PREROUTING: conntrack ► forward ► POSTROUTING: class into DSCP ► read from f1 or f0

A TUN device hands a packet to the stack inside ``write``, so when that returns the packet has left through the other
device or will never. Its DSCP field then says what class and direction conntrack gave it; the entry is asked for over
netlink. Must run in a namespace of its own.
"""

import fcntl
import os
import struct
import subprocess
import time

from tests.kernel.ctnetlink import Conntrack
from tests.kernel.observation import Observation, expectations_of
from tests.kernel.settings import NOTHING

TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 0x0001, 0x1000
CLASSES = {"new": 1, "established": 2, "related": 3, "invalid": 4, "untracked": 5}
NAMES = {number: name.upper() for name, number in CLASSES.items()}
REPLY = 8
SYSCTL = "/proc/sys/net/"
FRAGMENT = 44
IPV4_HELPERS = ("irc", "netbios-ns", "pptp")


def ruleset(helpers):
    """nft rules that mark a packet to a helper's port, for the raw table (whose own match for ports drops what is too
    short to have some), and that put the class of a packet into its DSCP field."""
    ports = [f"{where.replace('/', ' dport ')} meta mark set {mark}" for mark, where in enumerate(helpers, 1)]
    chains = [
        f"chain {hook} {{ type filter hook {hook} priority -350;\n" + "\n".join(ports) + "\n}"
        for hook in ("prerouting", "output")
    ]
    rules = []
    for family in ("ip", "ip6"):
        for name, number in CLASSES.items():
            if name in ("invalid", "untracked"):
                rules.append(f"ct state {name} {family} dscp set {number}")
                continue
            for direction, add in (("original", 0), ("reply", REPLY)):
                rules.append(f"ct state {name} ct direction {direction} {family} dscp set {number + add}")
    chains.append("chain post { type filter hook postrouting priority 350;\n" + "\n".join(rules) + "\n}")
    return "table inet t {\n" + "\n".join(chains) + "\n}\n"


def raw_table(settings, family):
    """What the raw table is to hold, in the words of iptables-save: the first CT target that matches decides.

    A helper's target wants ``-p``, which drops IPv6 packets whose headers it cannot follow: only marked ones get there.
    """
    chains = {"MAIN": ([], [])}  # what leads to a chain, and what its targets add
    for mark, (where, name) in enumerate(settings.helpers.items(), 1):
        if family == 4 or name not in IPV4_HELPERS:
            chains[f"H{mark}"] = (["-p", where.partition("/")[0]], ["--helper", name])
    lines = [f":{chain} - [0:0]" for chain in chains]
    for chain, (match, helper) in chains.items():
        for each in settings.ranges:
            network = next(network for network in each.networks if (":" in network) == (family == 6))
            target = ["-j", "CT", *each.options(), *([] if each.notrack else helper)]
            lines += [" ".join(["-A", chain, which, network, *match, *target]) for which in ("-s", "-d")]
        if helper:
            lines.append(" ".join(["-A", chain, *match, "-j", "CT", *helper]))
    for hook in ("PREROUTING", "OUTPUT"):
        lines += [f"-A {hook} -m mark --mark {chain[1:]} -j {chain}" for chain in chains if chain != "MAIN"]
        lines.append(f"-A {hook} -j MAIN")
    return "\n".join(["*raw", *lines, "COMMIT", ""])


def printed(words):
    """The lines that a program prints."""
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout.splitlines()


def helper_rules(helpers):
    """Commands that assign helpers, as ``Tracker`` takes them, to new connections of the families that each is for."""
    for where, name in helpers.items():
        protocol, _, port = where.partition("/")
        rule = ["-p", protocol, "--dport", port, "-j", "CT", "--helper", name]
        for program in ("iptables-legacy", "ip6tables-legacy")[:1 if name in IPV4_HELPERS else 2]:
            for chain in ("PREROUTING", "OUTPUT"):
                yield [program, "--wait", "-t", "raw", "-A", chain, *rule]


def write_sysctl(name, value):
    with open(SYSCTL + name.replace(".", "/"), "w") as file:
        file.write(str(value))


def is_fragment(packet):
    """Whether a packet is one; IPv6 ones as the generator makes them."""
    if packet[0] >> 4 == 4:
        return bool(int.from_bytes(packet[6:8], "big") & 0x3FFF)
    return FRAGMENT in (packet[6], *packet[40:41])


class Kernel:
    """Conntrack of the namespace this process is in."""

    def __init__(self, settings=NOTHING):
        for name in ("ipv4.ip_forward", "ipv6.conf.all.forwarding"):
            write_sysctl(name, 1)
        for name in (
            "ipv4.conf.all.rp_filter",
            "ipv4.conf.default.rp_filter",
            "ipv4.conf.all.send_redirects",
            "ipv4.conf.default.send_redirects",
        ):
            write_sysctl(name, 0)
        self._files = [self._device(name) for name in ("f0", "f1")]
        for number, name in enumerate(("f0", "f1"), 1):
            self._ip("route", "add", f"10.{number}.0.0/16", "dev", name)
            self._ip("-6", "route", "add", f"fd00:{number}::/64", "dev", name)
        subprocess.run(["nft", "-f", "-"], input=ruleset(settings.helpers), text=True, check=True)
        write_sysctl("netfilter.nf_conntrack_acct", 1)
        self._conntrack = Conntrack()
        self._settings = settings
        for name, value in settings.sysctls.items():
            write_sysctl(f"ipv4.{name}" if name.startswith("ipfrag_") else f"netfilter.{name}", value)
        for family, program in ((4, "iptables-legacy-restore"), (6, "ip6tables-legacy-restore")):
            subprocess.run([program], input=raw_table(settings, family), text=True, check=True)
        self._drain()

    @staticmethod
    def _ip(*words):
        subprocess.run(["ip", *words], check=True)

    def _device(self, name):
        file = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
        fcntl.ioctl(file, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TUN | IFF_NO_PI))
        write_sysctl(f"ipv6.conf.{name}.router_solicitations", 0)
        write_sysctl(f"ipv6.conf.{name}.addr_gen_mode", 1)  # no address, so nothing of its own to say
        self._ip("link", "set", name, "mtu", "65535", "up")  # what is fragmented was so before
        return file

    def _drain(self):
        """Throw away what lies in the devices."""
        for file in self._files:
            while self._read(file) is not None:
                pass

    @staticmethod
    def _read(file):
        try:
            return os.read(file, 70_000)
        except BlockingIOError:
            return None

    def send(self, packet):
        """What the kernel makes of a ``generator.Packet``, and when (ns since the epoch)."""
        if packet.pause:
            time.sleep(packet.pause)
        now = time.time_ns()
        os.write(self._files[packet.side], packet.data)
        out = self._answer(packet)
        entry = self._entry(packet.flow) if packet.flow else None
        return Observation(*self._class(out), entry, self.expectations()), now

    def _entry(self, flow):
        return self._conntrack.get(flow, self._settings.zone_of(flow))

    def mark(self, flow, mark):
        """Mark the entry of a tuple, if there is one."""
        self._conntrack.mark(flow, self._settings.zone_of(flow), mark)

    def seen(self, flow):
        """What can be said without a packet: the entry of a tuple, and what is expected."""
        return Observation("", "", self._entry(flow), self.expectations())

    @staticmethod
    def now():
        """The time, ns since the epoch."""
        return time.time_ns()

    def expectations(self):
        """What is expected, if there are helpers."""
        if not self._settings.helpers:
            return {}
        with open("/proc/net/nf_conntrack_expect") as file:
            return expectations_of(file.read())

    def _answer(self, packet):
        """What came out for a packet, or None. For a datagram that it completes that is the first of its fragments."""
        found = None
        while (out := self._read(self._files[1 - packet.side])) is not None:
            if found is None and self._is(packet.data, out):
                found = out
        return found

    @staticmethod
    def _is(sent, out):
        """Whether what came out is what was sent (and not an error message of the kernel's own)."""
        if is_fragment(sent):
            ends = slice(12, 20) if sent[0] >> 4 == 4 else slice(8, 40)
            return sent[0] >> 4 == out[0] >> 4 and sent[ends] == out[ends]
        return len(sent) == len(out) and sent[0] >> 4 == out[0] >> 4 and sent[-4:] == out[-4:]

    @staticmethod
    def _class(out):
        if out is None:
            return "", ""
        dscp = out[1] >> 2 if out[0] >> 4 == 4 else (int.from_bytes(out[:2], "big") >> 6) & 0x3F
        name = NAMES.get(dscp & ~REPLY, "")
        return name, ("REPLY" if dscp & REPLY else "ORIGINAL") if name in ("NEW", "ESTABLISHED", "RELATED") else ""

    @staticmethod
    def listing(table="conntrack"):
        """A table as conntrack(8) prints it: ``conntrack`` or ``expect``."""
        words = (["conntrack", "-L", table, "-f", family] for family in ("ipv4", "ipv6"))
        return [line for each in words for line in printed(each)]

    @staticmethod
    def statistics():
        """The counters of ``conntrack -S``, of all processors together."""
        total = {}
        for line in printed(["conntrack", "-S"]):
            for name, _, value in (pair.partition("=") for pair in line.split()[1:]):
                total[name] = total.get(name, 0) + int(value)
        return total
