/* The keyed hash of a tuple: two rounds of 64x64 -> 128 bit multiply-and-fold with 256 bits of secret.
 *
 * Whoever does not know the secret cannot aim at a bucket: unlike a CRC, the difference of two hashes
 * depends on the key. */
#ifndef FASTCT_WIRE_HASH_H
#define FASTCT_WIRE_HASH_H

#include <stdint.h>

typedef struct {
    uint64_t k[8];
} hash_key_t;

static inline uint64_t hash_fold(uint64_t a, uint64_t b) {
    __uint128_t product = (__uint128_t)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

/* 16 bytes: a whole tuple key. */
static inline uint64_t hash_pair(const hash_key_t *key, uint64_t a, uint64_t b) {
    uint64_t h = hash_fold(a ^ key->k[0], b ^ key->k[1]);
    return hash_fold(h ^ key->k[2], b ^ key->k[3]) ^ h;
}

/* 32 bytes: the two IPv6 addresses of a tuple, condensed to the 64 bits its key has room for. */
static inline uint64_t hash_addresses(const hash_key_t *key, uint64_t a0, uint64_t a1, uint64_t b0, uint64_t b1) {
    uint64_t a = hash_fold(a0 ^ key->k[4], a1 ^ key->k[5]);
    uint64_t b = hash_fold(b0 ^ key->k[6], b1 ^ key->k[7]);
    return hash_fold(a ^ key->k[0], b ^ key->k[1]);
}

#endif
