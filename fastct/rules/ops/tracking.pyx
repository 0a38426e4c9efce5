"""Marks of packets and of connections, and how those are tracked."""
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

from fastct.conntrack.core cimport CT_STATE_NEW, CT_STATE_UNTRACKED
from fastct.rules.connmark cimport connmark, connmark_set
from fastct.rules.compiled cimport RULE_CONTINUE, condition, effect, of_connmark, op_t, rule_verdict, run_t

cdef enum:
    ZONE_MARK = 1 << 16      # no zone's number


cdef bint mark_test(const op_t* op, run_t* run) noexcept nogil:
    """a: value, mask"""
    return (run.mark & op.a[1]) == op.a[0]


cdef bint connmark_test(const op_t* op, run_t* run) noexcept nogil:
    """a: value, mask"""
    if run.r.conn == NULL and run.r.state != CT_STATE_NEW:       # which a template makes it, whose mark is 0
        return op.invert                 # no match either way
    return (connmark(run.ct, run.r.conn) & op.a[1]) == op.a[0]


cdef rule_verdict mark_work(const op_t* op, run_t* run) noexcept nogil:
    """a: value, mask"""
    run.mark = <uint32_t>((run.mark & ~op.a[1]) ^ op.a[0])
    return RULE_CONTINUE


cdef inline uint32_t shifted(uint32_t mark, uint64_t bits, uint64_t right) noexcept nogil:
    return mark >> bits if right else mark << bits


cdef rule_verdict connmark_work(const op_t* op, run_t* run) noexcept nogil:
    """a: value, mask, bits of the shift, whether to the right"""
    cdef uint32_t mark = <uint32_t>((connmark(run.ct, run.r.conn) & ~op.a[1]) ^ op.a[0])
    connmark_set(run.ct, run.r.conn, shifted(mark, op.a[2], op.a[3]))
    return RULE_CONTINUE


cdef rule_verdict save_mark_work(const op_t* op, run_t* run) noexcept nogil:
    """a: masks of the connection's mark and of the packet's, bits of the shift, whether to the right"""
    cdef uint32_t mark = shifted(<uint32_t>(run.mark & op.a[1]), op.a[2], op.a[3])
    connmark_set(run.ct, run.r.conn, <uint32_t>((connmark(run.ct, run.r.conn) & ~op.a[0]) ^ mark))
    return RULE_CONTINUE


cdef rule_verdict restore_mark_work(const op_t* op, run_t* run) noexcept nogil:
    """a: as of save_mark_work"""
    cdef uint32_t mark
    if run.r.conn != NULL:
        mark = shifted(<uint32_t>(connmark(run.ct, run.r.conn) & op.a[0]), op.a[2], op.a[3])
        run.mark = <uint32_t>((run.mark & ~op.a[1]) ^ mark)
    return RULE_CONTINUE


cdef rule_verdict assign_work(const op_t* op, run_t* run) noexcept nogil:
    """a: zone (ZONE_MARK: the packet's mark), directions that are not in it (bits), helper, whether it is not tracked.
    The first that assigns anything counts."""
    cdef uint16_t zone = <uint16_t>(run.mark if op.a[0] == ZONE_MARK else op.a[0])
    if run.assigned:
        return RULE_CONTINUE
    run.assigned = True
    run.r.state = CT_STATE_UNTRACKED if op.a[3] else CT_STATE_NEW
    run.template.zone = 0 if op.a[1] & 1 else zone
    run.template.reply_zone = 0 if op.a[1] & 2 else zone
    run.template.helper = <uint8_t>op.a[2]
    run.template.notrack = op.a[3] != 0
    run.template.special = run.template.notrack or run.template.zone != run.template.reply_zone
    run.template.attaches = run.template.helper or run.template.zone != run.template.reply_zone
    return RULE_CONTINUE


ZONE_OF_MARK = ZONE_MARK
OPS = {
    "mark": condition(mark_test),
    "connmark": of_connmark(condition(connmark_test)),
    "set_mark": effect(mark_work),
    "set_connmark": of_connmark(effect(connmark_work)),
    "save_mark": of_connmark(effect(save_mark_work)),
    "restore_mark": of_connmark(effect(restore_mark_work)),
    "assign": effect(assign_work),
}
