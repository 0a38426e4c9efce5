"""An engine as new for every input, and the frames that it is given. See ``engines.pyx``."""
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

from fastct.capture.frames cimport frame_t
from fastct.conntrack.core cimport template_t
from fastct.engine cimport engine_t
from fastct.face cimport Engine
from fastct.records cimport packet_row_t

cdef enum:
    FRAMES_MAX = 48          # of an input: many short ones find more than few long ones
    RAW = 101
    TEMPLATES_MAX = 8
    PACKET_MOST = 2048           # bytes of a packet that is built
    START_NS = 1_700_000_000_000_000_000

cdef class Fresh:
    cdef Engine engine
    cdef uint8_t* made           # the engine as it was made
    cdef template_t[TEMPLATES_MAX] templates

    cdef engine_t* again(self) except NULL

cdef struct stage_t:
    frame_t frames[FRAMES_MAX]
    packet_row_t rows[FRAMES_MAX]
    Py_ssize_t n
    uint8_t templates[FRAMES_MAX]
    uint8_t template             # of the frames to come
    uint64_t now

cdef void stage_open(stage_t* s) noexcept nogil
cdef uint8_t* stage_room(stage_t* s, uint32_t cap_len, uint32_t wire_len, uint16_t linktype) noexcept nogil
cdef void stage_put(stage_t* s, const uint8_t* packet, uint32_t cap_len, uint32_t wire_len) noexcept nogil
cdef void stage_close(stage_t* s) noexcept nogil
cdef void stage_run(stage_t* s, Fresh f, Py_ssize_t at_once) noexcept
cdef void fail(const char* why) noexcept nogil
cdef void check_table(engine_t* e)
cdef void wind_down(engine_t* e) noexcept nogil
