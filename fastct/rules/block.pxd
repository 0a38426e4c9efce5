"""One block of a chain's index: which of its up to 16,384 rules the fields of a packet satisfy, as bit vectors.

    value of a field ──► how many cuts lie at or below it ──► row_of ─┐
    …                                                     ──► row_of ─┴─ sum ──► product ──► row

The cuts of a field are the numbers at which the set of satisfied rules changes; between two of them every value has
the same row, and intervals with the same rules share it. Cuts of 32 bits stand in a tree with 16 keys to a cache line,
those of IPv6 addresses in a sorted array; in large chains, pages have the answer for each port. Fields with few
rows share a column, which has a row for each combination. A row is short because few of the possible words of 64 rules
occur at any place:

    row      summary: a bit for each word that is not zero │ for each word its number (a byte; two if one has over 256)
    words    bits of 64 rules: words[first[word * n_columns + column] + number]

The rules that satisfy all fields are the AND of one word per column, where the AND of the summaries says that there may
be some. A block of no more than DENSE_RULES is dense: its rows are the bits of its rules themselves, in whole cache
lines, and are ANDed from end to end. A field that no rule of the block asks about has no part. Everything a block
points to is one piece of memory.
"""
from libc.stdint cimport int32_t, uint8_t, uint16_t, uint32_t, uint64_t

cdef extern from "rules/rank.h" nogil:
    enum:
        LINE_KEYS
    ctypedef unsigned long long wide_t          # 128 bits
    wide_t wide_join(uint64_t high, uint64_t low) noexcept
    void ask_ahead(const void* p) noexcept
    int bit_lowest(uint64_t bits) noexcept      # bits != 0
    uint32_t rank_line(const int32_t* keys, int32_t value) noexcept
    uint32_t lanes_in_common(const uint8_t* const* rows, uint32_t n, size_t at) noexcept
    uint32_t rank_wide(const wide_t* sorted, uint32_t n, wide_t value) noexcept

cdef enum:
    BLOCK_RULES = 16384
    DENSE_RULES = 1024       # two cache lines
    LINE_BYTES = 64
    LANE_RULES = 32          # bits of a lane, in a dense row
    BLOCK_SUMMARY = 4        # words of a summary: a bit for each 64 rules
    FANOUT = LINE_KEYS + 1
    MAX_LEVELS = 7

# What a condition is about; the values are places in packet_fields_t.
cdef enum field_t:
    FIELD_SRC
    FIELD_DST
    FIELD_SPORT
    FIELD_DPORT
    FIELD_PROTOCOL
    FIELD_IN_INTERFACE
    FIELD_OUT_INTERFACE
    FIELD_CTSTATE
    FIELD_MARK
    FIELDS

# What a packet is asked for; host order. In a chain of IPv6 the addresses are the pairs at the end, else ``src, dst``.
cdef struct packet_fields_t:
    uint32_t src             # in the order of field_t
    uint32_t dst
    uint32_t sport
    uint32_t dport
    uint32_t protocol
    uint32_t in_interface
    uint32_t out_interface
    uint32_t ctstate
    uint32_t mark
    uint32_t reserved
    uint64_t src_hi
    uint64_t src_lo
    uint64_t dst_hi
    uint64_t dst_lo

# An interval of values of a field, ends included, that satisfies a rule; any of a rule's intervals of a field will do.
# One with low > high holds no value, so a rule with nothing else for the field is never satisfied.
cdef struct condition_t:
    uint32_t rule
    uint32_t field
    uint64_t low_hi          # the upper half of IPv6 addresses; else 0
    uint64_t low_lo
    uint64_t high_hi
    uint64_t high_lo

cdef enum kind_t:
    PART_TREE
    PART_WIDE                # IPv6 addresses
    PART_PAGES               # values of 16 bits

# A field of a column.
cdef struct part_t:
    uint8_t field
    uint8_t kind
    uint32_t n_levels
    uint32_t n_cuts
    uint32_t level[MAX_LEVELS]     # where each level of the tree begins in keys, the top first
    const int32_t* keys      # cut - 1, less 2**31: signed comparison orders them
    const wide_t* cuts       # of a wide part
    const uint8_t* page_of   # by upper byte of the value
    const uint32_t* row_of   # by cuts at or below the value, or by page and lower byte: what the part adds to the sum

cdef struct column_t:
    uint32_t n_parts
    const part_t* parts
    const uint32_t* product  # by sum: byte in rows; NULL: the sum is that byte
    const uint8_t* rows

cdef struct block_t:
    uint32_t n_rules
    uint32_t n_words
    uint32_t n_summary
    uint32_t n_columns
    uint32_t row_size        # bytes
    bint dense
    bint two_bytes           # a word's number takes two bytes in a row
    size_t memory            # bytes
    const column_t* columns
    const uint32_t* first
    const uint64_t* words

# Index of the rules first … first + n_rules - 1. ``conditions`` are those about these rules.
cdef int block_build(block_t* block, const condition_t* conditions, size_t n, uint32_t first, uint32_t n_rules,
                     bint ipv6) except -1
cdef void block_free(block_t* block) noexcept
