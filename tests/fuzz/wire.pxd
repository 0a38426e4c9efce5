from libc.stdint cimport uint8_t

cdef int fuzz_wire(const uint8_t* data, size_t size) noexcept nogil
cdef int fuzz_fragments(const uint8_t* data, size_t size) noexcept
