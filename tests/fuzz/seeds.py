"""``python -m tests.fuzz.seeds``: what the targets begin with, made of the packets and dialogues of the other tests.

They are written among the inputs that were found; ``--minimise`` then keeps those that matter.
"""
import random
import struct
import tempfile
from hashlib import sha1
from pathlib import Path

import fastct
from fastct.capture import PcapWriter
from fastct.capture.frames import frames_from_bytes
from fastct.capture.linktypes import SUPPORTED
from fastct.face import Engine
from fastct.fragstate import state_fragments
from fastct.snapshot import PREAMBLE, SECTION
from fastct.state import RECORD_BYTES, state_calls, state_connections, state_expectations, state_probation
from tests import packets as p
from tests.dialogues import SAYS, says
from tests.fuzz.build import BUILT
from tests.kernel import generator, pptp, sip

RAW, NS = 101, 10**9
START = 1_700_000_000 * NS
KEY = bytes(range(1, 65))       # of the engines of engines.pyx
TEMPLATES = ({}, {"zone": 7, "zone_dir": "orig"}, {"timeouts": {"nf_conntrack_udp_timeout": 1}},
             {"zone": 7, "zone_dir": "reply"})
V4, V6 = ("10.1.0.1", "10.1.0.2"), ("fd00::1", "fd00::2")
RECORD = struct.Struct("<BH")


def record(ctl, data):
    """A record of an input."""
    data = data[:65535]
    return RECORD.pack(ctl, len(data)) + data


def made(settings, *records):
    """An input."""
    return bytes(settings).ljust(4, b"\0") + b"".join(records)


def frames(name):
    """The frames of one of the project's own captures."""
    return [data for block in fastct.open(f"pcaps/{name}.pcap") for _, _, data in block]


# ---- frames, packets

def wire():
    """Every link type, every protocol."""
    pieces = [data for name in ("vlan", "icmp_errors", "ping6", "host_10.1.1.2") for data in frames(name)[:40]]
    ethernet, raw = sorted(SUPPORTED).index(1), sorted(SUPPORTED).index(101)
    for settings in ((ethernet, 0), (ethernet, 7), (raw, 3)):
        for data in pieces:
            yield made(settings, record(0, data if settings[0] == ethernet else data[14:]))
    for packet in generator.random_packets(3, 300):
        yield made((raw, 3), record(0, packet.data))
    mpls, cooked = b"\x88\x47\0\1\1\x40", b"\0\0\0\1\0\6" + bytes(8) + b"\x08\0"
    packet = p.udp(*V4, 1, 2, b"x")
    for linktype, head in ((1, bytes(12) + mpls), (113, cooked), (276, b"\x08\0" + bytes(18)), (0, b"\2\0\0\0"),
                           (108, b"\0\0\0\2"), (9, b"\xff\3\0\x21"), (9, b"\x21"), (50, b"\2\x81\0\1\1\x40"),
                           (1, bytes(12) + b"\x81\0\0\1\x88\xa8\0\2\x08\0")):
        yield made((sorted(SUPPORTED).index(linktype), 1), record(4, head + packet))


def fragments():
    """Datagrams in pieces, whole and not, in and out of order."""
    for six in (0, 1):
        for order in ((0, 1, 2), (2, 0, 1), (1, 1, 0, 2), (0, 2)):
            for code in (0, 16, 16 | 4, 1 | 64):
                yield made((six, order[0], 1), *(
                    record(six | (4 if at < 2 else 0), bytes((at * 2, code)) + bytes(16)) for at in order))
    for packet in generator.random_packets(5, 600):
        if packet.data[0] >> 4 == 4 and packet.data[6] & 0x3F:
            yield made((0,), record(2, packet.data))


def tracker():
    """Conversations by opcode, and packets as they are."""
    syn, ack, fin, rst = p.SYN, p.ACK, p.FIN, p.RST
    talk = [(0, syn, 0), (1, syn | ack, 0), (0, ack, 0), (0, ack, 5), (1, ack, 7), (0, fin | ack, 0), (1, ack, 0),
            (1, fin | ack, 0), (0, ack, 0)]
    for family in (0, 128):
        for engine in range(8):
            tcp = [record(side << 4, bytes((family, flags, 0, 64, size))) for side, flags, size in talk]
            udp = [record(6 | side << 4, bytes((family | 8,)) + b"\0hello") for side in (0, 1, 0)]
            yield made((engine, 3, 3), *tcp)
            yield made((engine, 3, 1), *tcp[:4], record(0, bytes((family, rst, 0, 64, 0))), *udp)
            yield made((engine, 1, 1), *udp, record(9, bytes((family | 8, 3 if not family else 1, 20))),
                       record(6 | 7 << 5, bytes((family | 8,)) + b"later"))
            echo = (128, 129) if family else (8, 0)
            yield made((engine, 7, 3), record(8, bytes((family, echo[0], 0, 1))),
                       record(8 | 16, bytes((family, echo[1], 0, 1))), record(11, bytes((family, 0x31, 5))),
                       record(12, bytes((family, 33))), record(7, bytes((family, 8)) + b"lite"))
            init = p.chunk(1, struct.pack("!IIHHI", 7, 1, 1, 1, 1))
            sctp = [record(10 | side << 4, bytes((family, tag)) + chunks) for side, tag, chunks in (
                (0, 0, init), (1, 7, p.chunk(2, struct.pack("!IIHHI", 9, 1, 1, 1, 1))), (0, 9, p.chunk(10, b"cook")),
                (1, 7, p.chunk(11)), (0, 9, p.chunk(0, b"data")), (0, 9, p.chunk(7, bytes(4))), (1, 7, p.chunk(8)),
                (0, 9, p.chunk(14)))]
            yield made((engine, 2, 1), *sctp)
            for template in range(1, 8):
                other, none = (record(5, bytes((number,))) for number in (template, 0))
                yield made((engine, 4, 1), *tcp[:2], other, *tcp[:5], *udp, none, *udp)
            yield made((engine, 0, 1), *tcp[:1], record(13, bytes((0, 0, 9, 0))), record(15, bytes((0, 33, 4))))
    packets = [packet.data for packet in generator.random_packets(7, 400)]
    for at in range(0, 400, 10):
        yield made((at // 10 % 8, 9, 1), *(record(14, b"\0" + data) for data in packets[at:at + 10]))


# ---- helpers

# Payloads at the edges of what is read.
KEPT = {
    "ftp": (b"PORT 10,1,0,1,78,32\r", b"EPRT |2|" + b"f" * 46, b"229 (|||", b"227 " + b"9" * 50, b"EPRT |1|1.1.1.1|"),
    "tftp": (b"\0", b"\0\1"),
    "irc": (b"PRIVMSG x :\1DCC SEND t 167837697 5\1\n", b"PRIVMSG x :\1DCC SEND CHAT MOVE TSEND SCHAT",
            b" " * 40 + b" :\1DCC SEND xxxxxxxxxx\n", b"PRIVMSG x :\1DCC SEND t " + b"9" * 60 + b"\n", b" \n" * 10),
    "sane": (b"\0\0\0\7\0\0\0\0", bytes(8), bytes(7)),
    "amanda": (b"CONNECT DATA 5000\n", b"CONNECT DATA \n", b"CONNECT STATE", b"CONNECT INDEX 12345", b"CONNECT "),
    "netbios-ns": (b"",),
}


def helper(name):
    """Dialogues: the words of each side, what they announce opened and answered."""
    if name in ("pptp", "sip"):
        yield from {"pptp": pptp_talks, "sip": sip_talks}[name]()
        return
    for said in KEPT[name]:
        yield made((0, 0), record(0, said), record(1, said))
        yield made((0, 0), record(8, said), record(9, said))
    rng = random.Random(name)
    for number in range(120):
        six = number % 3 == 2 and name not in ("irc", "netbios-ns")
        ends = (V6 if six else V4)
        said = [record(side | 8, says(rng, name, side, ends, "10.1.0.3", wrong=0.2)) for side in (0, 1, 0, 1)]
        yield made((number % 3, six | (number & 4)), *said, record(32, b"\x80" + b"\0\1file"))


def pptp_talks():
    """Calls of both directions, cleared or not."""
    out = [(0, "out request", 1), (1, "out reply", 2, 1)]
    into = [(1, "in request", 3), (0, "in reply", 4, 3), (1, "in connect", 3)]
    for ending in ([], [(0, "clear", 1)], [(1, "disconnect", 2)], [(0, "stop request",)]):
        for talk in (out, into, out + into):
            said = [(0, "start request"), (1, "start reply", 256), *talk]
            words = [record(side, pptp.message(name, *fields)) for side, name, *fields in said]
            end = [record(side, pptp.message(name, *fields)) for side, name, *fields in ending]
            yield made((0,), *words, record(32, b"\x80"), record(32, b"\x81"), *end)
    for name in pptp.MESSAGES:
        yield made((0,), record(0, pptp.message("start request")), record(1, pptp.message("start reply", 256)),
                   record(0, pptp.message(name, 1, 2)), record(1, pptp.message(name, 1, 2)))


def sip_talks():
    """Registrations and calls, over UDP and TCP and both families."""
    for six in (0, 1):
        (c, s), udp = (V6 if six else V4), 2
        for how in (six | udp, six):
            media = (("audio", 4000), ("video", 4002), ("image", 4004))
            invite = sip.request("INVITE", 1, f"Contact: {sip.contact(c)}", "Content-Type: application/sdp",
                                 body=sip.sdp(c, media, own=(None, c)))
            ok = sip.answer(200, "INVITE", 1, f"Contact: {sip.contact(s)}", "Content-Type: application/sdp",
                            body=sip.sdp(s, media[:1]))
            bye = sip.request("BYE", 2)
            register = sip.request("REGISTER", 1, f"Contact: {sip.contact(c, 5062)}", "Expires: 60")
            accepted = sip.answer(200, "REGISTER", 1, f"Contact: {sip.contact(c, 5062)};expires=60")
            for said in ((invite, ok, bye), (register, accepted), (invite, sip.answer(404, "INVITE", 1))):
                yield made((0, how), *(record(number & 1, data) for number, data in enumerate(said)),
                           record(32, b"\x80"), record(32, b"\x01rtp"))
    rng = random.Random(1)
    for _ in range(150):
        talk = sip.Talk(rng, *V4, 1000, p.UDP)
        said = [record(side, talk.odd(talk.text(rng.choice(("request", "answer")), side))) for side in (0, 1, 0)]
        yield made((0, 2), *said, record(32, b"\x80"))


# ---- files

def pcap():
    """Every file header, packets of several lengths; one file as it is."""
    for head in (0, 1, 2, 4, 5, 6):
        packets = [record(1 + extra, bytes(8) + data) for extra, data in enumerate(frames("ping6")[:4])]
        yield made((head, head, 5, 1), *packets)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.pcap"
        with PcapWriter(path) as writer:
            for number, data in enumerate(frames("vlan")[:3]):
                writer.write(number, data)
        yield made((8, 2, 3), record(0, path.read_bytes()))


def pcapng():
    """Sections, interfaces with options, packets of all three kinds, other blocks."""
    def option(code, data):
        return struct.pack("=HH", code, len(data)) + data.ljust(-(-len(data) // 4) * 4, b"\0")
    data = frames("ping6")[0]
    for resolution in (b"", option(9, b"\x06"), option(9, b"\x09"), option(9, b"\x0c"), option(9, b"\x8a"),
                       option(9, b"\x7f") + option(14, bytes(8))):
        interface = struct.pack("=HHI", 1, 0, 96) + option(2, b"eth0") + resolution + option(0, b"")
        enhanced = struct.pack("=IIIII", 0, 1, 2, 0, len(data)) + data
        old = struct.pack("=HHIIII", 0, 0, 1, 2, len(data), len(data)) + data
        simple = struct.pack("=I", len(data)) + data
        for step in range(4):
            yield made((0, step, 3), record(1, interface), record(4, enhanced), record(3, simple), record(2, old),
                       record(5, b"other"), record(4, enhanced))


def tracked():
    """Engines with something of everything in them."""
    for seed in range(6):
        engine = Engine(KEY, {}, checksum="off", auto_helpers=True)
        engine.template(timeouts={"nf_conntrack_udp_timeout": 1})     # the one policy of the target's engine
        said = [packet.data for packet in generator.random_packets(seed, 40)]
        said += [packet.data for packet in pptp.random_packets(random.Random(seed), 60)]
        said += [packet.data for packet in sip.random_packets(random.Random(seed), 40)]
        at = 0
        for begin in range(0, len(said), 20):
            engine.template(**TEMPLATES[begin // 20 % len(TEMPLATES)])
            block = said[begin:begin + 20]
            engine.run(frames_from_bytes(block, [START + (at + i) * NS // 20 for i in range(len(block))], RAW))
            at += len(block)
        yield engine


def images(block):
    """The connections of a block, each with its addresses and its extra behind it."""
    conn, addr6, extra, *_ = RECORD_BYTES
    counts, *parts = [bytes(part) for part in block]
    at6 = atx = 0
    for number in range(struct.unpack("=3I", counts)[0]):
        image = parts[0][number * conn:(number + 1) * conn]
        if image[13] == 6:
            image += parts[1][at6:at6 + addr6]
            at6 += addr6
        if struct.unpack_from("=I", image, 124)[0]:
            image += parts[2][atx:atx + extra]
            atx += extra
        yield image


def snapshot():
    """Connections and what belongs to them, record by record; then packets."""
    for engine in tracked():
        made_of = [image for block in state_connections(engine) for image in images(block)]
        others = (state_expectations, state_calls, state_probation, state_fragments)
        rest = [record(kind, b"".join(bytes(part) for part in block))
                for kind, blocks in enumerate(others, 1) for block in blocks(engine)]
        packets = [record(5, packet.data) for packet in generator.random_packets(1, 4)]
        for at in range(0, len(made_of), 8):
            yield made((0, 0, 3), *(record(0, image) for image in made_of[at:at + 8]), *packets)
        whole = [record(0, b"".join(made_of[at:at + 16])) for at in range(0, len(made_of), 16)]
        yield made((0, 0, 3), *whole, *rest, *packets, record(6, b"\0"))
        yield made((1, 0, 0), *whole, *rest)


def snapshot_file():
    """Whole files, section by section; small ones first."""
    tags = (b"HEAD", b"CONN", b"EXPT", b"CALL", b"RING", b"END ", b"FRAG")
    for limit, n in ((0, 4), (20, 12), (0, 60), (20, 60)):
        with tempfile.TemporaryDirectory() as folder:
            tracker = fastct.Tracker(checksum="off", auto_helpers=True, seed=1, max_entries=limit)
            packets = [packet.data for packet in generator.random_packets(limit, n)]
            packets += [packet.data for packet in pptp.random_packets(random.Random(1), n)]
            tracker.process_bytes(packets, [START + i * NS // 50 for i in range(len(packets))], linktype=RAW)
            tracker.save(Path(folder) / "x")
            data = (Path(folder) / "x").read_bytes()[PREAMBLE.size:]
        records = []
        while data:
            tag, length, _ = SECTION.unpack(data[:SECTION.size])
            if tag in tags and tag != b"END ":
                records.append(record(tags.index(tag), data[SECTION.size:SECTION.size + length]))
            data = data[SECTION.size + length:]
        yield made((0,), *records)
        yield made((1,), *records)


MAKERS = {"wire": wire, "fragments": fragments, "tracker": tracker, "pcap": pcap, "pcapng": pcapng,
          "snapshot": snapshot, "snapshot_file": snapshot_file}
MAKERS |= {name: lambda name=name: helper(name) for name in (*SAYS, "pptp", "sip")}


def main():
    for target, maker in MAKERS.items():
        folder = BUILT / "found" / target
        folder.mkdir(parents=True, exist_ok=True)
        for data in maker():
            (folder / sha1(data).hexdigest()).write_bytes(data)
        print(target, len(list(folder.iterdir())))


if __name__ == "__main__":
    main()
