"""Sources: one capture file each. See ``source.pyx``."""
from libc.stdint cimport uint8_t, uint64_t

from fastct.capture.frames cimport frame_t
from fastct.capture.window cimport Window

cdef enum:
    MAX_CAP_LEN = 262144
    NS = 1_000_000_000
    SCAN_BYTES = 384 * 1024    # a scan ends after so many: what it has read is still in the cache when it is tracked

cdef extern from *:
    void prefetch "__builtin_prefetch"(const void* p) noexcept nogil

cdef enum:
    FETCH_AHEAD = 4096      # bytes between what is read and what is fetched
    FETCH_MOST = 2048       # bytes of a record that are; longer ones the processor notices itself


cdef inline void fetch(const uint8_t* at, Py_ssize_t n) noexcept nogil:
    """Have ``n`` bytes under way. Where a record begins is said in the one before, and the next rooms read all of it:
    the processor, left alone, would wait for every single one."""
    cdef Py_ssize_t i, most = n if n < FETCH_MOST else FETCH_MOST
    for i in range(0, most, 64):
        prefetch(at + i)


# Why a scan ended.
cdef enum scan_end:
    SCAN_FULL          # no room for more frames
    SCAN_SHORT         # what starts at ``at`` needs ``need`` bytes, fewer are in the window
    SCAN_SKIP          # skip ``need`` bytes
    SCAN_BLOCK         # a whole block of ``need`` bytes for ``block()``
    SCAN_BAD           # ``complain()`` knows what is wrong


cdef class Source:
    cdef Window window
    cdef Py_ssize_t at            # the next byte, from window.base
    cdef readonly str path
    cdef readonly uint64_t packets
    cdef readonly object fault    # CaptureError that ended this source, or None
    cdef list interfaces          # names, of all files of the capture
    cdef bint swapped             # the file's byte order is not this machine's
    cdef scan_end end
    cdef uint64_t need

    cdef Py_ssize_t fill(self, frame_t* out, Py_ssize_t room) except -1
    cdef Py_ssize_t scan(self, const uint8_t* base, Py_ssize_t size, frame_t* out, Py_ssize_t room) noexcept nogil
    cdef int block(self) except -1
    cdef object complain(self)
    cdef str item(self)
    cdef object damage(self, str message)
    cdef int proceed(self) except -1
    cdef int add_interface(self, str name) except -1
    cdef uint64_t consumed(self) except? 0
    cdef void close(self) noexcept
