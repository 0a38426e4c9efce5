"""Random rules of targets that rewrite, answer, copy and log, and random packets: what leaves, the lines of the log and
the counters of all rules are those of the kernel, packet by packet."""
import random
import re
import struct
import time

import pytest

import fastct
from fastct.capture.frames import frames_from_bytes
from fastct.rules import Ruleset
from fastct.rules.compile import compile_ruleset
from fastct.rules.route import Routes
from tests import packets as p
from tests.kernel import effects
from tests.kernel.namespace import isolated, unavailable

pytestmark = pytest.mark.skipif(bool(unavailable()), reason=unavailable())

ENDS = {4: ("10.1.0.5", "10.2.0.9"), 6: ("fd00:1::5", "fd00:2::9")}
OWN = {4: ("10.1.0.1", "10.2.0.1"), 6: ("fd00:1::1", "fd00:2::1")}
TABLES = {"raw": ("PREROUTING", "OUTPUT"), "mangle": ("PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"),
          "nat": ("PREROUTING", "INPUT", "OUTPUT", "POSTROUTING"), "filter": ("INPUT", "FORWARD", "OUTPUT")}
# Targets that may stand anywhere; below, those of one table. X is a user's chain.
ANYWHERE = ("LOG", 'LOG --log-prefix "one two "', "LOG --log-tcp-sequence --log-tcp-options --log-ip-options",
            "LOG --log-macdecode --log-level debug", "MARK --set-xmark 0x10/0xff", "MARK --or-mark 0x3",
            "CONNMARK --save-mark", "CONNMARK --restore-mark --nfmask 0xf --ctmask 0xf0",
            "CONNMARK --set-xmark 0x5/0xf", "CONNMARK --save-mark --left-shift-mark 4",
            "CONNMARK --restore-mark --right-shift-mark 2", "CONNMARK --set-xmark 0x9/0xff --left-shift-mark 3",
            "NFLOG --nflog-group 9", "ACCEPT", "RETURN", "X")
MANGLE = ("TOS --set-tos 0x{tos:02x}/0x{mask:02x}", "TOS --or-tos 0x{tos:02x}", "DSCP --set-dscp {dscp}",
          "CHECKSUM --checksum-fill")
MANGLE_TCP = ("TCPOPTSTRIP --strip-options mss", "TCPOPTSTRIP --strip-options timestamp,sack-permitted,wscale")
HOPS = {4: ("TTL --ttl-set {ttl}", "TTL --ttl-inc {small}", "TTL --ttl-dec {small}"),
        6: ("HL --hl-set {ttl}", "HL --hl-inc {small}", "HL --hl-dec {small}")}
ECN = ("ECN --ecn-tcp-remove", "ECN --ecn-tcp-cwr 1", "ECN --ecn-tcp-ece 1 --ecn-ip-ect 1", "ECN --ecn-ip-ect 2")
REJECTS = {4: ("icmp-port-unreachable", "icmp-net-unreachable", "icmp-host-unreachable", "icmp-proto-unreachable",
               "icmp-net-prohibited", "icmp-host-prohibited", "icmp-admin-prohibited"),
           6: ("icmp6-port-unreachable", "icmp6-no-route", "icmp6-adm-prohibited", "icmp6-addr-unreachable",
               "icmp6-policy-fail", "icmp6-reject-route")}
MSS_OPTIONS = (b"", b"\2\4\5\xb4", b"\2\4\2\0\1\3\3\7\4\2\x08\x0a\0\0\0\1\0\0\0\0", b"\1\1\4\2\2\4\xff\xff",
               b"\3\3\1\0", b"\5\0\1\1", b"\x08\x0a\0\0")
# What Linux takes by chance: identifications and flow labels of ICMP errors, and sums over what errors quote of them.
CHANCE = re.compile(r"(?<= )ID=\d+ (?=PROTO=ICMP TYPE=(3|11) )|FLOWLBL=\d+ (?=PROTO=ICMPv6 TYPE=[13] )")


# Of a copy that TEE makes Linux tells, behind OUTPUT, the outgoing interface as the incoming one, and as its link
# header what lies in front of the packet.
COPY = re.compile(r"IN=(f\d) OUT=\1 (MAC=\S* )?")


class Random:
    """Rules and packets of a family."""

    def __init__(self, seed, family):
        self.rng, self.family = random.Random(seed), family

    def rule(self, table, chain):
        rng, family = self.rng, self.family
        tcp = rng.random() < 0.5
        targets = list(ANYWHERE[:-1] if chain == "X" else ANYWHERE)
        if table == "mangle":
            targets += [*MANGLE, *HOPS[family]] * 3 + list(MANGLE_TCP * 3 if tcp else ())
            targets += [each for each in ECN * 2 if family == 4 and (tcp or "tcp" not in each)]
            targets += [f"TEE --gateway {'10.2.0.77' if family == 4 else 'fd00:2::77'}"] * (chain != "X")
            targets += ["CLASSIFY --set-class 1:2"] * (chain in ("FORWARD", "OUTPUT", "POSTROUTING"))
            if chain != "X" and family == 6 and chain in ("PREROUTING", "POSTROUTING"):
                name, prefix = ("DNPT", "fd00:2") if chain == "PREROUTING" else ("SNPT", "fd00:1")
                targets += [f"{name} --src-pfx {prefix}::/64 --dst-pfx {new}"
                            for new in ("fd00:2:0:77::/64", "fd00:2:77::/48", "fd00:2::/32", "fd00:2:0:10::/60")]
        if table == "raw":
            targets += ["TRACE", *(["CT --notrack", "CT --zone 5", "CT --zone mark", "CT --zone-orig 3", "NOTRACK"]
                                   if chain != "X" else ())]
        if table == "filter" and chain != "X":
            targets += [f"REJECT --reject-with {rng.choice(REJECTS[family])}"] * 8
            targets += ["REJECT --reject-with tcp-reset"] * (8 if tcp else 0)
            targets += ["DROP", "NFQUEUE --queue-num 7", "NFQUEUE --queue-num 7 --queue-bypass", "QUEUE"]
        if table == "mangle" and chain == "PREROUTING" and tcp:
            targets.append("TPROXY --on-port 80")
        if table == "nat":
            targets = ["ACCEPT", "LOG", "RETURN"]
        match = self.match(tcp)
        if tcp and table in ("mangle", "filter") and rng.random() < 0.15:
            clamp = ["--clamp-mss-to-pmtu"] if chain in ("FORWARD", "OUTPUT", "POSTROUTING") else []
            mss = rng.choice(["--set-mss 600", "--set-mss 40", "--set-mss 1460", *clamp])
            return f"-A {chain} -p tcp -m tcp --tcp-flags SYN,RST SYN -j TCPMSS {mss}"
        target = rng.choice(targets).format(
            tos=rng.randrange(256), mask=rng.randrange(256), dscp=rng.randrange(64), ttl=rng.choice((1, 2, 64, 255)),
            small=rng.choice((1, 2, 200)))
        return f"-A {chain}{match} -j {target}"

    def match(self, tcp):
        rng = self.rng
        words = " -p tcp" if tcp else rng.choice(("", "", " -p udp", " -p icmp" if self.family == 4 else " -p icmpv6"))
        if words in (" -p tcp", " -p udp") and rng.random() < 0.3:
            words += f" -m {words[4:]} --dport {rng.choice(('80', '53', '1:500'))}"
        return words + rng.choice(("", "", "", " -m mark --mark 0x3/0x3", " -m state --state RELATED",
                                   f" -s {ENDS[self.family][0]}"))

    def text(self):
        lines = []
        for table, chains in TABLES.items():
            lines += [f"*{table}", *(f":{chain} ACCEPT [0:0]" for chain in chains), ":X - [0:0]"]
            for chain in (*chains, "X"):
                lines += [self.rule(table, chain) for _ in range(self.rng.choice((0, 1, 2, 4)))]
            lines.append("COMMIT")
        return "\n".join(line for line in lines) + "\n"

    def packet(self):
        rng = self.rng
        side = int(rng.random() < 0.3)
        src, dst = ENDS[self.family][::1 - 2 * side]
        sport, dport = rng.choice((1000, 80)), rng.choice((80, 53, 999))
        kind = rng.choice(("tcp", "tcp", "tcp", "udp", "udp", "icmp", "error", "other", "local"))
        data = bytes(rng.randrange(256) for _ in range(rng.choice((0, 1, 5, 30, 700, 1300))))
        if kind == "tcp":
            flags = rng.choice((p.SYN, p.SYN | p.ACK, p.ACK, p.ACK | p.PSH, p.RST, p.FIN | p.ACK, p.SYN | 0xC0, 0xD0))
            made = p.tcp(src, dst, sport, dport, rng.choice((1, 1000)), rng.choice((0, 1, 5000)), flags,
                         options=rng.choice(MSS_OPTIONS),
                         data=b"" if flags & p.SYN and rng.random() < 0.8 else data)
        elif kind == "udp":
            made = p.udp(src, dst, sport, dport, data)
        elif kind == "icmp":
            made = p.icmp(src, dst, rng.choice((8, 0, 13) if self.family == 4 else (128, 129)), 0, b"\0\1\0\2" + data)
        elif kind == "error":
            quoted = p.udp(dst, src, dport, sport, data)[:rng.choice((28, 48, 60))]
            made = p.icmp(src, dst, rng.choice((3, 11) if self.family == 4 else (1, 3)), rng.choice((0, 4)),
                          b"\0\0\5\xdc" + quoted)
        elif kind == "other":
            made = p.ip(src, dst, rng.choice((50, 253, 47)), rng.choice((b"\0\0\0\1\0\0\0\2", b"\xff\xff", data)))
        else:
            made = p.icmp(src, OWN[self.family][side], 3 if self.family == 4 else 1, 0, bytes(40))
        if kind in ("tcp", "udp") and rng.random() < 0.1:
            at = (20 if self.family == 4 else 40) + (16 if kind == "tcp" else 6)
            made = made[:at] + bytes([made[at] ^ 0x40]) + made[at + 1:]
        return self.hops(made), side

    def hops(self, packet):
        """The packet with another TTL and TOS."""
        rng, made = self.rng, bytearray(packet)
        ttl = rng.choice((64, 64, 64, 255, 2, 1))
        if self.family == 6:
            made[7], made[0:2] = ttl, struct.pack("!H", 0x6000 | rng.choice((0, 0xB8, 3)) << 4)
            return bytes(made)
        made[1], made[8], made[10:12] = rng.choice((0, 0x10, 0xB8, 3)), ttl, b"\0\0"
        made[10:12] = struct.pack("!H", p.checksum(bytes(made[:20])))
        return bytes(made)


def kernel(family, text, packets):
    """What leaves, what is logged, for each packet; and the counters."""
    router = effects.Router()
    router.load(family, text)
    return [router.send(*packet) for packet in packets], router.counters(family)


def ours(family, text, packets):
    """The same of fastct."""
    program = compile_ruleset(Ruleset.parse(text, family).model)
    tracker = fastct.Tracker(checksum="on", keep_leaving=True, seed=1)
    tables = (program, None) if family == 4 else (None, program)
    tracker._engine.rules(*tables, Routes(interfaces=effects.INTERFACES, routes=effects.ROUTES))
    found = []
    for number, (data, side) in enumerate(packets, 1):
        frames = frames_from_bytes([effects.frame(data, side)], [time.time_ns()], first=number)
        rows = tracker.process(frames)
        left = [item[2][14:] for item in tracker.leaving(frames, rows)]
        if rows["verdict"][0] == 0 and at_home(left[-1]):
            left.pop()
        lines = [line.text for line in tracker._engine.drain_log() if line.kind != "NFLOG"]
        found.append((left, lines))
    counters = {name: tuple(map(int, row)) for name, row in zip(program.names, program.counters(), strict=True)}
    return found, counters


def at_home(packet):
    """Whether a packet is for the router itself, where it stays."""
    return any(packet[16:20] == p.address(OWN[4][side]) or packet[24:40] == p.address(OWN[6][side]) for side in (0, 1))


def differences(found, wanted):
    """What differs, packet by packet: (number, what, ours, the kernel's)."""
    for number, ((left, lines), (kernel_left, kernel_lines)) in enumerate(zip(found[0], wanted[0], strict=True)):
        pairs = (sorted(map(effects.settled, left)), sorted(effects.settled(data) for _, data in kernel_left))
        if pairs[0] != pairs[1]:
            yield number, "left", *([each.hex() for each in side] for side in pairs)
        pairs = [sorted(COPY.sub(r"IN= OUT=\1 ", CHANCE.sub("", line)) for line in side)
                 for side in (lines, kernel_lines)]
        if pairs[0] != pairs[1]:
            yield number, "lines", *pairs
    for name, counter in found[1].items():
        if counter != wanted[1][name]:
            yield name, "counter", counter, wanted[1][name]


@pytest.mark.parametrize("family", [4, 6])
@pytest.mark.parametrize("seed", range(6))
def test_the_kernel_does_the_same(family, seed):
    made = Random(seed, family)
    text, packets = made.text(), [made.packet() for _ in range(60)]
    with effects.logged_everywhere():
        wanted = isolated(kernel, family, text, packets)
    assert sum(len(left) for left, _ in wanted[0]) > 5, "too little leaves to say anything"
    assert list(differences(ours(family, text, packets), wanted)) == [], text
