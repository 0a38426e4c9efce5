"""The match by a program of the classic packet filter."""
import re
import struct

from fastct.rules.extension import Match, Option
from fastct.rules.kinds import Kind, Text
from fastct.rules.words import Failure, Refused

LENGTH_MAX = 64
MEMORY_WORDS = 16
ANCILLARY = 0xFFFFF000      # loads from here on ask for something that is not in the packet
ANCILLARY_MAX = 0xFFFFF000 + 64
KNOWN = {0, 4, 20, 36, 40}   # of those: protocol, type, mark; the processor, which is 0; A exclusive or X
INSTRUCTION = re.compile(r"\s*(\d+)\s+(\d+)\s+(\d+)\s+(\d+)")

# Codes that the kernel takes: loads, stores, arithmetic with K and X, jumps, returns, moves between A and X.
LOADS = {0x20, 0x28, 0x30, 0x80, 0x40, 0x48, 0x50, 0x00, 0x60}
LOADS_X = {0x81, 0xB1, 0x01, 0x61}
STORES = {0x02, 0x03}
OPERATIONS = (0x00, 0x10, 0x20, 0x30, 0x40, 0x50, 0x60, 0x70, 0x90, 0xA0)
ARITHMETIC = {0x04 | operation | source for operation in OPERATIONS for source in (0, 8)} | {0x84}
COMPARISONS = {0x05 | test | source for test in (0x10, 0x20, 0x30, 0x40) for source in (0, 8)}
JUMP, RETURNS = 0x05, {0x06, 0x16}
CODES = LOADS | LOADS_X | STORES | ARITHMETIC | COMPARISONS | RETURNS | {JUMP, 0x07, 0x87}
MEMORY = {0x60, 0x61} | STORES
DIVISIONS, SHIFTS = {0x34, 0x94}, {0x64, 0x74}
ABSOLUTE = {0x20, 0x28, 0x30}


class Bytecode(Kind):
    """``N,CODE JT JF K,…``: a tuple of (code, jump if true, jump if false, k)."""
    count = 1

    def read(self, words, context):
        found = re.match(r"\s*(\d+),", words[0])
        if found is None:
            raise Failure("bpf: error parsing program length")
        length = int(found[1]) & 0xFFFF
        if not length:
            raise Failure("bpf: illegal zero length program")
        if length > LENGTH_MAX:
            raise Failure("bpf: number of instructions exceeds maximum")
        program = []
        for text in words[0][found.end():].removesuffix(",").split(","):
            if len(program) == length:
                raise Failure("bpf: real program length exceeds the encoded length parameter")
            parts = INSTRUCTION.match(text)
            if parts is None:
                raise Failure(f"bpf: error at instr {len(program)}")
            code, true, false, k = map(int, parts.groups())
            program.append((code & 0xFFFF, true & 0xFF, false & 0xFF, k & 0xFFFFFFFF))
        if len(program) < length:
            raise Failure("bpf: parsed program length is less than the encoded length parameter")
        return tuple(program)

    def write(self, value):
        return (f'"{len(value)},' + ",".join(" ".join(map(str, instruction)) for instruction in value) + '"',)


class Pinned(Text):
    """The path of a program in the kernel: there is none."""

    def read(self, words, context):
        raise Failure("bpf: failed to get bpf object")


def valid(program):
    """Whether the kernel takes a program: known codes, jumps within it, memory written before it is read, a return."""
    for place, (code, true, false, k) in enumerate(program):
        left = len(program) - place - 1
        if (code not in CODES or (code in DIVISIONS and not k) or (code in SHIFTS and k >= 32)
                or (code in MEMORY and k >= MEMORY_WORDS) or (code == JUMP and k >= left)
                or (code in COMPARISONS and max(true, false) >= left) or (code in ABSOLUTE and k >= ANCILLARY_MAX)):
            return False
    return program[-1][0] in RETURNS and _memory_written(program)


def _memory_written(program):
    """Whether every word of memory that is read has been written on every way there."""
    every = (1 << MEMORY_WORDS) - 1
    reached = [every] * len(program)
    written = 0
    for place, (code, true, false, k) in enumerate(program):
        written &= reached[place]
        if code in STORES:
            written |= 1 << k
        elif code in MEMORY and not written >> k & 1:
            return False
        elif code == JUMP:
            reached[place + 1 + k] &= written
            written = every
        elif code in COMPARISONS:
            reached[place + 1 + true] &= written
            reached[place + 1 + false] &= written
            written = every
    return True


class Bpf(Match):
    name, blank = "bpf", ""
    options = (Option("bytecode", Bytecode()), Option("object-pinned", Pinned(), excludes=("bytecode",)))

    def verify(self, use, rule):
        if not use.values:
            raise Failure("bpf: one of --bytecode or --pinned is required")

    def check(self, use, rule, place):
        if not valid(use.get("bytecode")):
            raise Refused

    def show(self, use, numeric):
        return "match bpf " + ",".join(" ".join(map(str, instruction)) for instruction in use.get("bytecode")) + "\0"

    def compile(self, use, out):
        program = use.get("bytecode")
        if any(code in ABSOLUTE and k >= ANCILLARY and k - ANCILLARY not in KNOWN for code, _, _, k in program):
            out.note("bpf: of what is not in the packet, only protocol, type and mark are known")
        out.test("bpf", blob=b"".join(struct.pack(">HBBI", *instruction) for instruction in program))
