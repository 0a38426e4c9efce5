"""A column of a block in the making: which words and rows it has, and where the row changes.

    conditions of a field ──► events: a rule has an interval more, or less, from here on
    events in order of value ──► sweep: numbers words and rows as they appear, notes the cuts

What is alike is found by hashing, so the cost is that of sorting the events and of copying each different row once.
A product stands for several fields: its rows are the different ANDs of theirs, found by the combination of rows.
"""
from libc.stdint cimport int32_t, uint8_t, uint32_t, uint64_t

from fastct.rules.block cimport condition_t, wide_t

cdef struct event_t:
    wide_t position
    uint32_t rule
    int32_t change

cdef struct word_t:
    uint64_t bits
    uint32_t word            # place in the row
    uint32_t number          # among the different ones in that place

cdef enum:
    NUMBERS = 256            # different words in one place that a product may have: a byte in a row

cdef class Draft:
    cdef uint8_t field
    cdef bint is_wide
    cdef list parts              # a product's fields in order; None: a field by itself
    cdef uint32_t* product       # number of the row of each combination, the first part's row counting fastest; or NULL
    cdef size_t n_product
    cdef uint32_t n_words        # of a row
    cdef event_t* events
    cdef size_t n_events
    cdef wide_t* cuts
    cdef uint32_t n_cuts
    cdef uint32_t* row_of        # n_cuts + 1 numbers of rows
    cdef uint32_t* rows          # places in words, n_words for each row
    cdef uint32_t n_rows
    cdef uint32_t rows_room
    cdef word_t* words           # all different ones, in order of appearance
    cdef uint32_t n_different
    # By word, at the value that the sweep has come to.
    cdef uint64_t* current       # rules that are satisfied
    cdef uint32_t* places        # its place in words
    cdef uint32_t* counts        # different ones so far
    cdef size_t* touched_at      # events before the value at which it last changed
    cdef uint32_t* touched       # list of the words that change at this value
    cdef int32_t* depth          # by rule: how many of its intervals hold the value
    cdef uint64_t row_hash       # of numbers
    cdef uint32_t* word_table    # hash tables of words and of rows: place + 1
    cdef size_t word_mask
    cdef uint32_t* row_table
    cdef size_t row_mask

    cdef int take(self, const condition_t* conditions, size_t n, uint32_t first, uint32_t n_rules) except -1
    cdef int allocate_events(self, size_t n_events, uint32_t n_rules) except -1
    cdef int allocate_rows(self, uint32_t n_words, size_t most_words, size_t most_rows) except -1
    cdef void add_event(self, wide_t position, uint32_t rule, int32_t change) noexcept
    cdef int sweep(self) except -1
    cdef size_t step(self, size_t at) noexcept
    cdef size_t reach(self, wide_t position, size_t at, uint32_t* n_touched) noexcept
    cdef void number_word(self, uint32_t word, bint is_first) noexcept
    cdef uint32_t number_row(self) except? 0xFFFFFFFF
    cdef int multiply(self, Draft a, Draft b) except -1
    cdef bint and_rows(self, const uint32_t* a_row, const word_t* a, const uint32_t* b_row, const word_t* b) noexcept

cdef Draft draft_product(Draft a, Draft b)
