"""Early drop: who goes when the table is full. Never an ASSURED connection.

Like Linux, only the neighbourhood of the new connection's place is looked at, so a flood pays for itself
and the cost has a bound.
"""
from libc.stdint cimport uint32_t, uint64_t

from fastct.conntrack.conn cimport IPS_ASSURED, NO_SLOT, conn_t
from fastct.conntrack.table cimport line_t, line_used, lowest_bit, table_line, table_t

cdef enum:
    NEIGHBOURHOOD = 8    # buckets


cdef uint32_t early_drop_victim(const table_t* t, uint64_t hash, uint64_t now) noexcept nogil:
    """An entry to give up for one with this hash: expired, else not ASSURED and soonest to expire, of the
    first bucket that has one. NO_SLOT if there is none."""
    cdef uint32_t at = table_line(t, hash), slot, victim = NO_SLOT
    cdef uint64_t soonest = <uint64_t>-1
    cdef const line_t* line
    cdef const conn_t* c
    cdef unsigned int used
    cdef int i
    for i in range(NEIGHBOURHOOD):
        line = &t.lines[(at + i) % t.n_lines]
        while True:
            used = line_used(line)
            while used:
                slot = line.slot[lowest_bit(used)]
                used &= used - 1
                c = &t.conns[slot]
                if c.deadline_ns <= now:
                    return slot
                if not c.status & IPS_ASSURED and c.deadline_ns < soonest:
                    soonest = c.deadline_ns
                    victim = slot
            if line.next == 0:
                break
            line = &t.overflow[line.next]
        if victim != NO_SLOT:
            return victim
    return NO_SLOT
