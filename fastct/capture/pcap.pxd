"""The classic pcap format. See ``pcap.pyx``."""
from libc.stdint cimport uint16_t, uint32_t

from fastct.capture.source cimport Source


cdef class PcapSource(Source):
    cdef uint16_t linktype
    cdef uint16_t iface
    cdef Py_ssize_t header_len    # of a record
    cdef uint32_t fraction_ns     # of one unit of the time stamp's fraction
