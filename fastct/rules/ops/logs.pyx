"""Effects that tell somebody about the packet."""
from libc.stdint cimport uint16_t

from fastct.rules.compiled cimport (
    LINE_LOG,
    LINE_NFLOG,
    LIVES_PACKET,
    RECORDING_TRACE,
    RULE_CONTINUE,
    effect,
    line_t,
    op_t,
    rule_verdict,
    run_t,
)
from fastct.rules.lines cimport line_add


cdef rule_verdict log_work(const op_t* op, run_t* run) noexcept nogil:
    """a: level, flags; blob: prefix, zero at the end"""
    cdef line_t* line = line_add(run, LINE_LOG, op.blob)
    if line != NULL:
        line.group, line.flags = <uint16_t>op.a[0], <uint16_t>op.a[1]
    return RULE_CONTINUE


cdef rule_verdict nflog_work(const op_t* op, run_t* run) noexcept nogil:
    """a: group, flags; blob: prefix, zero at the end"""
    cdef line_t* line = line_add(run, LINE_NFLOG, op.blob)
    if line != NULL:
        line.group, line.flags = <uint16_t>op.a[0], <uint16_t>op.a[1]
    return RULE_CONTINUE


cdef rule_verdict trace_work(const op_t* op, run_t* run) noexcept nogil:
    """From the next rule on, each that takes the packet is told."""
    run.traced = True
    run.recording = RECORDING_TRACE
    return RULE_CONTINUE


OPS = {
    "log": effect(log_work, LIVES_PACKET),
    "nflog": effect(nflog_work, LIVES_PACKET),
    "trace": effect(trace_work, LIVES_PACKET),
}
