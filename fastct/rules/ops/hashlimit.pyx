"""The condition on rates per address and port.

A table is known by its name, and the first rule that says it gives its figures: how much comes in, what a key is made
of, how many keys there may be and how long. The rule itself says only which side of the limit it is about.

Keys that have been idle for ``expire`` are thrown out at packet times that are multiples of ``interval``, as by the
kernel's garbage collector, whose own moments nobody sees.
"""
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memset

from fastct.rules.compiled cimport LIVES_PACKET, State, condition, op_t, run_t
from fastct.rules.route cimport address_t, packet_address
from fastct.rules.slots cimport (
    LIVE,
    slot_t,
    slots_add,
    slots_find,
    slots_free,
    slots_init,
    slots_item,
    slots_remove,
    slots_t,
)
from fastct.wire.bytes cimport load_be16
from fastct.wire.packet cimport PROTO_DCCP, PROTO_SCTP, PROTO_TCP, PROTO_UDP, PROTO_UDPLITE

cdef enum:
    NS_PER_S = 1000000000
    NS_PER_MS = 1000000
    KEY_WORDS = 5            # destination, source, ports
    BY_DESTINATION = 1       # bits of the mode
    BY_DPORT = 2
    BY_SOURCE = 4
    BY_SPORT = 8
    PROTO_ESP = 50
    PROTO_AH = 51
    CHUNK_SHIFT = 4          # bytes cost by chunks of 16
    SIZE_DEFAULT = 8192      # chains of the kernel's table, which say how many keys there may be
    KEYS_PER_CHAIN = 8
    # Credits that come in: of packets 2^31 in 15625 ns, of bytes 2^16.
    CREDIT_NS = 15625
    PACKET_SHIFT = 31
    BYTE_SHIFT = 16

# How a table counts.
cdef enum:
    COUNT_PACKETS            # credits, a packet costs some
    COUNT_BYTES              # credits, 16 bytes cost some
    COUNT_RATE               # packets or bytes of an interval

cdef uint64_t FULL = 4194304000      # credits for bytes, at most: a second's worth
cdef uint64_t CREDITS_PER_US = (<uint64_t>1 << PACKET_SHIFT) * 1000 // CREDIT_NS

cdef struct rate_t:
    slot_t slot
    uint64_t key[KEY_WORDS]
    uint64_t expires
    uint64_t last
    uint64_t credit          # COUNT_RATE: what the interval has so far
    uint64_t refills         # COUNT_BYTES: how often an empty credit is filled up. COUNT_RATE: the last had too much

cdef struct hashlimit_t:
    slots_t slots
    uint8_t mode
    uint8_t counting
    uint8_t octets
    uint64_t mask[4]         # of destination, source
    uint64_t cost
    uint64_t most            # credits; COUNT_RATE: what an interval may have
    uint64_t refills
    uint64_t rate            # COUNT_RATE: per second
    uint64_t window_ns
    uint64_t expire_ns
    uint64_t interval_ns
    uint64_t swept           # the moment of the last sweep
    uint64_t full            # packets that found no room


cdef class RateTable(State):
    """A table by its name.

    Parameters
    ----------
    value : dict
        As of ``matches.hashlimit``.
    masks : sequence of int
        Destination (high, low), source (high, low).
    """
    cdef hashlimit_t h

    def __cinit__(self, dict value, masks):
        cdef hashlimit_t* h = &self.h
        cdef uint64_t size = value["size"] or SIZE_DEFAULT, most = value["max"] or KEYS_PER_CHAIN * size
        cdef uint64_t rate = value["rate"], burst = value["burst"]
        h.mode, h.octets = value["mode"], value["bytes"]
        for i, mask in enumerate(masks):
            h.mask[<int>i] = mask
        h.expire_ns, h.interval_ns = value["expire"] * <uint64_t>NS_PER_MS, value["gcinterval"] * <uint64_t>NS_PER_MS
        if value["rate-match"]:
            self._rate_match(rate, burst, value["interval"])
        elif h.octets:
            h.counting, h.most, h.refills = COUNT_BYTES, FULL, burst
            h.cost = rate * FULL >> 32
        else:
            h.counting = COUNT_PACKETS
            h.cost = rate * CREDITS_PER_US
            h.most = rate * burst * CREDITS_PER_US
        slots_init(&h.slots, <uint32_t>max(most, size if value["max"] else most), KEY_WORDS, sizeof(rate_t))
        self.at = h

    def _rate_match(self, uint64_t rate, uint64_t burst, uint64_t interval):
        self.h.counting, self.h.window_ns = COUNT_RATE, interval * NS_PER_S
        if self.h.octets:
            self.h.rate = ((<uint64_t>0xFFFFFFFF // rate if rate else 0xFFFFFFFF) - 1) << CHUNK_SHIFT
            self.h.most = burst * self.h.rate if burst else self.h.rate
        else:
            self.h.rate = 1000000 // rate if rate else 0
            self.h.most = burst + self.h.rate

    def __dealloc__(self):
        slots_free(&self.h.slots)

    @property
    def full(self):
        """Packets that were dropped because there was no room for their key."""
        return self.h.full


cdef bint ports(const run_t* run, uint16_t* sport, uint16_t* dport) noexcept nogil:
    """The first four bytes of protocols that have ports, or an SPI there; False if they are not in the packet."""
    cdef uint32_t at = run.p.l4_off
    cdef uint8_t protocol = run.p.l4proto
    sport[0] = dport[0] = 0
    if protocol == PROTO_AH:
        at += 4
    elif not (protocol == PROTO_TCP or protocol == PROTO_UDP or protocol == PROTO_DCCP or protocol == PROTO_ESP
              or protocol == PROTO_SCTP or protocol == PROTO_UDPLITE):
        return True
    if at + 4 > run.p.cap_len:
        return False
    sport[0], dport[0] = load_be16(run.p.data + at), load_be16(run.p.data + at + 2)
    return True


cdef bint packet_key(const hashlimit_t* h, const run_t* run, uint64_t* key) noexcept nogil:
    cdef address_t address
    cdef uint16_t sport, dport
    memset(key, 0, KEY_WORDS * sizeof(uint64_t))
    if h.mode & BY_DESTINATION:
        packet_address(run.p, True, &address)
        key[0], key[1] = address.hi & h.mask[0], address.lo & h.mask[1]
    if h.mode & BY_SOURCE:
        packet_address(run.p, False, &address)
        key[2], key[3] = address.hi & h.mask[2], address.lo & h.mask[3]
    if not h.mode & (BY_DPORT | BY_SPORT):
        return True
    if not ports(run, &sport, &dport):
        return False
    key[4] = (sport if h.mode & BY_SPORT else 0) << 16 | (dport if h.mode & BY_DPORT else 0)
    return True


cdef void sweep(hashlimit_t* h, uint64_t moment) noexcept nogil:
    """Throw out all keys that were idle for too long at some moment."""
    cdef uint32_t i
    cdef rate_t* rate
    h.swept = moment
    for i in range(1, h.slots.used + 1):
        rate = <rate_t*>slots_item(&h.slots, i)
        if rate.slot.next_free == LIVE and rate.expires <= moment:
            slots_remove(&h.slots, &rate.slot)


cdef rate_t* begin(hashlimit_t* h, const uint64_t* key, uint64_t now, uint64_t moment) noexcept nogil:
    cdef rate_t* rate
    if h.slots.count == h.slots.capacity and h.swept != moment:
        sweep(h, moment)
    rate = <rate_t*>slots_add(&h.slots, key)
    if rate == NULL:
        h.full += 1
        return NULL
    rate.last = now
    if h.counting != COUNT_RATE:
        rate.credit, rate.refills = h.most, h.refills
    return rate


cdef inline uint64_t credits(uint64_t ns, int shift) noexcept nogil:
    return ((ns // CREDIT_NS) << shift) + ((ns % CREDIT_NS << shift) // CREDIT_NS)


cdef void go_on(const hashlimit_t* h, rate_t* rate, uint64_t now) noexcept nogil:
    """Bring a key's credit or interval up to date."""
    cdef uint64_t passed = now - rate.last
    if h.counting == COUNT_RATE:
        if passed >= h.window_ns:
            rate.refills = rate.credit * (h.window_ns // <uint64_t>NS_PER_MS) > passed // <uint64_t>NS_PER_MS * h.rate
            rate.credit = 0
            rate.last = now
        return
    rate.last = now
    rate.credit += credits(passed, PACKET_SHIFT if h.counting == COUNT_PACKETS else BYTE_SHIFT)
    if rate.credit > h.most:
        rate.credit = h.most


cdef uint64_t byte_cost(const hashlimit_t* h, rate_t* rate, uint32_t length) noexcept nogil:
    cdef uint64_t cost = ((length >> CHUNK_SHIFT) + 1) * h.cost
    if cost > FULL:
        cost = FULL
    if rate.credit < cost and rate.refills:
        rate.refills -= 1
        rate.credit = FULL
    return cost


cdef bint below(const hashlimit_t* h, rate_t* rate, uint32_t length) noexcept nogil:
    """Whether a packet is below the limit, which takes it into account."""
    cdef uint64_t cost
    if h.counting == COUNT_RATE:
        rate.credit += length if h.octets else 1
        return not rate.refills and rate.credit <= h.most
    cost = byte_cost(h, rate, length) if h.counting == COUNT_BYTES else h.cost
    if rate.credit < cost:
        return False
    rate.credit -= cost
    return True


cdef bint hashlimit_test(const op_t* op, run_t* run) noexcept nogil:
    """Holds below the limit; a packet without ports, or without room for its key, is dropped."""
    cdef hashlimit_t* h = <hashlimit_t*>op.state
    cdef uint64_t key[KEY_WORDS]
    cdef uint64_t now = run.ct.now
    cdef uint64_t moment = now - now % h.interval_ns
    cdef rate_t* rate
    if not packet_key(h, run, key):
        run.hotdrop |= run.p.cap_len == run.p.len
        return op.invert
    rate = <rate_t*>slots_find(&h.slots, key)
    if rate != NULL and rate.expires <= moment:
        slots_remove(&h.slots, &rate.slot)
        rate = NULL
    if rate != NULL:
        go_on(h, rate, now)
    else:
        rate = begin(h, key, now, moment)
        if rate == NULL:
            run.hotdrop = True
            return op.invert
    rate.expires = now + h.expire_ns
    return below(h, rate, run.p.len)


OPS = {
    "hashlimit": condition(hashlimit_test, LIVES_PACKET),
}
