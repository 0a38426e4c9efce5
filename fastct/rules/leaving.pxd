"""What leaves of a block of frames."""
from fastct.capture.frames cimport frame_t
from fastct.conntrack.fragqueue cimport piece_t
from fastct.records cimport packet_row_t
from fastct.rules.compiled cimport output_t

cdef Py_ssize_t count_leaving(const piece_t* piece, const output_t* o, const packet_row_t* rows,
                              Py_ssize_t n) noexcept nogil
cdef Py_ssize_t put_leaving(const piece_t* piece, const output_t* o, const frame_t* frames, const packet_row_t* rows,
                            Py_ssize_t n, frame_t* out) noexcept nogil
