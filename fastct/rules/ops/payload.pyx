"""Conditions on bytes anywhere in the packet."""
from libc.stdint cimport uint8_t, uint32_t, uint64_t

from fastct.rules.compiled cimport LIVES_PACKET, condition, op_t, run_t
from fastct.wire.bytes cimport load_be32

cdef enum u32_operator:
    U32_AND
    U32_LEFT
    U32_RIGHT
    U32_AT

cdef enum:
    U32_CUT = 1              # why there is no number: the capture ends before it


cdef uint64_t BEYOND = 0xFFFFFFFF        # no packet goes there


# ---- a text

cdef bint string_test(const op_t* op, run_t* run) noexcept nogil:
    """a: from, to, size; blob: the text; how far each of its beginnings repeats (Knuth, Morris, Pratt); each byte as
    it is compared"""
    cdef const uint8_t* text = op.blob
    cdef const uint8_t* repeats = op.blob + op.a[2]
    cdef const uint8_t* folded = op.blob + 2 * op.a[2]
    cdef uint32_t end = run.p.len if run.p.len < op.a[1] else <uint32_t>op.a[1]
    cdef uint32_t there = end if end < run.p.cap_len else run.p.cap_len
    cdef uint32_t at, alike = 0
    cdef uint8_t octet
    for at in range(<uint32_t>op.a[0], there):
        octet = folded[run.p.data[at]]
        while alike and text[alike] != octet:
            alike = repeats[alike - 1]
        alike += text[alike] == octet
        if alike == op.a[2]:
            return True
    return op.invert if there < end else False


# ---- numbers

cdef bint u32_load(const run_t* run, uint64_t at, uint32_t* value, int* why) noexcept nogil:
    """The number at an offset; False if there is none."""
    if at + 4 > run.p.cap_len:
        if at + 4 <= run.p.len:
            why[0] = U32_CUT
        return False
    value[0] = load_be32(run.p.data + at)
    return True


cdef bint u32_value(const uint8_t** code, const run_t* run, uint32_t* value, int* why) noexcept nogil:
    """Walk the steps of a location, which stand at ``code``."""
    cdef uint32_t steps = load_be32(code[0]), operator, number, _i
    cdef const uint8_t* step = code[0] + 8
    cdef uint64_t at = 0
    code[0] += 4 + 8 * steps
    if not u32_load(run, load_be32(step), value, why):
        return False
    for _i in range(1, steps):
        step += 8
        operator, number = load_be32(step - 4), load_be32(step)
        if operator == U32_AND:
            value[0] &= number
        elif operator == U32_LEFT:
            value[0] <<= number
        elif operator == U32_RIGHT:
            value[0] >>= number
        else:
            at += value[0]
            if at > BEYOND or not u32_load(run, at + number, value, why):
                return False
    return True


cdef bint u32_among(const uint8_t** code, uint32_t value) noexcept nogil:
    """Whether a value is in one of the ranges that stand at ``code``."""
    cdef uint32_t ranges = load_be32(code[0]), i
    cdef const uint8_t* ends = code[0] + 4
    cdef bint found = False
    for i in range(ranges):
        if load_be32(ends + 8 * i) <= value <= load_be32(ends + 8 * i + 4):
            found = True
    code[0] = ends + 8 * ranges
    return found


cdef bint u32_test(const op_t* op, run_t* run) noexcept nogil:
    """a: number of tests; blob: for each the number of steps, operator and number of each, the number of ranges, lowest
    and highest of each, all of four bytes"""
    cdef const uint8_t* code = op.blob
    cdef uint32_t value = 0, _i
    cdef int why = 0
    for _i in range(<uint32_t>op.a[0]):
        if not u32_value(&code, run, &value, &why):
            return op.invert if why == U32_CUT else False
        if not u32_among(&code, value):
            return False
    return True


OPS = {
    "string": condition(string_test, LIVES_PACKET),
    "u32": condition(u32_test, LIVES_PACKET),
}
