/* Counting sorted numbers below a value, sixteen at once or of 128 bits, the lowest bit, and asking for memory ahead: what
 * Cython cannot say well. */
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
