from libc.stdint cimport uint32_t, uint64_t

from fastct.conntrack.conn cimport conn_t
from fastct.conntrack.opts cimport ct_opts_t
from fastct.conntrack.verdict cimport ct_verdict
from fastct.wire.packet cimport packet_t

# States, with Linux' numbers.
cdef enum tcp_state:
    TCP_NONE
    TCP_SYN_SENT
    TCP_SYN_RECV
    TCP_ESTABLISHED
    TCP_FIN_WAIT
    TCP_CLOSE_WAIT
    TCP_LAST_ACK
    TCP_TIME_WAIT
    TCP_CLOSE
    TCP_SYN_SENT2
    # what the table of transitions may say instead of a state
    TCP_IGNORE
    TCP_INVALID

# Classes of segments, by flags.
cdef enum tcp_index:
    TCP_IS_SYN
    TCP_IS_SYNACK
    TCP_IS_FIN
    TCP_IS_ACK
    TCP_IS_RST
    TCP_IS_NONE

# Flags of a side (and, of the last three, of last_flags).
cdef enum:
    TCP_WINDOW_SCALE = 0x01
    TCP_SACK_PERM = 0x02
    TCP_CLOSE_INIT = 0x04          # sent the first FIN
    TCP_BE_LIBERAL = 0x08
    TCP_DATA_UNACKNOWLEDGED = 0x10
    TCP_MAXACK_SET = 0x20
    TCP_EXPECT_CHALLENGE_ACK = 0x40
    TCP_SIMULTANEOUS_OPEN = 0x80

cdef bint tcp_new(conn_t* c, packet_t* p, const ct_opts_t* opts) noexcept nogil
cdef ct_verdict tcp_packet(conn_t* c, packet_t* p, int direction, uint64_t now, const ct_opts_t* opts,
                           uint32_t* events) noexcept nogil
