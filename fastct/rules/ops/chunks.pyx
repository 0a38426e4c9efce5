"""Conditions on what SCTP and DCCP have beside ports. => The op "header" has held."""
from libc.stdint cimport uint8_t, uint32_t
from libc.string cimport memcpy

from fastct.rules.compiled cimport LIVES_PACKET, condition, dropping, op_t, run_t
from fastct.rules.ops.reach cimport reaches, transport_at
from fastct.wire.bytes cimport load_be16

cdef enum chunks_how:
    CHUNKS_ALL
    CHUNKS_ANY
    CHUNKS_ONLY

cdef enum:
    SCTP_HEADER = 12
    CHUNK_HEADER = 4
    CHUNK_MASK = 256         # in the blob: a byte per chunk each
    CHUNK_WANTED = 512
    DCCP_HEADER = 12
    DCCP_EXTENDED = 4

# What a DCCP header has beyond the part that all have, by type.
cdef uint8_t[16] DCCP_MORE = [4, 12, 0, 8, 8, 8, 8, 12, 8, 8, 12, 12, 12, 12, 12, 12]


cdef bint chunks_test(const op_t* op, run_t* run) noexcept nogil:
    """a: chunks_how; blob: for each chunk whether it is asked for; its flags that count; what they must be"""
    cdef uint8_t[256] missing
    cdef uint32_t at = 0, size, i
    cdef const uint8_t* chunk
    cdef bint alike, asked
    transport_at(run, &at)
    at += SCTP_HEADER
    memcpy(missing, op.blob, 256)
    while True:
        if not reaches(run, at, CHUNK_HEADER):
            return False if run.hotdrop else op.invert
        chunk = run.p.data + at
        size = load_be16(chunk + 2)
        if size == 0:
            run.hotdrop = True
            return False
        asked = op.blob[chunk[0]]
        alike = asked and (chunk[1] & op.blob[CHUNK_MASK + chunk[0]]) == op.blob[CHUNK_WANTED + chunk[0]]
        if alike and op.a[0] == CHUNKS_ANY:
            return True
        if not alike and op.a[0] == CHUNKS_ONLY:
            return False
        if alike:
            missing[chunk[0]] = 0
        at += (size + 3) & ~<uint32_t>3
        if at >= run.p.len:
            break
    if op.a[0] != CHUNKS_ALL:
        return op.a[0] == CHUNKS_ONLY
    for i in range(256):
        if missing[i]:
            return False
    return True


cdef bint dccp_types_test(const op_t* op, run_t* run) noexcept nogil:
    """a: types, a bit each"""
    cdef uint32_t at = 0
    transport_at(run, &at)
    return op.a[0] >> (run.p.data[at + 8] >> 1 & 15) & 1


cdef bint dccp_option_test(const op_t* op, run_t* run) noexcept nogil:
    """a: number"""
    cdef const uint8_t* data = run.p.data
    cdef uint32_t at = 0, end, first
    transport_at(run, &at)
    end = at + data[at + 4] * 4
    first = at + DCCP_HEADER + DCCP_MORE[data[at + 8] >> 1 & 15] + DCCP_EXTENDED * (data[at + 8] & 1)
    if end < first:
        run.hotdrop = True
        return False
    if end > first and not reaches(run, end, 0):
        return False if run.hotdrop else op.invert
    while first < end:
        if data[first] == op.a[0]:
            return True
        if data[first] < 2 or first + 1 >= end or data[first + 1] == 0:
            first += 1
        else:
            first += data[first + 1]
    return False


OPS = {
    "chunks": dropping(chunks_test, LIVES_PACKET),
    "dccp_types": condition(dccp_types_test, LIVES_PACKET),
    "dccp_option": dropping(dccp_option_test, LIVES_PACKET),
}
