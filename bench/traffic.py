"""Captures for the comparison with other programs: valid TCP and UDP conversations, as many as asked for.

    python -m bench.traffic OUT.pcap --packets 4000000 --connections 1000000 --size 64-100

Half of the connections are TCP, half UDP; each has a tuple of its own. They open in random order, then data goes on in
random connections and directions. Sums are right, numbers in step, and the whole takes a few seconds of packet time,
so that no program ends a connection early.
"""
import argparse

import numpy as np

from bench import SETS
from fastct.benchmark import ACK, IP4, SYN, TCP, UDP, Traffic

FILE_HEADER = np.array([0xA1B23C4D, 2 | 4 << 16, 0, 0, 262144, 1], dtype="<u4")
ETHER = 14
RUN = 1 << 15               # packets of one size, one behind the other


class Recorder(Traffic):
    """Traffic as pcap records."""

    def opened(self):
        """Every connection opened, each stage in a random order: nothing helps a cache."""
        stages = ((False, SYN), (True, SYN | ACK), (False, ACK)) if self.is_tcp else ((False, 0),)
        for reply, flags in stages:
            order = self.rng.permutation(self.connections)
            for begin in range(0, self.connections, RUN):
                conns = order[begin:begin + RUN]
                yield self.packets(conns, np.full(len(conns), reply), flags)

    def block(self, frames):
        """The records of an array of frames: one array of bytes."""
        n, size = frames.shape
        ts = self.ts + 1000 * np.arange(n, dtype=np.uint64)
        self.ts += 1000 * n
        head = np.empty((n, 4), dtype="<u4")
        head[:, 0], head[:, 1] = np.divmod(ts, 10**9)
        head[:, 2:] = size
        return np.concatenate((head.view(np.uint8), frames), axis=1)


def conversations(kind, connections, packets, size, seed, first):
    """Records of exactly that many packets and connections."""
    rng = np.random.default_rng(seed)
    header = ETHER + IP4 + (TCP if kind == "tcp" else UDP)

    def data():
        return max(0, int(rng.integers(size[0] // 2, size[1] // 2 + 1)) * 2 - header)

    traffic = Recorder(kind, connections, seed, first, data())
    left = packets
    for records in traffic.opened():
        yield records[:left]
        left -= min(left, len(records))
    while left:
        traffic.data = data()
        for records in traffic.conversation(min(left, RUN)):
            yield records
            left -= len(records)


def write_capture(path, packets, connections, size=(64, 100), seed=1):
    """Write a capture.

    Parameters
    ----------
    path : str
    packets, connections : int
        At least three packets per TCP connection, one per UDP connection.
    size : (int, int)
        Smallest and largest frame of data, bytes.
    seed : int
    """
    tcp = connections // 2
    share = packets // 2
    if share < 3 * tcp:
        raise ValueError(f"{packets} packets are too few for {connections} connections")
    with open(path, "wb") as file:
        file.write(FILE_HEADER.tobytes())
        sources = [conversations("tcp", tcp, share, size, seed, 0),
                   conversations("udp", connections - tcp, packets - share, size, seed + 1, tcp)]
        while sources:
            for source in list(sources):
                records = next(source, None)
                if records is None:
                    sources.remove(source)
                else:
                    file.write(records.tobytes())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("path")
    parser.add_argument("--packets", type=int, default=SETS["small"][0])
    parser.add_argument("--connections", type=int, default=SETS["small"][1])
    parser.add_argument("--size", default="64-100", help="bytes of a frame, smallest and largest")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    low, _, high = args.size.partition("-")
    write_capture(args.path, args.packets, args.connections, (int(low), int(high or low)), args.seed)


if __name__ == "__main__":
    main()
