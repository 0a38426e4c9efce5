"""The C helpers of ``bytes.h``."""
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

cdef extern from "wire/bytes.h" nogil:
    uint16_t load_be16(const uint8_t* p) noexcept
    uint32_t load_be32(const uint8_t* p) noexcept
    uint16_t load_u16(const uint8_t* p) noexcept
    uint32_t load_u32(const uint8_t* p) noexcept
    uint64_t load_u64(const uint8_t* p) noexcept
    uint16_t swap16(uint16_t v) noexcept
    uint32_t swap32(uint32_t v) noexcept
    uint64_t swap64(uint64_t v) noexcept
    void prefetch_w(const void* p) noexcept
    void prefetch_r(const void* p) noexcept
    uint64_t sum_bytes(const uint8_t* p, size_t n, uint64_t sum) noexcept
    uint16_t sum_fold(uint64_t sum) noexcept
