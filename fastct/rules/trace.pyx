"""Rows of a trace; what they are about is in ``trace.pxd``."""
from libc.stdint cimport uint8_t, uint16_t, uint32_t
from libc.string cimport memcmp, memcpy, memset

import numpy as np

from fastct.conntrack.arena cimport arena_free, arena_grow, arena_init
from fastct.conntrack.log cimport log_free, log_init, log_row
from fastct.rules.compiled cimport run_t, trace_t
from fastct.rules.connmark cimport connmark
from fastct.rules.entry cimport entry_class, entry_extra, entry_status
from fastct.wire.packet cimport PACKET_NONE, packet_t

cdef enum:
    BYTES_MAX = 1 << 30

KINDS = {TRACE_TABLE: "table", TRACE_RULE: "rule", TRACE_END: "end", TRACE_POLICY: "policy", TRACE_LEFT: "left",
         TRACE_OVER: "over"}

cdef trace_row_t _row
cdef trace_row_t[::1] _view = <trace_row_t[:1]>&_row
TRACE_DTYPE = np.asarray(_view).dtype
cdef trace_row_t _spare      # written where there is no memory, and never read


cdef trace_row_t* row_about(trace_t* t, const packet_t* p, trace_kind kind) noexcept nogil:
    """A row with the packet's bytes, which are kept once until they change; where there is no memory for it, one that
    nobody reads."""
    cdef trace_row_t* row = <trace_row_t*>log_row(&t.rows)
    cdef trace_row_t* before = row - 1
    cdef uint32_t size = p.cap_len if p.kind != PACKET_NONE else 0
    if row == NULL:
        return &_spare
    memset(row, 0, sizeof(trace_row_t))
    row.kind, row.len, row.l4_off, row.l4proto = kind, p.len, p.l4_off, p.l4proto
    if t.rows.rows > 1 and before.cap_len == size and memcmp(t.bytes.base + before.at, p.data, size) == 0:
        row.at, row.cap_len = before.at, size
    elif t.used + size <= BYTES_MAX and not arena_grow(&t.bytes, t.used + size):
        memcpy(t.bytes.base + t.used, p.data, size)
        row.at, row.cap_len = t.used, size
        t.used += size
    return row


cdef inline void put_route(trace_row_t* row, const run_t* run) noexcept nogil:
    """=> The packet has met the tables."""
    row.way, row.ttl, row.mark = run.way, run.ttl, run.mark
    row.source_type, row.destination_type = run.source.type, run.destination.type


cdef trace_row_t* trace_add(run_t* run, trace_kind kind, uint32_t counter) noexcept nogil:
    """A row about a packet on its way, as it is now."""
    cdef trace_row_t* row = row_about(run.trace, run.p, kind)
    put_route(row, run)
    row.hook, row.table, row.depth = run.hook, run.table, <uint16_t>run.stack.depth
    row.counter, row.sent = counter, run.n_sent
    row.in_if, row.out_if = run.in_if, run.out_if
    row.ctstate = entry_class(run)
    if run.r.conn != NULL:
        row.ctdir = run.r.direction + 1
        row.status, row.connmark = entry_status(run), connmark(run.ct, run.r.conn)
        if entry_extra(run) != NULL:
            row.master = entry_extra(run).master
    return row


cdef void trace_over(trace_t* t, const packet_t* p, const run_t* run) noexcept nogil:
    """The last row about a packet. ``run``: NULL, if it met no tables."""
    cdef trace_row_t* row = row_about(t, p, TRACE_OVER)
    if run != NULL:
        put_route(row, run)
        row.in_if, row.out_if = run.from_if, run.destination.interface


cdef class Trace:
    """Room for the account of packets."""

    def __cinit__(self):
        if arena_init(&self.t.bytes, BYTES_MAX, 0, NULL):
            raise MemoryError("no address space for a trace")
        log_init(&self.t.rows, sizeof(trace_row_t))

    def __dealloc__(self):
        arena_free(&self.t.bytes)
        log_free(&self.t.rows)

    def drain(self):
        """The rows (TRACE_DTYPE), the packet's bytes as it was at each; and it is empty."""
        rows = np.empty(self.t.rows.rows, dtype=TRACE_DTYPE)
        if len(rows):
            memcpy(<void*><size_t>rows.ctypes.data, self.t.rows.mem.base, rows.nbytes)
        packets = [(<const uint8_t*>self.t.bytes.base)[at:at + size]
                   for at, size in zip(rows["at"].tolist(), rows["cap_len"].tolist(), strict=True)]
        self.t.rows.rows = self.t.used = 0
        return rows, packets
