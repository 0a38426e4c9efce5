"""Building a block of a chain's index: drafts of its columns, then one piece of memory for all of them.

    columns │ first │ words │ of each column: tree or cuts, row_of, rows
"""
from libc.stdint cimport INT32_MAX, int32_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport free
from libc.string cimport memset

from fastct.rules.draft cimport Draft, word_t

cdef extern from "stdlib.h":
    void* aligned_alloc(size_t alignment, size_t size)

cdef enum:
    ALIGNMENT = 64

# Where a column's parts stand, in bytes from the beginning of the block's memory.
cdef struct places_t:
    size_t cuts
    size_t row_of
    size_t rows


cdef int block_build(block_t* block, const condition_t* conditions, size_t n, uint32_t first, uint32_t n_rules,
                     bint ipv6) except -1:
    cdef places_t places[FIELDS]
    cdef uint32_t i
    cdef Draft draft
    drafts = []
    for field in range(FIELDS):
        draft = Draft.__new__(Draft)
        draft.field = field
        draft.is_wide = ipv6 and field <= FIELD_DST
        if draft.take(conditions, n, first, n_rules):
            draft.sweep()
            drafts.append(draft)
    memset(block, 0, sizeof(block_t))
    block.n_rules = n_rules
    block.n_words = (n_rules + 63) // 64
    block.n_summary = (block.n_words + 63) // 64
    block.n_columns = len(drafts)
    if block.n_columns == 0:
        return 0
    for draft in drafts:
        check_numbers(block, draft)
    allocate(block, drafts, places)
    fill_words(block, drafts)
    for i in range(block.n_columns):
        fill_column(block, &places[i], i, drafts[i])
    return 0


cdef void block_free(block_t* block) noexcept:
    free(<void*>block.columns)
    block.columns = NULL


cdef int check_numbers(block_t* block, Draft draft) except -1:
    """Whether a word's number fits the row."""
    cdef uint32_t word
    for word in range(block.n_words):
        if draft.counts[word] > 1 << 16:
            raise ValueError("more than 65536 different sets of 64 rules: too many intervals in one field")
        if draft.counts[word] > 1 << 8:
            block.two_bytes = True
    return 0


cdef inline size_t aligned(size_t size) noexcept:
    return (size + ALIGNMENT - 1) & ~<size_t>(ALIGNMENT - 1)


cdef inline size_t row_size(const block_t* block) noexcept:
    cdef size_t numbers = (block.n_words << 1) if block.two_bytes else block.n_words
    return block.n_summary * sizeof(uint64_t) + ((numbers + 7) & ~<size_t>7)


cdef int allocate(block_t* block, list drafts, places_t* places) except -1:
    """One piece of memory, zeroed, and where each part stands in it."""
    cdef size_t size = aligned(block.n_columns * sizeof(column_t)), first = size, words, n_different = 0
    cdef uint32_t i
    cdef Draft draft
    cdef char* memory
    words = size = size + aligned(block.n_words * block.n_columns * sizeof(uint32_t))
    for draft in drafts:
        n_different += draft.n_different
    size += aligned(n_different * sizeof(uint64_t))
    for i, draft in enumerate(drafts):
        places[i].cuts = size
        size += aligned(cuts_size(draft))
        places[i].row_of = size
        size += aligned((draft.n_cuts + 1) * sizeof(uint32_t))
        places[i].rows = size
        if draft.n_rows * row_size(block) >> 32:
            raise MemoryError("rows of one field over 4 GiB")
        size += aligned(draft.n_rows * row_size(block))
    memory = <char*>aligned_alloc(ALIGNMENT, size)
    if memory == NULL:
        raise MemoryError("no memory for the index of a chain")
    memset(memory, 0, size)
    block.memory = size
    block.columns = <const column_t*>memory
    block.first = <const uint32_t*>(memory + first)
    block.words = <const uint64_t*>(memory + words)
    return 0


cdef void fill_words(block_t* block, list drafts) noexcept:
    """The different words, those of one place and column together, and where they begin."""
    cdef uint32_t* first = <uint32_t*>block.first
    cdef uint64_t* words = <uint64_t*>block.words
    cdef uint32_t word, i, at = 0
    cdef Draft draft
    cdef const word_t* known
    for word in range(block.n_words):
        for i in range(block.n_columns):
            first[word * block.n_columns + i] = at
            at += (<Draft>drafts[i]).counts[word]
    for i in range(block.n_columns):
        draft = drafts[i]
        for at in range(draft.n_different):
            known = &draft.words[at]
            words[first[known.word * block.n_columns + i] + known.number] = known.bits


cdef void fill_column(block_t* block, const places_t* places, uint32_t i, Draft draft) noexcept:
    cdef column_t* column = <column_t*>block.columns + i
    cdef char* memory = <char*>block.columns
    cdef uint32_t* row_of = <uint32_t*>(memory + places.row_of)
    cdef wide_t* cuts = <wide_t*>(memory + places.cuts)
    cdef uint32_t at
    column.field = draft.field
    column.is_wide = draft.is_wide
    column.n_cuts = draft.n_cuts
    column.row_of = row_of
    column.rows = <const uint8_t*>(memory + places.rows)
    for at in range(draft.n_cuts + 1):
        row_of[at] = <uint32_t>(draft.row_of[at] * row_size(block))
    if draft.is_wide:
        column.cuts = cuts
        for at in range(draft.n_cuts):
            cuts[at] = draft.cuts[at]
    else:
        column.keys = <const int32_t*>cuts
        fill_tree(column, <int32_t*>cuts, draft)
    fill_rows(block, i, <uint8_t*>column.rows, draft)


cdef uint32_t tree_lines(uint32_t n_cuts, uint32_t* lines) noexcept:
    """Lines of each level of a tree, the lowest first; => number of levels."""
    cdef uint32_t n = 1
    lines[0] = max(<uint32_t>1, (n_cuts + LINE_KEYS - 1) // LINE_KEYS)
    while lines[n - 1] > 1:
        lines[n] = (lines[n - 1] + FANOUT - 1) // FANOUT
        n += 1
    return n


cdef size_t cuts_size(Draft draft) noexcept:
    cdef uint32_t lines[MAX_LEVELS]
    cdef uint32_t level
    cdef size_t size = 0
    if draft.is_wide:
        return draft.n_cuts * sizeof(wide_t)
    for level in range(tree_lines(draft.n_cuts, lines)):
        size += lines[level]
    return size * LINE_KEYS * sizeof(int32_t)


cdef void fill_tree(column_t* column, int32_t* keys, Draft draft) noexcept:
    """The lowest level has the cuts; a line above it the first cut below each of its children but the leftmost."""
    cdef uint32_t lines[MAX_LEVELS]
    cdef uint32_t level, place = 0, key
    cdef size_t span, cut
    column.n_levels = tree_lines(draft.n_cuts, lines)
    for level in range(column.n_levels):
        column.level[level] = place
        # What one child of a line of this level spans, in cuts; 0: the key's own cut.
        span = LINE_KEYS if level + 1 < column.n_levels else 0
        for _ in range(level + 2, column.n_levels):
            span *= FANOUT
        for key in range(lines[column.n_levels - 1 - level] * LINE_KEYS):
            cut = (key // LINE_KEYS * FANOUT + key % LINE_KEYS + 1) * span if span else key
            # The cut less 1: "less than" finds the value itself. Less 2**31: signed comparison orders it.
            keys[place + key] = (<int32_t>(<uint32_t>(draft.cuts[cut] - 1) ^ <uint32_t>0x80000000)
                                 if cut < draft.n_cuts else INT32_MAX)
        place += lines[column.n_levels - 1 - level] * LINE_KEYS


cdef void fill_rows(const block_t* block, uint32_t i, uint8_t* rows, Draft draft) noexcept:
    cdef size_t row, size = row_size(block)
    cdef uint32_t word, number
    cdef uint64_t* summary
    cdef uint8_t* numbers
    for row in range(draft.n_rows):
        summary = <uint64_t*>(rows + row * size)
        numbers = <uint8_t*>(summary + block.n_summary)
        for word in range(block.n_words):
            number = draft.rows[row * block.n_words + word]
            if block.words[block.first[word * block.n_columns + i] + number]:
                summary[word >> 6] |= <uint64_t>1 << (word & 63)
            if block.two_bytes:
                (<uint16_t*>numbers)[word] = <uint16_t>number
            else:
                numbers[word] = <uint8_t>number
