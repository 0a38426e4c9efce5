from libc.stdint cimport uint8_t

cdef int fuzz_snapshot(const uint8_t* data, size_t size) noexcept
cdef int fuzz_snapshot_file(const uint8_t* data, size_t size) noexcept
