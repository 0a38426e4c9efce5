from libc.stdint cimport uint8_t

cdef int fuzz_tracker(const uint8_t* data, size_t size) noexcept
