/* Counting sorted numbers below a value, sixteen at once or of 128 bits, what rows of bits have in common, the lowest bit,
 * and asking for memory ahead: what Cython cannot say well. */
#ifndef FASTCT_RULES_RANK_H
#define FASTCT_RULES_RANK_H

#include <stdint.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

#define LINE_KEYS 16 /* a cache line of 32-bit keys */

typedef unsigned __int128 wide_t;

static inline wide_t wide_join(uint64_t high, uint64_t low) { return (wide_t)high << 64 | low; }

static inline void ask_ahead(const void *p) { __builtin_prefetch(p, 0, 3); }

static inline int bit_lowest(uint64_t bits) { return __builtin_ctzll(bits); }

/* How many of a line's sorted keys lie below `value`. The line is aligned to its size. */
static inline uint32_t rank_line(const int32_t *keys, int32_t value) {
#ifdef __SSE2__
    const __m128i *line = (const __m128i *)keys;
    __m128i wanted = _mm_set1_epi32(value);
    __m128i first = _mm_packs_epi32(_mm_cmpgt_epi32(wanted, line[0]), _mm_cmpgt_epi32(wanted, line[1]));
    __m128i second = _mm_packs_epi32(_mm_cmpgt_epi32(wanted, line[2]), _mm_cmpgt_epi32(wanted, line[3]));
    unsigned below = (unsigned)_mm_movemask_epi8(_mm_packs_epi16(first, second));
    return (uint32_t)__builtin_ctz(~below);
#else
    uint32_t below = 0;
    for (int i = 0; i < LINE_KEYS; i++)
        below += keys[i] < value;
    return below;
#endif
}

/* Which of the sixteen 32-bit lanes at `at` are not zero in the AND of n rows, one bit each. Rows are aligned to a line. */
static inline uint32_t lanes_in_common(const uint8_t *const *rows, uint32_t n, size_t at) {
#ifdef __SSE2__
    const __m128i *row = (const __m128i *)(rows[0] + at);
    __m128i a = row[0], b = row[1], c = row[2], d = row[3], none = _mm_setzero_si128();
    for (uint32_t i = 1; i < n; i++) {
        row = (const __m128i *)(rows[i] + at);
        a = _mm_and_si128(a, row[0]);
        b = _mm_and_si128(b, row[1]);
        c = _mm_and_si128(c, row[2]);
        d = _mm_and_si128(d, row[3]);
    }
    a = _mm_packs_epi32(_mm_cmpeq_epi32(a, none), _mm_cmpeq_epi32(b, none));
    c = _mm_packs_epi32(_mm_cmpeq_epi32(c, none), _mm_cmpeq_epi32(d, none));
    return 0xffff & ~(uint32_t)_mm_movemask_epi8(_mm_packs_epi16(a, c));
#else
    uint32_t lanes = 0;
    for (int lane = 0; lane < LINE_KEYS; lane++) {
        uint32_t bits = ~0u;
        for (uint32_t i = 0; i < n; i++)
            bits &= ((const uint32_t *)(rows[i] + at))[lane];
        lanes |= (uint32_t)(bits != 0) << lane;
    }
    return lanes;
#endif
}

/* How many of n sorted numbers are at most `value`. */
static inline uint32_t rank_wide(const wide_t *sorted, uint32_t n, wide_t value) {
    const wide_t *base = sorted;
    while (n > 1) {
        uint32_t half = n / 2;
        base += base[half - 1] <= value ? half : 0;
        n -= half;
    }
    return (uint32_t)(base - sorted) + (n && base[0] <= value);
}

#endif
