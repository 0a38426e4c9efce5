"""Packets that rules of ``packet_words`` are about, and the counters of both sides.

Packets      frames with odd headers, many of them damaged
run          random rules and frames through the kernel's mangle table and through ours
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
from tests.kernel.iptables import PROGRAM
from tests.kernel.kernel import IFF_NO_PI, TUNSETIFF, write_sysctl
from tests.kernel.packet_words import FAR, HOSTS, MAC, MACS, PACKET_WORDS, PORTS, rule
from tests.packets import address, checksum, ip

IFF_TAP = 2
BATCH = 200


class Packets:
    """Draws frames. ``strays``: whether some go to all hosts, or to many addresses."""

    def __init__(self, rng, family, strays):
        self.rng, self.family, self.strays = rng, family, strays

    def _ports(self):
        return struct.pack("!HH", self.rng.choice(PORTS), self.rng.choice(PORTS))

    def _text(self):
        rng = self.rng
        return b"".join(
            rng.choice((b"GET /", b"aaab", b"ababab", b"x", b"X", b"\xc3\xa9", b"\xc3\x89", b"\0", b"aaaaab"))
            for _ in range(rng.randrange(9))
        )

    def _tcp(self):
        rng = self.rng
        options = b"".join(
            rng.choice(
                (b"\2\4\5\xb4", b"\2\4\2\0", b"\1", b"\3\3\7", b"\4\2", b"\0", b"\5\0", b"\2\3\1", b"\x08\x0a12345678")
            )
            for _ in range(rng.randrange(5))
        )[:40]
        options += bytes(-len(options) % 4)
        words = 5 + len(options) // 4 if rng.random() < 0.85 else rng.randrange(16)
        return (
            self._ports()
            + struct.pack(
                "!IIBBHHH", rng.randrange(99), 0, words << 4, rng.choice((2, 16, 18, 24, 1, 194, 80)), 99, 0, 0
            )
            + options
            + self._text()
        )

    def _chunks(self):
        rng = self.rng
        made = b""
        for _ in range(rng.randrange(4)):
            size = rng.choice((4, 5, 8, 16, 0, 2, 400)) if rng.random() < 0.3 else rng.choice((4, 8, 12))
            made += struct.pack("!BBH", rng.choice((0, 1, 3, 4, 6, 10, 130)), rng.randrange(8), size) + bytes(
                max(size - 4, 0) % 40
            )
        return self._ports() + struct.pack("!II", 7, 0) + made

    def _dccp(self):
        rng = self.rng
        return (
            self._ports()
            + struct.pack("!BBHBBH", rng.randrange(3, 9), 0, 0, rng.randrange(32), 0, 9)
            + bytes(rng.choice((0, 1, 5, 2, 44, 3)) for _ in range(rng.randrange(30)))
        )

    def transport(self):
        """A protocol and a header."""
        rng, icmp = self.rng, 1 if self.family == 4 else 58
        body = rng.choice(
            (
                (6, self._tcp),
                (6, self._tcp),
                (17, lambda: self._ports() + struct.pack("!HH", rng.choice((8, 9, 30)), 0) + self._text()),
                (
                    icmp,
                    lambda: (
                        bytes((rng.choice((8, 0, 3, 11, 128, 1, 135, 255)), rng.choice((0, 1, 3, 4))))
                        + bytes(6)
                        + self._text()
                    ),
                ),
                (132, self._chunks),
                (33, self._dccp),
                (136, lambda: self._ports() + bytes((0, 8, 1, 1)) + self._text()),
                (50, lambda: struct.pack("!II", rng.choice((5, 9, 77)), 1) + self._text()),
                (
                    51,
                    lambda: (
                        struct.pack(
                            "!BBHII",
                            rng.choice((6, 59)),
                            rng.choice((1, 4)),
                            rng.choice((0, 1)),
                            rng.choice((5, 9, 77)),
                            1,
                        )
                        + self._ports()
                        + bytes(24)
                    ),
                ),
                (108, lambda: struct.pack("!BBH", 6, rng.choice((0, 1)), rng.choice((0, 5, 9)))),
                (135, lambda: bytes((rng.choice((59, 59, 6)), 1, rng.randrange(7), 0, 0, 0)) + bytes(10)),
                (59, bytes),
                (253, self._text),
            )
        )
        return body[0], body[1]()

    def _extension(self, following):
        """An extension header of IPv6: its number, its bytes."""
        rng = self.rng
        kind = rng.choice((0, 60, 60, 43, 43, 43, 44, 51))
        if kind in (0, 60):
            options = rng.choice(
                (b"\1\4\0\0\0\0", b"\5\2\0\0\1\0", b"\0\0\1\2\0\0", b"\1\4\0\0\0\0\x1e\2\0\0\1\2\0\0", b"\0\5\2\0\0\0")
            )
            return kind, bytes((following, len(options) // 8)) + options
        if kind == 43:
            addresses = [rng.choice(FAR[6]) for _ in range(rng.randrange(4))]
            last = max(len(addresses) - 1, 0) if rng.random() < 0.8 else rng.randrange(4)
            head = bytes(
                (
                    following,
                    2 * len(addresses),
                    rng.choice((0, 4, 4, 2)),
                    rng.randrange(len(addresses) + 1),
                    last if rng.random() < 0.7 else 0,
                    0,
                )
            ) + rng.choice((b"\0\0", b"\1\2", b"\2\1"))
            return kind, head + b"".join(map(address, addresses))
        if kind == 44:
            return kind, struct.pack(
                "!BBHI", following, rng.choice((0, 0, 3)), rng.choice((0, 0, 1, 6, 9)), rng.getrandbits(32)
            )
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
            data = data[: rng.randrange(len(data) + 1)]
        far = FAR[self.family]
        if self.strays:
            far += ("224.0.0.5", "255.255.255.255") if self.family == 4 else ("ff0e::5", "::5")
        ends = rng.choice(HOSTS[self.family]), rng.choice(far)
        packet = bytearray(
            ip(*ends, first, bytes(data), ttl=rng.choice((64, 63, 2, 255)), first_extension=first)
            if self.family == 6
            else ip(
                *ends, first, bytes(data), ttl=rng.choice((64, 63, 2, 255)), options=rng.choice((b"", b"", b"\1\1\1\1"))
            )
        )
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
        done = subprocess.run([f"{PROGRAM[self.family]}-restore"], input=self.text, text=True, capture_output=True)
        assert not done.returncode, (done.stderr, self.text)

    def kernel_counters(self):
        """Packets of each rule."""
        out = subprocess.run(
            [f"{PROGRAM[self.family]}-save", "-c", "-t", "mangle"], capture_output=True, text=True, check=True
        )
        return [int(count) for count in re.findall(r"^\[(\d+):\d+\] -A", out.stdout, re.MULTILINE)]

    def send(self, file, frames):
        """Frames through both; the rules whose counters differ since the start."""
        for frame in frames:
            os.write(file, frame)
        now = time.time_ns()
        self.tracker.process_bytes(frames, ts=[now] * len(frames))
        ours = [int(count) for count in self.program.counters()[: len(self.words), 0]]
        theirs = self.kernel_counters()
        return [
            (words, mine, other) for words, mine, other in zip(self.words, ours, theirs, strict=True) if mine != other
        ]


def rules_for(rng, family, chain, count):
    """Words of rules that both take, the first of which calls conntrack in."""
    names = [
        name
        for name in PACKET_WORDS
        if (name, family) in MATCHES and (MATCHES[name, family].hooks is None or chain in MATCHES[name, family].hooks)
    ]
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
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)  # by which there is a table of local addresses
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
