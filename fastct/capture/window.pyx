"""Windows: the part of a file that is in memory, sliding forward over it.

A window hands out its bytes as they lie, at ``base``. ``advance`` drops bytes from its front and
brings in more behind; it moves everything, so whoever points into the window must be done by then.
Memory is bounded by the window's size, whatever the size of the file.
"""
import os

from libc.stdlib cimport free, malloc
from libc.string cimport memmove
from libc.stdint cimport uint8_t, uint64_t
from cpython.buffer cimport PyBUF_WRITE
from cpython.memoryview cimport PyMemoryView_FromMemory

cdef extern from "sys/mman.h" nogil:
    void* mmap(void* address, size_t length, int protection, int flags, int fd, long offset)
    int munmap(void* address, size_t length)
    void* MAP_FAILED
    int PROT_READ
    int MAP_PRIVATE
    int MAP_POPULATE

cdef extern from "fcntl.h" nogil:
    int posix_fadvise(int fd, long offset, long length, int advice)
    int POSIX_FADV_WILLNEED

cdef enum:
    PAGE = 65536                  # no system has larger pages that mmap offsets must respect
    SPAN = 4 * 1024 * 1024
    STREAM_BUFFER = 2 * MAX_BLOCK


cdef class Window:
    """What all windows do; the sub-classes say where bytes come from."""

    cdef int advance(self, Py_ssize_t n) except -1:
        """Drop the first ``n`` bytes, ``n <= size``; more bytes follow the rest unless ``at_end``."""
        raise NotImplementedError

    cdef uint64_t consumed(self, Py_ssize_t n) except? 0:
        """Bytes of the stored file used up, when ``n`` bytes of the window are."""
        return self.offset + <uint64_t>n

    cdef void close(self) noexcept:
        """Give memory and file back; the window is empty then."""

    cdef int require(self, Py_ssize_t n) except -1:
        """Have ``n <= MAX_BLOCK`` bytes in the window, or all there are."""
        while self.size < n and not self.at_end:
            self.advance(0)
        return 0

    cdef uint64_t skip(self, uint64_t n) except? 0:
        """Drop ``n`` bytes, also beyond the window. Returns how many there were."""
        cdef uint64_t dropped = 0
        while n - dropped > <uint64_t>self.size:
            dropped += <uint64_t>self.size
            if self.at_end:
                self.advance(self.size)
                return dropped
            self.advance(self.size)
        self.advance(<Py_ssize_t>(n - dropped))
        return n


cdef class MappedWindow(Window):
    """A regular file, mapped one span after another.

    Mapping spans instead of the file bounds what is resident. A span is populated by the call that
    maps it, which is cheaper than faults, while the kernel is told to read the span that follows.

    A file that somebody cuts short is noticed at the next span. If that happens to the mapped span
    itself, touching the lost pages is a SIGBUS, as with every mapped file.
    """

    def __init__(self, file, Py_ssize_t span=SPAN):
        self.file = file
        self.fd = file.fileno()
        self.span = span
        self.file_size = os.fstat(self.fd).st_size
        self.map_at(0)

    def __dealloc__(self):
        self.unmap()

    cdef void unmap(self) noexcept:
        if self.mapping != NULL:
            munmap(self.mapping, self.mapped)
        self.mapping = NULL
        self.base = NULL
        self.size = 0

    cdef int map_at(self, uint64_t offset) except -1:
        cdef uint64_t start = offset - offset % PAGE
        cdef uint64_t end = start + <uint64_t>self.span
        cdef void* mapping
        self.unmap()
        self.file_size = min(self.file_size, <uint64_t>os.fstat(self.fd).st_size)
        end = min(end, self.file_size)
        self.offset = offset
        self.at_end = end == self.file_size or offset >= end
        if offset >= end:
            return 0
        mapping = mmap(NULL, end - start, PROT_READ, MAP_PRIVATE | MAP_POPULATE, self.fd, <long>start)
        if mapping == MAP_FAILED:
            raise OSError("the file cannot be mapped")
        self.mapping = mapping
        self.mapped = end - start
        if not self.at_end:
            posix_fadvise(self.fd, <long>end, self.span, POSIX_FADV_WILLNEED)
        self.base = <const uint8_t*>mapping + (offset - start)
        self.size = <Py_ssize_t>(end - offset)
        return 0

    cdef int advance(self, Py_ssize_t n) except -1:
        self.map_at(self.offset + <uint64_t>n)
        return 0

    cdef void close(self) noexcept:
        self.unmap()
        self.at_end = True
        self.file = None


cdef class StreamWindow(Window):
    """What can only be read from front to back: pipes and compressed files."""

    def __cinit__(self, stream):
        self.stream = stream
        self.buffer = <uint8_t*>malloc(STREAM_BUFFER)
        if self.buffer == NULL:
            raise MemoryError
        self.base = self.buffer

    def __dealloc__(self):
        free(self.buffer)

    cdef int advance(self, Py_ssize_t n) except -1:
        # One read only: a live pipe must not wait for a full buffer.
        cdef Py_ssize_t got
        self.size -= n
        self.offset += <uint64_t>n
        memmove(self.buffer, self.buffer + n, <size_t>self.size)
        if not self.at_end:
            room = PyMemoryView_FromMemory(<char*>self.buffer + self.size, STREAM_BUFFER - self.size, PyBUF_WRITE)
            got = self.stream.readinto(room)
            self.size += got
            if got == 0:
                self.at_end = True
                self.fault = self.stream.fault
        return 0

    cdef uint64_t consumed(self, Py_ssize_t n) except? 0:
        return self.stream.raw_bytes

    cdef void close(self) noexcept:
        self.size = 0
        self.at_end = True
        self.stream = None
