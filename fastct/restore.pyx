"""An engine from the numbers and records of ``state.pyx``.

    engine_from          an empty engine with such numbers
    take_connections     puts a block in
    complete             all is in (``join.pyx``): is it what the numbers say?

An engine that is made again goes on exactly as the old one would have: connections lie in the same places of the
same index, so that even what a full table gives up is the same. With another key the index is built anew.

Nothing that comes in is trusted. A record is put in only if it is what the tracker could have made: every value in
its range, the tuple canonical and not there yet. What is wrong raises ValueError.
"""
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcmp, memcpy, memset

cimport cython

from fastct.conntrack.conn cimport (
    CONN_FLIP,
    CONN_HELPED,
    CONN_PAIRED,
    CONN_POLICY,
    CONN_REPLY,
    CONN_RIVAL,
    IPS_ASSURED,
    IPS_CONFIRMED,
    IPS_DST_NAT,
    IPS_DST_NAT_DONE,
    IPS_EXPECTED,
    IPS_FIXED_TIMEOUT,
    IPS_HELPER,
    IPS_SEEN_REPLY,
    IPS_SRC_NAT,
    IPS_SRC_NAT_DONE,
    NO_SLOT,
    conn_t,
    tcp_conn_t,
)
from fastct.conntrack.expect cimport EXPECT_BUCKETS
from fastct.conntrack.extra cimport NO_EXTRA, extra_t, extras_of
from fastct.conntrack.helper cimport helper_is_sound
from fastct.conntrack.pair cimport pair_is_taken
from fastct.conntrack.sctp cimport SCTP_CLOSED, SCTP_HEARTBEAT_SENT
from fastct.conntrack.table cimport (
    FIRST_LINES,
    LINE_PLACES,
    LOAD_PERCENT,
    addr6_t,
    table_find,
    table_insert,
    table_insert_at,
    table_lines,
    table_t,
)
from fastct.conntrack.tcp cimport TCP_IS_NONE, TCP_SYN_SENT2
from fastct.engine cimport SLOTS_MAX, engine_t
from fastct.face cimport Engine
from fastct.state cimport LINES_SPARE, conn_image_t, counters_at, extra_image_t, number_at
from fastct.wire.packet cimport PROTO_ICMP, PROTO_ICMPV6, PROTO_SCTP, PROTO_TCP, hash_key_t, packet_t
from fastct.wire.tuples cimport tuple_of

from fastct.face import Engine as new_engine
from fastct.state import COUNTERS, NUMBERS, RECORD_BYTES

cdef enum:
    SCALE_MAX = 14
    STATUS_KNOWN = (IPS_EXPECTED | IPS_SEEN_REPLY | IPS_ASSURED | IPS_CONFIRMED | IPS_FIXED_TIMEOUT | IPS_HELPER
                    | IPS_SRC_NAT | IPS_DST_NAT | IPS_SRC_NAT_DONE | IPS_DST_NAT_DONE)
    FLAGS_KNOWN = CONN_FLIP | CONN_HELPED | CONN_POLICY | CONN_PAIRED | CONN_RIVAL
    FLAGS_OF_REPLY = CONN_FLIP | CONN_REPLY | CONN_RIVAL

cdef uint64_t TIMEOUT_MAX_NS = <uint64_t>0xFFFFFFFF * 1000000000
cdef uint64_t MOST = <uint64_t>-1

# By fault_t.
FAULTS = ("", "not a tuple of the tracker's", "a time out of order", "unknown status bits",
          "a state its protocol does not have", "something in a reserved field", "a number that was never given",
          "its addresses are missing", "an extra that nothing has", "a master that is not there",
          "not where the index would have it", "a tuple that is there already")


# ---- numbers

cdef uint64_t number_of(dict state, name, uint64_t highest=MOST, uint64_t lowest=0) except? 0:
    """A number of the state, once it is one and in range."""
    value = state.get(name)
    if type(value) is not int or not lowest <= value <= highest:
        raise ValueError(f"{name}: expected {lowest} to {highest}, got {value!r}")
    return value


cdef bytes key_of(dict state):
    text = state.get("key")
    try:
        key = bytes.fromhex(text)
    except (TypeError, ValueError):
        key = b""
    if len(key) != sizeof(hash_key_t):
        raise ValueError("key: not a hash key")
    return key


cdef int take_counters(engine_t* e, dict state) except -1:
    """The counters by word; those of words that the writer did not know are 0."""
    for group, words in COUNTERS.items():
        counts = state.get(group)
        if not isinstance(counts, dict) or not counts.keys() <= set(words):
            raise ValueError(f"{group}: not counters of this version")
        for i in range(len(words)):
            if words[i] in counts:
                counters_at(e, group)[<int>i] = number_of(counts, words[i])
    return 0


cdef int take_policies(Engine engine, policies) except -1:
    """The timeout policies: sets of timeouts, each different, by number."""
    if not isinstance(policies, list) or not all(isinstance(timeouts, dict) for timeouts in policies):
        raise ValueError("policies: not sets of timeouts")
    for number, timeouts in enumerate(policies):
        if engine._policy(timeouts) != number:
            raise ValueError("policies: two are the same")
    return 0


def engine_from(dict state not None, dict settings not None, bint keep_ended=False, bint keep_events=False, key=None):
    """An engine with the numbers of ``state``, still without its connections.

    Parameters
    ----------
    state : dict
        As ``state_numbers`` gives it.
    settings : dict
        What else an engine is made with: ``sysctls``, and others of its arguments by name.
    key : bytes, optional
        Another hash key.

    Raises
    ------
    ValueError
        For what no engine has.
    """
    if state.get("record_bytes") != RECORD_BYTES:
        raise ValueError("records of another layout")
    cdef uint64_t count = number_of(state, "count", SLOTS_MAX)
    cdef uint64_t slots = number_of(state, "slots", SLOTS_MAX, count)
    cdef uint64_t entries = count + number_of(state, "replies", count)
    # Room is reserved for as many as the old engine was made for, whatever its limit was later.
    cdef Engine engine = new_engine(
        key or key_of(state), settings["sysctls"] | {"nf_conntrack_max": slots % SLOTS_MAX},
        checksum=str(state.get("checksum")), keep_ended=keep_ended, keep_events=keep_events,
        **{name: value for name, value in settings.items() if name != "sysctls"})
    engine.configure(settings["sysctls"], settings["personality"])
    take_policies(engine, state.get("policies"))
    cdef engine_t* e = engine.e
    cdef table_t* t = &e.ct.table
    cdef int i
    for i, name in enumerate(NUMBERS):
        number_at(e, i)[0] = number_of(state, name)
    for name in ("gc_at", "sweep_began", "sweep_began_before"):
        number_of(state, name, e.ct.now)
    take_counters(e, state)
    e.gc_lines = <uint32_t>number_of(state, "gc_budget", 1 << 20, 1)
    number_of(state, "count", e.ct.created)
    cdef uint64_t lines = number_of(state, "lines", entries * 4 + LINES_SPARE)
    t.sweep_line = <uint32_t>number_of(state, "sweep_line", MOST >> 32)
    if lines and (lines < FIRST_LINES or entries * 100 > lines * <uint64_t>(LINE_PLACES * LOAD_PERCENT)):
        raise ValueError(f"lines: {lines} are not the index of {entries} entries")
    if lines and key is None and not table_lines(t, <uint32_t>lines):
        raise ValueError("lines: no room for the index")
    return engine


# What the records of a snapshot go into.
cdef struct loading_t:
    engine_t* e
    uint8_t policies         # timeout policies that there are
    bint placed              # into the places that the records name


cdef bint tcp_is_sound(const tcp_conn_t* tcp) noexcept nogil:
    return (tcp.side[0].scale <= SCALE_MAX and tcp.side[1].scale <= SCALE_MAX and tcp.last_dir <= 1
            and tcp.last_index <= TCP_IS_NONE and tcp.reserved == 0)


cdef fault_t check_record(const engine_t* e, const conn_image_t* image) noexcept nogil:
    """All that can be said without the table."""
    cdef const conn_t* c = &image.conn
    cdef uint8_t i
    if image.place >= LINE_PLACES:
        return BAD_PLACE
    for i in range(7):
        if image.reserved[i]:
            return BAD_RESERVED
    if c.extra > 1 or c.flags & ~FLAGS_KNOWN:
        return BAD_RESERVED
    if c.key.l3proto != 4 and c.key.l3proto != 6:
        return BAD_TUPLE
    if image.start_ns > c.last_ns or c.last_ns > e.ct.now:
        return BAD_TIME
    if c.deadline_ns > e.ct.now and c.deadline_ns - e.ct.now > TIMEOUT_MAX_NS:
        return BAD_TIME
    if c.status & ~STATUS_KNOWN or not c.status & IPS_CONFIRMED:
        return BAD_STATUS
    if <uint32_t>(<uint32_t>e.ct.created - c.number) >= e.ct.created:
        return BAD_NUMBER
    if c.key.l4proto == PROTO_SCTP:
        return GOOD if SCTP_CLOSED <= c.state <= SCTP_HEARTBEAT_SENT else BAD_STATE
    if c.key.l4proto != PROTO_TCP:
        return BAD_STATE if c.state else GOOD
    if c.state > TCP_SYN_SENT2 or not tcp_is_sound(&c.proto.tcp):
        return BAD_STATE
    return GOOD


cdef bint packet_of(engine_t* e, packet_t* p, const conn_t* c, const addr6_t* addr6, uint8_t* ip) noexcept nogil:
    """The packet whose tuple a record's key is, with the hash it has here; False if no packet has that one.

    => ``ip`` has 40 bytes and must live as long as ``p``.
    """
    cdef uint8_t l4[8]
    cdef bint v4 = c.key.l3proto == 4
    memset(l4, 0, sizeof(l4))
    p.slot = NO_SLOT
    if v4:
        memcpy(ip + 12, c.key.addr, 8)
    else:
        memcpy(ip + 8, addr6, sizeof(addr6_t))
    if c.key.l4proto == (PROTO_ICMP if v4 else PROTO_ICMPV6):
        memcpy(l4, &c.key.id[1], 2)
        memcpy(l4 + 4, &c.key.id[0], 2)
    else:
        memcpy(l4, c.key.id, 4)
    if not tuple_of(p, ip, c.key.l3proto, c.key.l4proto, l4, c.key.zone, &e.wire):
        return False
    return not p.flip


cdef fault_t check_reply(const engine_t* e, const conn_image_t* image) noexcept nogil:
    """The entry of a reply's tuple has nothing but that, and the number of its connection."""
    cdef conn_image_t plain
    memset(&plain, 0, sizeof(plain))
    plain.conn.key, plain.conn.number, plain.place = image.conn.key, image.conn.number, image.place
    plain.conn.flags = image.conn.flags & FLAGS_OF_REPLY
    if image.place >= LINE_PLACES:
        return BAD_PLACE
    if memcmp(&plain, image, sizeof(plain)):
        return BAD_RESERVED
    if image.conn.key.l3proto != 4 and image.conn.key.l3proto != 6:
        return BAD_TUPLE
    return BAD_NUMBER if <uint32_t>(<uint32_t>e.ct.created - image.conn.number) >= e.ct.created else GOOD


cdef fault_t check_extra(const conn_t* c, const extra_image_t* image, extra_t* x,
                         const loading_t* loading) noexcept nogil:
    """Fill ``x``, but for what belongs to others, if the connection may have that; ``image``: NULL, it has none."""
    memset(x, 0, sizeof(extra_t))
    if image != NULL:
        if image.master > loading.e.ct.created or image.has_labels > 1 or image.reserved:
            return BAD_EXTRA
        if image.policy >= loading.policies and (image.policy or c.flags & CONN_POLICY):
            return BAD_EXTRA
        x.master, x.mark = image.master, image.mark
        x.has_labels, x.helper, x.policy = image.has_labels, image.helper, image.policy
        memcpy(x.labels, image.labels, sizeof(x.labels))
        memcpy(x.state, image.state, sizeof(x.state))
        x.reply_slot = NO_SLOT       # until join_connections
        if not helper_is_sound(x, c.key.l3proto, c.key.l4proto):
            return BAD_EXTRA
    elif c.flags & (CONN_POLICY | CONN_PAIRED):
        return BAD_EXTRA
    return GOOD if (x.helper != 0) == (c.flags & CONN_HELPED != 0) else BAD_EXTRA


cdef fault_t take_record(const loading_t* loading, const conn_image_t* image, const addr6_t* addr6,
                         const extra_image_t* extra) noexcept nogil:
    """Put one connection into the table. ``addr6``, ``extra``: NULL, or what belongs to it."""
    cdef engine_t* e = loading.e
    cdef packet_t p
    cdef conn_t c = image.conn
    cdef extra_t x
    cdef extra_t* own
    cdef uint8_t ip[40]
    cdef uint32_t slot
    cdef bint is_reply = image.conn.flags & CONN_REPLY != 0
    cdef fault_t fault = check_reply(e, image) if is_reply else check_record(e, image)
    if fault == GOOD and not is_reply:
        fault = check_extra(&c, extra, &x, loading)
    if fault != GOOD:
        return fault
    if not packet_of(e, &p, &c, addr6, ip):
        return BAD_TUPLE
    c.key = p.key                # of IPv6, the digest of the addresses under this key
    c.extra = NO_EXTRA
    c.memo = 0                   # paths are of rules, which a snapshot does not have
    if table_find(&e.ct.table, &p) != NO_SLOT and pair_is_taken(&e.ct, &p, &c):
        return TWICE
    if loading.placed:
        slot = table_insert_at(&e.ct.table, &p, &c, e.ct.now, image.place)
    else:
        slot = table_insert(&e.ct.table, &p, &c, e.ct.now)
    if slot == NO_SLOT:
        return BAD_PLACE
    e.ct.table.start_ns[slot] = image.start_ns
    e.ct.table.count -= is_reply
    e.ct.table.replies += is_reply
    if extra != NULL:
        own = extras_of(&e.ct.extras, &e.ct.table.conns[slot])
        if own == NULL:
            return BAD_EXTRA
        own[0] = x
    return GOOD


# A block as it is read: its records, and how many of each kind are left.
cdef struct block_t:
    const conn_image_t* images
    const addr6_t* addresses
    const extra_image_t* extras
    uint32_t n, n6, nx


cdef bint open_block(block_t* b, const uint8_t* data, size_t size) noexcept nogil:
    """Find the parts of a block; False if it is not as long as it says."""
    cdef uint32_t counts[3]
    if size < sizeof(counts):
        return False
    memcpy(counts, data, sizeof(counts))
    b.n, b.n6, b.nx = counts[0], counts[1], counts[2]
    b.images = <const conn_image_t*>(data + sizeof(counts))
    b.addresses = <const addr6_t*>(<const uint8_t*>b.images + b.n * sizeof(conn_image_t))
    b.extras = <const extra_image_t*>(<const uint8_t*>b.addresses + b.n6 * sizeof(addr6_t))
    return size == (sizeof(counts) + b.n * <size_t>sizeof(conn_image_t) + b.n6 * <size_t>sizeof(addr6_t)
                    + b.nx * <size_t>sizeof(extra_image_t))


cdef fault_t take_next(const loading_t* loading, block_t* b) noexcept nogil:
    """Put in the next connection of a block, with what belongs to it."""
    cdef const conn_image_t* image = b.images
    cdef const addr6_t* addr6 = NULL
    cdef const extra_image_t* extra = NULL
    if image.conn.key.l3proto == 6:
        if b.n6 == 0:
            return BAD_ADDRESSES
        addr6 = b.addresses
        b.addresses += 1
        b.n6 -= 1
    if image.conn.extra:
        if b.nx == 0:
            return BAD_EXTRA
        extra = b.extras
        b.extras += 1
        b.nx -= 1
    b.images += 1
    return take_record(loading, image, addr6, extra)


def take_connections(Engine engine not None, const uint8_t[::1] block not None, bint placed=True):
    """Put a block of connections into an engine of ``engine_from``.

    Parameters
    ----------
    block : buffer
        The bytes of a block of ``state_connections``.
    placed : bool
        Where the block says: the engine has the key and the index of the one that gave it.

    Raises
    ------
    ValueError
        For a record that the tracker cannot have made. The engine is of no use then.
    """
    cdef block_t b
    cdef loading_t loading
    cdef uint32_t i = 0
    cdef fault_t fault = GOOD
    if block.shape[0] == 0 or not open_block(&b, &block[0], block.shape[0]):
        raise ValueError("connections: not of the length they should have")
    loading.e, loading.policies, loading.placed = engine.e, <uint8_t>len(engine.policies), placed
    with cython.critical_section(engine), nogil:
        while i < b.n and fault == GOOD:
            fault = take_next(&loading, &b)
            i += 1
    if fault == GOOD and b.n6:
        fault = BAD_ADDRESSES
    if fault == GOOD and b.nx:
        fault = BAD_EXTRA
    if fault != GOOD:
        raise ValueError(f"connection {i} of a block: {FAULTS[<int>fault]}")


# ---- the end

def complete(Engine engine not None, dict state not None):
    """Check an engine that all is in, and leave it as the old one was.

    Raises
    ------
    ValueError
        If it is not what ``state`` says.
    """
    cdef engine_t* e = engine.e
    cdef int i
    for name, found in (("count", e.ct.table.count), ("replies", e.ct.table.replies),
                        ("expectations", e.ct.expects.count),
                        ("fragment_queues", e.defrag.ip4.count + e.defrag.ip6.count),
                        ("candidates", e.ct.probation.tail)):
        if number_of(state, name) != found:
            raise ValueError(f"{name}: {state[name]} announced, {found} found")
    e.ct.expect_log.rows = 0             # nothing has happened
    e.ct.pressure = <uint8_t>number_of(state, "pressure", 1)
    e.ct.expects.sweep = <uint32_t>number_of(state, "expect_sweep", EXPECT_BUCKETS - 1)
    # Putting things in has counted some anew, and begun a sweep.
    for i, name in enumerate(NUMBERS):
        number_at(e, i)[0] = state[name]
    if e.ct.table.sweep_line > e.ct.table.n_lines:
        e.ct.table.sweep_line = 0
