"""Connections and events as conntrack 1.4.7 prints them, byte for byte.

    conntrack -L    tcp      6 99 ESTABLISHED src=.. dst=.. sport=.. dport=.. packets=.. bytes=.. [UNREPLIED] src=..
                    dst=.. sport=.. dport=.. packets=.. bytes=.. [ASSURED] mark=0 zone=7 helper=ftp use=1
    conntrack -E        [NEW] udp      17 30 src=.. dst=.. sport=.. dport=.. [UNREPLIED] src=.. ..

With accounting on (``nf_conntrack_acct=1``), since fastct always counts. An event shows no ``use=``, a mark only
if it is not zero, counters only at DESTROY, and there no helper and no
timeout that has run out.
"""
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport strlen

from cpython.bytes cimport PyBytes_FromStringAndSize
from cpython.mem cimport PyMem_Free, PyMem_Malloc

import numpy as np

from fastct.columns import L4_WORDS, PROTOCOL_NAMES
from fastct.conntrack.conn cimport IPS_ASSURED, IPS_SEEN_REPLY
from fastct.export.text cimport put_address, put_hex, put_number, put_padded, put_text
from fastct.records import CONNECTION_DTYPE, EVENT_DTYPE, EVENTS, HELPERS, STATES
from fastct.records cimport conn_row_t, event_row_t
from fastct.wire.packet cimport PROTO_GRE, PROTO_ICMP, PROTO_ICMPV6, PROTO_TCP
from fastct.wire.tuples cimport icmp_inverse

cdef enum:
    LINE_MAX = 640      # two IPv6 tuples, four counters of 20 digits, every flag, and a name of 64 bytes at most
    NAME_MAX = 64
    BLOCK = 8192        # lines formatted at a time
    NS_PER_US = 1000
    NS_PER_S = 1000000000
    UPDATE = 1
    DESTROY = 2
    ZONE_ORIG = 1       # index into records.ZONE_DIRS
    ZONE_REPLY = 2

# What -o asks for.
cdef enum:
    STYLE_EXTENDED = 1
    STYLE_ID = 2
    STYLE_TIMESTAMP = 4

# Encoded words and the pointers into them, by code.
cdef list _kept = []
cdef const char* _protocols[256]
cdef const char* _states[256]
cdef const char* _helpers[256]
cdef const char* _events[256]
cdef uint8_t[256] _has_ports


cdef void _words_into(const char** table, words) except *:
    for code in range(256):
        word = (words[code] if code < len(words) else "").encode()
        assert len(word) <= NAME_MAX
        _kept.append(word)
        table[code] = word


# conntrack's name filled to nine columns, then the number: "tcp      6 ", "unknown  99 ".
_words_into(_protocols, [f"{PROTOCOL_NAMES.get(number, 'unknown'):8} {number} " for number in range(len(L4_WORDS))])
_words_into(_states, [f"{state or 'NONE'} " for state in STATES])
_words_into(_helpers, [f"helper={helper} " if helper else "" for helper in HELPERS])
_words_into(_events, [f"{f'[{event}]':>9} " for event in EVENTS])
for _number in PROTOCOL_NAMES:
    _has_ports[<uint8_t>_number] = _number not in (PROTO_ICMP, PROTO_ICMPV6, PROTO_GRE)


cdef inline char* put_pair(char* out, const char* key, size_t n, uint64_t value) noexcept nogil:
    out = put_number(put_text(out, key, n), value)
    out[0] = c" "
    return out + 1


cdef inline char* put_word(char* out, const char* word) noexcept nogil:
    return put_text(out, word, strlen(word))


cdef char* put_ids(char* out, const conn_row_t* row, bint reply) noexcept nogil:
    """What stands behind the addresses of a tuple: ports, keys, or type and id."""
    cdef uint8_t proto = row.l4proto, type = row.icmp_type, inverse
    cdef uint32_t first = row.reply_sport if reply else row.orig_sport
    cdef uint32_t second = row.reply_dport if reply else row.orig_dport
    if _has_ports[proto]:
        out = put_pair(out, b"sport=", 6, first)
        return put_pair(out, b"dport=", 6, second)
    if proto == PROTO_GRE:
        out = put_hex(put_text(out, b"srckey=", 7), first)
        out = put_hex(put_text(out, b" dstkey=", 8), second)
        return put_text(out, b" ", 1)
    if proto == PROTO_ICMP or proto == PROTO_ICMPV6:
        if reply:
            inverse = icmp_inverse(4 if proto == PROTO_ICMP else 6, type)
            type = inverse - 1 if inverse else type
        out = put_pair(out, b"type=", 5, type)
        out = put_pair(out, b"code=", 5, row.icmp_code)
        return put_pair(out, b"id=", 3, row.reply_icmp_id if reply else row.icmp_id)
    return out


cdef char* put_direction(char* out, const conn_row_t* row, bint reply, bint counters) noexcept nogil:
    """A tuple and, if asked, its counters."""
    cdef const uint8_t* src = <const uint8_t*>row.reply_src if reply else <const uint8_t*>row.orig_src
    cdef const uint8_t* dst = <const uint8_t*>row.reply_dst if reply else <const uint8_t*>row.orig_dst
    out = put_address(put_text(out, b"src=", 4), src, row.l3proto)
    out = put_address(put_text(out, b" dst=", 5), dst, row.l3proto)
    out = put_ids(put_text(out, b" ", 1), row, reply)
    if row.zone_dir == (ZONE_REPLY if reply else ZONE_ORIG):
        out = put_pair(out, b"zone-reply=" if reply else b"zone-orig=", 11 if reply else 10, row.zone)
    if counters:
        out = put_pair(out, b"packets=", 8, row.reply_packets if reply else row.orig_packets)
        out = put_pair(out, b"bytes=", 6, row.reply_bytes if reply else row.orig_bytes)
    return out


cdef inline bint has_state(const conn_row_t* row) noexcept nogil:
    """Whether its protocol has states; TCP's may be NONE."""
    return row.state or row.l4proto == PROTO_TCP


cdef char* put_tuples(char* out, const conn_row_t* row, bint state, bint timeout, bint counters) noexcept nogil:
    """The part that listings and events share: protocol to ``[ASSURED]``."""
    out = put_word(out, _protocols[row.l4proto])
    if timeout:
        out = put_number(out, row.timeout)
        out = put_text(out, b" ", 1)
    if state:
        out = put_word(out, _states[row.state])
    out = put_direction(out, row, False, counters)
    if not row.status & IPS_SEEN_REPLY:
        out = put_text(out, b"[UNREPLIED] ", 12)
    out = put_direction(out, row, True, counters)
    if row.status & IPS_ASSURED:
        out = put_text(out, b"[ASSURED] ", 10)
    return out


cdef char* put_family(char* out, const conn_row_t* row, int style) noexcept nogil:
    """What ``-o extended`` puts first."""
    if not style & STYLE_EXTENDED:
        return out
    return put_text(out, b"ipv4     2 ", 11) if row.l3proto == 4 else put_text(out, b"ipv6     10 ", 12)


cdef char* put_connection(char* out, const conn_row_t* row, int style) noexcept nogil:
    """A line of ``conntrack -L``."""
    out = put_tuples(put_family(out, row, style), row, has_state(row), True, True)
    out = put_pair(out, b"mark=", 5, row.mark)
    if row.zone and not row.zone_dir:
        out = put_pair(out, b"zone=", 5, row.zone)
    out = put_word(out, _helpers[row.helper])
    out = put_number(put_text(out, b"use=", 4), row.use)
    if style & STYLE_ID:
        out = put_number(put_text(out, b" id=", 4), <uint32_t>row.conn)
    return put_text(out, b"\n", 1)


cdef char* put_event(char* out, const event_row_t* event, int style) noexcept nogil:
    """A line of ``conntrack -E``."""
    cdef const conn_row_t* row = &event.row
    cdef bint destroy = event.type == DESTROY
    cdef bint state = row.state if event.type == UPDATE else has_state(row)
    if style & STYLE_TIMESTAMP:
        out = put_number(put_text(out, b"[", 1), event.ts // <uint64_t>NS_PER_S)
        out = put_text(out, b".", 1)
        out = put_padded(out, <uint32_t>(event.ts % <uint64_t>NS_PER_S // <uint64_t>NS_PER_US), 6)
        out = put_text(out, b"]\t", 2)
    out = put_word(out, _events[event.type])
    out = put_tuples(put_family(out, row, style), row, state, row.timeout or not destroy, destroy)
    if row.mark:
        out = put_pair(out, b"mark=", 5, row.mark)
    if row.zone and not row.zone_dir:
        out = put_pair(out, b"zone=", 5, row.zone)
    if not destroy:
        out = put_word(out, _helpers[row.helper])
    if style & STYLE_ID:
        out = put_pair(out, b"id=", 3, <uint32_t>row.conn)
    (out - 1)[0] = c"\n"  # conntrack cuts the blank that ends every part
    return out


cdef bytes _format(rows, bint events, int style):
    """Format rows of either kind, ``BLOCK`` at a time, so that the buffer stays small."""
    rows = np.ascontiguousarray(rows)
    cdef const char* base = <const char*><size_t>rows.ctypes.data
    cdef Py_ssize_t n = len(rows), begin = 0, end, i
    cdef char* buffer = <char*>PyMem_Malloc(LINE_MAX * BLOCK)
    cdef char* out
    cdef list parts = []
    if buffer == NULL:
        raise MemoryError
    try:
        while begin < n:
            end = min(begin + BLOCK, n)
            out = buffer
            with nogil:
                for i in range(begin, end):
                    if events:
                        out = put_event(out, &(<const event_row_t*>base)[i], style)
                    else:
                        out = put_connection(out, &(<const conn_row_t*>base)[i], style)
            parts.append(PyBytes_FromStringAndSize(buffer, out - buffer))
            begin = end
    finally:
        PyMem_Free(buffer)
    return b"".join(parts)


cdef int _style(bint extended, bint ids, bint timestamps):
    return extended * STYLE_EXTENDED | ids * STYLE_ID | timestamps * STYLE_TIMESTAMP


def format_connections(rows, *, bint extended=False, bint ids=False):
    """Lines of ``conntrack -L``, with accounting.

    Parameters
    ----------
    rows : numpy.ndarray
        ``fastct.CONNECTION_DTYPE``.
    extended, ids : bool
        As ``-o extended``: begin with the family; as ``-o id``: end with an id, which is the connection's number.

    Returns
    -------
    bytes
    """
    if rows.dtype != CONNECTION_DTYPE:
        raise TypeError("format_connections takes rows of fastct.CONNECTION_DTYPE")
    return _format(rows, False, _style(extended, ids, False))


def format_events(rows, bint timestamps=True, *, bint extended=False, bint ids=False):
    """Lines of ``conntrack -E``.

    Parameters
    ----------
    rows : numpy.ndarray
        ``fastct.EVENT_DTYPE``.
    timestamps : bool
        Begin each line with its time, as ``-o timestamp`` does.
    extended, ids : bool
        As for ``format_connections``.

    Returns
    -------
    bytes
    """
    if rows.dtype != EVENT_DTYPE:
        raise TypeError("format_events takes rows of fastct.EVENT_DTYPE")
    return _format(rows, True, _style(extended, ids, timestamps))
