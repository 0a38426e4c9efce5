"""Amanda: the host to be backed up answers with the ports at which it waits for the backup server.

    ... CONNECT DATA 50000 MESG 50001 INDEX 50002\\n ...

An answer may take long: every packet of the host's lets the connection live for five minutes.
"""
from libc.stdint cimport uint8_t, uint16_t, uint32_t

from fastct.conntrack.helper cimport aim, help_expect, help_t
from fastct.conntrack.helpers.text cimport text_find, text_number
from fastct.wire.bytes cimport swap16
from fastct.wire.packet cimport PROTO_TCP

cdef enum:
    MASTER_S = 300
    PORT_DIGITS = 5
    STREAMS = 4

cdef const char** _streams = ["DATA ", "MESG ", "INDEX ", "STATE "]
cdef uint32_t* _stream_lengths = [5, 5, 6, 6]


cdef void expect_stream(help_t* h, uint16_t port) noexcept nogil:
    """The backup server connects to an announced port."""
    aim(help_expect(h, 0), PROTO_TCP, h.ends[0].src, h.ends[0].dst, swap16(port))


cdef bint amanda_help(help_t* h) noexcept nogil:
    """One packet of either side. A port that is none ends the reading; five digits are read and 16 bits are kept."""
    cdef const uint8_t* text = h.data
    cdef uint32_t begin, end, at
    cdef uint16_t port
    cdef int i
    if h.direction == 0:
        return True
    h.refresh_s = MASTER_S
    begin = text_find(text, 0, h.len, b"CONNECT ", 8)
    if begin == h.len:
        return True
    begin += 8
    end = text_find(text, begin, h.len, b"\n", 1)
    if end == h.len:
        return True
    for i in range(STREAMS):
        at = text_find(text, begin, end, _streams[i], _stream_lengths[i])
        if at == end:
            continue
        at += _stream_lengths[i]
        port = <uint16_t>text_number(text, &at, at + PORT_DIGITS if end - at > PORT_DIGITS else end)
        if port == 0:
            break
        expect_stream(h, port)
    return True
