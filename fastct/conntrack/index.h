/* One line of the index: eight slots in 64 bytes, compared at once.
 *
 *   tag[8]   16 hash bits of the connection in that place; 0: empty
 *   slot[8]  its number in the slab
 *   due[8]   coarse deadline: no sooner than this unit of time can it have expired (modulo 256)
 *   next     overflow line holding the rest of this bucket, 0: none
 */
#ifndef FASTCT_CONNTRACK_INDEX_H
#define FASTCT_CONNTRACK_INDEX_H

#include <stdint.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

#define LINE_PLACES 8

typedef struct {
    uint16_t tag[LINE_PLACES];
    uint32_t slot[LINE_PLACES];
    uint8_t due[LINE_PLACES];
    uint32_t next;
    uint32_t reserved;
} line_t;

/* Places whose tag equals `tag`, one bit each. */
static inline unsigned line_match(const line_t *line, uint16_t tag) {
#ifdef __SSE2__
    __m128i tags = _mm_loadu_si128((const __m128i *)line->tag);
    __m128i equal = _mm_cmpeq_epi16(tags, _mm_set1_epi16((short)tag));
    return (unsigned)_mm_movemask_epi8(_mm_packs_epi16(equal, _mm_setzero_si128()));
#else
    unsigned mask = 0;
    for (int i = 0; i < LINE_PLACES; i++)
        mask |= (unsigned)(line->tag[i] == tag) << i;
    return mask;
#endif
}

static inline unsigned line_used(const line_t *line) { return line_match(line, 0) ^ 0xffu; }

/* Used places whose coarse deadline is `now` or lies before it, both modulo 256: they may have expired. */
static inline unsigned line_due(const line_t *line, uint8_t now) {
    unsigned mask = 0;
#ifdef __SSE2__
    __m128i due = _mm_loadl_epi64((const __m128i *)line->due);
    __m128i ahead = _mm_sub_epi8(_mm_set1_epi8((char)now), due);
    mask = (unsigned)_mm_movemask_epi8(_mm_cmpgt_epi8(ahead, _mm_set1_epi8(-1))) & 0xffu;
#else
    for (int i = 0; i < LINE_PLACES; i++)
        mask |= (unsigned)((int8_t)(uint8_t)(now - line->due[i]) >= 0) << i;
#endif
    return mask & line_used(line);
}

static inline int lowest_bit(unsigned mask) { return __builtin_ctz(mask); }

#endif
