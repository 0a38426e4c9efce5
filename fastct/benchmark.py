"""The benchmark of the core: seeded traffic in memory, from parse to updated state, in ns per packet.

``Traffic`` makes connections that Linux would call valid: handshakes, then data in random connections and
directions, sequence and acknowledgement numbers in step. The ``measure_*`` functions time the tracker and nothing
else: making the packets is outside the clock.
"""
import time
from dataclasses import dataclass

import numpy as np

from fastct.capture.frames import frames_from_buffer
from fastct.tracker import Tracker

PROTOCOLS = ("tcp", "udp", "tcp6", "udp6")
CHUNK = 1 << 17             # packets made at a time
START_NS = 1_700_000_000 * 10**9
STEP_NS = 200               # packet time between two packets: no timeout is reached
BATCH = 64                  # packets of a batch whose pause is measured

ETHER, IP4, IP6, TCP, UDP = 14, 20, 40, 20, 8
DATA = {"tcp": 10, "udp": 22}          # bytes; they make IPv4 frames of 64
SYN, ACK = 0x02, 0x10


@dataclass(frozen=True)
class Figure:
    """One measurement: of what, for which protocol, at how many connections, how much, of which unit."""
    name: str
    protocol: str
    connections: int
    value: float
    unit: str


def _sums(words):
    """Internet checksum of rows of big-endian 16-bit words."""
    total = words.astype(np.uint32).sum(axis=1)
    total = (total & 0xFFFF) + (total >> 16)
    total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def _put(frames, at, values, width):
    """Write big-endian numbers of ``width`` bytes into a column of frames."""
    column = np.broadcast_to(values, len(frames)).astype(f">u{width}")
    frames[:, at:at + width] = column.view(np.uint8).reshape(-1, width)


def _ranks(conns, reply):
    """How many packets of the same connection came before each, in its own direction and in the other."""
    n = len(conns)
    order = np.argsort(conns, kind="stable")
    grouped, is_reply = conns[order], reply[order]
    begins = np.r_[True, grouped[1:] != grouped[:-1]]
    start = np.maximum.accumulate(np.where(begins, np.arange(n), 0))
    replies = np.cumsum(is_reply) - is_reply
    replies -= replies[start]
    originals = np.arange(n) - start - replies
    mine, other = np.empty(n, dtype=np.uint32), np.empty(n, dtype=np.uint32)
    mine[order] = np.where(is_reply, replies, originals)
    other[order] = np.where(is_reply, originals, replies)
    return mine, other


class Traffic:
    """Packets of connections with distinct tuples, each in step with its own conversation.

    Parameters
    ----------
    protocol : {"tcp", "udp", "tcp6", "udp6"}
        Data frames have 64 bytes (IPv6: 84).
    connections : int
    seed : int
    first : int
        Number of the first connection: other numbers, other tuples.
    """

    def __init__(self, protocol, connections, seed=1, first=0):
        self.connections = connections
        self.ts = START_NS
        self.is_tcp, self.is_ip6 = protocol.startswith("tcp"), protocol.endswith("6")
        self.rng = np.random.default_rng(seed)
        number = np.arange(first, first + connections, dtype=np.uint64)
        self._host = (number // 32).astype(np.uint32)
        self._port = (1024 + number % 32 * 97).astype(np.uint16)
        self._sent = np.zeros((2, connections), dtype=np.uint32)      # numbers of sequence space, by direction
        self._l4 = ETHER + (IP6 if self.is_ip6 else IP4)
        self._header = TCP if self.is_tcp else UDP
        self.data = DATA["tcp" if self.is_tcp else "udp"]

    def openings(self):
        """Blocks with the first packet of every connection, in order."""
        for conns in self._groups():
            yield self.packets(conns, np.zeros(len(conns), dtype=bool), SYN)

    def establish(self):
        """Blocks that take every connection to ESTABLISHED (UDP: to a stream) and ASSURED."""
        for conns in self._groups():
            original = np.zeros(len(conns), dtype=bool)
            yield self.packets(conns, original, SYN)
            yield self.packets(conns, ~original, SYN | ACK)
            if self.is_tcp:
                yield self.packets(conns, original, ACK)
        if self.is_tcp:
            return
        self.ts += 3 * 10**9            # datagrams are a stream from 2 s on
        for conns in self._groups():
            yield self.packets(conns, np.zeros(len(conns), dtype=bool), ACK)

    def conversation(self, packets):
        """Blocks of data in random connections and directions."""
        for begin in range(0, packets, CHUNK):
            n = min(CHUNK, packets - begin)
            conns = self.rng.integers(0, self.connections, n)
            yield self.packets(conns, self.rng.integers(0, 2, n).astype(bool), ACK, self.data)

    def _groups(self):
        for begin in range(0, self.connections, CHUNK):
            yield np.arange(begin, min(begin + CHUNK, self.connections))

    def packets(self, conns, reply, flags, data=0):
        """A block of packets of connections (numbers) in directions (booleans). Frames without data are padded to the
        size of those with."""
        frames = np.zeros((len(conns), self._l4 + self._header + self.data), dtype=np.uint8)
        if not self.is_tcp:
            data = self.data
        self._put_ip(frames, conns, reply, self._header + data)
        ports = self._port[conns]
        _put(frames, self._l4, np.where(reply, 443, ports), 2)
        _put(frames, self._l4 + 2, np.where(reply, ports, 443), 2)
        if self.is_tcp:
            self._put_tcp(frames, conns, reply, flags, 1 if flags & SYN else data)
        else:
            _put(frames, self._l4 + 4, self._header + data, 2)
        self._put_sums(frames, self._header + data)
        return self.block(frames)

    def _put_ip(self, frames, conns, reply, length):
        client = self._host[conns]
        server = client % 251
        if self.is_ip6:
            _put(frames, 12, 0x86DD, 2)
            frames[:, 14] = 0x60
            _put(frames, 18, length, 2)
            frames[:, 20:22] = 6 if self.is_tcp else 17, 64
            _put(frames, 22, 0x20010DB8, 4)
            _put(frames, 38, 0x20010DB8, 4)
            source_at, target_at, networks = 34, 50, (0, 0x80000000)
        else:
            _put(frames, 12, 0x0800, 2)
            frames[:, 14] = 0x45
            _put(frames, 16, IP4 + length, 2)
            frames[:, 22:24] = 64, 6 if self.is_tcp else 17
            source_at, target_at, networks = 26, 30, (0x0A000000, 0xC0A80000)
        client, server = client + np.uint32(networks[0]), server + np.uint32(networks[1])
        _put(frames, source_at, np.where(reply, server, client), 4)
        _put(frames, target_at, np.where(reply, client, server), 4)

    def _put_tcp(self, frames, conns, reply, flags, used):
        """Numbers in step: ``used`` of the sequence space by each of these segments."""
        way = reply.astype(np.uint8)
        mine, other = _ranks(conns, reply)
        initial = conns.astype(np.uint32) * np.uint32(2654435761)      # the same for both sides: it does not matter
        _put(frames, self._l4 + 4, initial + self._sent[way, conns] + mine * np.uint32(used), 4)
        if flags & ACK:
            _put(frames, self._l4 + 8, initial + self._sent[1 - way, conns] + other * np.uint32(used), 4)
        frames[:, self._l4 + 12] = 0x50
        frames[:, self._l4 + 13] = flags
        _put(frames, self._l4 + 14, 0xFFFF, 2)
        for side in (0, 1):
            self._sent[side] += (np.bincount(conns[way == side], minlength=self.connections) * used).astype(np.uint32)

    def _put_sums(self, frames, length):
        words = frames.view(">u2")
        if not self.is_ip6:
            words[:, 12] = _sums(words[:, 7:17])
        addresses = words[:, 11:27] if self.is_ip6 else words[:, 13:17]
        rest = np.full((len(frames), 1), length + (6 if self.is_tcp else 17), dtype=">u2")
        at = (self._l4 + (16 if self.is_tcp else 6)) // 2
        words[:, at] = _sums(np.concatenate((addresses, rest, words[:, self._l4 // 2:]), axis=1))

    def block(self, frames):
        """What is made of an array of frames, shape (packets, bytes): a block for the tracker."""
        n, size = frames.shape
        ts = self.ts + STEP_NS * np.arange(n, dtype=np.uint64)
        self.ts += STEP_NS * n
        offsets = np.arange(n, dtype=np.uint64) * np.uint64(size)
        return frames_from_buffer(frames.reshape(-1), offsets, np.full(n, size, dtype=np.uint32), ts.astype(np.uint64))


# ---- what is measured

def _time(tracker, blocks):
    """ns per packet of every block."""
    for block in blocks:
        began = time.perf_counter_ns()
        tracker.process(block, rows=False)
        yield (time.perf_counter_ns() - began) / len(block)


def _run(tracker, blocks):
    for _ in _time(tracker, blocks):
        pass


def measure_packets(protocol, connections, packets, seed=1, checksum="auto"):
    """Established connections, random connection and direction: median ns per packet of blocks of ``CHUNK``."""
    traffic = Traffic(protocol, connections, seed)
    tracker = Tracker(seed=seed, checksum=checksum)
    _run(tracker, traffic.establish())
    times = list(_time(tracker, traffic.conversation(packets)))
    stats = tracker.stats
    if stats["live"] != connections or stats["invalid"]:
        raise AssertionError(f"the traffic is not what it should be: {stats}")
    return Figure("packet", protocol, connections, float(np.median(times)), "ns")


def measure_new(protocol, connections, seed=1):
    """First packets of further connections at ``connections``: median new connections per second."""
    tracker = Tracker(seed=seed)
    traffic = Traffic(protocol, connections, seed)
    _run(tracker, traffic.openings())
    more = Traffic(protocol, max(connections // 2, CHUNK), seed, first=connections)
    more.ts = traffic.ts
    times = list(_time(tracker, more.openings()))
    return Figure("new", protocol, connections, 1e9 / float(np.median(times)), "connections/s")


def measure_expiry(protocol, connections, seed=1):
    """A sweep in which every connection has expired: ns per connection."""
    tracker = Tracker(seed=seed)
    traffic = Traffic(protocol, connections, seed)
    _run(tracker, traffic.openings())
    began = time.perf_counter_ns()
    expired = tracker.gc.sweep(traffic.ts + 600 * 10**9)
    spent = time.perf_counter_ns() - began
    if expired != connections:
        raise AssertionError(f"{expired} of {connections} connections expired")
    return Figure("expiry", protocol, connections, spent / expired, "ns")


def measure_pause(protocol, connections, seed=1):
    """Filling an empty table in batches of 64, with the sweep running: the longest batch, ms."""
    tracker = Tracker(seed=seed)
    longest = 0
    for block in Traffic(protocol, connections, seed).openings():
        for begin in range(0, len(block), BATCH):
            batch = block.part(begin, begin + BATCH)
            began = time.perf_counter_ns()
            tracker.process(batch, rows=False)
            longest = max(longest, time.perf_counter_ns() - began)
    return Figure("longest batch", protocol, connections, longest / 1e6, "ms")


def _resident():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmRSS"))


def measure_memory(protocol, connections, seed=1):
    """Growth of the resident set while the table fills, per connection, everything included."""
    traffic = Traffic(protocol, connections, seed)
    warm = Tracker(seed=seed)                       # what NumPy and the interpreter keep once used
    _run(warm, Traffic(protocol, CHUNK, seed).openings())
    del warm
    before = _resident()
    tracker = Tracker(seed=seed)
    _run(tracker, traffic.openings())
    return Figure("memory", protocol, connections, (_resident() - before) / len(tracker), "bytes")
