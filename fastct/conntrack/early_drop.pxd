from libc.stdint cimport uint32_t, uint64_t

from fastct.conntrack.table cimport table_t

cdef uint32_t early_drop_victim(const table_t* t, uint64_t hash, uint64_t now) noexcept nogil
