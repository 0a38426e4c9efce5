"""The condition on the time of the packet."""
from libc.stdint cimport uint32_t, uint64_t

from fastct.rules.compiled cimport LIVES_PACKET, condition, op_t, run_t

cdef enum:
    DAY_S = 86400
    EVERY_MONTHDAY = 0xFFFFFFFE
    CONTIGUOUS = 0x100       # beside the weekdays

cdef uint64_t NS_PER_S = 1000000000


cdef uint32_t monthday(uint64_t day) noexcept nogil:
    """The day of the month, from days since 1970: years begin in March, so that a leap day is a year's last."""
    cdef uint64_t of_era = (day + 719468) % 146097
    cdef uint64_t year = (of_era - of_era // 1460 + of_era // 36524 - of_era // 146096) // 365
    cdef uint64_t of_year = of_era - (365 * year + year // 4 - year // 100)
    cdef uint64_t month = (5 * of_year + 2) // 153
    return <uint32_t>(of_year - (153 * month + 2) // 5 + 1)


cdef bint time_test(const op_t* op, run_t* run) noexcept nogil:
    """a: first and (upper half) last second of the day, the same since 1970, weekdays and CONTIGUOUS, days of the
    month; days are a bit each"""
    cdef uint64_t now = run.ct.now // NS_PER_S, day
    cdef uint32_t first = <uint32_t>op.a[0], last = op.a[0] >> 32, second = now % DAY_S
    if now < <uint32_t>op.a[1] or now > op.a[1] >> 32:
        return False
    if first < last:
        if second < first or second > last:
            return False
    elif second < first and second > last:
        return False
    # Behind midnight it is still the day on which the time began.
    day = now // DAY_S
    if first >= last and op.a[2] & CONTIGUOUS and second <= last:
        day -= 1
    if not op.a[2] >> ((day + 3) % 7 + 1) & 1:
        return False
    return op.a[3] == EVERY_MONTHDAY or op.a[3] >> monthday(day) & 1


OPS = {
    "time": condition(time_test, LIVES_PACKET),
}
