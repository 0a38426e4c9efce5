"""What is wrong with a record; see ``restore.pyx``."""

# What is wrong with a record.
cdef enum fault_t:
    GOOD
    BAD_TUPLE
    BAD_TIME
    BAD_STATUS
    BAD_STATE
    BAD_RESERVED
    BAD_NUMBER
    BAD_ADDRESSES
    BAD_EXTRA
    BAD_MASTER
    BAD_PLACE
    TWICE
