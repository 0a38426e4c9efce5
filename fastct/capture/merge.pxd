"""Several files as one, by time. See ``merge.pyx``."""
from libc.stdint cimport uint64_t

from fastct.capture.frames cimport frame_t
from fastct.capture.source cimport Source


cdef class Lane:
    cdef str path
    cdef Source source            # None while the file is not open
    cdef frame_t* frames          # read from the source, ahead of the merge
    cdef Py_ssize_t n
    cdef Py_ssize_t at            # the next of them
    cdef uint64_t head            # time of the next packet; 0 before it is known

    cdef Py_ssize_t refill(self, Py_ssize_t room, list interfaces) except -1
    cdef void close(self) noexcept


cdef class Merge:
    cdef list lanes               # in the caller's order
    cdef list interfaces
    cdef Py_ssize_t dry           # lane whose frames are used up, or -1
    cdef readonly list faults     # errors of files that have ended, for the owner to take
    cdef uint64_t finished_bytes  # stored bytes of files that are through

    cdef Py_ssize_t fill(self, frame_t* out, Py_ssize_t room) except -1
    cdef uint64_t limit(self, Py_ssize_t first)
    cdef int wet(self, Py_ssize_t number) except -1
    cdef uint64_t consumed(self) except? 0
    cdef void close(self) noexcept
