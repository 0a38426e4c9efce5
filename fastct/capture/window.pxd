"""Windows: the part of a file that is in memory. See ``window.pyx``."""
from libc.stdint cimport uint8_t, uint64_t

cdef enum:
    # The most that one packet or block may need at a time; every window holds more.
    MAX_BLOCK = 512 * 1024


cdef class Window:
    cdef const uint8_t* base      # first byte of the window
    cdef Py_ssize_t size          # bytes at base
    cdef uint64_t offset          # where base is in the (decompressed) file
    cdef bint at_end              # nothing follows base + size
    cdef readonly str fault       # why the bytes end before their time, or None

    cdef int advance(self, Py_ssize_t n) except -1
    cdef int require(self, Py_ssize_t n) except -1
    cdef uint64_t skip(self, uint64_t n) except? 0
    cdef uint64_t consumed(self, Py_ssize_t n) except? 0
    cdef void close(self) noexcept


cdef class MappedWindow(Window):
    cdef object file
    cdef int fd
    cdef uint64_t file_size
    cdef Py_ssize_t span          # bytes mapped at a time
    cdef void* mapping
    cdef size_t mapped

    cdef int map_at(self, uint64_t offset) except -1
    cdef void unmap(self) noexcept


cdef class StreamWindow(Window):
    cdef object stream            # has readinto() and a count of raw bytes, see streams.py
    cdef uint8_t* buffer
