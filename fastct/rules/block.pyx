"""Building a block of a chain's index: drafts of its columns, then one piece of memory for all of them.

    columns │ first │ words │ of each column: parts │ of each part: cuts, row_of │ product │ rows
"""
from libc.stdint cimport INT32_MAX, int32_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport free
from libc.string cimport memset

from fastct.rules.draft cimport Draft, draft_product, word_t

cdef extern from "stdlib.h":
    void* aligned_alloc(size_t alignment, size_t size)

cdef enum:
    PAGE = 256               # values of a page, and pages of a part
    PAGED_WORDS = 8          # words of a row from which on there are pages
    # Most combinations of rows in a product, for each rule, and words that are looked at to make one.
    PRODUCT_PER_RULE = 16
    PRODUCT_WORDS = 1 << 21

# Where the parts of a column stand, in bytes from the beginning of the block's memory; of its fields in order.
cdef struct places_t:
    size_t parts
    size_t cuts[FIELDS]
    size_t row_of[FIELDS]
    size_t product
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
    drafts = columns_of(drafts, n_rules)
    memset(block, 0, sizeof(block_t))
    block.n_rules = n_rules
    block.n_words = (n_rules + 63) // 64
    block.n_summary = (block.n_words + 63) // 64
    block.n_columns = len(drafts)
    if block.n_columns == 0:
        return 0
    block.dense = n_rules <= DENSE_RULES
    if not block.dense:
        for draft in drafts:
            check_numbers(block, draft)
    block.row_size = row_size(block)
    allocate(block, drafts, places)
    if not block.dense:
        fill_words(block, drafts)
    for i in range(block.n_columns):
        fill_column(block, &places[i], i, drafts[i])
    return 0


cdef list columns_of(list drafts, uint32_t n_rules):
    """Addresses by themselves; other fields multiplied, those with few rows first, as long as that stays small."""
    cdef Draft draft, product = None, joined
    cdef size_t combinations
    columns, others = [], []
    for draft in drafts:
        if draft.field <= FIELD_DST:
            columns.append(draft)
        else:
            others.append((draft.n_rows, draft.field, draft))
    for _, _, draft in sorted(others):
        joined = None
        if product is not None:
            combinations = max(product.n_product, <size_t>product.n_rows) * draft.n_rows
            if combinations <= PRODUCT_PER_RULE * <size_t>n_rules and combinations * draft.n_words <= PRODUCT_WORDS:
                joined = draft_product(product, draft)
            if joined is None:
                columns.append(product)
        product = draft if joined is None else joined
    return columns if product is None else [*columns, product]


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
    return (size + LINE_BYTES - 1) & ~<size_t>(LINE_BYTES - 1)


cdef uint32_t row_size(const block_t* block) noexcept:
    cdef uint32_t numbers = (block.n_words << 1) if block.two_bytes else block.n_words
    if block.dense:
        return <uint32_t>aligned(block.n_words * sizeof(uint64_t))
    return block.n_summary * sizeof(uint64_t) + ((numbers + 7) & ~<uint32_t>7)


cdef inline uint8_t kind_of(Draft part) noexcept:
    """Pages in large chains, where a tree would have more than one level."""
    if part.is_wide:
        return PART_WIDE
    if part.n_words >= PAGED_WORDS and part.n_cuts > LINE_KEYS and FIELD_SPORT <= part.field <= FIELD_PROTOCOL:
        return PART_PAGES
    return PART_TREE


cdef int allocate(block_t* block, list drafts, places_t* places) except -1:
    """One piece of memory, zeroed, and where each thing stands in it."""
    cdef size_t size = aligned(block.n_columns * sizeof(column_t)), first = size, words, n_different = 0
    cdef uint32_t i
    cdef Draft draft
    cdef char* memory
    words = size = size + aligned(block.n_words * block.n_columns * sizeof(uint32_t))
    if not block.dense:
        for draft in drafts:
            n_different += draft.n_different
    size += aligned(n_different * sizeof(uint64_t))
    for i in range(block.n_columns):
        size = place_column(block, drafts[i], &places[i], size)
    memory = <char*>aligned_alloc(LINE_BYTES, size)
    if memory == NULL:
        raise MemoryError("no memory for the index of a chain")
    memset(memory, 0, size)
    block.memory = size
    block.columns = <const column_t*>memory
    block.first = <const uint32_t*>(memory + first)
    block.words = <const uint64_t*>(memory + words)
    return 0


cdef size_t place_column(const block_t* block, Draft draft, places_t* places, size_t size) except 0:
    """Give places to what a column has, from ``size`` on; => where they end."""
    cdef uint8_t page_of[PAGE]
    cdef size_t i, n, values
    cdef Draft part
    parts = draft.parts or [draft]
    places.parts = size
    n = len(parts)
    size += aligned(n * sizeof(part_t))
    for i in range(n):
        part = parts[i]
        values = number_pages(part, page_of) * PAGE if kind_of(part) == PART_PAGES else part.n_cuts + 1
        places.cuts[i] = size
        size += aligned(cuts_size(part))
        places.row_of[i] = size
        size += aligned(values * sizeof(uint32_t))
    places.product = size
    size += aligned(draft.n_product * sizeof(uint32_t))
    places.rows = size
    if <size_t>draft.n_rows * block.row_size >> 32:
        raise MemoryError("rows of one field over 4 GiB")
    return size + aligned(<size_t>draft.n_rows * block.row_size)


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
    cdef uint32_t* product = <uint32_t*>(memory + places.product)
    cdef size_t at
    cdef uint32_t unit = block.row_size if draft.parts is None else 1
    parts = draft.parts or [draft]
    column.n_parts = len(parts)
    column.parts = <const part_t*>(memory + places.parts)
    column.rows = <const uint8_t*>(memory + places.rows)
    for at in range(column.n_parts):
        fill_part(<part_t*>column.parts + at, memory + places.cuts[at], <uint32_t*>(memory + places.row_of[at]),
                  parts[at], unit)
        unit *= (<Draft>parts[at]).n_rows
    if draft.parts is not None:
        column.product = product
        for at in range(draft.n_product):
            product[at] = draft.product[at] * block.row_size
    if block.dense:
        fill_dense_rows(block, <uint8_t*>column.rows, draft)
    else:
        fill_rows(block, <uint8_t*>column.rows, draft)


cdef void fill_part(part_t* part, char* cuts, uint32_t* row_of, Draft draft, uint32_t unit) noexcept:
    """A field's way from value to row; a row counts ``unit``."""
    cdef uint32_t at
    part.field = draft.field
    part.kind = kind_of(draft)
    part.n_cuts = draft.n_cuts
    part.row_of = row_of
    if part.kind == PART_PAGES:
        part.page_of = <const uint8_t*>cuts
        number_pages(draft, <uint8_t*>cuts)
        fill_pages(part.page_of, row_of, draft, unit)
        return
    for at in range(draft.n_cuts + 1):
        row_of[at] = draft.row_of[at] * unit
    if part.kind == PART_WIDE:
        part.cuts = <const wide_t*>cuts
        for at in range(draft.n_cuts):
            (<wide_t*>cuts)[at] = draft.cuts[at]
    else:
        part.keys = <const int32_t*>cuts
        fill_tree(part, <int32_t*>cuts, draft)


cdef uint32_t number_pages(Draft draft, uint8_t* page_of) noexcept:
    """Pages by upper byte, one for neighbours without a cut between them; => how many there are."""
    cdef uint32_t n = 0, high, low_rank, rank = 0, alike = 0xFFFFFFFF
    for high in range(<uint32_t>PAGE):
        while rank < draft.n_cuts and draft.cuts[rank] <= high * PAGE:
            rank += 1
        low_rank = rank
        while rank < draft.n_cuts and draft.cuts[rank] < (high + 1) * PAGE:
            rank += 1
        if low_rank != rank or alike != rank:
            n += 1
        alike = rank if low_rank == rank else 0xFFFFFFFF
        page_of[high] = <uint8_t>(n - 1)
    return n


cdef void fill_pages(const uint8_t* page_of, uint32_t* row_of, Draft draft, uint32_t unit) noexcept:
    cdef uint32_t value, rank = 0
    for value in range(<uint32_t>PAGE * PAGE):
        while rank < draft.n_cuts and draft.cuts[rank] <= value:
            rank += 1
        row_of[page_of[value // PAGE] * PAGE + value % PAGE] = draft.row_of[rank] * unit


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
    if kind_of(draft) == PART_PAGES:
        return PAGE
    if draft.is_wide:
        return draft.n_cuts * sizeof(wide_t)
    for level in range(tree_lines(draft.n_cuts, lines)):
        size += lines[level]
    return size * LINE_KEYS * sizeof(int32_t)


cdef void fill_tree(part_t* part, int32_t* keys, Draft draft) noexcept:
    """The lowest level has the cuts; a line above it the first cut below each of its children but the leftmost."""
    cdef uint32_t lines[MAX_LEVELS]
    cdef uint32_t level, place = 0, key
    cdef size_t span, cut
    part.n_levels = tree_lines(draft.n_cuts, lines)
    for level in range(part.n_levels):
        part.level[level] = place
        # What one child of a line of this level spans, in cuts; 0: the key's own cut.
        span = LINE_KEYS if level + 1 < part.n_levels else 0
        for _ in range(level + 2, part.n_levels):
            span *= FANOUT
        for key in range(lines[part.n_levels - 1 - level] * LINE_KEYS):
            cut = (key // LINE_KEYS * FANOUT + key % LINE_KEYS + 1) * span if span else key
            # The cut less 1: "less than" finds the value itself. Less 2**31: signed comparison orders it.
            keys[place + key] = (<int32_t>(<uint32_t>(draft.cuts[cut] - 1) ^ <uint32_t>0x80000000)
                                 if cut < draft.n_cuts else INT32_MAX)
        place += lines[part.n_levels - 1 - level] * LINE_KEYS


cdef void fill_rows(const block_t* block, uint8_t* rows, Draft draft) noexcept:
    cdef size_t row
    cdef uint32_t word
    cdef uint64_t* summary
    cdef uint8_t* numbers
    cdef const word_t* known
    for row in range(draft.n_rows):
        summary = <uint64_t*>(rows + row * block.row_size)
        numbers = <uint8_t*>(summary + block.n_summary)
        for word in range(block.n_words):
            known = &draft.words[draft.rows[row * block.n_words + word]]
            if known.bits:
                summary[word >> 6] |= <uint64_t>1 << (word & 63)
            if block.two_bytes:
                (<uint16_t*>numbers)[word] = <uint16_t>known.number
            else:
                numbers[word] = <uint8_t>known.number


cdef void fill_dense_rows(const block_t* block, uint8_t* rows, Draft draft) noexcept:
    cdef size_t row
    cdef uint32_t word
    cdef uint64_t* bits
    for row in range(draft.n_rows):
        bits = <uint64_t*>(rows + row * block.row_size)
        for word in range(block.n_words):
            bits[word] = draft.words[draft.rows[row * block.n_words + word]].bits
