"""The pcapng format. See ``pcapng.pyx``."""
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t

from fastct.capture.frames cimport frame_t
from fastct.capture.source cimport Source

cdef struct interface_t:
    uint64_t multiply       # ns per tick; 0: divide
    uint64_t divide         # ticks per ns
    uint64_t offset_ns      # added to every time stamp, modulo 2^64
    uint32_t snaplen        # 0: no limit
    uint16_t linktype
    uint16_t number         # in the capture's list
    uint8_t supported       # the link type
    uint8_t binary          # a tick is 2^-shift s
    uint8_t shift


cdef class PcapngSource(Source):
    cdef interface_t* table       # the section's interfaces
    cdef Py_ssize_t n_interfaces
    cdef Py_ssize_t capacity
    cdef uint64_t last_ts         # for packets without a time stamp

    cdef bint emit(self, const uint8_t* block, uint32_t kind, uint32_t total, frame_t* frame) noexcept nogil
    cdef int section(self, const uint8_t* block) except -1
    cdef int interface(self, const uint8_t* block, uint32_t total) except -1
    cdef dict options(self, const uint8_t* at, const uint8_t* end)
