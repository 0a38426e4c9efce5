/* Big-endian loads, the internet checksum and prefetch: what Cython cannot say well.
 *
 * Nothing here checks bounds: the caller has proven them (rooms of wire/ do so once per header). */
#ifndef FASTCT_WIRE_BYTES_H
#define FASTCT_WIRE_BYTES_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

static inline uint16_t load_be16(const uint8_t *p) {
    return (uint16_t)((p[0] << 8) | p[1]);
}

static inline uint32_t load_be32(const uint8_t *p) {
    return ((uint32_t)p[0] << 24) | ((uint32_t)p[1] << 16) | ((uint32_t)p[2] << 8) | (uint32_t)p[3];
}

/* Native-order loads: for copying and comparing bytes, never for arithmetic. */
static inline uint16_t load_u16(const uint8_t *p) { uint16_t v; memcpy(&v, p, sizeof v); return v; }
static inline uint32_t load_u32(const uint8_t *p) { uint32_t v; memcpy(&v, p, sizeof v); return v; }
static inline uint64_t load_u64(const uint8_t *p) { uint64_t v; memcpy(&v, p, sizeof v); return v; }

static inline void store_u64(uint8_t *p, uint64_t v) { memcpy(p, &v, sizeof v); }

/* A number whose bytes in memory are those of the parts, one behind the other. Building a key in a register and
 * storing it at once matters: reading eight bytes that were just written in pieces stalls the processor. */
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
static inline uint64_t join32(uint32_t first, uint32_t second) { return first | (uint64_t)second << 32; }
static inline uint32_t join16(uint16_t first, uint16_t second) { return first | (uint32_t)second << 16; }
static inline uint16_t join8(uint8_t first, uint8_t second) { return (uint16_t)(first | second << 8); }
#else
static inline uint64_t join32(uint32_t first, uint32_t second) { return second | (uint64_t)first << 32; }
static inline uint32_t join16(uint16_t first, uint16_t second) { return second | (uint32_t)first << 16; }
static inline uint16_t join8(uint8_t first, uint8_t second) { return (uint16_t)(second | first << 8); }
#endif

/* Exchange two numbers if `swap` is 1, without a branch: directions are as good as random. */
static inline void swap_if(unsigned swap, uint32_t *a, uint32_t *b) {
    uint32_t difference = (*a ^ *b) & (0u - swap);
    *a ^= difference;
    *b ^= difference;
}

static inline uint16_t swap16(uint16_t v) { return __builtin_bswap16(v); }
static inline uint32_t swap32(uint32_t v) { return __builtin_bswap32(v); }
static inline uint64_t swap64(uint64_t v) { return __builtin_bswap64(v); }

/* Asking for memory ahead; prefetch_w: the line is about to be dirtied. The empty statement keeps the compiler from
 * dropping a call to a function that does nothing else, as GCC does: to it, such a function has no effect. */
static inline void prefetch_w(const void *p) {
    __builtin_prefetch(p, 1, 3);
    __asm__ volatile("");
}
static inline void prefetch_r(const void *p) {
    __builtin_prefetch(p, 0, 3);
    __asm__ volatile("");
}

/* Sum of 16-bit words in native byte order, unfolded: ones' complement addition does not depend on
 * the byte order, so swapping can wait until (or be left out at) the end. */
static inline uint64_t sum_bytes(const uint8_t *p, size_t n, uint64_t sum) {
#ifdef __SSE2__
    if (n >= 64) {
        __m128i zero = _mm_setzero_si128(), low = zero, high = zero;
        for (; n >= 32; p += 32, n -= 32) {
            __m128i a = _mm_loadu_si128((const __m128i *)p), b = _mm_loadu_si128((const __m128i *)(p + 16));
            low = _mm_add_epi64(low, _mm_add_epi64(_mm_unpacklo_epi32(a, zero), _mm_unpacklo_epi32(b, zero)));
            high = _mm_add_epi64(high, _mm_add_epi64(_mm_unpackhi_epi32(a, zero), _mm_unpackhi_epi32(b, zero)));
        }
        low = _mm_add_epi64(low, high);
        sum += (uint64_t)_mm_cvtsi128_si64(low) + (uint64_t)_mm_cvtsi128_si64(_mm_unpackhi_epi64(low, low));
    }
#endif
    while (n >= 8) {
        uint64_t a = load_u64(p);
        sum += (a & 0xffffffffu) + (a >> 32);
        p += 8, n -= 8;
    }
    if (n & 4) {
        sum += load_u32(p);
        p += 4;
    }
    if (n & 2) {
        sum += load_u16(p);
        p += 2;
    }
    if (n & 1) {
        uint8_t last[2] = {*p, 0};
        sum += load_u16(last);
    }
    return sum;
}

/* Fold to 16 bits; 0xffff means "verifies" when the checksum field itself was summed. */
static inline uint16_t sum_fold(uint64_t sum) {
    sum = (sum & 0xffffffffu) + (sum >> 32);
    sum = (sum & 0xffffffffu) + (sum >> 32);
    sum = (sum & 0xffffu) + (sum >> 16);
    sum = (sum & 0xffffu) + (sum >> 16);
    return (uint16_t)sum;
}

#endif
