/* Arena: address space reserved once, memory taken as it fills.
 *
 * Elements never move, so growing neither copies nor invalidates a pointer, and a table that is not used
 * costs no memory. All but the first stretch asks for huge pages: at a million connections the page walks of
 * 4 KiB pages cost as much as the cache misses.
 *
 *   base ........ usable ........... wanted ..................... reserved
 *        in use          made present           address space only
 *                        by the populator
 *
 * The first touch of a huge page clears 2 MiB: 0.2 ms, and several ms in a virtual machine whose host has yet
 * to find the memory. A tracker must not pause for that, so a thread of the table (populate.h) touches what will
 * be needed next. Whoever is faster gets there first; nothing depends on the thread. */
#ifndef FASTCT_CONNTRACK_ARENA_H
#define FASTCT_CONNTRACK_ARENA_H

#include "closed.h"
#include "populate.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>

#define ARENA_HUGE ((size_t)2 << 20)   /* a huge page; the first one of an arena stays small pages */
#define ARENA_SMALL (ARENA_HUGE / 2)   /* an arena that needs no more has no help of the populator */
#define ARENA_CLOSED ((size_t)1 << 16) /* behind what is usable, so much is closed: all would cost too much */
#ifdef FASTCT_CLOSES_MEMORY
#define ARENA_STEP 8                   /* usable grows by this: to exactly what was asked for */
#else
#define ARENA_STEP ARENA_SMALL
#endif

typedef struct {
    char *base;
    size_t reserved; /* bytes of address space */
    size_t usable;   /* bytes that may be touched */
    char *mapping;   /* what mmap returned, for release */
    size_t mapped;
    populator_t *populator; /* NULL: memory becomes present when it is touched */
    size_t ahead;    /* bytes that the populator makes present before they are needed */
    populate_range_t range;
} arena_t;

static inline size_t arena_round(size_t bytes, size_t unit) { return (bytes + unit - 1) & ~(unit - 1); }

/* Where what is closed behind `usable` bytes ends. */
static inline size_t arena_closed(const arena_t *a, size_t usable) {
    size_t end = arena_round(usable + 1, ARENA_CLOSED);
    return end < a->reserved ? end : a->reserved;
}

/* Reserve room for `bytes`; if the system refuses so much, for as much as it grants, at least a huge page. */
static inline int arena_init(arena_t *a, size_t bytes, size_t ahead, populator_t *populator) {
    for (size_t pages = (bytes + ARENA_HUGE - 1) / ARENA_HUGE; pages; pages /= 2) {
        bytes = pages * ARENA_HUGE;
        void *got = mmap(NULL, bytes + ARENA_HUGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
                         -1, 0);
        if (got != MAP_FAILED) {
            a->mapping = got;
            a->mapped = bytes + ARENA_HUGE;
            a->base = (char *)arena_round((uintptr_t)got, ARENA_HUGE);
            a->reserved = bytes;
            a->usable = 0;
            a->populator = populator;
            a->ahead = ahead;
            if (bytes > ARENA_HUGE)
                madvise(a->base + ARENA_HUGE, bytes - ARENA_HUGE, MADV_HUGEPAGE);
            memory_close(a->base, arena_closed(a, 0));
            return 0;
        }
    }
    return -1;
}

/* Make the first `bytes` usable; new memory reads as zero. Returns -1 when the reservation is full. */
static inline int arena_grow(arena_t *a, size_t bytes) {
    if (__builtin_expect(bytes <= a->usable, 1))
        return 0;
    size_t target = arena_round(bytes, ARENA_STEP), wanted = arena_round(target + a->ahead, ARENA_HUGE);
    if (target > a->reserved)
        return -1;
    size_t closed = arena_closed(a, a->usable);
    memory_close(a->base + closed, arena_closed(a, target) - closed);
    memory_open(a->base + a->usable, target - a->usable);
    a->usable = target;
    if (a->populator && target > ARENA_SMALL)
        populator_want(a->populator, &a->range, a->base, wanted < a->reserved ? wanted : a->reserved);
    return 0;
}

/* => The populator has been stopped. */
static inline void arena_free(arena_t *a) {
    if (a->mapping) {
        memory_open(a->base, arena_closed(a, a->usable));
        munmap(a->mapping, a->mapped);
    }
    a->mapping = NULL;
    a->base = NULL;
    a->reserved = a->usable = 0;
}

#endif
