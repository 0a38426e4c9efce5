/* Arena: address space reserved once, memory taken as it fills.
 *
 * Elements never move, so growing neither copies nor invalidates a pointer, and a table that is not used
 * costs no memory. Large arenas ask for huge pages: at a million connections the page walks of 4 KiB pages
 * cost as much as the cache misses. */
#ifndef FASTCT_CONNTRACK_ARENA_H
#define FASTCT_CONNTRACK_ARENA_H

#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>

#define ARENA_STEP ((size_t)2 << 20)

typedef struct {
    char *base;
    size_t reserved; /* bytes of address space */
    size_t usable;   /* bytes that may be touched */
    char *mapping;   /* what mmap returned, for release */
    size_t mapped;
} arena_t;

/* Reserve room for `bytes`; if the system refuses so much, for as much as it grants, at least `least`. */
static inline int arena_init(arena_t *a, size_t bytes, size_t least) {
    bytes = (bytes + ARENA_STEP - 1) & ~(ARENA_STEP - 1);
    for (; bytes >= least && bytes >= ARENA_STEP; bytes >>= 1) {
        bytes = (bytes + ARENA_STEP - 1) & ~(ARENA_STEP - 1);
        void *got = mmap(NULL, bytes + ARENA_STEP, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (got != MAP_FAILED) {
            a->mapping = got;
            a->mapped = bytes + ARENA_STEP;
            a->base = (char *)(((uintptr_t)got + ARENA_STEP - 1) & ~(uintptr_t)(ARENA_STEP - 1));
            a->reserved = bytes;
            a->usable = 0;
            return 0;
        }
    }
    return -1;
}

/* Make the first `bytes` usable; new memory reads as zero. Returns -1 when the reservation is full. */
static inline int arena_grow(arena_t *a, size_t bytes) {
    if (bytes <= a->usable)
        return 0;
    size_t target = (bytes + ARENA_STEP - 1) & ~(ARENA_STEP - 1);
    if (target > a->reserved)
        return -1;
    if (mprotect(a->base + a->usable, target - a->usable, PROT_READ | PROT_WRITE))
        return -1;
    madvise(a->base + a->usable, target - a->usable, MADV_HUGEPAGE);
    a->usable = target;
    return 0;
}

static inline void arena_free(arena_t *a) {
    if (a->mapping)
        munmap(a->mapping, a->mapped);
    a->mapping = NULL;
    a->base = NULL;
    a->reserved = a->usable = 0;
}

#endif
