"""Effects that write into the packet."""
from libc.stdint cimport uint8_t, uint16_t, uint32_t
from libc.string cimport memcmp, memcpy, memmove, memset

from fastct.rules.answers cimport transport_sum
from fastct.rules.compiled cimport LIVES_PACKET, RULE_CONTINUE, RULE_DROP, effect, op_t, rule_verdict, run_t
from fastct.rules.rewrite cimport put_ttl, store_be16, sum_replace16, sum_replace32, writable
from fastct.rules.route cimport address_t, packet_address, route_find
from fastct.wire.bytes cimport load_be16, load_u16, load_u32, sum_fold, swap16
from fastct.wire.packet cimport PROTO_ICMPV6, PROTO_TCP, PROTO_UDP, SUM_OFFLOADED, packet_t

cdef enum:
    TCPOPT_NOP = 1
    TCPOPT_MSS = 2
    MSS_LENGTH = 4
    ICMPV6_ERRORS = 4        # types of errors that Linux knows, from 1
    PATH_MTU = 1500          # of every interface


# ---- the IP header

cdef inline uint8_t ds_field(const packet_t* p) noexcept nogil:
    """TOS or traffic class."""
    if p.ip_version == 4:
        return p.data[1]
    return <uint8_t>(load_be16(p.data) >> 4)


cdef void put_ds_field(run_t* run, uint8_t value) noexcept nogil:
    cdef uint8_t* ip
    cdef uint32_t sum
    if ds_field(run.p) == value:
        return
    ip = writable(run)
    if ip == NULL:
        return
    if run.p.ip_version == 6:
        store_be16(ip, load_be16(ip) & 0xF00F | <uint32_t>value << 4)
        return
    sum = load_be16(ip + 10) + <uint32_t>ip[1]          # as ipv4_change_dsfield
    if (sum + 1) >> 16:
        sum = (sum + 1) & 0xFFFF
    sum -= value
    sum += sum >> 16
    store_be16(ip + 10, sum)
    ip[1] = value


cdef rule_verdict tos_work(const op_t* op, run_t* run) noexcept nogil:
    """a: value, mask"""
    put_ds_field(run, <uint8_t>((ds_field(run.p) & ~op.a[1]) ^ op.a[0]))
    return RULE_CONTINUE


cdef rule_verdict dscp_work(const op_t* op, run_t* run) noexcept nogil:
    """a: class"""
    if ds_field(run.p) >> 2 != op.a[0]:
        put_ds_field(run, <uint8_t>(ds_field(run.p) & 3 | op.a[0] << 2))
    return RULE_CONTINUE


cdef rule_verdict hops_work(const op_t* op, run_t* run) noexcept nogil:
    """a: whether what follows is added, the number"""
    cdef int ttl = <int>op.a[1] + (run.ttl if op.a[0] else 0)
    ttl = 0 if ttl < 0 else 255 if ttl > 255 else ttl
    if ttl != run.ttl and writable(run) != NULL:
        put_ttl(run, <uint8_t>ttl)
    return RULE_CONTINUE


cdef void put_ecn(run_t* run, uint8_t bits) noexcept nogil:
    """Set the two bits of the IPv4 header."""
    cdef uint8_t value = run.p.data[1] & 0xFC | bits
    if value != run.p.data[1] and writable(run) != NULL:
        sum_replace16(run.copy + 10, swap16(run.copy[1]), swap16(value))
        run.copy[1] = value


# ---- the TCP header

cdef inline bint has_tcp(run_t* run) noexcept nogil:
    """Whether there is a TCP header, as far as its fixed part."""
    return run.p.l4proto == PROTO_TCP and run.p.l4_off + 20 <= run.p.cap_len


cdef rule_verdict ecn_tcp_work(const op_t* op, run_t* run) noexcept nogil:
    """a: flags that are set, to what"""
    cdef uint8_t* th
    cdef uint16_t before
    if not has_tcp(run):
        return RULE_DROP if run.p.l4_off + 20 > run.p.len else RULE_CONTINUE
    if (run.p.data[run.p.l4_off + 13] & op.a[0]) == op.a[1] or writable(run) == NULL:
        return RULE_CONTINUE
    th = run.copy + run.p.l4_off
    before = load_u16(th + 12)
    th[13] = <uint8_t>(th[13] & ~op.a[0] | op.a[1])
    sum_replace32(th + 16, before, load_u16(th + 12))
    return RULE_CONTINUE


cdef rule_verdict ecn_work(const op_t* op, run_t* run) noexcept nogil:
    """a: flags of TCP that are set, to what, whether the IP header's bits are set, to what"""
    if op.a[2]:
        put_ecn(run, <uint8_t>op.a[3])
    if op.a[0] and run.p.l4proto == PROTO_TCP:
        return ecn_tcp_work(op, run)
    return RULE_CONTINUE


cdef inline uint32_t option_length(const uint8_t* option) noexcept nogil:
    """Bytes from an option to the next."""
    return 1 if option[0] <= TCPOPT_NOP or option[1] == 0 else option[1]


cdef rule_verdict tcpmss_work(const op_t* op, run_t* run) noexcept nogil:
    """a: the MSS; 0: what the path has room for"""
    cdef packet_t* p = run.p
    cdef uint32_t header, at, length = p.len - p.l4_off
    cdef uint16_t before, mss = <uint16_t>op.a[0]
    cdef uint8_t* th
    if mss == 0:
        mss = PATH_MTU - (40 if p.ip_version == 4 else 60)
    if not has_tcp(run):
        return RULE_DROP if p.l4_off + 20 > p.len else RULE_CONTINUE
    header = (p.data[p.l4_off + 12] >> 4) * 4
    if length < header or header < 20:
        return RULE_DROP
    if p.l4_off + header > p.cap_len:
        return RULE_CONTINUE
    at = 20
    while at + MSS_LENGTH <= header:
        th = <uint8_t*>p.data + p.l4_off
        if th[at] == TCPOPT_MSS and th[at + 1] == MSS_LENGTH:
            before = load_be16(th + at + 2)
            if before > mss and writable(run) != NULL:
                th = run.copy + p.l4_off
                store_be16(th + at + 2, mss)
                sum_replace32(th + 16, swap16(before), swap16(mss))
            return RULE_CONTINUE
        at += option_length(th + at)
    if length > header or header == 60 or writable(run) == NULL:
        return RULE_CONTINUE
    add_mss(run, mss)
    return RULE_CONTINUE


cdef void add_mss(run_t* run, uint16_t mss) noexcept nogil:
    """Put an MSS in front of the options of a segment without data.

    => ``run.copy`` is there, and has room.
    """
    cdef packet_t* p = run.p
    cdef uint8_t* th = run.copy + p.l4_off
    cdef uint32_t length = p.len - p.l4_off
    cdef uint32_t least = 536 if p.ip_version == 4 else 1220       # what who says nothing takes
    cdef uint16_t before
    cdef uint8_t* ip_length = run.copy + (2 if p.ip_version == 4 else 4)
    memmove(th + 24, th + 20, length - 20)
    sum_replace32(th + 16, swap16(<uint16_t>length), swap16(<uint16_t>(length + MSS_LENGTH)))
    th[20], th[21] = TCPOPT_MSS, MSS_LENGTH
    store_be16(th + 22, mss if mss < least else least)
    sum_replace32(th + 16, 0, load_u32(th + 20))
    before = load_u16(th + 12)
    th[12] += 0x10
    sum_replace32(th + 16, before, load_u16(th + 12))
    before = load_u16(ip_length)
    store_be16(ip_length, load_be16(ip_length) + MSS_LENGTH)
    if p.ip_version == 4:
        sum_replace16(run.copy + 10, before, load_u16(ip_length))
    p.len += MSS_LENGTH
    p.cap_len += MSS_LENGTH
    p.options_len += MSS_LENGTH


cdef rule_verdict tcpoptstrip_work(const op_t* op, run_t* run) noexcept nogil:
    """blob: a bit for each option"""
    cdef packet_t* p = run.p
    cdef uint32_t header, length, at = 20
    cdef uint8_t* th
    if not has_tcp(run):
        return RULE_DROP if p.l4_off + 20 > p.len else RULE_CONTINUE
    header = (p.data[p.l4_off + 12] >> 4) * 4
    if header < 20 or p.l4_off + header > p.len:
        return RULE_DROP
    if p.l4_off + header > p.cap_len:
        return RULE_CONTINUE
    while at + 1 < header:
        th = <uint8_t*>p.data + p.l4_off
        length = option_length(th + at)
        if at + length > header:
            break
        if op.blob[th[at] >> 3] >> (th[at] & 7) & 1:
            if writable(run) == NULL:
                break
            strip_option(run.copy + p.l4_off, at, length)
        at += length
    return RULE_CONTINUE


cdef void strip_option(uint8_t* th, uint32_t at, uint32_t length) noexcept nogil:
    cdef uint32_t i, shift
    for i in range(at, at + length):
        shift = 0 if i & 1 else 8
        sum_replace32(th + 16, swap16(<uint16_t>(<uint32_t>th[i] << shift)),
                      swap16(<uint16_t>(TCPOPT_NOP << shift)))
    memset(th + at, TCPOPT_NOP, length)


cdef rule_verdict checksum_work(const op_t* op, run_t* run) noexcept nogil:
    """Complete a sum that the sender left to its network card."""
    cdef packet_t* p = run.p
    cdef uint8_t* at
    if p.sum != SUM_OFFLOADED or p.cap_len != p.len or p.l4proto != PROTO_TCP and p.l4proto != PROTO_UDP:
        return RULE_CONTINUE
    if writable(run) == NULL:
        return RULE_CONTINUE
    at = run.copy + p.l4_off + (16 if p.l4proto == PROTO_TCP else 6)
    at[0] = at[1] = 0
    transport_sum(run.copy, p.l4proto, run.copy + p.l4_off, p.len - p.l4_off, at)
    if load_u16(at) == 0:
        at[0] = at[1] = 0xFF
    return RULE_CONTINUE


# ---- prefixes of IPv6

cdef bint map_prefix(const op_t* op, uint8_t* address) noexcept nogil:
    """Exchange the prefix of an address, and something behind it so that sums stay what they are."""
    cdef uint32_t bits = <uint32_t>op.a[0], word, at, left
    cdef uint8_t mask
    cdef uint16_t sum
    for at in range((bits + 7) // 8):
        left = bits - at * 8
        mask = <uint8_t>(0xFF if left >= 8 else 0xFF00 >> left)
        address[at] = address[at] & ~mask | op.blob[at] & mask
    word = 3
    if bits > 48:
        word = 4
        while word < 8 and load_u16(address + 2 * word) == 0xFFFF:
            word += 1
        if word == 8:
            return False
    sum = sum_fold(<uint32_t>load_u16(address + 2 * word) + swap16(<uint16_t>op.a[1]))
    if sum == 0xFFFF:
        sum = 0
    memcpy(address + 2 * word, &sum, 2)
    return True


cdef rule_verdict npt_work(const op_t* op, run_t* run) noexcept nogil:
    """a: bits of the longer prefix, adjustment of the sum, whether it is the destination, bits of the old prefix; blob:
    the new prefix, the old one"""
    cdef address_t address
    if writable(run) == NULL:
        return RULE_CONTINUE
    if not map_prefix(op, run.copy + (24 if op.a[2] else 8)):
        return RULE_DROP
    map_quoted(op, run)
    run.indexable = False                # its addresses are other ones now
    if op.a[2]:
        packet_address(run.p, True, &address)
        run.destination = route_find(run.routes, 6, &address)
    return RULE_CONTINUE


cdef bint has_prefix(const op_t* op, const uint8_t* address) noexcept nogil:
    """Whether an address has the old prefix."""
    cdef uint32_t whole = <uint32_t>op.a[3] >> 3
    cdef uint8_t mask = <uint8_t>(0xFF00 >> (op.a[3] & 7))
    return memcmp(address, op.blob + 16, whole) == 0 and not (address[whole] ^ op.blob[16 + whole]) & mask


cdef void map_quoted(const op_t* op, run_t* run) noexcept nogil:
    """The same for the packet that an ICMPv6 error is about, whose other end it is."""
    cdef const packet_t* p = run.p
    cdef uint8_t* address = run.copy + p.l4_off + 8 + (8 if op.a[2] else 24)
    if run.copy[6] != PROTO_ICMPV6 or p.l4_off + 48 > p.cap_len or not 1 <= run.copy[p.l4_off] <= ICMPV6_ERRORS:
        return
    if has_prefix(op, address):
        map_prefix(op, address)


OPS = {
    "tos": effect(tos_work, LIVES_PACKET),
    "dscp": effect(dscp_work, LIVES_PACKET),
    "hops": effect(hops_work, LIVES_PACKET),
    "ecn": effect(ecn_work, LIVES_PACKET),
    "tcpmss": effect(tcpmss_work, LIVES_PACKET),
    "tcpoptstrip": effect(tcpoptstrip_work, LIVES_PACKET),
    "checksum": effect(checksum_work, LIVES_PACKET),
    "npt": effect(npt_work, LIVES_PACKET),
}
