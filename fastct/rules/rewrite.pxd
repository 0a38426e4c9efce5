"""Writing into packets.

A packet's bytes are those of its captured frame, which are only read. The first effect that writes takes a copy
(``writable``), which is what later rules see and what leaves. Sums are adjusted as Linux does it: by the difference, so
that a wrong sum stays as wrong as it was.
"""
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy

from fastct.capture.frames cimport frame_t
from fastct.conntrack.fragqueue cimport piece_t
from fastct.rules.compiled cimport made_t, output_t, run_t
from fastct.wire.bytes cimport load_u16, sum_fold

cdef int output_init(output_t* o) except -1
cdef void output_free(output_t* o) noexcept
cdef uint8_t* output_room(output_t* o, uint32_t size) noexcept nogil
cdef made_t* output_frame(const run_t* run, const uint8_t* data, uint32_t cap_len, uint32_t wire_len) noexcept nogil
cdef void output_packet(run_t* run) noexcept nogil
cdef uint32_t link_length(const frame_t* frame) noexcept nogil
cdef uint8_t* writable(run_t* run) noexcept nogil
cdef void put_ttl(run_t* run, uint8_t ttl) noexcept nogil
cdef void put_ttl_at(uint8_t* ip, uint8_t ttl) noexcept nogil
cdef void put_leaving_copy(run_t* run, piece_t* pieces) noexcept nogil


cdef inline void store_be16(uint8_t* at, uint32_t value) noexcept nogil:
    at[0] = <uint8_t>(value >> 8)
    at[1] = <uint8_t>value


cdef inline void store_be32(uint8_t* at, uint32_t value) noexcept nogil:
    store_be16(at, value >> 16)
    store_be16(at + 2, value)


cdef inline void store_u16(uint8_t* at, uint16_t value) noexcept nogil:
    memcpy(at, &value, 2)


cdef inline void sum_replace16(uint8_t* at, uint16_t before, uint16_t after) noexcept nogil:
    """Adjust a sum for a word (as it lies in memory) that has changed."""
    cdef uint64_t sum = <uint16_t>~load_u16(at) + <uint64_t><uint16_t>~before + after
    store_u16(at, <uint16_t>~sum_fold(sum))


cdef inline void sum_replace32(uint8_t* at, uint32_t before, uint32_t after) noexcept nogil:
    """The same for two words. (A word on its own, too, has Linux do it this way for TCP's sum.)"""
    cdef uint64_t sum = <uint16_t>~load_u16(at) + <uint64_t><uint32_t>~before + after
    store_u16(at, <uint16_t>~sum_fold(sum))
