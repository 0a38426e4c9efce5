"""The C helpers of ``bytes.h``."""
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

cdef extern from "wire/bytes.h" nogil:
    uint16_t load_be16(const uint8_t* p) noexcept
    uint32_t load_be32(const uint8_t* p) noexcept
    uint16_t load_u16(const uint8_t* p) noexcept
    uint32_t load_u32(const uint8_t* p) noexcept
    uint64_t load_u64(const uint8_t* p) noexcept
    void store_u64(uint8_t* p, uint64_t v) noexcept
    uint64_t join32(uint32_t first, uint32_t second) noexcept
    uint32_t join16(uint16_t first, uint16_t second) noexcept
    uint16_t join8(uint8_t first, uint8_t second) noexcept
    void swap_if(unsigned int swap, uint32_t* a, uint32_t* b) noexcept
    uint16_t swap16(uint16_t v) noexcept
    uint32_t swap32(uint32_t v) noexcept
    uint64_t swap64(uint64_t v) noexcept
    void prefetch_w(const void* p) noexcept
    void prefetch_r(const void* p) noexcept
    uint64_t sum_bytes(const uint8_t* p, size_t n, uint64_t sum) noexcept
    uint16_t sum_fold(uint64_t sum) noexcept
