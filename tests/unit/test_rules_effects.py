"""What targets do to packets: bytes that are rewritten, answers, copies, lines of the log, marks."""
import struct

import pytest

import fastct
from fastct.capture.frames import frames_from_bytes
from fastct.rules import Ruleset
from fastct.rules.compile import compile_ruleset
from fastct.rules.route import Routes
from tests import packets as p

START = 1_700_000_000 * 10**9
ENDS = {4: ("10.1.0.5", "10.2.0.9"), 6: ("fd00:1::5", "fd00:2::9")}
INTERFACES = (("f0", "10.1.0.1/16"), ("f0", "fd00:1::1/64"), ("f1", "10.2.0.1/16"), ("f1", "fd00:2::1/64"))
THERE, BACK = b"\2\0\0\0\1\1\2\0\0\0\1\2", b"\2\0\0\0\1\2\2\0\0\0\1\1"
MSS, NOP = b"\2\4\5\xb4", b"\1"
MSS_RULE = "FORWARD -p tcp -m tcp --tcp-flags SYN,RST SYN -j TCPMSS "
FAMILIES = pytest.mark.parametrize("family", [4, 6])
ACCEPT, DROP, REJECT, QUEUE, STOLEN = range(5)
# What the kernel's HMARK makes of ``syn``.
HASHES = {4: 392, 6: 52}


def framed(packet, link=THERE):
    return link + (b"\x08\x00" if packet[0] >> 4 == 4 else b"\x86\xdd") + packet


class Host:
    """A router with rules: ``rules`` are (table, rule)."""

    def __init__(self, family, *rules):
        text = ""
        for table in dict.fromkeys(table for table, _ in rules):
            lines = [f"-A {rule}" for of, rule in rules if of == table]
            own = {f":{line.split()[1]} - [0:0]" for line in lines if len(line.split()[1]) == 1}     # users' chains
            text += "\n".join([f"*{table}", *own, *lines, "COMMIT", ""])
        self.program = compile_ruleset(Ruleset.parse(text, family).model)
        self.tracker = fastct.Tracker(checksum="on", keep_leaving=True, seed=1)
        self.engine = self.tracker._engine
        tables = (self.program, None) if family == 4 else (None, self.program)
        self.engine.rules(*tables, Routes(interfaces=INTERFACES))
        self.number = 0

    def send(self, *packets):
        """The frames that leave because of packets, and the packets' rows."""
        frames = frames_from_bytes([*map(framed, packets)], [START] * len(packets), first=self.number + 1)
        self.number += len(packets)
        rows = self.tracker.process(frames)
        return [data for _, _, data in self.tracker.leaving(frames, rows)], rows

    def becomes(self, packet):
        """The one packet that leaves for one."""
        (frame,), _ = self.send(packet)
        assert frame[:14] == framed(packet)[:14]
        return frame[14:]

    def counted(self, *names):
        """How many packets rules have taken."""
        return [int(self.program.counters()[self.program.names.index(name), 0]) for name in names]

    def lines(self):
        return [line.text for line in self.engine.drain_log()]


def hops(packet, ttl):
    """A packet with another TTL, its sum made anew."""
    made = bytearray(packet)
    if made[0] >> 4 == 6:
        made[7] = ttl
        return bytes(made)
    made[8], made[10:12] = ttl, b"\0\0"
    made[10:12] = struct.pack("!H", p.checksum(bytes(made[:20])))
    return bytes(made)


def syn(family, options=MSS, flags=p.SYN, data=b"", **more):
    return p.tcp(*ENDS[family], 1000, 80, 100, 0, flags, options=options, data=data, **more)


@FAMILIES
def test_a_forwarded_packet_has_a_hop_less(family):
    assert Host(family, ("filter", "FORWARD -j ACCEPT")).becomes(syn(family)) == hops(syn(family), 63)


def test_the_captured_frame_stays_as_it_was():
    host, packet = Host(4, ("mangle", "FORWARD -j TTL --ttl-set 9")), syn(4)
    frames = frames_from_bytes([framed(packet)], [START])
    rows = host.tracker.process(frames)
    assert frames[0][2] == framed(packet)
    assert host.tracker.leaving(frames, rows)[0][2][14:] == hops(packet, 9)


@FAMILIES
def test_a_datagram_leaves_in_pieces_with_what_became_of_it(family):
    def pieces(value):
        return p.pieces(syn(family, b"\2\4" + struct.pack("!H", value), data=bytes(60)), [24, 40])

    host = Host(family, ("mangle", MSS_RULE + "--set-mss 700"))
    first, middle, last = pieces(1460)
    assert host.send(last, first)[0] == []
    frames, _ = host.send(middle)
    assert [frame[14:] for frame in frames] == [hops(piece, 63) for piece in pieces(700)]


@FAMILIES
@pytest.mark.parametrize("rule,ttl", [("{}-set 7", 7), ("{}-inc 250", 255), ("{}-dec 60", 3), ("{}-dec 200", 0)])
def test_ttl(family, rule, ttl):
    target, option = ("TTL", "ttl") if family == 4 else ("HL", "hl")
    host = Host(family, ("mangle", f"POSTROUTING -j {target} --" + rule.format(option)))
    assert host.becomes(syn(family)) == hops(syn(family), ttl)


@pytest.mark.parametrize("target,tos", [("TOS --set-tos 0x10/0x3f", 0x10), ("DSCP --set-dscp 46", 0xB8),
                                        ("ECN --ecn-ip-ect 2", 2)])
def test_the_ds_field(target, tos):
    packet = bytearray(syn(4))
    packet[1] = tos
    assert Host(4, ("mangle", f"FORWARD -j {target}")).becomes(syn(4)) == hops(packet, 63)


def test_the_traffic_class():
    packet = hops(syn(6), 63)
    assert Host(6, ("mangle", "FORWARD -j DSCP --set-dscp 46")).becomes(syn(6)) == b"\x6b\x80" + packet[2:]


@FAMILIES
@pytest.mark.parametrize("target,before,after", [
    ("--set-mss 1000", MSS, b"\2\4\3\xe8"), ("--set-mss 1461", MSS, MSS),
    ("--set-mss 1000", NOP * 4 + MSS, NOP * 4 + b"\2\4\3\xe8"),
    ("--set-mss 400", b"", b"\2\4\1\x90"), ("--set-mss 400", b"\4\2\1\1", b"\2\4\1\x90\4\2\1\1")])
def test_tcpmss(family, target, before, after):
    """An MSS is lowered, or put in front of the options; never raised."""
    host = Host(family, ("mangle", MSS_RULE + target))
    assert host.becomes(syn(family, before)) == hops(syn(family, after), 63)


@pytest.mark.parametrize("family,after", [(4, 1460), (6, 1440)])
def test_tcpmss_of_the_path(family, after):
    host = Host(family, ("mangle", MSS_RULE + "--clamp-mss-to-pmtu"))
    assert host.becomes(syn(family, b"\2\4\xff\xff")) == hops(syn(family, b"\2\4" + struct.pack("!H", after)), 63)
    assert host.becomes(syn(family, b"", data=b"x")) == hops(syn(family, b"", data=b"x"), 63)


@FAMILIES
def test_tcpoptstrip(family):
    host = Host(family, ("mangle", "FORWARD -p tcp -j TCPOPTSTRIP --strip-options mss,sack-permitted"))
    assert host.becomes(syn(family, MSS + b"\1\4\2\3\3\7")) == hops(syn(family, NOP * 7 + b"\3\3\7"), 63)
    frames, _ = host.send(p.tcp(*ENDS[family], 1000, 80, 100, 0, p.SYN, offset=4))
    assert frames == []


def test_ecn():
    host = Host(4, ("mangle", "FORWARD -p tcp -j ECN --ecn-tcp-remove"))
    assert host.becomes(syn(4, flags=p.SYN | 0xC0)) == hops(syn(4), 63)


def test_a_wrong_sum_stays_as_wrong():
    host = Host(4, ("mangle", MSS_RULE + "--set-mss 1000"))
    packets = [syn(4, bad_sum=bad) for bad in (False, True)]
    before, after = ([int.from_bytes(packet[36:38], "big") for packet in some]
                     for some in (packets, map(host.becomes, packets)))
    assert (after[1] - after[0]) % 0xFFFF == (before[1] - before[0]) % 0xFFFF != 0


def test_rules_behind_see_what_was_written():
    host = Host(4, ("mangle", "PREROUTING -j TTL --ttl-set 1"))
    (frame,), rows = host.send(syn(4))
    assert rows["verdict"][0] == DROP and frame[14 + 20] == 11       # time exceeded


def test_snpt_keeps_sums():
    host = Host(6, ("mangle", "POSTROUTING -j SNPT --src-pfx fd00:1::/64 --dst-pfx fd77:88::/48"))
    left = host.becomes(syn(6))
    assert left[8:14] == bytes.fromhex("fd7700880000") and left[22:24] == b"\0\5"
    assert p.checksum(left[8:40] + struct.pack("!IxxxB", len(left) - 40, 6) + left[40:]) == 0


@FAMILIES
@pytest.mark.parametrize("flags,ack,answer", [(p.SYN, 0, (0, 101, p.RST | p.ACK)), (p.ACK, 77, (77, 0, p.RST))])
def test_a_reset(family, flags, ack, answer):
    host, (src, dst) = Host(family, ("filter", "FORWARD -p tcp -j REJECT --reject-with tcp-reset")), ENDS[family]
    (frame,), rows = host.send(p.tcp(src, dst, 1000, 80, 100, ack, flags))
    wanted = bytearray(p.tcp(dst, src, 80, 1000, *answer[:2], answer[2], window=0))
    if family == 4:
        wanted[4:8] = b"\0\0\x40\0"
    assert frame == framed(hops(wanted, 64), BACK) and rows["verdict"][0] == REJECT
    assert host.send(p.tcp(src, dst, 1000, 80, 100, 0, p.RST))[0] == []


@pytest.mark.parametrize("family,answer,kind,code", [
    (4, "icmp-port-unreachable", 3, 3), (4, "icmp-admin-prohibited", 3, 13), (6, "icmp6-adm-prohibited", 1, 1)])
def test_an_error(family, answer, kind, code):
    host, (src, dst) = Host(family, ("filter", f"FORWARD -j REJECT --reject-with {answer}")), ENDS[family]
    packet = p.udp(src, dst, 5, 53, b"x" * 1400)
    (frame,), _ = host.send(packet)
    head, most = (28, 576) if family == 4 else (48, 1280)
    own = "10.1.0.1" if family == 4 else "fd00:1::1"
    wanted = bytearray(p.icmp(own, src, kind, code, bytes(4) + hops(packet, 63)[:most - head]))
    if family == 4:
        wanted[1] = 0xC0
    assert frame == framed(hops(wanted, 64), BACK)
    assert host.send(p.icmp(src, dst, kind, 0, bytes(4) + packet[:48]))[0] == [], "an error is answered"
    assert host.send(p.udp(src, dst, 5, 53, b"x", bad_sum=True))[0] == [], "what is damaged is answered"


def test_an_answer_is_related_to_what_it_answers():
    host = Host(4, ("filter", "FORWARD -j REJECT"), ("filter", "OUTPUT -m state --state RELATED -j LOG"))
    host.send(p.udp(*ENDS[4], 5, 53))
    line, = host.lines()
    assert line.startswith("IN= OUT=f0 SRC=10.1.0.1 DST=10.1.0.5 LEN=56 TOS=0x00 PREC=0xC0 TTL=64 ID=")
    assert line.endswith("PROTO=ICMP TYPE=3 CODE=3 [SRC=10.1.0.5 DST=10.2.0.9 LEN=28 TOS=0x00 PREC=0x00 TTL=63 ID=1 "
                         "PROTO=UDP SPT=5 DPT=53 LEN=8 ] ")
    assert len(host.tracker.connections()) == 0


def test_tee():
    host = Host(4, ("mangle", "PREROUTING -j TEE --gateway 10.2.0.77"), ("filter", "OUTPUT -j LOG"))
    frames, _ = host.send(syn(4))
    copy = bytearray(hops(syn(4), 63))
    copy[6] = 0x40
    assert [frame[14:] for frame in frames] == [hops(copy, 63), hops(syn(4), 63)]
    assert [line[:12] for line in host.lines()] == ["IN= OUT=f1 S"]


@pytest.mark.parametrize("rule,verdict", [("NFQUEUE --queue-num 3", QUEUE), ("NFQUEUE --queue-bypass", ACCEPT),
                                          ("QUEUE", QUEUE)])
def test_queues_that_nobody_reads(rule, verdict):
    assert Host(4, ("filter", f"FORWARD -j {rule}")).send(syn(4))[1]["verdict"][0] == verdict


def test_what_is_queued_for_nobody_has_not_been_through_the_nat_table():
    host = Host(4, ("nat", "POSTROUTING -p tcp -j NFQUEUE --queue-bypass"), ("nat", "POSTROUTING -p udp -j ACCEPT"))
    host.send(syn(4), syn(4), p.udp(*ENDS[4], 5, 53), p.udp(*ENDS[4], 5, 53))
    assert host.counted("nat/POSTROUTING/1", "nat/POSTROUTING/2") == [2, 1]


def test_answers_to_the_host_itself_come_back_by_lo():
    host = Host(4, ("filter", "OUTPUT -p udp -j REJECT"), ("filter", "OUTPUT -o lo"), ("filter", "INPUT -i lo"),
                ("raw", "PREROUTING -i lo -s 10.1.0.1 -d 10.1.0.1 -m state --state RELATED"),
                ("mangle", "INPUT -p icmp -j DROP"))
    frames, _ = host.send(p.udp("10.1.0.1", "10.2.0.9", 5, 53))
    assert frames == []
    assert host.counted("filter/OUTPUT/1", "filter/OUTPUT/2", "raw/PREROUTING/1", "mangle/INPUT/1",
                        "filter/INPUT/1") == [1, 1, 1, 1, 0]


def test_a_copy_is_to_whom_it_was_whatever_its_way():
    host = Host(4, ("mangle", "INPUT -j TEE --gateway 10.2.0.77"),
                ("mangle", "OUTPUT -m addrtype --dst-type LOCAL"))
    host.send(p.udp("10.1.0.5", "10.1.0.1", 5, 53))
    assert host.counted("mangle/OUTPUT/1") == [1]


def test_a_copy_says_its_interface_twice():
    host = Host(4, ("mangle", "PREROUTING -j TEE --gateway 10.2.0.77"), ("mangle", "POSTROUTING -j X"),
                ("mangle", "X -i f1"), ("mangle", "X -i f0"))
    host.send(syn(4))
    assert host.counted("mangle/X/1", "mangle/X/2") == [1, 1]


@pytest.mark.parametrize(("proto", "data", "answered"), [
    (47, b"\x80\0\x88\x0b", True), (253, b"\0\1", False), (253, bytes(20), True), (33, b"\0\1", False),
    (6, b"\0\1", False)])
def test_what_is_rejected_with_an_answer(proto, data, answered):
    assert bool(Host(4, ("filter", "FORWARD -j REJECT")).send(p.ip(*ENDS[4], proto, data))[0]) is answered


@pytest.mark.parametrize(("kind", "answered"), [(8, True), (10, False), (17, True), (18, True), (19, False)])
def test_kinds_of_icmp_that_are_answered(kind, answered):
    packet = p.icmp(*ENDS[4], kind, 0, bytes(4))
    assert bool(Host(4, ("filter", "FORWARD -j REJECT")).send(packet)[0]) is answered


@FAMILIES
def test_a_mark_by_hash(family):
    target = "HMARK --hmark-tuple src,dst,sport,dport,proto --hmark-mod 1000 --hmark-offset 7 --hmark-rnd 0xfeedcafe"
    host = Host(family, ("mangle", f"FORWARD -j {target}"),
                ("mangle", f"POSTROUTING -p tcp -j {target.replace('src', 'ct,src')}"))
    there, back = syn(family), p.tcp(*ENDS[family][::-1], 80, 1000, 5, 101, p.SYN | p.ACK)
    rows = host.send(there, back, p.udp(*ENDS[family], 1001, 80))[1]
    assert rows["mark"][0] == rows["mark"][1] == HASHES[family]
    assert 7 <= rows["mark"][2] < 1007 and rows["mark"][2] != rows["mark"][0]


@pytest.mark.parametrize(("flags", "verdict"), [(p.SYN, STOLEN), (p.ACK, DROP), (p.SYN | p.ACK, ACCEPT),
                                               (p.RST, ACCEPT)])
def test_synproxy_without_its_secret(flags, verdict):
    host = Host(4, ("filter", "FORWARD -p tcp -j SYNPROXY --mss 1460"))
    assert host.send(p.tcp(*ENDS[4], 1000, 80, 1, 1, flags))[1]["verdict"][0] == verdict
    assert host.send(p.tcp(*ENDS[4], 1001, 80, 1, 1, flags, bad_sum=True))[1]["verdict"][0] == DROP


def test_what_the_raw_table_gives_is_of_its_family():
    host = Host(6, ("raw", "PREROUTING -j CT --zone 7"))
    host.send(p.udp(*ENDS[6], 5, 53), p.udp(*ENDS[4], 5, 53))
    assert host.tracker.connections()["zone"].tolist() == [7, 0]


def test_a_line():
    host = Host(4, ("filter", 'FORWARD -j LOG --log-prefix "new: " --log-tcp-sequence --log-tcp-options'))
    host.send(syn(4), syn(4))
    lines = host.engine.drain_log()
    assert [(line.packet, line.ts, line.kind, line.group) for line in lines] == [(n, START, "LOG", 4) for n in (1, 2)]
    assert lines[0].text == (
        "new: IN=f0 OUT=f1 MAC=02:00:00:00:01:01:02:00:00:00:01:02:08:00 SRC=10.1.0.5 DST=10.2.0.9 LEN=44 TOS=0x00 "
        "PREC=0x00 TTL=63 ID=1 PROTO=TCP SPT=1000 DPT=80 SEQ=100 ACK=0 WINDOW=65535 RES=0x00 SYN URGP=0 "
        "OPT (020405B4) ")
    assert host.lines() == []


def test_a_trace():
    host = Host(4, ("raw", "PREROUTING -j TRACE"), ("filter", "FORWARD -p tcp -j MARK --set-mark 1"))
    host.send(syn(4))
    assert [line.split(" ")[1] for line in host.lines()] == ["raw:PREROUTING:policy:2", "filter:FORWARD:rule:1",
                                                            "filter:FORWARD:policy:2"]


def test_marks_of_connections():
    masks = "--nfmask 0xff --ctmask 0xff0"
    host = Host(4, ("mangle", f"PREROUTING -j CONNMARK --restore-mark {masks} --right-shift-mark 4"),
                ("mangle", "PREROUTING -m mark --mark 0 -j MARK --set-mark 0x25"),
                ("mangle", f"POSTROUTING -j CONNMARK --save-mark {masks} --left-shift-mark 4"))
    for _ in range(3):
        assert host.send(p.udp(*ENDS[4], 5, 53))[1]["mark"][0] == 0x25
    assert host.tracker.connections()["mark"].tolist() == [0x250]


def test_the_first_ct_target_counts():
    host = Host(4, ("raw", "PREROUTING -j CT --zone 3"), ("raw", "PREROUTING -j NOTRACK"))
    host.send(p.udp(*ENDS[4], 5, 53))
    assert host.tracker.connections()["zone"].tolist() == [3]


def test_a_template_has_a_mark():
    host = Host(4, ("raw", "PREROUTING -m connmark --mark 0"), ("raw", "PREROUTING -j CT --zone 3"),
                ("raw", "PREROUTING -m connmark --mark 0"), ("raw", "PREROUTING -m connmark --mark 1"))
    host.send(p.udp(*ENDS[4], 5, 53))
    assert host.counted(*(f"raw/PREROUTING/{number}" for number in (1, 3, 4))) == [0, 1, 0]


def test_a_refusal_is_a_reply():
    host = Host(4, ("filter", "FORWARD -m conntrack --ctstatus SEEN_REPLY"))
    host.send(syn(4), p.tcp(*ENDS[4][::-1], 80, 1000, 0, 101, p.RST | p.ACK))
    assert host.counted("filter/FORWARD/1") == [1]


def test_notes():
    host = Host(4, *(("mangle", f"PREROUTING -p {protocol} -j TPROXY --on-port 1") for protocol in ("tcp", "udp")))
    assert len(host.program.notes) == 1
    assert host.send(syn(4))[1]["verdict"][0] == DROP
