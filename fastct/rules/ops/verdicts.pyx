"""Effects that decide what becomes of a packet, or how it is tracked."""
from fastct.conntrack.core cimport CT_STATE_UNTRACKED
from fastct.rules.compiled cimport RULE_CONTINUE, RULE_REJECT, effect, op_t, rule_verdict, run_t


cdef rule_verdict reject_work(const op_t* op, run_t* run) noexcept nogil:
    """a: number of the answer, which is made when the packet has been dropped"""
    return RULE_REJECT


cdef rule_verdict notrack_work(const op_t* op, run_t* run) noexcept nogil:
    run.template.notrack = True
    run.r.state = CT_STATE_UNTRACKED
    return RULE_CONTINUE


OPS = {
    "reject": effect(reject_work),
    "notrack": effect(notrack_work),
}
