"""Room in the table: the sweep for what has expired, and who goes when it is full (``early_drop.pyx`` says why)."""
from libc.stdint cimport uint32_t

cimport cython

from fastct.conntrack.conn cimport NO_SLOT, conn_is_one
from fastct.conntrack.core cimport ct_destroy, ct_expire, ct_t
from fastct.conntrack.early_drop cimport PRESS_MOST, pressed_out, probation_take
from fastct.conntrack.expect cimport expects_sweep
from fastct.conntrack.opts cimport OPT_MAX
from fastct.conntrack.table cimport SWEEP_BATCH, table_sweep
from fastct.conntrack.verdict cimport END_EVICTED

cdef enum:
    PRESSURE_PERCENT = 95    # of nf_conntrack_max
    FULL_SWEEP = 32          # buckets looked through for what has expired before a connection is refused


cdef bint ct_make_room(ct_t* ct) noexcept nogil:
    """The table is full: end what has expired, else the oldest connection that is not ASSURED."""
    cdef uint32_t slot = probation_take(&ct.probation, &ct.table)
    if slot != NO_SLOT:
        if ct.table.conns[slot].deadline_ns <= ct.now:
            ct_expire(ct, slot)
        else:
            ct_destroy(ct, slot, ct.now, END_EVICTED)
        return True
    if ct_gc(ct, FULL_SWEEP):
        return True
    ct.pressure = True
    return False


cdef bint is_pressed(ct_t* ct) noexcept nogil:
    """Pressure ends when the table is no longer nearly full."""
    if ct.pressure and ct.table.count < ct.opts.value[OPT_MAX] // 100 * PRESSURE_PERCENT:
        ct.pressure = False
    return ct.pressure


cdef void press(ct_t* ct, uint32_t lines) noexcept nogil:
    """Make room in the buckets that the sweep is about to visit."""
    cdef uint32_t slots[PRESS_MOST]
    cdef uint32_t at = ct.table.sweep_line
    cdef int i, found
    while lines and is_pressed(ct):
        at = at if at < ct.table.n_lines else 0
        found = pressed_out(&ct.table, at, slots)
        for i in range(found):
            if conn_is_one(&ct.table.conns[slots[i]]):
                ct_destroy(ct, slots[i], ct.now, END_EVICTED)
        at += 1
        lines -= 1


cdef uint32_t ct_gc(ct_t* ct, uint32_t lines) noexcept nogil:
    """Sweep up to ``lines`` buckets of the index; returns how many connections had expired."""
    cdef uint32_t slots[SWEEP_BATCH]
    cdef uint32_t total = 0
    cdef int i, found = SWEEP_BATCH
    if cython.unlikely(ct.pressure):
        press(ct, lines)
    if ct.expects.count:
        expects_sweep(&ct.expects, 1, ct.now)
    while found == SWEEP_BATCH:
        found = table_sweep(&ct.table, ct.now, &lines, slots)
        for i in range(found):
            if conn_is_one(&ct.table.conns[slots[i]]):         # else it ended with another of them
                ct_expire(ct, slots[i])
        total += found
    return total
