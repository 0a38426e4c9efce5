"""The running kernel as a firewall: frames in, what its tables and conntrack made of them out.

    f0 (TAP), raw sockets, f1 (TAP) ► hooks ► an nft chain behind them logs what is left ► f0, f1, or the host itself

A TAP device hands a frame to the stack inside ``write``, and a raw socket a packet inside ``sendto``, so when that
returns everything has happened. A packet whose source is one of the host's own addresses is sent by the host; one that
is for the host ends behind the last hook, so that whatever else is sent is the work of rules. Must run in a namespace
of its own.
"""
import contextlib
import fcntl
import os
import re
import socket
import struct
import subprocess
import tempfile
from ipaddress import ip_address
from typing import NamedTuple

from tests.kernel.ctnetlink import NETLINK_NETFILTER, Conntrack, attr, attrs
from tests.kernel.kernel import CLASSES, IFF_NO_PI, TUNSETIFF, write_sysctl

IFF_TAP = 2
DEVICES = {"f0": "02:00:00:00:01:01", "f1": "02:00:00:00:02:01"}
PEERS = b"\x02\0\0\0\x01\x02", b"\x02\0\0\0\x02\x02"
HEADS = [bytes.fromhex(mac.replace(":", "")) + peer for mac, peer in zip(DEVICES.values(), PEERS, strict=True)]
PROGRAMS = {4: "iptables-legacy", 6: "ip6tables-legacy"}
# The host's own addresses: every eighth client, and a quarter of the servers of ``generator``.
OWN = {
    "f0": [f"10.1.{number}.0/16" for number in range(8, 256, 8)] + [f"fd00:1::{n:x}:0/64" for n in range(8, 256, 8)],
    "f1": [f"10.2.0.{number}/16" for number in range(1, 25)] + [f"fd00:2::{number:x}/64" for number in range(1, 25)],
}
ROUTES = (("fd00:2::/32", "f1"),)
LOCAL = {ip_address(own.partition("/")[0]).packed for owns in OWN.values() for own in owns}
ETHERTYPES = {4: b"\x08\x00", 6: b"\x86\xdd"}
OURS = 0x77         # priority of what is sent by a raw socket here, and the group that is logged to
MADE = 0x78         # priority of what the host sends otherwise
ULOG_CONFIG, ULOG_PACKET = 4 << 8 | 1, 4 << 8
HEADER, MARK, PREFIX = 1, 2, 10
HOOKS = ("PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING")
SYSCTLS = {
    "ipv4.ip_forward": 1, "ipv6.conf.all.forwarding": 1, "netfilter.nf_conntrack_acct": 1,
    "ipv4.icmp_ratelimit": 0, "ipv6.icmp.ratelimit": 0, "ipv4.icmp_msgs_per_sec": 1 << 30,
    "ipv4.icmp_msgs_burst": 1 << 30,
    **{f"ipv4.conf.{where}.{name}": 0 for where in ("all", "default") for name in ("rp_filter", "send_redirects")},
}
COUNTED = re.compile(r"\[(\d+):(\d+)\] -A (\S+)|:(\S+) (?:ACCEPT|DROP) \[(\d+):(\d+)\]|\*(\S+)")


class Seen(NamedTuple):
    """What became of a packet: class and direction by conntrack, and its mark, behind all hooks; None, if it got
    that far at all."""
    ctstate: str
    direction: str
    mark: int


class Sent(NamedTuple):
    """The fate of a packet, when it was sent (ns since the epoch), and the IP packets that left for it, by device."""
    seen: Seen | None
    now: int
    left: list


def ends(packet):
    """Source and destination of an IP packet, as bytes."""
    return (packet[12:16], packet[16:20]) if packet[0] >> 4 == 4 else (packet[8:24], packet[24:40])


def _log_rules():
    for name in CLASSES:
        if name in ("invalid", "untracked"):
            yield f'ct state {name} log prefix "{name.upper()} " group {OURS}'
        else:
            for direction in ("original", "reply"):
                yield (f'ct state {name} ct direction {direction} '
                       f'log prefix "{name.upper()} {direction.upper()}" group {OURS}')


# Behind conntrack's last hook, if it is there first: what is for the host has been confirmed, and ends.
SINK = "table inet sink { chain end { type filter hook input priority 2147483647; drop; }; }"


def _nft():
    log = "\n".join([f"meta priority 0x{MADE:x} accept", *_log_rules()])
    chains = ["chain begin { type filter hook prerouting priority -450\n"
              f"iifname != lo meta priority set 0x{OURS:x}\n}}",
              "chain sends { type filter hook output priority -450\n"
              f"meta priority 0x{OURS:x} meta skuid 0 accept\n"
              "icmpv6 type { mld-listener-report, mld2-listener-report, nd-neighbor-solicit } drop\n"
              f"meta priority set 0x{MADE:x}\n}}"]
    chains += [f"chain {hook} {{ type filter hook {hook} priority 400\n{log}\n}}" for hook in ("input", "postrouting")]
    return "table inet t {\n" + "\n".join(chains) + "\n}\n"


class Log:
    """What nft logs to our group."""

    def __init__(self):
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER)
        self._socket.bind((0, 0))
        for command in (attr(1, b"\1"), attr(2, struct.pack(">IBB", 0, 1, 0)), attr(5, struct.pack(">I", 1))):
            body = struct.pack(">BBH", 0, 0, OURS) + command
            self._socket.send(struct.pack("=IHHII", 16 + len(body), ULOG_CONFIG, 5, 1, 0) + body)
            code, = struct.unpack_from("=i", self._socket.recv(4096), 16)
            if code:
                raise OSError(-code, "NFLOG")
        self._socket.setblocking(False)

    def drain(self):
        """``Seen`` of every packet since the last call."""
        found = []
        with contextlib.suppress(BlockingIOError):
            while True:
                message = self._socket.recv(65536)
                length, kind = struct.unpack_from("=IH", message)
                if kind != ULOG_PACKET:
                    continue
                values = dict(attrs(message[20:length]))
                state, direction = values[PREFIX].rstrip(b"\0").decode().split(" ")
                found.append(Seen(state, direction, int.from_bytes(values.get(MARK, b""), "big")))
        return found


class Gateway:
    """The kernel of the namespace that this process is in."""

    def __init__(self):
        os.environ["XTABLES_LOCKFILE"] = os.path.join(tempfile.mkdtemp(), "lock")
        for name, value in SYSCTLS.items():
            write_sysctl(name, value)
        for text in (SINK, _nft()):                      # before the host has addresses
            subprocess.run(["nft", "-f", "-"], input=text, text=True, check=True)
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        self._files = [self._device(name) for name in DEVICES]
        self._log, self.conntrack = Log(), Conntrack()
        self._sockets = {4: self._raw(socket.AF_INET), 6: self._raw(socket.AF_INET6)}

    @staticmethod
    def _device(name):
        file = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
        fcntl.ioctl(file, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TAP | IFF_NO_PI))
        write_sysctl(f"ipv6.conf.{name}.router_solicitations", 0)
        write_sysctl(f"ipv6.conf.{name}.addr_gen_mode", 1)
        for family in ("-4", "-6"):
            lines = [f"link set {name} address {DEVICES[name]} mtu 65521 arp off up"] if family == "-4" else []
            lines += [f"addr add {own} dev {name} {'nodad' if family == '-6' else ''}" for own in OWN[name]
                      if (":" in own) == (family == "-6")]
            lines += [f"route add {prefix} dev {name}" for prefix, device in ROUTES
                      if device == name and family == "-6"]
            subprocess.run(["ip", family, "-batch", "-"], input="\n".join(lines), text=True, check=True)
        return file

    @staticmethod
    def _raw(family):
        made = socket.socket(family, socket.SOCK_RAW, socket.IPPROTO_RAW)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_PRIORITY, OURS)
        return made

    def load(self, family, text):
        """Have iptables-restore or ip6tables-restore load a text."""
        done = subprocess.run([f"{PROGRAMS[family]}-restore", "-w"], input=text, text=True, capture_output=True)
        if done.returncode:
            raise ValueError(f"{done.stderr}\n{text}")

    @staticmethod
    def frame(packet):
        """The frame of a ``flows.Packet``, as it comes in."""
        return HEADS[packet.side] + ETHERTYPES.get(packet.data[0] >> 4, b"\x08\x00") + packet.data

    def send(self, packet, now):
        """What becomes of a ``flows.Packet``: it is ``Sent``. ``now``: a clock, ns since the epoch."""
        at = now()
        source, destination = ends(packet.data)
        if source in LOCAL:
            with contextlib.suppress(PermissionError):       # what is said when it is dropped
                self._sockets[packet.data[0] >> 4].sendto(packet.data, (str(ip_address(destination)), 0))
        else:
            os.write(self._files[packet.side], self.frame(packet))
        seen, left = self._log.drain(), self._left()
        # What conntrack does not confirm ends behind what logs it.
        return Sent(seen[0] if seen and (left or destination in LOCAL) else None, at, left)

    def _left(self):
        found = []
        for name, file in zip(DEVICES, self._files, strict=True):
            with contextlib.suppress(BlockingIOError):
                while True:
                    found.append((name, os.read(file, 70_000)[14:]))
        return found

    def counters(self, family):
        """Packets and bytes of every rule and policy, by its name as in the column ``decided``."""
        return counters(subprocess.run([f"{PROGRAMS[family]}-save", "-c"], text=True, check=True,
                                       capture_output=True).stdout)


def counters(text):
    """Packets and bytes of every rule and policy of a text of iptables-save -c."""
    found, numbers, table = {}, {}, ""
    for packets, octets, chain, base, policy_packets, policy_octets, begun in COUNTED.findall(text):
        if begun:
            table = begun
        elif base:
            found[f"{table}/{base}/policy"] = (int(policy_packets), int(policy_octets))
        else:
            numbers[table, chain] = numbers.get((table, chain), 0) + 1
            found[f"{table}/{chain}/{numbers[table, chain]}"] = (int(packets), int(octets))
    return found
