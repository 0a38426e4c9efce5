"""An input of a target: settings, then records. ``driver.c`` says how they lie, and changes them as records."""
from libc.stdint cimport uint8_t, uint32_t

cdef enum:
    HEADER = 4
    RECORD = 3

cdef struct input_t:
    const uint8_t* at
    size_t left

cdef struct record_t:
    uint8_t ctl
    uint32_t len
    const uint8_t* data


cdef inline bint input_open(input_t* i, const uint8_t* data, size_t size) noexcept nogil:
    """The records of an input; False if it does not even have all settings."""
    if size < HEADER:
        return False
    i.at, i.left = data + HEADER, size - HEADER
    return True


cdef inline bint input_next(input_t* i, record_t* r) noexcept nogil:
    """The next record. The last one has what is left, whatever it says."""
    if i.left < RECORD:
        return False
    r.ctl = i.at[0]
    r.len = i.at[1] | <uint32_t>i.at[2] << 8
    i.left -= RECORD
    if r.len > i.left:
        r.len = <uint32_t>i.left
    r.data = i.at + RECORD
    i.at += RECORD + r.len
    i.left -= r.len
    return True


cdef inline uint8_t byte_of(const record_t* r, uint32_t i) noexcept nogil:
    """A byte of a record, 0 behind its end."""
    return r.data[i] if i < r.len else 0


cdef inline bint is_one_of(uint32_t n, const uint8_t* data, size_t size) noexcept nogil:
    """Whether an input is one of about n that a costly check is spent on: what it is depends on the input alone."""
    cdef uint32_t sum = 0
    cdef size_t i
    for i in range(size):
        sum = (sum ^ data[i]) * 16777619
    return (sum >> 8) % n == 0
