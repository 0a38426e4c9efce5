"""The running kernel as a router whose rules rewrite packets, answer them, copy them and log them.

    f0 (TAP) ► hooks ► f1 (TAP), or back through f0

A TAP device hands a frame to the stack inside ``write``, so when that returns everything that leaves because of it has
left. Lines of LOG and TRACE are read from the kernel's log. Must run in a namespace of its own.
"""
import contextlib
import fcntl
import os
import re
import struct
import subprocess
import tempfile

from tests.kernel.kernel import IFF_NO_PI, TUNSETIFF, write_sysctl

IFF_TAP = 2
DEVICES = ("f0", "f1")
MACS = (bytes.fromhex("020000000101"), bytes.fromhex("020000000201"))
PEERS = (bytes.fromhex("020000000102"), bytes.fromhex("020000000202"))
PROGRAMS = {4: "iptables-legacy", 6: "ip6tables-legacy"}
INTERFACES = (("f0", "10.1.0.1/16"), ("f0", "fd00:1::1/64"), ("f1", "10.2.0.1/16"), ("f1", "fd00:2::1/64"))
ROUTES = (("fd00:2::/32", "f1"),)
SYSCTLS = {
    "ipv4.ip_forward": 1, "ipv6.conf.all.forwarding": 1, "ipv4.icmp_ratelimit": 0, "ipv6.icmp.ratelimit": 0,
    "ipv4.icmp_msgs_per_sec": 1 << 30, "ipv4.icmp_msgs_burst": 1 << 30,
    **{f"ipv4.conf.{where}.{name}": 0 for where in ("all", "default") for name in ("rp_filter", "send_redirects")},
}
# Without somebody who asks for it there is no conntrack. What every IPv6 host says to its link is not said.
TRACKS = """table inet t {
chain tracks { type filter hook prerouting priority 400; ct state invalid counter; }
chain quiet { type filter hook output priority -450; icmpv6 type mld2-listener-report drop; }
}
"""
EVERYWHERE = "/proc/sys/net/netfilter/nf_log_all_netns"
COUNTED = re.compile(r"\[(\d+):(\d+)\] -A (\S+)|:(\S+) (?:ACCEPT|DROP) \[(\d+):(\d+)\]|\*(\S+)")


@contextlib.contextmanager
def logged_everywhere():
    """The kernel's log has lines of all namespaces meanwhile. To be called outside the namespace."""
    with open(EVERYWHERE) as file:
        before = file.read()
    with open(EVERYWHERE, "w") as file:
        file.write("1")
    try:
        yield
    finally:
        with open(EVERYWHERE, "w") as file:
            file.write(before)


def frame(packet, side):
    """An IP packet as it comes in by a side."""
    return MACS[side] + PEERS[side] + (b"\x08\x00" if packet[0] >> 4 == 4 else b"\x86\xdd") + packet


def settled(packet):
    """A packet without what Linux leaves to chance in its own errors."""
    if packet[0] >> 4 == 4 and packet[9] == 1 and packet[20:21] in (b"\3", b"\13"):
        return packet[:4] + bytes(2) + packet[6:10] + bytes(2) + packet[12:]
    if packet[0] >> 4 == 6 and packet[6] == 58 and packet[40:41] in (b"\1", b"\3"):
        return bytes([packet[0], packet[1] & 0xF0, 0, 0]) + packet[4:]
    return packet


class Router:
    """The kernel of the namespace that this process is in."""

    def __init__(self):
        os.environ["XTABLES_LOCKFILE"] = os.path.join(tempfile.mkdtemp(), "lock")
        for name, value in SYSCTLS.items():
            write_sysctl(name, value)
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        subprocess.run(["nft", "-f", "-"], input=TRACKS, text=True, check=True)
        self._files = [self._device(side) for side in range(2)]
        self._log = os.open("/dev/kmsg", os.O_RDONLY | os.O_NONBLOCK)
        os.lseek(self._log, 0, os.SEEK_END)
        self._drain()

    @staticmethod
    def _device(side):
        name = DEVICES[side]
        file = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
        fcntl.ioctl(file, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TAP | IFF_NO_PI))
        write_sysctl(f"ipv6.conf.{name}.router_solicitations", 0)
        write_sysctl(f"ipv6.conf.{name}.addr_gen_mode", 1)
        subprocess.run(["ip", "link", "set", name, "address", MACS[side].hex(":"), "mtu", "1500", "arp", "off", "up"],
                       check=True)
        for device, own in INTERFACES:
            if device == name:
                subprocess.run(["ip", "addr", "add", own, "dev", name, *(["nodad"] if ":" in own else [])], check=True)
        if side:
            subprocess.run(["ip", "route", "add", ROUTES[0][0], "dev", name], check=True)
        return file

    def load(self, family, text):
        """Have iptables-restore or ip6tables-restore load a text."""
        done = subprocess.run([f"{PROGRAMS[family]}-restore", "-w"], input=text, text=True, capture_output=True)
        if done.returncode:
            raise ValueError(f"{done.stderr}\n{text}")

    def forget(self):
        """No connection is known from here on."""
        subprocess.run(["conntrack", "-F"], check=True, capture_output=True)

    def send(self, packet, side):
        """The IP packets that leave because of one, as (device, bytes), and the lines that are logged about it."""
        os.write(self._files[side], frame(packet, side))
        return self._drain()

    def _drain(self):
        left, lines = [], []
        for name, file in zip(DEVICES, self._files, strict=True):
            with contextlib.suppress(BlockingIOError):
                while True:
                    left.append((name, os.read(file, 70_000)[14:]))
        with contextlib.suppress(BlockingIOError):
            while True:
                record = os.read(self._log, 8192).decode(errors="replace")
                text = record.partition(";")[2].partition("\n")[0]
                if "IN=" in text and re.search(r"(IN|OUT)=f[01] ", text):
                    lines.append(text.replace(r"\x5c", "\\"))
        return left, lines

    def counters(self, family):
        """Packets and bytes of every rule and policy, by its name as in the column ``decided``."""
        text = subprocess.run([f"{PROGRAMS[family]}-save", "-c"], text=True, check=True, capture_output=True).stdout
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
