"""Seeded traffic as a pcap file: an exact number of packets in an exact number of connections, all of them in order.

    python -m bench.traffic OUT.pcap --packets 4000000 --connections 1000000 --size 64-100

Half of the connections (``--udp-share``) are UDP with packets both ways. The others are TCP: a handshake, data in
random directions, sequence and acknowledgement numbers in step, and an orderly end for half of those with room for
one. Packets of all connections are mixed at random. The whole capture spans ``SPAN_S`` seconds of packet time, so that
nobody's timeout ends a connection early: whoever counts other than ``connections`` counts something else.

Everything is NumPy: the plan of a capture takes about 100 bytes of memory per packet.
"""
import argparse
import time
from dataclasses import dataclass
from itertools import chain

import numpy as np

SPAN_S = 10
START_S = 1_700_000_000
CHUNK = 1 << 14             # packets put together at a time: they fit the cache

ETHER, IP, TCP, UDP = 14, 20, 20, 8
CONTROL = 64                # a frame without data, padded
SIZES = (CONTROL, 1514)     # of a frame
FIN, SYN, PSH, ACK = 0x01, 0x02, 0x08, 0x10
WINDOW = 0xFFFF
PORTS_PER_CLIENT, PORT_STEP = 16, 4001
TCP_PORTS = np.array([22, 80, 443, 8080], dtype=np.uint16)
UDP_PORTS = np.array([443, 3478, 5004, 9000], dtype=np.uint16)

FILE_HEADER = np.array([(0xA1B2C3D4, 2, 4, 0, 0, 65535, 1)],
                       dtype="<u4, <u2, <u2, <i4, <u4, <u4, <u4").tobytes()
HEADERS = [("sec", "<u4"), ("usec", "<u4"), ("captured", "<u4"), ("length", "<u4"),
           ("macs", "V12"), ("ethertype", ">u2"),
           ("version", "u1"), ("tos", "u1"), ("total", ">u2"), ("id", ">u2"), ("fragment", ">u2"),
           ("ttl", "u1"), ("proto", "u1"), ("ip_sum", ">u2"), ("src", ">u4"), ("dst", ">u4"),
           ("sport", ">u2"), ("dport", ">u2")]
TCP_HEADERS = [*HEADERS, ("seq", ">u4"), ("ack", ">u4"), ("flags", ">u2"), ("window", ">u2"), ("sum", ">u2"),
               ("urgent", ">u2")]
UDP_HEADERS = [*HEADERS, ("udp_length", ">u2"), ("sum", ">u2")]
HEAD = np.dtype(TCP_HEADERS).itemsize


@dataclass
class Connections:
    """Who talks to whom: one element per connection."""
    udp: np.ndarray
    client: np.ndarray
    server: np.ndarray
    sport: np.ndarray
    dport: np.ndarray
    initial: np.ndarray     # sequence numbers the two sides begin with, by direction


@dataclass
class Plan:
    """What is sent, in the order of time: one element per packet."""
    conn: np.ndarray
    reply: np.ndarray
    flags: np.ndarray
    size: np.ndarray        # of the frame
    data: np.ndarray        # bytes of payload
    seq: np.ndarray         # relative to the initial ones
    ack: np.ndarray


def make_connections(count, udp_share, rng):
    """Connections with distinct tuples: ports tell those of one client apart."""
    number = rng.permutation(count).astype(np.uint32)
    udp = rng.permutation(count) < round(count * udp_share)
    port = 1024 + number % PORTS_PER_CLIENT * PORT_STEP + rng.integers(0, PORT_STEP, count, dtype=np.uint32)
    service = rng.integers(0, len(TCP_PORTS), count)
    return Connections(
        udp=udp,
        client=np.uint32(0x0A000001) + number // PORTS_PER_CLIENT,
        server=np.uint32(0xC0A80001) + rng.integers(0, 65000, count, dtype=np.uint32),
        sport=port.astype(np.uint16),
        dport=np.where(udp, UDP_PORTS[service], TCP_PORTS[service]),
        initial=rng.integers(0, 1 << 32, (2, count), dtype=np.uint32))


def _lengths(packets, udp, rng):
    """How many packets each connection has: a handshake or an exchange at least, where there are enough."""
    least = np.where(udp, 2, 3)
    if least.sum() > packets:
        least = np.ones(len(udp), dtype=np.int64)
    extra = rng.integers(0, len(udp), packets - int(least.sum()))
    return least + np.bincount(extra, minlength=len(udp))


def _schedule(lengths, rng):
    """Connection of each packet, grouped by connection, and the packet's place in the order of time.

    Sorting numbers that carry their payload in the low half is several times faster than argsort.
    """
    packets = int(lengths.sum())
    index = np.arange(packets, dtype=np.uint64)
    low = np.uint64(0xFFFFFFFF)
    keys = np.repeat(np.arange(len(lengths), dtype=np.uint64), lengths) << np.uint64(32)
    keys |= rng.integers(0, 1 << 32, packets, dtype=np.uint32)
    keys.sort()
    conn = (keys >> np.uint64(32)).astype(np.uint32)
    keys = ((keys & low) << np.uint64(32)) | index
    keys.sort()
    return conn, (keys & low).astype(np.uint32)


def make_plan(packets, connections, size, rng):
    """Directions, flags, sizes and numbers of every packet."""
    lengths = _lengths(packets, connections.udp, rng)
    conn, order = _schedule(lengths, rng)
    begin = np.repeat(np.cumsum(lengths) - lengths, lengths)
    rank = (np.arange(packets) - begin).astype(np.uint32)
    left = np.repeat(lengths, lengths).astype(np.uint32) - rank
    udp = connections.udp[conn]
    closes = ~udp & np.repeat((lengths >= 6) & (rng.integers(0, 2, len(lengths)) == 1), lengths)

    reply = rng.integers(0, 2, packets, dtype=np.uint8).astype(bool)
    first, second = rank == 0, rank == 1
    third = (rank == 2) & ~udp
    ending = closes & (left <= 3)       # FIN, FIN of the other side, ACK
    reply[first | third | (ending & (left != 2))] = False
    reply[second | (ending & (left == 2))] = True
    flags = np.full(packets, ACK | PSH, dtype=np.uint8)
    flags[first] = SYN
    flags[second] = SYN | ACK
    flags[third] = ACK
    flags[ending] = FIN | ACK
    flags[closes & (left == 1)] = ACK

    control = ~udp & (flags != ACK | PSH)
    sizes = rng.integers(size[0], size[1] + 1, packets, dtype=np.uint16)
    data = (sizes - np.uint16(ETHER + IP) - np.where(udp, np.uint16(UDP), np.uint16(TCP))).astype(np.uint16)
    sizes[control], data[control] = CONTROL, 0
    used = data + ((flags & (SYN | FIN)) != 0)
    sent = [_before(np.where(reply == side, used, 0), begin) for side in (False, True)]
    seq, ack = np.where(reply, sent[1], sent[0]), np.where(reply, sent[0], sent[1])
    return Plan(*(field[order] for field in (conn, reply, flags, sizes, data, seq, ack)))


def _before(used, begin):
    """Sum of what the same connection's earlier packets used."""
    total = np.cumsum(used, dtype=np.int64) - used
    return (total - total[begin]).astype(np.uint32)


class Frames:
    """Puts frames together from a plan, a chunk of packets at a time.

    A frame is a head of ``HEAD`` bytes from a matrix and a tail that many frames have in common. All packets carry the
    beginning of one payload, so its part of a checksum is looked up, not added up.
    """

    def __init__(self, connections, plan, rng):
        self._of, self._plan = connections, plan
        payload = rng.integers(0, 256, SIZES[1], dtype=np.uint8)
        weights = np.where(np.arange(len(payload)) % 2, 1, 256)
        self._payload_sums = np.r_[0, np.cumsum(payload * weights)].astype(np.uint32)
        self._templates = np.stack([self._template(None), self._template(payload)])
        data = payload.tobytes()
        tails = np.empty((2, SIZES[1]), dtype=object)
        tails[0] = [data[:length] for length in range(SIZES[1])]
        tails[0, 0] = bytes(CONTROL - ETHER - IP - TCP)
        tails[1] = [data[TCP - UDP:length] for length in range(SIZES[1])]
        self._tails = tails

    @staticmethod
    def _template(udp_payload):
        """A head with what is the same in all of its kind. That of UDP, a shorter header, has some of the payload."""
        row = np.zeros(HEAD, dtype=np.uint8)
        fields = row[:np.dtype(HEADERS).itemsize].view(HEADERS)
        fields["macs"] = np.frombuffer(bytes.fromhex("020000000001020000000002"), dtype="V12")
        fields["ethertype"], fields["version"], fields["fragment"], fields["ttl"] = 0x0800, 0x45, 0x4000, 64
        fields["proto"] = 6 if udp_payload is None else 17
        if udp_payload is not None:
            row[UDP - TCP:] = udp_payload[:TCP - UDP]
        return row

    def chunk(self, begin, end):
        """Bytes of the packets ``begin`` to ``end``, pcap headers included."""
        plan = Plan(**{name: field[begin:end] for name, field in vars(self._plan).items()})
        udp = self._of.udp[plan.conn]
        kind = udp.astype(np.uint8)
        rows = self._templates[kind]
        head = self._fields(rows, HEADERS)
        micros = np.arange(begin, end, dtype=np.int64) * (SPAN_S * 10**6) // len(self._plan.conn)
        head["sec"], head["usec"] = START_S + micros // 10**6, micros % 10**6
        head["captured"] = head["length"] = plan.size
        addresses = self._put_addresses(head, plan)
        proto, total = np.where(udp, 17, 6), IP + np.where(udp, UDP, TCP) + plan.data
        head["total"] = total
        head["ip_sum"] = _complement(0x4500 + 0x4000 + 0x4000 + proto + total + addresses)
        # Pseudo-header, ports and payload are summed for both, the rest of the header for each.
        partial = addresses + proto + total - IP + head["sport"] + head["dport"]
        partial += self._payload_sums[plan.data]
        self._put_udp(rows, np.flatnonzero(udp), total, partial)
        self._put_tcp(rows, np.flatnonzero(~udp), plan, partial)
        heads, tails = rows.view(f"V{HEAD}")[:, 0].tolist(), self._tails[kind, plan.data].tolist()
        return b"".join(chain.from_iterable(zip(heads, tails, strict=True)))

    @staticmethod
    def _fields(rows, dtype):
        return rows[:, :np.dtype(dtype).itemsize].view(dtype)[:, 0]

    def _put_addresses(self, head, plan):
        client, server = self._of.client[plan.conn], self._of.server[plan.conn]
        sport, dport = self._of.sport[plan.conn], self._of.dport[plan.conn]
        head["src"], head["dst"] = np.where(plan.reply, server, client), np.where(plan.reply, client, server)
        head["sport"], head["dport"] = np.where(plan.reply, dport, sport), np.where(plan.reply, sport, dport)
        return (_halves(client) + _halves(server)).astype(np.int64)

    def _put_udp(self, rows, which, total, partial):
        fields = self._fields(rows, UDP_HEADERS)
        length = total[which] - IP
        fields["udp_length"][which] = length
        total = _complement(partial[which] + length)
        fields["sum"][which] = np.where(total == 0, 0xFFFF, total)      # 0 would say: no checksum

    def _put_tcp(self, rows, which, plan, partial):
        fields = self._fields(rows, TCP_HEADERS)
        conn, reply, flags = plan.conn[which], plan.reply[which].astype(np.uint8), plan.flags[which]
        seq = self._of.initial[reply, conn] + plan.seq[which]
        ack = np.where(flags & ACK, self._of.initial[1 - reply, conn] + plan.ack[which], np.uint32(0))
        words = np.uint16(0x5000) | flags
        fields["seq"][which], fields["ack"][which], fields["flags"][which] = seq, ack, words
        fields["window"][which] = WINDOW
        fields["sum"][which] = _complement(partial[which] + _halves(seq) + _halves(ack) + words + WINDOW)


def _halves(numbers):
    """Both 16-bit halves of 32-bit numbers added up."""
    return (numbers >> 16) + (numbers & 0xFFFF)


def _complement(total):
    """The internet checksum from a sum of words."""
    total = (total & 0xFFFF) + (total >> 16)
    return ~((total & 0xFFFF) + (total >> 16)) & 0xFFFF


def write_capture(path, packets, connections, size=(64, 100), seed=1, udp_share=0.5):
    """Write a capture: the same file for the same arguments.

    Parameters
    ----------
    path : path
    packets, connections : int
        At least as many packets as connections.
    size : (int, int)
        Smallest and largest frame with data; TCP frames without data have 64 bytes.
    seed : int
    udp_share : float
        Share of the connections that are UDP.
    """
    if not 0 < connections <= packets:
        raise ValueError(f"expected 1 to {packets} connections, got {connections}")
    if not SIZES[0] <= size[0] <= size[1] <= SIZES[1]:
        raise ValueError(f"expected frames of {SIZES[0]} to {SIZES[1]} bytes, got {size[0]} to {size[1]}")
    rng = np.random.default_rng(seed)
    hosts = make_connections(connections, udp_share, rng)
    frames = Frames(hosts, make_plan(packets, hosts, size, rng), rng)
    with open(path, "wb") as file:
        file.write(FILE_HEADER)
        for begin in range(0, packets, CHUNK):
            file.write(frames.chunk(begin, min(begin + CHUNK, packets)))


def size_range(text):
    """``64-100`` or ``600`` as a pair."""
    least, _, most = text.partition("-")
    return int(least), int(most or least)


def main(argv=None):
    parser = argparse.ArgumentParser(prog="python -m bench.traffic", description=__doc__.partition("\n")[0])
    parser.add_argument("path", metavar="OUT.pcap")
    parser.add_argument("--packets", type=int, default=4_000_000, metavar="N")
    parser.add_argument("--connections", type=int, default=1_000_000, metavar="N")
    parser.add_argument("--size", type=size_range, default=(64, 100), metavar="MIN-MAX", help="frames with data, bytes")
    parser.add_argument("--seed", type=int, default=1, metavar="N")
    parser.add_argument("--udp-share", type=float, default=0.5, metavar="SHARE")
    args = parser.parse_args(argv)
    began = time.perf_counter()
    write_capture(args.path, args.packets, args.connections, args.size, args.seed, args.udp_share)
    spent = time.perf_counter() - began
    print(f"{args.path}: {args.packets:,} packets in {spent:.1f} s, {args.packets / spent:,.0f}/s")


if __name__ == "__main__":
    main()
