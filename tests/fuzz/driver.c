/* What libFuzzer is given beside the targets: a mutator that knows records, and a clock on every input.
 *
 *   input    = HEADER bytes of settings, records
 *   record   = control byte, length (2 bytes, least significant first), data
 *
 * Built into one preloaded library with libFuzzer itself, so that the instrumented modules, which Python loads later,
 * find its symbols, and so that it finds the mutator. */
#define _GNU_SOURCE
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define HEADER 4
#define RECORD 3
#define RECORDS_MAX 256
#define EXPORT __attribute__((visibility("default")))

typedef int (*target_t)(const uint8_t *data, size_t size);

extern int LLVMFuzzerRunDriver(int *argc, char ***argv, target_t target);
extern size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t most);

/* ---- the clock: processor time, which a busy machine does not lengthen */

static target_t timed;
static uint64_t limit_us, slowest_us;
static size_t slowest_size;

static uint64_t now_us(void) {
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static uint64_t one(const uint8_t *data, size_t size) {
    uint64_t begin = now_us();
    timed(data, size);
    return now_us() - begin;
}

static int run(const uint8_t *data, size_t size) {
    uint64_t us = one(data, size);
    if (us > slowest_us && (us = one(data, size)) > slowest_us) { /* once more: the first may have met cold memory */
        slowest_us = us;
        slowest_size = size;
    }
    if (us > limit_us) {
        fprintf(stderr, "fuzz: an input of %zu bytes takes %llu us\n", size, (unsigned long long)us);
        abort();
    }
    return 0;
}

static void report(void) {
    fprintf(stderr, "fuzz: slowest %llu us, of %zu bytes\n", (unsigned long long)slowest_us, slowest_size);
}

EXPORT int fuzz_drive(int argc, char **argv, target_t target, unsigned limit_ms) {
    timed = target;
    limit_us = (uint64_t)limit_ms * 1000;
    atexit(report);
    return LLVMFuzzerRunDriver(&argc, &argv, run);
}

/* ---- the mutator */

typedef struct {
    uint8_t ctl;
    uint16_t len;
    const uint8_t *data;
} record_t;

typedef struct {
    record_t at[RECORDS_MAX];
    size_t n;
} records_t;

static uint32_t state;

static uint32_t below(uint32_t n) {
    state ^= state << 13, state ^= state >> 17, state ^= state << 5;
    return n ? state % n : 0;
}

static void parse(records_t *r, const uint8_t *data, size_t size) {
    r->n = 0;
    for (size_t at = HEADER; at + RECORD <= size && r->n < RECORDS_MAX;) {
        size_t len = data[at + 1] | data[at + 2] << 8, left = size - at - RECORD;
        record_t *record = &r->at[r->n++];
        record->ctl = data[at];
        record->len = (uint16_t)(len < left ? len : left);
        record->data = data + at + RECORD;
        at += RECORD + record->len;
    }
}

/* Write as many records as there is room for; returns the end. */
static uint8_t *put(uint8_t *out, const uint8_t *end, const record_t *r, size_t n) {
    for (size_t i = 0; i < n && (size_t)(end - out) >= (size_t)RECORD + r[i].len; i++) {
        out[0] = r[i].ctl;
        out[1] = (uint8_t)r[i].len;
        out[2] = (uint8_t)(r[i].len >> 8);
        memcpy(out + RECORD, r[i].data, r[i].len);
        out += RECORD + r[i].len;
    }
    return out;
}

static size_t put_all(uint8_t *data, size_t most, const records_t *r) {
    uint8_t *out = malloc(most + 1);
    size_t size = (size_t)(put(out, out + (most - HEADER), r->at, r->n) - out);
    memcpy(data + HEADER, out, size);
    free(out);
    return HEADER + size;
}

static void insert(records_t *r, size_t at, record_t record) {
    if (r->n == RECORDS_MAX)
        return;
    memmove(&r->at[at + 1], &r->at[at], (r->n - at) * sizeof record);
    r->at[at] = record;
    r->n++;
}

static record_t removed(records_t *r, size_t at) {
    record_t record = r->at[at];
    r->n--;
    memmove(&r->at[at], &r->at[at + 1], (r->n - at) * sizeof record);
    return record;
}

/* Whole records: one more, one less, another order, another control byte. */
static void shuffle(records_t *r) {
    size_t at = below((uint32_t)r->n);
    switch (below(4)) {
    case 0: insert(r, below((uint32_t)r->n + 1), r->at[at]); break;
    case 1: removed(r, at); break;
    case 2: insert(r, below((uint32_t)r->n), removed(r, at)); break;
    default: r->at[at].ctl ^= (uint8_t)(1 << below(8));
    }
}

EXPORT size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most, unsigned seed) {
    static records_t r;
    static uint8_t content[65536];
    state = seed * 2654435761u | 1;
    if (size < HEADER + RECORD || most < HEADER + RECORD || below(8) == 0)
        return LLVMFuzzerMutate(data, size, most);
    if (below(16) == 0) {
        LLVMFuzzerMutate(data, HEADER, HEADER);
        return size;
    }
    parse(&r, data, size);
    if (below(3) == 0) {
        shuffle(&r);
        return put_all(data, most, &r);
    }
    record_t *record = &r.at[below((uint32_t)r.n)];
    size_t room = most - size + record->len;
    memcpy(content, record->data, record->len);
    record->len = (uint16_t)LLVMFuzzerMutate(content, record->len, room < 65535 ? room : 65535);
    record->data = content;
    return put_all(data, most, &r);
}

EXPORT size_t LLVMFuzzerCustomCrossOver(const uint8_t *a, size_t size_a, const uint8_t *b, size_t size_b, uint8_t *out,
                                        size_t most, unsigned seed) {
    static records_t first, second;
    state = seed * 2654435761u | 1;
    if (size_a < HEADER || most < HEADER)
        return 0;
    parse(&first, a, size_a);
    parse(&second, b, size_b);
    size_t from = below((uint32_t)second.n + 1);
    memcpy(out, a, HEADER);
    uint8_t *end = put(out + HEADER, out + most, first.at, below((uint32_t)first.n + 1));
    return (size_t)(put(end, out + most, second.at + from, second.n - from) - out);
}
