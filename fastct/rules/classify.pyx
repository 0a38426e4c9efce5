"""Finding the rules that can match a packet; the index is told in ``classify.pxd`` and ``block.pxd``."""
cimport cython
import numpy as np

from libc.stdint cimport int32_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memset

from fastct.rules.block cimport (
    BLOCK_RULES, FANOUT, FIELD_SRC, FIELDS, LANE_RULES, LINE_BYTES, LINE_KEYS, PART_PAGES, PART_TREE, PART_WIDE,
    ask_ahead, bit_lowest, block_build, block_free, column_t, lanes_in_common, part_t, rank_line, rank_wide, wide_join)

# What conditions are about, by number.
FIELD_NAMES = ("src", "dst", "sport", "dport", "protocol", "in_interface", "out_interface", "ctstate", "mark")
WORTH = CLASSIFIER_WORTH
NONE = <uint32_t>NO_RULE         # what find gives for a packet that no rule matches

cdef condition_t _condition
cdef condition_t[::1] _condition_view = <condition_t[:1]>&_condition
CONDITION_DTYPE = np.asarray(_condition_view).dtype

cdef packet_fields_t _fields
cdef packet_fields_t[::1] _fields_view = <packet_fields_t[:1]>&_fields
FIELDS_DTYPE = np.asarray(_fields_view).dtype


cdef int classifier_build(classifier_t* c, uint32_t n_rules, const condition_t* conditions, size_t n,
                          bint ipv6) except -1:
    """Build the index of a chain. ``conditions`` are in order of their rules; frees what it made if it raises."""
    cdef uint32_t i, first
    cdef size_t at = 0, end
    memset(c, 0, sizeof(classifier_t))
    c.n_rules = n_rules
    c.n_blocks = (n_rules + BLOCK_RULES - 1) // BLOCK_RULES
    c.blocks = <block_t*>calloc(c.n_blocks or 1, sizeof(block_t))
    if c.blocks == NULL:
        raise MemoryError("no memory for the index of a chain")
    try:
        for i in range(c.n_blocks):
            first = i * BLOCK_RULES
            end = at
            while end < n and conditions[end].rule < first + BLOCK_RULES:
                end += 1
            block_build(&c.blocks[i], conditions + at, end - at, first, min(n_rules - first, <uint32_t>BLOCK_RULES),
                        ipv6)
            at = end
    except BaseException:
        classifier_free(c)
        raise
    return 0


cdef void classifier_free(classifier_t* c) noexcept:
    cdef uint32_t i
    for i in range(c.n_blocks):
        block_free(&c.blocks[i])
    free(c.blocks)
    memset(c, 0, sizeof(classifier_t))


cdef size_t classifier_memory(const classifier_t* c) noexcept:
    cdef size_t memory = c.n_blocks * sizeof(block_t)
    cdef uint32_t i
    for i in range(c.n_blocks):
        memory += c.blocks[i].memory
    return memory


cdef inline uint32_t value_of(const packet_fields_t* fields, uint32_t field) noexcept nogil:
    return (<const uint32_t*>fields)[field]


cdef inline int32_t key_of(const packet_fields_t* fields, uint32_t field) noexcept nogil:
    """A value as the keys of trees are written."""
    return <int32_t>(value_of(fields, field) ^ <uint32_t>0x80000000)


cdef inline uint32_t part_of(const part_t* part, const packet_fields_t* fields) noexcept nogil:
    """What a part adds to the sum for the packet's value."""
    cdef const uint64_t* pair
    cdef int32_t key
    cdef uint32_t value, line = 0, level
    if part.kind == PART_PAGES:
        value = value_of(fields, part.field) & 0xFFFF
        return part.row_of[part.page_of[value >> 8] << 8 | value & 0xFF]
    if part.kind == PART_WIDE:
        pair = &fields.src_hi if part.field == FIELD_SRC else &fields.dst_hi
        return part.row_of[rank_wide(part.cuts, part.n_cuts, wide_join(pair[0], pair[1]))]
    key = key_of(fields, part.field)
    for level in range(part.n_levels - 1):
        line = line * FANOUT + rank_line(part.keys + part.level[level] + <size_t>line * LINE_KEYS, key)
    line *= LINE_KEYS
    return part.row_of[line + rank_line(part.keys + part.level[part.n_levels - 1] + line, key)]


cdef inline const uint8_t* row_of(const column_t* column, const packet_fields_t* fields) noexcept nogil:
    """The row of a packet's values."""
    cdef uint32_t i, place = part_of(column.parts, fields)
    for i in range(1, column.n_parts):
        place += part_of(column.parts + i, fields)
    return column.rows + (place if column.product == NULL else column.product[place])


cdef inline void open_rows(cursor_t* cursor) noexcept nogil:
    """Candidates of a cursor whose rows have been found."""
    cdef const block_t* block = cursor.block
    cdef uint32_t i, word
    cdef uint64_t bits
    if block.dense:
        cursor.candidates[0] = lanes_in_common(cursor.rows, block.n_columns, 0)
        if block.row_size > LINE_BYTES:
            bits = lanes_in_common(cursor.rows, block.n_columns, LINE_BYTES)
            cursor.candidates[0] |= bits << LINE_KEYS
        return
    for word in range(block.n_summary):
        bits = ~<uint64_t>0
        for i in range(block.n_columns):
            bits &= (<const uint64_t*>cursor.rows[i])[word]
        cursor.candidates[word] = bits


cdef void open_block(cursor_t* cursor, const block_t* block) noexcept nogil:
    cdef uint32_t i
    cursor.block = block
    for i in range(block.n_columns):
        cursor.rows[i] = row_of(&block.columns[i], cursor.fields)
    open_rows(cursor)


cdef void classifier_open(const classifier_t* c, const packet_fields_t* fields, cursor_t* cursor) noexcept nogil:
    """Begin with a packet."""
    cursor.fields = fields
    cursor.block = NULL
    if c.n_blocks:
        open_block(cursor, c.blocks)


cdef inline uint32_t rank_down(const int32_t* level, uint32_t line, int32_t key) noexcept nogil:
    """One level of a tree: the line's child, as a line of the level below; of the lowest, 17 places for 16 cuts."""
    return line * FANOUT + rank_line(level + <size_t>line * LINE_KEYS, key)


cdef void add_tree(const part_t* part, const packet_fields_t* fields, uint32_t* places, size_t n) noexcept nogil:
    """``add_part`` for a tree, with a loop of its own for each of the depths that large chains have."""
    cdef const int32_t* top = part.keys
    cdef const int32_t* middle = part.keys + part.level[1]
    cdef const int32_t* low = part.keys + part.level[part.n_levels - 1]
    cdef const uint32_t* row_of = part.row_of
    cdef uint32_t field = part.field
    cdef int32_t key
    cdef uint32_t line
    cdef size_t j
    if part.n_levels == 1:
        for j in range(n):
            key = key_of(&fields[j], field)
            places[j] += row_of[rank_line(top, key)]
    elif part.n_levels == 2:
        for j in range(n):
            key = key_of(&fields[j], field)
            line = rank_line(top, key) * LINE_KEYS
            places[j] += row_of[line + rank_line(low + line, key)]
    elif part.n_levels == 3:
        for j in range(n):
            key = key_of(&fields[j], field)
            line = rank_down(middle, rank_line(top, key), key) * LINE_KEYS
            places[j] += row_of[line + rank_line(low + line, key)]
    else:
        for j in range(n):
            places[j] += part_of(part, &fields[j])


cdef inline void add_pages(const part_t* part, const packet_fields_t* fields, uint32_t* places,
                           size_t n) noexcept nogil:
    cdef const uint8_t* page_of = part.page_of
    cdef const uint32_t* row_of = part.row_of
    cdef uint32_t field = part.field, value
    cdef size_t j
    for j in range(n):
        value = value_of(&fields[j], field) & 0xFFFF
        places[j] += row_of[page_of[value >> 8] << 8 | value & 0xFF]


cdef void add_part(const part_t* part, const packet_fields_t* fields, uint32_t* places, size_t n) noexcept nogil:
    """Add what a part adds for each of n packets."""
    cdef size_t j
    if part.kind == PART_TREE:
        add_tree(part, fields, places, n)
    elif part.kind == PART_PAGES:
        add_pages(part, fields, places, n)
    else:
        for j in range(n):
            places[j] += part_of(part, &fields[j])


cdef void open_column(const column_t* column, uint32_t row_size, uint32_t at, const packet_fields_t* fields,
                      cursor_t* cursors, size_t n) noexcept nogil:
    """Find the rows of one column for at most CLASSIFIER_BATCH packets, and ask for their memory."""
    cdef uint32_t places[CLASSIFIER_BATCH]
    cdef const uint8_t* rows = column.rows
    cdef const uint32_t* product = column.product
    cdef uint32_t i, line
    cdef size_t j
    memset(places, 0, sizeof(places))
    for i in range(column.n_parts):
        add_part(&column.parts[i], fields, places, n)
    if product != NULL:
        for j in range(n):
            places[j] = product[places[j]]
    for j in range(n):
        cursors[j].rows[at] = rows + places[j]
        ask_ahead(rows + places[j])
    for line in range(64, row_size, 64):
        for j in range(n):
            ask_ahead(rows + places[j] + line)


cdef void classifier_open_batch(const classifier_t* c, const packet_fields_t* fields, cursor_t* cursors,
                                size_t n) noexcept nogil:
    """Begin with n packets, at most CLASSIFIER_BATCH, whose fields and cursors are arrays."""
    cdef const block_t* block = c.blocks
    cdef size_t i
    cdef uint32_t at
    for i in range(n):
        cursors[i].fields = &fields[i]
        cursors[i].block = block if c.n_blocks else NULL
    if c.n_blocks == 0:
        return
    for at in range(block.n_columns):
        open_column(&block.columns[at], block.row_size, at, fields, cursors, n)
    for i in range(n):
        open_rows(&cursors[i])


cdef inline uint64_t rules_of(const cursor_t* cursor, uint32_t word, bint two_bytes) noexcept nogil:
    """The rules of a word that satisfy all fields."""
    cdef const block_t* block = cursor.block
    cdef const uint32_t* first = block.first + <size_t>word * block.n_columns
    cdef const uint8_t* numbers
    cdef uint32_t i, number
    cdef uint64_t rules = ~<uint64_t>0
    for i in range(block.n_columns):
        numbers = cursor.rows[i] + block.n_summary * sizeof(uint64_t)
        number = (<const uint16_t*>numbers)[word] if two_bytes else numbers[word]
        rules &= block.words[first[i] + number]
    return rules


cdef inline uint32_t next_of_dense(const cursor_t* cursor, uint32_t start) noexcept nogil:
    """The same of a dense block: its candidates are the lanes that have a rule."""
    cdef uint64_t left = cursor.candidates[0] & ~<uint64_t>0 << start // LANE_RULES
    cdef uint32_t lane, rules, i
    while left:
        lane = <uint32_t>bit_lowest(left)
        left &= left - 1
        rules = (<const uint32_t*>cursor.rows[0])[lane]
        for i in range(1, cursor.block.n_columns):
            rules &= (<const uint32_t*>cursor.rows[i])[lane]
        if lane == start // LANE_RULES:
            rules &= ~<uint32_t>0 << start % LANE_RULES
        if rules:
            return lane * LANE_RULES + <uint32_t>bit_lowest(rules)
    return NO_RULE


cdef inline uint32_t next_of_block(cursor_t* cursor, uint32_t start, bint two_bytes) noexcept nogil:
    """The first rule of the cursor's block from ``start`` on, counted within the block; NO_RULE: none."""
    cdef uint32_t at = start >> 12, word
    cdef uint64_t left = cursor.candidates[at] & ~<uint64_t>0 << (start >> 6 & 63), rules
    while True:
        while left == 0:
            at += 1
            if at == cursor.block.n_summary:
                return NO_RULE
            left = cursor.candidates[at]
        word = at << 6 | <uint32_t>bit_lowest(left)
        left &= left - 1
        rules = rules_of(cursor, word, two_bytes)
        if word == start >> 6:
            rules &= ~<uint64_t>0 << (start & 63)
        if rules:
            return word << 6 | <uint32_t>bit_lowest(rules)


cdef uint32_t classifier_next(const classifier_t* c, cursor_t* cursor, uint32_t start) noexcept nogil:
    """The first rule from ``start`` on whose conditions hold for the packet; NO_RULE: none."""
    cdef const block_t* block
    cdef uint32_t found
    while start < c.n_rules:
        block = c.blocks + start // BLOCK_RULES
        if block.n_columns == 0:
            return start
        if cursor.block != block:
            open_block(cursor, block)
        if block.dense:
            found = next_of_dense(cursor, start % BLOCK_RULES)
        elif block.two_bytes:
            found = next_of_block(cursor, start % BLOCK_RULES, True)
        else:
            found = next_of_block(cursor, start % BLOCK_RULES, False)
        start -= start % BLOCK_RULES
        if found != NO_RULE:
            return start + found
        start += BLOCK_RULES
    return NO_RULE


@cython.final
cdef class Classifier:
    """The index of one chain.

    Parameters
    ----------
    n_rules : int
    conditions : numpy.ndarray of CONDITION_DTYPE
        Intervals (ends included) that satisfy a rule, in order of the rules; ``field`` is a number of FIELD_NAMES.
        Several of one rule and field: any of them. low > high: holds nothing. A rule without any for a field asks
        nothing of it.
    ipv6 : bool
        Addresses have 128 bits.

    Raises ValueError for conditions that are out of order or about no rule or field.
    """

    def __cinit__(self, uint32_t n_rules, conditions, bint ipv6=False):
        cdef const condition_t[::1] view
        cdef uint32_t last = 0
        cdef Py_ssize_t i
        view = np.ascontiguousarray(conditions, CONDITION_DTYPE)
        for i in range(len(view)):
            if not last <= view[i].rule < n_rules or view[i].field >= FIELDS:
                raise ValueError("conditions must be in order of rules, and about rules and fields that there are")
            last = view[i].rule
        classifier_build(&self.c, n_rules, &view[0] if len(view) else NULL, len(view), ipv6)

    def __dealloc__(self):
        classifier_free(&self.c)

    @property
    def memory(self):
        """Bytes of the index."""
        return classifier_memory(&self.c)

    def find(self, packets, starts=None):
        """The first rule for each packet (FIELDS_DTYPE), from ``starts`` on (default: all 0); NONE if there is none."""
        cdef const packet_fields_t[::1] view = np.ascontiguousarray(packets, FIELDS_DTYPE)
        cdef const uint32_t[::1] begin = np.ascontiguousarray(
            np.zeros(len(view)) if starts is None else starts, np.uint32)
        cdef uint32_t[::1] found
        cdef cursor_t cursors[CLASSIFIER_BATCH]
        cdef size_t i = 0, j, n = len(view), step
        rules = np.empty(len(view), np.uint32)
        found = rules
        if len(begin) != len(view):
            raise ValueError("one start for each packet")
        with nogil:
            while i < n:
                step = min(n - i, <size_t>CLASSIFIER_BATCH)
                classifier_open_batch(&self.c, &view[i], cursors, step)
                for j in range(step):
                    found[i + j] = classifier_next(&self.c, &cursors[j], begin[i + j])
                i += step
        return rules
