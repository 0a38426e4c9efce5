from libc.stdint cimport uint8_t, uint32_t

from fastct.conntrack.conn cimport conn_t, tcp_side_t
from fastct.conntrack.opts cimport ct_opts_t
from fastct.wire.packet cimport TH_FIN, TH_SYN, packet_t

cdef enum window_verdict:
    WINDOW_ACCEPT
    WINDOW_INVALID   # packet_t.reason says why
    WINDOW_IGNORE    # passes, but changes and refreshes nothing; packet_t.reason says why


cdef inline uint32_t segment_end(const packet_t* p) noexcept nogil:
    """Sequence number behind the segment; SYN and FIN take one each."""
    return p.seq + p.payload_len + (1 if p.flags & TH_SYN else 0) + (1 if p.flags & TH_FIN else 0)


cdef void tcp_options(const packet_t* p, tcp_side_t* side) noexcept nogil
cdef window_verdict tcp_window(conn_t* c, packet_t* p, int direction, uint8_t index,
                               const ct_opts_t* opts) noexcept nogil
