"""What an attacker can cost: new connections on a full table, and tuples built to collide, beside harmless ones.

    python -m bench.adversaries [--rounds N]

``full``: a table at its maximum, half of it ASSURED, meets SYNs of tuples never seen, each of which evicts an entry;
beside as many on a table with room. ``crc32c``, ``toeplitz``, ``zero key``: 100,000 datagrams whose tuples have the
same CRC32C, the same Toeplitz sum (of the key that network cards come with), or nearly the same hash under a key of
zeros; beside as many with random tuples. Medians of rounds in which each is measured once, in turns.
"""
import argparse
import socket
import statistics
import time

import numpy as np

import fastct
from fastct.benchmark import START_NS, SYN, Traffic
from fastct.capture.frames import frames_from_buffer

FULL, NEW = 500_000, 250_000
COLLIDING = 100_000
CANDIDATES = 256                            # tuples looked at for one that collides under a key of zeros
CASTAGNOLI = 0x82F63B78                     # reflected
CARD_KEY = int("6d5a56da255b0ec24167253d43a38fb0d0ca2bcbae7b30b4", 16), 192
# A tuple is a number of 96 bits: source, destination, ports. These bits of it vary.
BITS = [*range(32), *range(64, 96)]


def crc32c(number):
    """Of a tuple, from 0: the CRC of a sum is the sum of the CRCs."""
    crc = 0
    for byte in number.to_bytes(12, "big"):
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (CASTAGNOLI if crc & 1 else 0)
    return crc


def toeplitz(number):
    key, size = CARD_KEY
    total = 0
    for bit in range(96):
        if number >> 95 - bit & 1:
            total ^= key >> size - 32 - bit & 0xFFFFFFFF
    return total


def colliding(linear):
    """Tuples that a linear function maps to 0: sums of single bits whose images cancel out, and sums of those."""
    basis, tuples = {}, [0]
    for number in (1 << bit for bit in BITS):
        image = linear(number)
        while image.bit_length() in basis:
            image, number = image ^ basis[image.bit_length()][0], number ^ basis[image.bit_length()][1]
        if image:
            basis[image.bit_length()] = image, number
        else:
            tuples += [number ^ other for other in tuples[:COLLIDING + 1 - len(tuples)]]
    return np.array([list(one.to_bytes(12, "big")) for one in tuples[1:]], np.uint8)


def at_random(rng, n=COLLIDING):
    return rng.integers(0, 256, (n, 12), np.uint8)


def under_zeros(rng):
    """Tuples whose hash has one value in eight bits, of the hash of fastct/wire/hash.h with no secret."""
    tuples = at_random(rng, CANDIDATES * COLLIDING)
    tuples[:, 0], tuples[:, 4] = 1, 2       # in canonical order as they are
    a = np.ascontiguousarray(tuples[:, :8]).view("<u8")[:, 0]
    ports = np.ascontiguousarray(tuples[:, 8:]).view("<u4")[:, 0].astype(np.uint64)
    b = ports | np.uint64(socket.IPPROTO_UDP | 4 << 8) << np.uint64(32)
    first = fold(a, b)
    return tuples[(fold(first, b) ^ first) & np.uint64(0xFF) == 0][:COLLIDING]


def fold(a, b):
    """Both halves of the product of 64-bit numbers, added without carry."""
    half, low = np.uint64(32), np.uint64(0xFFFFFFFF)
    a_high, a_low, b_high, b_low = a >> half, a & low, b >> half, b & low
    middle = a_high * b_low + (a_low * b_low >> half)
    other = a_low * b_high + (middle & low)
    return a * b ^ a_high * b_high + (middle >> half) + (other >> half)


def datagrams(tuples):
    frames = np.zeros((len(tuples), 64), np.uint8)
    frames[:, 12:15] = 0x08, 0x00, 0x45
    frames[:, 17], frames[:, 22], frames[:, 23], frames[:, 39] = 50, 64, 17, 30
    frames[:, 26:38] = tuples
    number = np.arange(len(frames), dtype=np.uint64)
    lengths = np.full(len(frames), 64, np.uint32)
    return frames_from_buffer(frames.reshape(-1), 64 * number, lengths, START_NS + number)


def per_packet(tracker, block):
    began = time.perf_counter_ns()
    tracker.process(block, rows=False)
    return (time.perf_counter_ns() - began) / len(block)


def new_connections(full):
    """ns per SYN on a table of FULL entries that is full, half of it ASSURED, or has room for all."""
    tracker = fastct.Tracker(max_entries=FULL if full else FULL + NEW, checksum="off")
    good, flood = Traffic("tcp", FULL // 2), Traffic("tcp", FULL // 2 + NEW, first=10_000_000)
    for block in good.establish():
        tracker.process(block, rows=False)
    flood.ts = good.ts
    for first, last in ((0, FULL // 2), (FULL // 2, FULL // 2 + NEW)):
        conns = np.arange(first, last)
        taken = per_packet(tracker, flood.packets(conns, np.zeros(len(conns), bool), SYN))
    if full and (len(tracker) > FULL or tracker.stats["evicted"] < NEW):
        raise RuntimeError("the table was not full")
    return taken


def collisions(block):
    tracker = fastct.Tracker(checksum="off")
    taken = per_packet(tracker, block)
    if len(tracker) < 0.99 * COLLIDING:
        raise RuntimeError(f"{len(tracker)} connections of {COLLIDING} tuples")
    return taken


def compare(name, harmless, harmful, rounds):
    taken = [(harmless(), harmful()) for _ in range(rounds)]
    ours, theirs = (statistics.median(column) for column in zip(*taken, strict=True))
    share = statistics.median(one / other for one, other in taken)
    print(f"{name:10} {ours:6.1f} ns harmless {theirs:6.1f} ns harmful {share:5.0%} of the rate", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=11)
    rounds = parser.parse_args().rounds
    rng = np.random.default_rng(1)
    compare("full", lambda: new_connections(False), lambda: new_connections(True), rounds)
    spread = datagrams(at_random(rng))
    chosen = {"crc32c": colliding(crc32c), "toeplitz": colliding(toeplitz), "zero key": under_zeros(rng)}
    for name, tuples in chosen.items():
        block = datagrams(tuples)
        compare(name, lambda: collisions(spread), lambda block=block: collisions(block), rounds)


if __name__ == "__main__":
    main()
