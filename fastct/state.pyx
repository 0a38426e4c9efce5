"""The state of an engine as numbers and records: what a snapshot is made of.

    state_numbers        counters, times, settings, the key: a dictionary of plain values
    state_connections    the connections, a block of buckets at a time, in the order of the index; among them the
                         entries that replies' tuples have of their own
                           uint32 n, n6, nx │ n conn_image_t │ n6 addr6_t │ nx extra_image_t
                           the addresses of the IPv6 ones and the extras of those that have one, in order
    state_expectations   what is expected, a block at a time, in order of creation: expect_image_t
    state_calls          what the PPTP keymap knows, the older first where two are about the same: call_image_t
    state_probation      the candidates for early drop, a block at a time, in their order: uint64 numbers, 0: ended

What makes an engine of them again is in ``restore.pyx``.
"""
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

import numpy as np

from fastct.conntrack.conn cimport CONN_REPLY, conn_is_one, conn_t
from fastct.conntrack.core cimport CT_STATES, ct_number, ct_t
from fastct.conntrack.early_drop cimport candidate_t, probation_t
from fastct.conntrack.expect cimport expect_t, expects_t
from fastct.conntrack.extra cimport NO_EXTRA, extra_t
from fastct.conntrack.helpers.pptp cimport pptp_t
from fastct.conntrack.keymap cimport KEYMAP_BUCKETS, NO_CALL, call_t
from fastct.conntrack.table cimport (
    LINE_PLACES,
    LOAD_PERCENT,
    addr6_t,
    line_t,
    line_used,
    lowest_bit,
    table_t,
)
from fastct.conntrack.verdict cimport ENDS_COUNT
from fastct.engine cimport engine_t
from fastct.face cimport Engine
from fastct.wire.packet cimport hash_key_t
from fastct.wire.reason cimport Reason

from fastct.records import CTSTATES, ENDS, HELPERS
from fastct.wire.reason import REASONS

cdef enum:
    BLOCK = 16384                # connections of a block, but for the last bucket

# 64-bit numbers of an engine by name; the pointers of `number_at` stand in the same order.
NUMBERS = ("now", "created", "packets", "bytes", "offload_packet", "first_ns", "gc_at", "sweep_began",
           "sweep_began_before", "sweeps", "scanned", "expect_new", "expect_create", "expect_delete",
           "full", "chain_too_long", "fragment_datagrams", "fragment_queues_expired", "fragment_queues_far")


cdef uint64_t* number_at(engine_t* e, int i) noexcept:
    cdef uint64_t* numbers[19]
    numbers[:] = [
        &e.ct.now, &e.ct.created, &e.stats.packets, &e.stats.bytes, &e.stats.offload_packet, &e.stats.first_ns,
        &e.gc_at, &e.ct.table.sweep_began, &e.ct.table.sweep_began_before, &e.ct.table.swept, &e.ct.table.scanned,
        &e.ct.expects.taken, &e.ct.expects.created, &e.ct.expects.deleted,
        &e.ct.full, &e.ct.table.chain_too_long, &e.defrag.datagrams, &e.defrag.expired, &e.defrag.far]
    return numbers[i]


# Counters by word: the engine's arrays, and the words of their places.
cdef uint64_t* counters_at(engine_t* e, str group) noexcept:
    if group == "ctstates":
        return &e.stats.states[0]
    return &e.ct.ended[0] if group == "ends" else &e.stats.reasons[0]


COUNTERS = {"ctstates": CTSTATES, "ends": ENDS, "reasons": REASONS}
assert len(CTSTATES) == CT_STATES and len(ENDS) == ENDS_COUNT and len(REASONS) == <int>Reason.reasons

# Sizes of the records: a file with others is of another version.
RECORD_BYTES = [sizeof(conn_image_t), sizeof(addr6_t), sizeof(extra_image_t), sizeof(expect_image_t),
                sizeof(call_image_t)]

cdef uint8_t _pptp = HELPERS.index("pptp")

_CHECKSUM_MODES = ("on", "off", "auto")      # by checksum_mode


# ---- out

cdef bint index_is_kept(const table_t* t) noexcept:
    """Whether the index may be made again as it is: one that memory failed, or that is nearly empty, is built anew."""
    cdef uint64_t entries = t.count + t.replies
    return (entries * 100 <= t.n_lines * <uint64_t>(LINE_PLACES * LOAD_PERCENT)
            and t.n_lines <= entries * 4 + LINES_SPARE)


def state_numbers(Engine engine not None):
    """All of an engine but its connections: dict of str, int, bytes as hex, and dicts of them."""
    cdef engine_t* e = engine.e
    cdef table_t* t = &e.ct.table
    cdef int i
    state = {name: number_at(e, i)[0] for i, name in enumerate(NUMBERS)}
    for group, words in COUNTERS.items():
        state[group] = {words[i]: counters_at(e, group)[i] for i in range(len(words))}
    return state | {
        "record_bytes": RECORD_BYTES,
        "key": (<const char*>&t.secret)[:sizeof(hash_key_t)].hex(),
        "checksum": _CHECKSUM_MODES[e.checksum],
        "gc_budget": e.gc_lines,
        "count": t.count,
        "replies": t.replies,
        "slots": t.conns_max,
        "lines": t.n_lines if index_is_kept(t) else 0,
        "sweep_line": t.sweep_line,
        "expectations": e.ct.expects.count,
        "expect_sweep": e.ct.expects.sweep,
        "fragment_queues": e.defrag.ip4.count + e.defrag.ip6.count,
        "candidates": e.ct.probation.tail - e.ct.probation.head,
        "pressure": e.ct.pressure,
        "policies": engine.policies,
    }


cdef const line_t* following(const table_t* t, const line_t* line) noexcept nogil:
    """The next line of a bucket, or NULL."""
    return &t.overflow[line.next] if line.next else NULL


cdef uint32_t count_block(const table_t* t, uint32_t* end) noexcept nogil:
    """From bucket ``end`` on, as many as make a block; returns its connections."""
    cdef uint32_t n = 0
    cdef unsigned int used
    cdef const line_t* line
    while end[0] < t.n_lines and n < BLOCK:
        line = &t.lines[end[0]]
        end[0] += 1
        while line != NULL:
            used = line_used(line)
            while used:
                used &= used - 1
                n += 1
            line = following(t, line)
    return n


cdef void put_extra(const extra_t* x, extra_image_t* image) noexcept nogil:
    memset(image, 0, sizeof(extra_image_t))
    image.master, image.mark = x.master, x.mark
    image.has_labels, image.helper, image.policy = x.has_labels, x.helper, x.policy
    memcpy(image.labels, x.labels, sizeof(x.labels))
    memcpy(image.state, x.state, sizeof(x.state))
    if x.helper == _pptp:        # where in the keymap its calls lie means nothing elsewhere
        (<pptp_t*>image.state).keymap[0] = (<pptp_t*>image.state).keymap[1] = NO_CALL


cdef void fill_block(const ct_t* ct, uint32_t begin, uint32_t end, conn_image_t* image, addr6_t* addr6,
                     extra_image_t* extra, uint32_t* counts) noexcept nogil:
    """Records of the connections in some buckets; ``counts``: how many have IPv6 addresses, and an extra."""
    cdef const table_t* t = &ct.table
    cdef uint32_t slot, bucket
    cdef unsigned int used
    cdef const line_t* line
    for bucket in range(begin, end):
        line = &t.lines[bucket]
        while line != NULL:
            used = line_used(line)
            while used:
                image.place = <uint8_t>lowest_bit(used)
                slot = line.slot[image.place]
                image.conn = t.conns[slot]
                image.conn.memo = 0
                image.start_ns = t.start_ns[slot]
                if image.conn.key.l3proto == 6:
                    addr6[counts[0]] = t.addr6[slot]
                    counts[0] += 1
                if image.conn.flags & CONN_REPLY:
                    image.conn.number, image.start_ns = t.conns[image.conn.number].number, 0
                elif image.conn.extra != NO_EXTRA:
                    put_extra(&ct.extras.items[image.conn.extra], &extra[counts[1]])
                    image.conn.extra = 1
                    counts[1] += 1
                image += 1
                used &= used - 1
            line = following(t, line)


def state_connections(Engine engine not None):
    """Yield blocks of connections: lists of buffers. The engine must not change meanwhile."""
    cdef table_t* t = &engine.e.ct.table
    cdef uint32_t begin = 0, end = 0, n
    cdef uint32_t counts[2]
    while begin < t.n_lines:
        n = count_block(t, &end)
        images = np.zeros(n * sizeof(conn_image_t), dtype=np.uint8)
        addresses = np.empty(n * sizeof(addr6_t), dtype=np.uint8)
        extras = np.empty(n * sizeof(extra_image_t), dtype=np.uint8)
        memset(counts, 0, sizeof(counts))
        fill_block(&engine.e.ct, begin, end, <conn_image_t*><size_t>images.ctypes.data,
                   <addr6_t*><size_t>addresses.ctypes.data, <extra_image_t*><size_t>extras.ctypes.data, counts)
        if n:
            yield [np.array([n, counts[0], counts[1]], dtype=np.uint32), images,
                   addresses[:counts[0] * sizeof(addr6_t)], extras[:counts[1] * sizeof(extra_image_t)]]
        begin = end


def state_expectations(Engine engine not None):
    """Yield blocks of expectations: lists of one buffer."""
    cdef const expects_t* e = &engine.e.ct.expects
    cdef expect_image_t* image
    cdef const expect_t* x
    cdef uint32_t i
    taken = sorted((e.items[i].serial, i) for i in range(1, e.used) if e.items[i].ends.l3proto)
    for begin in range(0, len(taken), BLOCK):
        block = taken[begin:begin + BLOCK]
        images = np.zeros(len(block) * sizeof(expect_image_t), dtype=np.uint8)
        image = <expect_image_t*><size_t>images.ctypes.data
        for _, index in block:
            x = &e.items[<uint32_t>index]
            image.master, image.deadline_ns, image.timeout_s = x.master, x.deadline_ns, x.timeout_s
            image.ends = x.ends
            memcpy(image.mask, x.mask, sizeof(x.mask))
            image.sport_mask, image.flags, image.kind = x.sport_mask, x.flags, x.kind
            image.helper, image.assign = x.helper, x.assign
            image += 1
        yield [images]


cdef uint8_t direction_of(const ct_t* ct, uint32_t index) noexcept nogil:
    """Which direction of its control connection's call an entry of the keymap is about."""
    cdef const conn_t* master = &ct.table.conns[ct.keymap.items[index].master_slot]
    return (<const pptp_t*>ct.extras.items[master.extra].state).keymap[1] == index


def state_calls(Engine engine not None):
    """Yield blocks of entries of the keymap: lists of one buffer."""
    cdef const ct_t* ct = &engine.e.ct
    cdef const call_t* call
    cdef call_image_t* image
    cdef uint32_t index, n = 0
    cdef int head
    if not ct.keymap.count:
        return
    images = np.zeros(ct.keymap.count * sizeof(call_image_t), dtype=np.uint8)
    image = <call_image_t*><size_t>images.ctypes.data
    for head in range(KEYMAP_BUCKETS):
        index = ct.keymap.heads[head]
        while index != NO_CALL:
            call = &ct.keymap.items[index]
            image[n].master = ct_number(ct, &ct.table.conns[call.master_slot])
            image[n].src, image[n].dst, image[n].src_id, image[n].dst_id = call.src, call.dst, call.src_id, call.dst_id
            image[n].direction = direction_of(ct, index)
            index = call.next
            n += 1
    for begin in range(0, len(images), BLOCK * sizeof(call_image_t)):
        yield [images[begin:begin + BLOCK * sizeof(call_image_t)]]


def state_probation(Engine engine not None):
    """Yield blocks of candidates: lists of one buffer."""
    cdef const ct_t* ct = &engine.e.ct
    cdef const probation_t* p = &ct.probation
    cdef const candidate_t* a
    cdef uint64_t[::1] view
    cdef uint64_t i, begin = p.head
    while begin < p.tail:
        numbers = np.zeros(min(p.tail - begin, <uint64_t>BLOCK), dtype=np.uint64)
        view = numbers
        for i in range(<uint64_t>view.shape[0]):
            a = &p.ring[(begin + i) & p.mask]
            if conn_is_one(&ct.table.conns[a.slot]) and ct.table.conns[a.slot].number == a.number:
                view[i] = ct_number(ct, &ct.table.conns[a.slot])
        yield [numbers]
        begin += <uint64_t>view.shape[0]
