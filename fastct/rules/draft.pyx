"""A column of a block in the making; see ``draft.pxd``."""
cimport cython
from libc.stdint cimport int32_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, qsort, realloc
from libc.string cimport memcmp, memcpy

from fastct.rules.block cimport condition_t, wide_join, wide_t

cdef int event_order(const void* a, const void* b) noexcept nogil:
    cdef wide_t first = (<const event_t*>a).position, second = (<const event_t*>b).position
    return <int>(first > second) - <int>(first < second)


cdef inline uint64_t mix(uint64_t value) noexcept nogil:
    value = (value ^ value >> 32) * <uint64_t>0x9E3779B97F4A7C15
    value = (value ^ value >> 29) * <uint64_t>0xBF58476D1CE4E5B9
    return value ^ value >> 32


cdef inline size_t table_places(size_t n) noexcept nogil:
    """Places of a hash table for n entries: a power of two."""
    cdef size_t places = 16
    while places < 2 * n:
        places *= 2
    return places


cdef void* allocated(size_t size) except NULL:
    cdef void* memory = calloc(size or 1, 1)
    if memory == NULL:
        raise MemoryError("no memory for the index of a chain")
    return memory


@cython.final
cdef class Draft:
    """Owns the arrays of a column in the making."""

    def __dealloc__(self):
        free(self.events)
        free(self.cuts)
        free(self.row_of)
        free(self.depth)
        free(self.current)
        free(self.places)
        free(self.product)
        free(self.counts)
        free(self.touched)
        free(self.touched_at)
        free(self.words)
        free(self.word_table)
        free(self.rows)
        free(self.row_table)

    cdef int take(self, const condition_t* conditions, size_t n, uint32_t first, uint32_t n_rules) except -1:
        """Read the conditions of the field into events and the words of a value before all of them."""
        cdef size_t i, n_field = 0
        cdef uint32_t rule, word
        cdef wide_t low, high
        for i in range(n):
            n_field += conditions[i].field == self.field
        if n_field == 0:
            return 0
        self.allocate_rows((n_rules + 63) // 64, 2 * n_field + (n_rules + 63) // 64, 2 * n_field + 1)
        self.allocate_events(2 * n_field, n_rules)
        for rule in range(n_rules):
            self.current[rule >> 6] |= <uint64_t>1 << (rule & 63)
        for i in range(n):
            if conditions[i].field != self.field:
                continue
            rule = conditions[i].rule - first
            self.current[rule >> 6] &= ~(<uint64_t>1 << (rule & 63))
            low = wide_join(conditions[i].low_hi, conditions[i].low_lo)
            high = wide_join(conditions[i].high_hi, conditions[i].high_lo)
            if low <= high:
                self.add_event(low, rule, 1)
                if high != (~wide_join(0, 0) if self.is_wide else 0xFFFFFFFF):
                    self.add_event(high + 1, rule, -1)
        qsort(self.events, self.n_events, sizeof(event_t), event_order)
        for word in range(self.n_words):
            self.touched_at[word] = <size_t>-1
        return 1

    cdef int allocate_events(self, size_t n_events, uint32_t n_rules) except -1:
        self.events = <event_t*>allocated(n_events * sizeof(event_t))
        self.cuts = <wide_t*>allocated(n_events * sizeof(wide_t))
        self.row_of = <uint32_t*>allocated((n_events + 1) * sizeof(uint32_t))
        self.depth = <int32_t*>allocated(n_rules * sizeof(int32_t))
        self.touched = <uint32_t*>allocated(self.n_words * sizeof(uint32_t))
        self.touched_at = <size_t*>allocated(self.n_words * sizeof(size_t))

    cdef int allocate_rows(self, uint32_t n_words, size_t most_words, size_t most_rows) except -1:
        self.n_words = n_words
        self.current = <uint64_t*>allocated(n_words * sizeof(uint64_t))
        self.places = <uint32_t*>allocated(n_words * sizeof(uint32_t))
        self.counts = <uint32_t*>allocated(n_words * sizeof(uint32_t))
        self.words = <word_t*>allocated(most_words * sizeof(word_t))
        self.word_mask = table_places(most_words) - 1
        self.word_table = <uint32_t*>allocated((self.word_mask + 1) * sizeof(uint32_t))
        self.row_mask = table_places(most_rows) - 1
        self.row_table = <uint32_t*>allocated((self.row_mask + 1) * sizeof(uint32_t))

    cdef void add_event(self, wide_t position, uint32_t rule, int32_t change) noexcept:
        self.events[self.n_events] = event_t(position, rule, change)
        self.n_events += 1

    cdef int sweep(self) except -1:
        """Walk over the values and note a cut wherever the row becomes another one."""
        cdef size_t at = 0
        cdef uint32_t word, row, last
        at = self.reach(0, at, NULL)
        for word in range(self.n_words):
            self.number_word(word, True)
        last = self.number_row()
        self.row_of[0] = last
        while at < self.n_events:
            at = self.step(at)
            row = self.number_row()
            if row != last:
                self.cuts[self.n_cuts] = self.events[at - 1].position
                self.n_cuts += 1
                self.row_of[self.n_cuts] = last = row
        return 0

    cdef size_t step(self, size_t at) noexcept:
        """Number the words that change at the next position; => the events up to there."""
        cdef uint32_t n_touched = 0, i
        at = self.reach(self.events[at].position, at, &n_touched)
        for i in range(n_touched):
            self.number_word(self.touched[i], False)
        return at

    cdef size_t reach(self, wide_t position, size_t at, uint32_t* n_touched) noexcept:
        """Apply the events at a position to the current words."""
        cdef size_t before = at
        cdef uint32_t rule, word
        while at < self.n_events and self.events[at].position == position:
            rule = self.events[at].rule
            word = rule >> 6
            self.depth[rule] += self.events[at].change
            if self.depth[rule] > 0:
                self.current[word] |= <uint64_t>1 << (rule & 63)
            else:
                self.current[word] &= ~(<uint64_t>1 << (rule & 63))
            if n_touched != NULL and self.touched_at[word] != before:
                self.touched_at[word] = before
                self.touched[n_touched[0]] = word
                n_touched[0] += 1
            at += 1
        return at

    cdef void number_word(self, uint32_t word, bint is_first) noexcept:
        """Find or give the place of a current word, and keep the hash of the row in step."""
        cdef uint64_t bits = self.current[word]
        cdef size_t slot = mix(bits ^ <uint64_t>word * <uint64_t>0xD6E8FEB86659FD93) & self.word_mask
        cdef uint32_t place
        while self.word_table[slot]:
            place = self.word_table[slot] - 1
            if self.words[place].word == word and self.words[place].bits == bits:
                break
            slot = (slot + 1) & self.word_mask
        else:
            place = self.n_different
            self.words[place] = word_t(bits, word, self.counts[word])
            self.counts[word] += 1
            self.n_different += 1
            self.word_table[slot] = self.n_different
        if not is_first:
            self.row_hash ^= mix(self.places[word])
        self.row_hash ^= mix(place)
        self.places[word] = place

    cdef uint32_t number_row(self) except? 0xFFFFFFFF:
        """Find or give the number of the current row."""
        cdef size_t slot = self.row_hash & self.row_mask, size = self.n_words * sizeof(uint32_t)
        cdef void* grown
        while self.row_table[slot]:
            if memcmp(self.rows + <size_t>(self.row_table[slot] - 1) * self.n_words, self.places, size) == 0:
                return self.row_table[slot] - 1
            slot = (slot + 1) & self.row_mask
        if self.n_rows == self.rows_room:
            grown = realloc(self.rows, (self.rows_room * 2 + 16) * size)
            if grown == NULL:
                raise MemoryError("no memory for the index of a chain")
            self.rows = <uint32_t*>grown
            self.rows_room = self.rows_room * 2 + 16
        memcpy(self.rows + <size_t>self.n_rows * self.n_words, self.places, size)
        self.n_rows += 1
        self.row_table[slot] = self.n_rows
        return self.n_rows - 1

    cdef int multiply(self, Draft a, Draft b) except -1:
        """Become the product of two; => 0 if some place would have too many different words."""
        cdef size_t n = a.n_product if a.product != NULL else a.n_rows, i
        cdef uint32_t row, other
        cdef uint32_t* pairs
        self.n_product = n * b.n_rows
        self.product = <uint32_t*>allocated(self.n_product * sizeof(uint32_t))
        self.allocate_rows(a.n_words, <size_t>a.n_words * (NUMBERS + 1), <size_t>a.n_rows * b.n_rows)
        self.parts = (a.parts or [a]) + [b]
        pairs = <uint32_t*>allocated(a.n_rows * sizeof(uint32_t))
        try:
            for other in range(b.n_rows):
                for row in range(a.n_rows):
                    if not self.and_rows(a.rows + <size_t>row * a.n_words, a.words,
                                         b.rows + <size_t>other * b.n_words, b.words):
                        return 0
                    pairs[row] = self.number_row()
                for i in range(n):
                    self.product[other * n + i] = pairs[a.product[i] if a.product != NULL else i]
        finally:
            free(pairs)
        return 1

    cdef bint and_rows(self, const uint32_t* a_row, const word_t* a, const uint32_t* b_row, const word_t* b) noexcept:
        """Make the AND of two rows the current one, unless some place has too many different words."""
        cdef bint is_first = self.n_rows == 0
        cdef uint32_t word
        cdef uint64_t bits
        for word in range(self.n_words):
            bits = a[a_row[word]].bits & b[b_row[word]].bits
            if is_first or bits != self.current[word]:
                self.current[word] = bits
                self.number_word(word, is_first)
                if self.counts[word] > NUMBERS:
                    return False
        return True


cdef Draft draft_product(Draft a, Draft b):
    """A column for the fields of both, or None if its rows would need two bytes for a word."""
    cdef Draft draft = Draft.__new__(Draft)
    return draft if draft.multiply(a, b) else None
