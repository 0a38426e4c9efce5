from libc.stdint cimport uint32_t, uint64_t

from fastct.conntrack.conn cimport conn_t
from fastct.conntrack.opts cimport ct_opts_t
from fastct.conntrack.verdict cimport ct_verdict
from fastct.wire.packet cimport packet_t

# States: behind those of TCP, in Linux' order. The words are in records.STATES.
cdef enum sctp_state:
    SCTP_NONE = 10
    SCTP_CLOSED
    SCTP_COOKIE_WAIT
    SCTP_COOKIE_ECHOED
    SCTP_ESTABLISHED
    SCTP_SHUTDOWN_SENT
    SCTP_SHUTDOWN_RECD
    SCTP_SHUTDOWN_ACK_SENT
    SCTP_HEARTBEAT_SENT
    # what the table of transitions may say instead of a state
    SCTP_INVALID

# Types of chunks that are more than a reason to refresh.
cdef enum sctp_chunk:
    SCTP_DATA = 0
    SCTP_INIT = 1
    SCTP_INIT_ACK = 2
    SCTP_HEARTBEAT = 4
    SCTP_HEARTBEAT_ACK = 5
    SCTP_ABORT = 6
    SCTP_SHUTDOWN = 7
    SCTP_SHUTDOWN_ACK = 8
    SCTP_ERROR = 9
    SCTP_COOKIE_ECHO = 10
    SCTP_COOKIE_ACK = 11
    SCTP_SHUTDOWN_COMPLETE = 14

cdef bint sctp_new(conn_t* c, packet_t* p) noexcept nogil
cdef uint32_t sctp_untold(conn_t* c) noexcept nogil
cdef ct_verdict sctp_packet(conn_t* c, packet_t* p, int direction, uint64_t now, const ct_opts_t* opts,
                            uint32_t* events) noexcept nogil
