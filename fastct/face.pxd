"""The Python class around an engine; other rooms reach its ``engine_t`` through it."""
from libc.stdint cimport uint8_t, uint64_t

from fastct.conntrack.extra cimport extra_t
from fastct.engine cimport engine_t
from fastct.rules.compiled cimport Program, run_t
from fastct.rules.route cimport Routes

cdef class Engine:
    cdef engine_t* e
    cdef dict sysctls
    cdef str personality
    cdef list policies       # sets of timeouts, by number
    cdef Program _ipv4       # tables in use
    cdef Program _ipv6
    cdef Routes _routes
    cdef tuple _named
    cdef int _attach(self, int family, Program program, Program before) except -1
    cdef void _run_with(self, run_t* run, Routes routes)
    cdef uint8_t _policy(self, dict timeouts) except? 255
    cdef object _sorted(self)
    cdef extra_t* _extra_of(self, uint64_t handle) except? NULL
