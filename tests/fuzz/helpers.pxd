from libc.stdint cimport uint8_t

cdef int choose_helper(str name) except -1
cdef int fuzz_helper(const uint8_t* data, size_t size) noexcept
