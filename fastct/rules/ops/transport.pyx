"""Conditions on the transport header. "header" comes first and proves what the others then read."""
from libc.stdint cimport uint8_t, uint16_t, uint32_t

from fastct.rules.compiled cimport LIVES_FLAGS, LIVES_PACKET, condition, dropping, op_t, run_t
from fastct.rules.ops.reach cimport reaches, transport_at
from fastct.wire.bytes cimport load_be16, load_be32

cdef enum:
    TCP_HEADER = 20
    TCP_OPTION_MSS = 2
    TCP_MSS_SIZE = 4
    NO_NEXT_HEADER = 59


cdef inline const uint8_t* transport(const run_t* run) noexcept nogil:
    """=> "header" has held."""
    cdef uint32_t at = 0
    transport_at(run, &at)
    return run.p.data + at


cdef bint header_test(const op_t* op, run_t* run) noexcept nogil:
    """a: bytes that there must be"""
    cdef uint32_t at = 0
    return transport_at(run, &at) and reaches(run, at, <uint32_t>op.a[0])


cdef bint sport_test(const op_t* op, run_t* run) noexcept nogil:
    """a: lowest, highest"""
    return op.a[0] <= load_be16(transport(run)) <= op.a[1]


cdef bint dport_test(const op_t* op, run_t* run) noexcept nogil:
    """a: lowest, highest"""
    return op.a[0] <= load_be16(transport(run) + 2) <= op.a[1]


cdef bint among(const op_t* op, uint16_t port) noexcept nogil:
    cdef uint32_t i
    for i in range(<uint32_t>op.a[0]):
        if load_be16(op.blob + 4 * i) <= port <= load_be16(op.blob + 4 * i + 2):
            return True
    return False


cdef bint sports_test(const op_t* op, run_t* run) noexcept nogil:
    """a: number of ranges; blob: lowest and highest of each, two bytes each"""
    return among(op, load_be16(transport(run)))


cdef bint dports_test(const op_t* op, run_t* run) noexcept nogil:
    """a: number of ranges; blob: lowest and highest of each, two bytes each"""
    return among(op, load_be16(transport(run) + 2))


cdef bint ports_test(const op_t* op, run_t* run) noexcept nogil:
    """a: number of ranges; blob: lowest and highest of each, two bytes each"""
    cdef const uint8_t* header = transport(run)
    return among(op, load_be16(header)) or among(op, load_be16(header + 2))


cdef bint type_test(const op_t* op, run_t* run) noexcept nogil:
    """a: type, lowest code, highest code"""
    cdef const uint8_t* header = transport(run)
    return header[0] == op.a[0] and op.a[1] <= header[1] <= op.a[2]


cdef bint spi_test(const op_t* op, run_t* run) noexcept nogil:
    """a: where it is in the header, lowest, highest"""
    return op.a[1] <= load_be32(transport(run) + op.a[0]) <= op.a[2]


cdef bint cpi_test(const op_t* op, run_t* run) noexcept nogil:
    """a: lowest, highest"""
    return op.a[0] <= load_be16(transport(run) + 2) <= op.a[1]


cdef bint mobility_test(const op_t* op, run_t* run) noexcept nogil:
    """a: lowest, highest type"""
    cdef const uint8_t* header = transport(run)
    if header[0] != NO_NEXT_HEADER:
        run.hotdrop = True
        return op.invert
    return op.a[0] <= header[2] <= op.a[1]


# ---- TCP

cdef bint tcp_flags_test(const op_t* op, run_t* run) noexcept nogil:
    """a: mask, compared, the flags with which it holds bit by bit"""
    return (transport(run)[13] & op.a[0]) == op.a[1]


cdef bint tcp_bits_test(const op_t* op, run_t* run) noexcept nogil:
    """The flags that are no matter of a path. a: mask, compared"""
    cdef uint32_t at = 0
    transport_at(run, &at)
    if at + TCP_HEADER > run.p.cap_len:
        return op.invert
    return (run.p.data[at + 13] & op.a[0]) == op.a[1]


cdef bint options_there(run_t* run, uint32_t* at, uint32_t* end) noexcept nogil:
    """Where TCP's options are; a header that is none, or not there in full, has the packet dropped."""
    cdef uint32_t size
    transport_at(run, at)
    if not reaches(run, at[0], TCP_HEADER):
        return False
    size = (run.p.data[at[0] + 12] >> 4) * 4
    if size < TCP_HEADER:
        run.hotdrop = True
        return False
    end[0] = at[0] + size
    at[0] += TCP_HEADER
    return at[0] == end[0] or reaches(run, end[0], 0)


cdef inline uint32_t option_size(const uint8_t* options, uint32_t at, uint32_t end) noexcept nogil:
    """How far it is to the next option."""
    if options[at] < 2 or at + 1 >= end or options[at + 1] == 0:
        return 1
    return options[at + 1]


cdef bint tcp_option_test(const op_t* op, run_t* run) noexcept nogil:
    """a: kind"""
    cdef uint32_t at = 0, end = 0
    if not options_there(run, &at, &end):
        return op.invert
    while at < end:
        if run.p.data[at] == op.a[0]:
            return True
        at += option_size(run.p.data, at, end)
    return False


cdef bint tcpmss_test(const op_t* op, run_t* run) noexcept nogil:
    """a: lowest, highest"""
    cdef const uint8_t* data = run.p.data
    cdef uint32_t at = 0, end = 0
    if not options_there(run, &at, &end):
        return op.invert
    while at < end:
        if data[at] == TCP_OPTION_MSS and end - at >= TCP_MSS_SIZE and data[at + 1] == TCP_MSS_SIZE:
            return op.a[0] <= load_be16(data + at + 2) <= op.a[1]
        at += option_size(data, at, end)
    return False


# "live_": of protocols whose header conntrack does not look at, so that packets of a connection may differ in it.
OPS = {
    "header": dropping(header_test),
    "live_header": dropping(header_test, LIVES_PACKET),
    "sport": condition(sport_test),
    "live_sport": condition(sport_test, LIVES_PACKET),
    "dport": condition(dport_test),
    "live_dport": condition(dport_test, LIVES_PACKET),
    "sports": condition(sports_test),
    "live_sports": condition(sports_test, LIVES_PACKET),
    "dports": condition(dports_test),
    "live_dports": condition(dports_test, LIVES_PACKET),
    "ports": condition(ports_test),
    "live_ports": condition(ports_test, LIVES_PACKET),
    "type": condition(type_test),
    "spi": condition(spi_test, LIVES_PACKET),
    "cpi": condition(cpi_test, LIVES_PACKET),
    "mobility": dropping(mobility_test, LIVES_PACKET),
    "tcp_flags": condition(tcp_flags_test, LIVES_FLAGS),
    "tcp_bits": condition(tcp_bits_test, LIVES_PACKET),
    "tcp_option": dropping(tcp_option_test, LIVES_PACKET),
    "tcpmss": dropping(tcpmss_test, LIVES_PACKET),
}
