"""The condition on ipsets: what ``rules.sets`` holds, as tables that packets look into.

An entry is found by its key, all parts of it at once; a net is looked for as in Linux, with each length in use, the
longest first. A list:set asks its sets in turn. Nobody knows the MAC addresses of packets here, so that types with a
``mac`` are as for packets that have none: they hold nothing.
"""
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memset, strlen

from fastct.rules.compiled cimport LIVES_PACKET, State, condition, op_t, run_t
from fastct.rules.route cimport INTERFACE_NAME, address_t, packet_address
from fastct.rules.slots cimport slot_t, slots_add, slots_find, slots_free, slots_init, slots_t
from fastct.wire.bytes cimport load_be16
from fastct.wire.packet cimport (
    PROTO_ICMP,
    PROTO_ICMPV6,
    PROTO_SCTP,
    PROTO_TCP,
    PROTO_UDP,
    PROTO_UDPLITE,
)

cdef enum:
    PARTS_MAX = 3
    LENGTHS_MAX = 129
    NS_PER_S = 1000000000
    # Words of a key.
    FIRST = 0                # address, or the first of two
    SECOND = 2               # the other one, or the name of an interface
    NUMBERS = 4              # protocol << 16 | port, or the mark
    SHAPE = 5                # lengths of prefixes, one a byte; FACE_*
    KEY_WORDS = 6
    FACE_WILDCARD = 1 << 16
    FACE_PHYSICAL = 1 << 17
    FACE_ANY = 1 << 18       # notes that a net has interfaces
    # Flags of the condition.
    RETURN_NOMATCH = 1
    SKIP_COUNTERS = 2
    SKIP_SUBCOUNTERS = 4
    COMPARE_SHIFT = 4        # relation of packets, and above it of bytes
    DIRECTIONS_SHIFT = 8     # of parts: a bit each, set for the source; above them how many there are
    # What a set says of a packet.
    FOUND = 1
    NOT_FOUND = 0
    EXCEPTED = -1            # by an entry of ``nomatch``

cdef enum part:
    PART_IP
    PART_NET
    PART_PORT
    PART_BARE_PORT           # of a bitmap: without a protocol
    PART_MARK
    PART_IFACE

cdef enum relation:
    REL_NONE
    REL_EQ
    REL_NE
    REL_LT
    REL_GT

PARTS = {"ip": PART_IP, "net": PART_NET, "port": PART_PORT, "mark": PART_MARK, "iface": PART_IFACE}
RELATION_NUMBERS = {"eq": REL_EQ, "ne": REL_NE, "lt": REL_LT, "gt": REL_GT}
UPDATE_FLAGS = {"update-counters": SKIP_COUNTERS, "update-subcounters": SKIP_SUBCOUNTERS}
NOMATCH_FLAG, DIRECTIONS_PLACE, COMPARE_PLACE = RETURN_NOMATCH, DIRECTIONS_SHIFT, COMPARE_SHIFT

cdef struct extras_t:
    uint64_t left_ns         # until it goes, from the first packet that asks on; 0: for ever
    uint64_t packets
    uint64_t bytes
    uint8_t nomatch

cdef struct entry_t:
    slot_t slot
    uint64_t key[KEY_WORDS]
    extras_t x

cdef struct set_t:
    slots_t slots
    uint64_t began           # packet time of the first question
    uint64_t mask[2]         # of a first address
    uint64_t markmask
    uint8_t lengths[2][LENGTHS_MAX]
    uint8_t n_lengths[2]
    uint8_t parts[PARTS_MAX]
    uint8_t n_parts
    uint8_t n_nets
    uint8_t family           # 0: any
    uint8_t silent           # holds nothing
    uint8_t counts
    set_t** members          # of a list
    extras_t* beside
    uint32_t n_members


cdef class SetTable(State):
    """The table of a ``sets.Set``; ``members``: of a list, the SetTables of its sets, in their order."""
    cdef set_t s
    cdef readonly object source
    cdef list _members
    cdef dict _places        # of keys that several entries' may not share: key of the source by number

    def __cinit__(self, source, list members):
        cdef set_t* s = &self.s
        self.source, self._members, self._places = source, members, {}
        self.at = s
        s.family, s.counts = source.family or 0, "counters" in source.options
        if source.is_list:
            self._fill_list()
            return
        s.n_parts = len(source.parts)
        s.silent = "mac" in source.parts
        s.mask[0], s.mask[1] = source.host_mask >> 64, source.host_mask & 0xFFFFFFFFFFFFFFFF
        s.markmask = source.options.get("markmask", 0xFFFFFFFF)
        slots_init(&s.slots, 2 * len(source.entries) + 1, KEY_WORDS, sizeof(entry_t))
        if s.silent:
            return
        for i, name in enumerate(source.parts):
            s.parts[<int>i] = PART_BARE_PORT if source.type == "bitmap:port" else PARTS[name]
        for i, counter in enumerate(source.lengths):
            s.n_nets += 1
            s.n_lengths[<int>i] = len(counter)
            for k, length in enumerate(sorted(counter, reverse=True)):
                s.lengths[<int>i][<int>k] = length
        for key, entry in source.entries.items():
            self._add(key, entry)

    def _fill_list(self):
        cdef SetTable member
        cdef uint32_t i
        self.s.n_members = len(self._members)
        self.s.members = <set_t**>calloc(self.s.n_members + 1, sizeof(set_t*))
        self.s.beside = <extras_t*>calloc(self.s.n_members + 1, sizeof(extras_t))
        if self.s.members == NULL or self.s.beside == NULL:
            raise MemoryError
        for i, (member, key) in enumerate(zip(self._members, self.source.entries, strict=True)):
            self.s.members[i] = &member.s
            put_extras(&self.s.beside[i], self.source.entries[key])

    def _add(self, key, entry):
        cdef uint64_t words[KEY_WORDS]
        cdef entry_t* made
        cdef int place = FIRST, nets = 0
        memset(words, 0, sizeof(words))
        for name, columns in self.source.columns(key):
            if name in ("ip", "net"):
                words[place], words[place + 1] = columns[0] >> 64, columns[0] & 0xFFFFFFFFFFFFFFFF
                place = SECOND
                if name == "net":
                    words[SHAPE] |= <uint64_t>columns[1] << 8 * nets
                    nets += 1
            elif name == "iface":
                self._note_net(words)
                put_name(words, columns[0].encode())
                words[SHAPE] |= (FACE_PHYSICAL if columns[1] else 0) | (FACE_WILDCARD if columns[2] else 0)
            else:
                words[NUMBERS] = columns[0]
        made = <entry_t*>slots_add(&self.s.slots, words)
        put_extras(&made.x, entry)
        self._places[<uint64_t>made] = key

    cdef void _note_net(self, const uint64_t* words):
        cdef uint64_t any[KEY_WORDS]
        memcpy(any, words, sizeof(any))
        any[SHAPE] |= FACE_ANY
        if slots_find(&self.s.slots, any) == NULL:
            slots_add(&self.s.slots, any)

    def sync(self):
        """Bring the counters of the source's entries up to date."""
        cdef extras_t* x
        if self.source.is_list:
            for i, entry in enumerate(self.source.entries.values()):
                entry.packets, entry.bytes = self.s.beside[<int>i].packets, self.s.beside[<int>i].bytes
            return
        for place, key in self._places.items():
            x = &(<entry_t*><uint64_t>place).x
            entry = self.source.entries[key]
            entry.packets, entry.bytes = x.packets, x.bytes

    def __dealloc__(self):
        slots_free(&self.s.slots)
        free(self.s.members)
        free(self.s.beside)


cdef put_extras(extras_t* x, entry):
    x.packets, x.bytes, x.nomatch = entry.packets, entry.bytes, entry.nomatch
    x.left_ns = max(1, int(entry.expires * NS_PER_S)) if entry.expires is not None else 0


cdef put_name(uint64_t* words, bytes name):
    memcpy(&words[SECOND], <const char*>name, len(name))


# ---- what a packet is asked

cdef bint packet_port(const run_t* run, bint source, uint64_t* number) noexcept nogil:
    """protocol << 16 | port, or ICMP's type and code; False if it has none where there should be one."""
    cdef uint8_t protocol = run.p.l4proto
    cdef uint32_t at = run.p.l4_off
    cdef uint16_t port = 0
    if protocol == 0:
        return False
    if protocol == PROTO_TCP or protocol == PROTO_UDP or protocol == PROTO_SCTP or protocol == PROTO_UDPLITE:
        if at + 4 > run.p.cap_len:
            return False
        port = load_be16(run.p.data + at + (0 if source else 2))
    elif protocol == (PROTO_ICMP if run.p.ip_version == 4 else PROTO_ICMPV6):
        if at + 2 > run.p.cap_len:
            return False
        port = load_be16(run.p.data + at)
    number[0] = <uint64_t>protocol << 16 | port
    return True


cdef bint packet_key(const set_t* s, const run_t* run, uint64_t directions, uint64_t* key) noexcept nogil:
    """The packet's key, addresses whole; False if it has none."""
    cdef address_t address
    cdef const char* name
    cdef bint source
    cdef int i, place = FIRST
    memset(key, 0, KEY_WORDS * sizeof(uint64_t))
    for i in range(s.n_parts):
        source = directions >> i & 1
        if s.parts[i] == PART_IP or s.parts[i] == PART_NET:
            packet_address(run.p, not source, &address)
            key[place], key[place + 1] = address.hi, address.lo
            if s.parts[i] == PART_IP and i == 0:
                key[0] &= s.mask[0]
                key[1] &= s.mask[1]
            place = SECOND
        elif s.parts[i] == PART_MARK:
            key[NUMBERS] = run.mark & s.markmask
        elif s.parts[i] == PART_IFACE:
            name = run.routes.names[run.in_if if source else run.out_if]
            if not name[0]:
                return False
            memcpy(&key[SECOND], name, INTERFACE_NAME)
        elif not packet_port(run, source, &key[NUMBERS]):
            return False
        if s.parts[i] == PART_BARE_PORT:
            if run.p.l4proto != PROTO_TCP and run.p.l4proto != PROTO_UDP:
                return False
            key[NUMBERS] &= 0xFFFF
    return True


cdef inline void mask_address(uint64_t* address, int bits, int length) noexcept nogil:
    """Clear all but the first ``length`` bits of an address that has ``bits``."""
    cdef int host = bits - length
    if host >= 64:
        address[1] = 0
        address[0] = address[0] >> (host - 64) << (host - 64) if host < 128 else 0
    else:
        address[1] = address[1] >> host << host


cdef inline bint compares(uint64_t value, uint64_t other, int relation) noexcept nogil:
    if relation == REL_EQ:
        return value == other
    if relation == REL_NE:
        return value != other
    if relation == REL_LT:
        return value < other
    return relation == REL_NONE or value > other


cdef bint counted(const set_t* s, extras_t* x, const op_t* op, run_t* run, uint64_t flags) noexcept nogil:
    """Whether an entry is there and its counters, this packet included, are as asked for."""
    if x.left_ns and run.ct.now - s.began >= x.left_ns:
        return False
    if not s.counts:
        return True
    if not flags & SKIP_COUNTERS:
        x.packets += 1
        x.bytes += run.p.len
    return (compares(x.packets, op.a[1], flags >> COMPARE_SHIFT & 0xF)
            and compares(x.bytes, op.a[2], flags >> (COMPARE_SHIFT + 16) & 0xF))


cdef int answer(set_t* s, const uint64_t* key, const op_t* op, run_t* run, uint64_t flags) noexcept nogil:
    """What the entry of a key says, if there is one."""
    cdef entry_t* e = <entry_t*>slots_find(&s.slots, key)
    if e == NULL or not counted(s, &e.x, op, run, flags):
        return NOT_FOUND
    return EXCEPTED if e.x.nomatch else FOUND


cdef int ask_faces(set_t* s, uint64_t* key, const op_t* op, run_t* run, uint64_t flags) noexcept nogil:
    """The entries of a net by interface: the very one, then beginnings of its name, the longest first."""
    cdef uint64_t name[2]
    cdef char* text = <char*>&key[SECOND]
    cdef int said, end
    name[0], name[1] = key[SECOND], key[SECOND + 1]
    said = answer(s, key, op, run, flags)
    key[SHAPE] |= FACE_WILDCARD
    end = <int>strlen(text)
    while said == NOT_FOUND and end:
        said = answer(s, key, op, run, flags)
        end -= 1
        text[end] = 0
    key[SECOND], key[SECOND + 1] = name[0], name[1]
    return said


cdef bint has_faces(set_t* s, const uint64_t* key) noexcept nogil:
    cdef uint64_t any[KEY_WORDS]
    memcpy(any, key, sizeof(any))
    any[SECOND] = any[SECOND + 1] = 0
    any[SHAPE] |= FACE_ANY
    return slots_find(&s.slots, any) != NULL


cdef int ask_lengths(set_t* s, const uint64_t* whole, const op_t* op, run_t* run, uint64_t flags) noexcept nogil:
    """The entries whose nets a packet's addresses are in, for each length that there is."""
    cdef uint64_t key[KEY_WORDS]
    cdef int bits = 32 if run.p.ip_version == 4 else 128
    cdef int said, i, k
    for i in range(s.n_lengths[0]):
        for k in range(s.n_lengths[1] if s.n_nets == 2 else 1):
            memcpy(key, whole, sizeof(key))
            mask_address(&key[FIRST if s.parts[0] == PART_NET else SECOND], bits, s.lengths[0][i])
            key[SHAPE] = s.lengths[0][i]
            if s.n_nets == 2:
                mask_address(&key[SECOND], bits, s.lengths[1][k])
                key[SHAPE] |= <uint64_t>s.lengths[1][k] << 8
            if s.parts[1] != PART_IFACE or s.n_parts < 2:
                said = answer(s, key, op, run, flags)
            elif has_faces(s, key):
                return ask_faces(s, key, op, run, flags)
            else:
                continue
            if said != NOT_FOUND:
                return said
    return NOT_FOUND


cdef int ask(set_t* s, const op_t* op, run_t* run, uint64_t flags) noexcept nogil:
    """What a set that is no list says of a packet."""
    cdef uint64_t key[KEY_WORDS]
    cdef int said
    if s.began == 0:
        s.began = run.ct.now
    if s.silent or s.family and s.family != run.p.ip_version or op.a[0] >> (DIRECTIONS_SHIFT + 6) & 7 < s.n_parts:
        return NOT_FOUND
    if not packet_key(s, run, op.a[0] >> DIRECTIONS_SHIFT, key):
        return NOT_FOUND
    said = ask_lengths(s, key, op, run, flags) if s.n_nets else answer(s, key, op, run, flags)
    return -said if flags & RETURN_NOMATCH and s.n_nets else said


cdef int ask_list(set_t* s, const op_t* op, run_t* run) noexcept nogil:
    """The first of a list's sets that the packet is in, and whose entry in the list will do."""
    cdef uint64_t flags = op.a[0] & ~<uint64_t>(0xF << COMPARE_SHIFT | 0xF << (COMPARE_SHIFT + 16))
    cdef uint32_t i
    if s.began == 0:
        s.began = run.ct.now
    if flags & SKIP_SUBCOUNTERS:
        flags |= SKIP_COUNTERS
    for i in range(s.n_members):
        if ask(s.members[i], op, run, flags) == FOUND and counted(s, &s.beside[i], op, run, op.a[0]):
            return FOUND
    return NOT_FOUND


cdef bint set_test(const op_t* op, run_t* run) noexcept nogil:
    """a: flags, relations, directions; packets and bytes to compare with"""
    cdef set_t* s = <set_t*>op.state
    if s.members != NULL:
        return ask_list(s, op, run) == FOUND
    return ask(s, op, run, op.a[0]) == FOUND


OPS = {
    "set": condition(set_test, LIVES_PACKET),
}
