from libc.stdint cimport uint8_t

cdef int fuzz_pcap(const uint8_t* data, size_t size) noexcept
cdef int fuzz_pcapng(const uint8_t* data, size_t size) noexcept
