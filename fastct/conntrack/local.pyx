"""What is local; records are in ``local.pxd``."""
from ipaddress import ip_interface

from libc.stdint cimport uint32_t
from libc.string cimport memcmp, memcpy, memset

from fastct.wire.bytes cimport load_be32

from fastct.errors import ConfigError


cdef int locals_set(locals_t* l, wanted) except -1:
    """``wanted``: "10.1.1.2" or "10.1.1.2/24", either family. Raises ConfigError."""
    cdef bytes packed
    l.n = 0
    for text in wanted:
        try:
            interface = ip_interface(text)
        except ValueError:
            raise ConfigError(f"local: expected ADDRESS or ADDRESS/LENGTH, got {text!r}") from None
        if l.n == LOCAL_MAX:
            raise ConfigError(f"more than {LOCAL_MAX} local addresses")
        packed = interface.packed
        memset(&l.rows[l.n], 0, sizeof(local_t))
        memcpy(l.rows[l.n].addr, <const char*>packed, len(packed))
        l.rows[l.n].l3proto = interface.version
        l.rows[l.n].bits = interface.network.prefixlen
        l.n += 1
    return 0


cdef int local_broadcast(const locals_t* l, const ends_t* ends) noexcept nogil:
    """The prefix length of the local IPv4 network that a local address sends a broadcast to, 0 if it does not."""
    cdef int i, bits = 0
    cdef bint is_local = False
    cdef uint32_t hosts
    cdef const local_t* row
    if ends.l3proto != 4:
        return 0
    for i in range(l.n):
        row = &l.rows[i]
        if row.l3proto != 4:
            continue
        is_local |= memcmp(row.addr, ends.src, 4) == 0
        hosts = <uint32_t>0xFFFFFFFF >> row.bits if row.bits < 31 else 0       # smaller networks have no broadcast
        if hosts and load_be32(ends.dst) == load_be32(row.addr) | hosts:
            bits = row.bits
    return bits if is_local else 0
