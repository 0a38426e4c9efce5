"""A column of a block in the making; see ``draft.pxd``."""
cimport cython
from libc.stdint cimport int32_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, qsort, realloc
from libc.string cimport memcmp, memcpy

from fastct.rules.block cimport condition_t, wide_join, wide_t

cdef enum:
    EMPTY = 0xFFFFFFFF       # a place of a hash table

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
        free(self.numbers)
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
        self.n_words = (n_rules + 63) // 64
        self.allocate(2 * n_field, n_rules)
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

    cdef int allocate(self, size_t n_events, uint32_t n_rules) except -1:
        cdef size_t words = n_events + self.n_words, places
        self.events = <event_t*>allocated(n_events * sizeof(event_t))
        self.cuts = <wide_t*>allocated(n_events * sizeof(wide_t))
        self.row_of = <uint32_t*>allocated((n_events + 1) * sizeof(uint32_t))
        self.depth = <int32_t*>allocated(n_rules * sizeof(int32_t))
        self.current = <uint64_t*>allocated(self.n_words * sizeof(uint64_t))
        self.numbers = <uint32_t*>allocated(self.n_words * sizeof(uint32_t))
        self.counts = <uint32_t*>allocated(self.n_words * sizeof(uint32_t))
        self.touched = <uint32_t*>allocated(self.n_words * sizeof(uint32_t))
        self.touched_at = <size_t*>allocated(self.n_words * sizeof(size_t))
        self.words = <word_t*>allocated(words * sizeof(word_t))
        places = table_places(words)
        self.word_mask = places - 1
        self.word_table = <uint32_t*>allocated(places * sizeof(uint32_t))
        places = table_places(n_events + 1)
        self.row_mask = places - 1
        self.row_table = <uint32_t*>allocated(places * sizeof(uint32_t))
        for place in range(self.word_mask + 1):
            self.word_table[place] = EMPTY
        for place in range(self.row_mask + 1):
            self.row_table[place] = EMPTY

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
        """Find or give the number of a current word, and keep the hash of the row in step."""
        cdef uint64_t bits = self.current[word]
        cdef size_t place = mix(bits ^ <uint64_t>word * <uint64_t>0xD6E8FEB86659FD93) & self.word_mask
        cdef word_t* known
        while self.word_table[place] != EMPTY:
            known = &self.words[self.word_table[place]]
            if known.word == word and known.bits == bits:
                break
            place = (place + 1) & self.word_mask
        else:
            self.words[self.n_different] = word_t(bits, word, self.counts[word])
            self.counts[word] += 1
            known = &self.words[self.n_different]
            self.word_table[place] = self.n_different
            self.n_different += 1
        if not is_first:
            self.row_hash ^= mix(<uint64_t>(word + 1) << 32 | self.numbers[word])
        self.row_hash ^= mix(<uint64_t>(word + 1) << 32 | known.number)
        self.numbers[word] = known.number

    cdef uint32_t number_row(self) except? 0xFFFFFFFF:
        """Find or give the number of the current row."""
        cdef size_t place = self.row_hash & self.row_mask, size = self.n_words * sizeof(uint32_t)
        cdef void* grown
        while self.row_table[place] != EMPTY:
            if memcmp(self.rows + <size_t>self.row_table[place] * self.n_words, self.numbers, size) == 0:
                return self.row_table[place]
            place = (place + 1) & self.row_mask
        if self.n_rows == self.rows_room:
            grown = realloc(self.rows, (self.rows_room * 2 + 16) * size)
            if grown == NULL:
                raise MemoryError("no memory for the index of a chain")
            self.rows = <uint32_t*>grown
            self.rows_room = self.rows_room * 2 + 16
        memcpy(self.rows + <size_t>self.n_rows * self.n_words, self.numbers, size)
        self.row_table[place] = self.n_rows
        self.n_rows += 1
        return self.n_rows - 1
