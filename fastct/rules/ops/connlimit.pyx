"""The condition on how many connections an address has.

    address, zone ─► list of connections, each by its tuple and where it was

A list is gone through at most once per tick of packet time: what has ended, or is closed, is taken out then. Between
two ticks what ended still counts, as in Linux.
"""
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free

from fastct.conntrack.conn cimport CONN_FLIP, NO_SLOT, conn_t
from fastct.conntrack.core cimport ct_t
from fastct.conntrack.table cimport table_find
from fastct.conntrack.tcp cimport TCP_CLOSE, TCP_TIME_WAIT
from fastct.rules.compiled cimport LIVES_PACKET, State, condition, op_t, run_t
from fastct.rules.route cimport address_t, packet_address
from fastct.rules.slots cimport slot_t, slots_add, slots_find, slots_free, slots_init, slots_t
from fastct.wire.packet cimport (
    PACKET_TRACK,
    PROTO_DCCP,
    PROTO_GRE,
    PROTO_ICMP,
    PROTO_ICMPV6,
    PROTO_SCTP,
    PROTO_TCP,
    PROTO_UDP,
    PROTO_UDPLITE,
    key_equal,
    tuple_key_t,
)

cdef enum:
    KEY_WORDS = 3            # address, zone
    NODES_MAX = 1 << 18      # connections, and addresses, that one rule counts
    TICK_NS = 4000000        # a kernel of 250 ticks per second
    GC_NODES_MAX = 64        # that one packet takes out

cdef struct node_t:
    tuple_key_t key
    uint32_t slot            # NO_SLOT: of a packet that was not tracked
    uint32_t next            # of the list, or free; 0: none
    uint8_t flip

cdef struct list_t:
    slot_t slot
    uint64_t key[KEY_WORDS]
    uint64_t tick            # of the last time it was gone through
    uint32_t before          # how many there were then
    uint32_t first
    uint32_t count

cdef struct connlimit_t:
    slots_t lists
    node_t* nodes
    uint32_t used
    uint32_t free
    uint64_t full


cdef class ConnectionCount(State):
    """What a rule counts."""
    cdef connlimit_t c

    def __cinit__(self):
        slots_init(&self.c.lists, NODES_MAX, KEY_WORDS, sizeof(list_t))
        self.c.nodes = <node_t*>calloc(NODES_MAX + 1, sizeof(node_t))
        if self.c.nodes == NULL:
            raise MemoryError
        self.at = &self.c

    def __dealloc__(self):
        slots_free(&self.c.lists)
        free(self.c.nodes)

    @property
    def full(self):
        """Packets that were dropped for want of room."""
        return self.c.full


cdef bint lives(const ct_t* ct, const node_t* node) noexcept nogil:
    cdef const conn_t* c
    if node.slot == NO_SLOT:
        return False
    c = &ct.table.conns[node.slot]
    if not key_equal(&c.key, &node.key) or c.deadline_ns <= ct.now:
        return False
    return c.key.l4proto != PROTO_TCP or (c.state != TCP_TIME_WAIT and c.state != TCP_CLOSE)


cdef bint go_through(connlimit_t* c, list_t* list, const ct_t* ct, const node_t* mine) noexcept nogil:
    """Take out what has ended, as of this tick. Returns whether ``mine`` is there."""
    cdef uint32_t* link = &list.first
    cdef uint32_t number, taken = 0
    cdef node_t* node
    cdef bint found = False
    while link[0] and taken <= GC_NODES_MAX:
        number = link[0]
        node = &c.nodes[number]
        if lives(ct, node):
            found |= node.slot == mine.slot and node.flip == mine.flip
            link = &node.next
            continue
        link[0] = node.next
        node.next = c.free
        c.free = number
        list.count -= 1
        taken += 1
    list.tick, list.before = ct.now // TICK_NS, list.count
    return found


cdef bint take_in(connlimit_t* c, list_t* list, const node_t* mine) noexcept nogil:
    cdef uint32_t number = c.free
    if number:
        c.free = c.nodes[number].next
    elif c.used == NODES_MAX:
        return False
    else:
        c.used += 1
        number = c.used
    c.nodes[number] = mine[0]
    c.nodes[number].next = list.first
    list.first = number
    list.count += 1
    return True


cdef void packet_node(const run_t* run, node_t* mine) noexcept nogil:
    mine.key, mine.flip, mine.slot, mine.next = run.p.key, run.p.flip, NO_SLOT, 0
    if run.r.conn != NULL:
        mine.key, mine.flip, mine.slot = run.r.conn.key, run.r.conn.flags & CONN_FLIP, run.r.slot
    elif run.p.kind == PACKET_TRACK:
        mine.slot = table_find(&run.ct.table, run.p)


cdef bint has_tuple(const run_t* run) noexcept nogil:
    """Whether the packet has enough of its transport header for a tuple."""
    cdef uint8_t protocol = run.p.l4proto
    cdef uint32_t size = 0
    if protocol == PROTO_ICMP or protocol == PROTO_ICMPV6:
        size = 8
    elif (protocol == PROTO_TCP or protocol == PROTO_UDP or protocol == PROTO_UDPLITE or protocol == PROTO_SCTP
          or protocol == PROTO_DCCP or protocol == PROTO_GRE):
        size = 4
    return run.p.l4_off + size <= run.p.len


cdef uint32_t counted(connlimit_t* c, const run_t* run, const uint64_t* key) noexcept nogil:
    """How many connections a key has, that of the packet among them unless it is closed. 0: all there were are closed,
    or there is no room to count."""
    cdef node_t mine
    cdef list_t* list = <list_t*>slots_find(&c.lists, key)
    cdef uint64_t tick = run.ct.now // TICK_NS
    cdef bint known
    packet_node(run, &mine)
    if list == NULL:
        list = <list_t*>slots_add(&c.lists, key)
        if list == NULL:
            return 0
        list.tick = tick
    else:
        known = mine.slot != NO_SLOT and not run.r.fresh
        if list.tick != tick or list.count - list.before >= GC_NODES_MAX:
            known = go_through(c, list, run.ct, &mine) or known and not lives(run.ct, &mine)
        if known:
            return list.count
    return list.count if take_in(c, list, &mine) else 0


cdef bint connlimit_test(const op_t* op, run_t* run) noexcept nogil:
    """a: mask (high, low), most, whether it is the destination's"""
    cdef connlimit_t* c = <connlimit_t*>op.state
    cdef uint64_t key[KEY_WORDS]
    cdef address_t address
    cdef uint32_t n
    if run.r.conn == NULL and not has_tuple(run):
        run.hotdrop = True
        return op.invert
    packet_address(run.p, op.a[3] != 0, &address)
    key[0], key[1] = address.hi & op.a[0], address.lo & op.a[1]
    key[2] = run.r.conn.key.zone if run.r.conn != NULL else 0
    n = counted(c, run, key)
    if n == 0:
        c.full += 1
        run.hotdrop = True
        return op.invert
    return n <= op.a[2]


OPS = {
    "connlimit": condition(connlimit_test, LIVES_PACKET),
}
