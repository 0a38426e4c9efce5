"""What a line is about is kept as it is met; its text is made when somebody reads it (``linetext.py``)."""
from libc.stdint cimport uint8_t, uint16_t, uint32_t
from libc.stdio cimport snprintf
from libc.string cimport memcpy, memset, strlen

from fastct.conntrack.arena cimport arena_free, arena_grow, arena_init
from fastct.conntrack.log cimport log_free, log_init, log_row
from fastct.rules.compiled cimport (
    LINE_TRACE,
    WAY_OUTPUT,
    line_kind,
    line_t,
    output_t,
    run_t,
)
from fastct.rules.memory cimport time_to_live
from fastct.rules.rewrite cimport link_length, put_ttl_at

cdef enum:
    LINES_MAX = 1 << 20      # between two times they are read
    TEXT_MAX = 1 << 29       # bytes, likewise
    PACKET_KEPT = 320        # bytes of a packet: what is said of one, the packet that it is about included, is in these
    TRACE_LEVEL = 4          # warning
    TRACE_FLAGS = 0x0F       # everything but the decoded link header


cdef int lines_init(output_t* o) except -1:
    if arena_init(&o.texts, TEXT_MAX, 0, NULL):
        raise MemoryError("no address space for lines of the log")
    return log_init(&o.lines, sizeof(line_t))


cdef void lines_free(output_t* o) noexcept:
    arena_free(&o.texts)
    log_free(&o.lines)


cdef line_t* line_add(run_t* run, line_kind kind, const uint8_t* prefix) noexcept nogil:
    """A line about the packet as it is now; NULL when there is no room, which is counted."""
    cdef output_t* o = run.output
    cdef uint32_t prefix_len = <uint32_t>strlen(<const char*>prefix)
    cdef uint32_t link_len = link_length(run.frame)
    cdef uint32_t cap_len = run.p.cap_len if run.p.cap_len < PACKET_KEPT else PACKET_KEPT
    cdef uint32_t size = prefix_len + link_len + cap_len
    cdef uint8_t* text
    cdef line_t* line
    if o.lines.rows == LINES_MAX or o.text_used + size > TEXT_MAX or arena_grow(&o.texts, o.text_used + size):
        o.lines_lost += 1
        return NULL
    line = <line_t*>log_row(&o.lines)
    if line == NULL:
        o.lines_lost += 1
        return NULL
    text = <uint8_t*>o.texts.base + o.text_used
    memset(line, 0, sizeof(line_t))
    line.at = o.text_used
    o.text_used += size
    memcpy(text, prefix, prefix_len)
    memcpy(text + prefix_len, run.frame.data, link_len)
    memcpy(text + prefix_len + link_len, run.p.data, cap_len)
    if run.ttl != time_to_live(run.p):
        put_ttl_at(text + prefix_len + link_len, run.ttl)
    line.packet, line.ts_ns = run.number, run.frame.ts_ns
    line.mark, line.len = run.mark, run.p.len
    line.prefix_len, line.link_len, line.cap_len = <uint16_t>prefix_len, <uint16_t>link_len, <uint16_t>cap_len
    line.in_if, line.out_if, line.linktype = run.in_if, run.out_if, run.frame.linktype
    line.kind, line.family = kind, run.p.ip_version
    line.comes_in = run.way != WAY_OUTPUT
    return line


cdef void trace_rule(run_t* run, uint32_t chain, uint32_t number, const char* word) noexcept nogil:
    """A traced packet has met a rule, or the end of a chain."""
    cdef char prefix[96]
    cdef line_t* line
    snprintf(prefix, sizeof(prefix), b"TRACE: %s:%s:%u ", <const char*>run.program.chains[chain].name, word, number)
    line = line_add(run, LINE_TRACE, <const uint8_t*>prefix)
    if line != NULL:
        line.group, line.flags = TRACE_LEVEL, TRACE_FLAGS
