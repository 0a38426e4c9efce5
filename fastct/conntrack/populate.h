/* Populator: a thread that makes memory present before it is needed.
 *
 *   owner   populator_want ──► range.wanted, wake ──► thread: madvise(MADV_POPULATE_WRITE)
 *
 * The thread is started with the first wish, so a small table has none, and it ends with populator_stop. It
 * reads and writes nothing in the memory. On kernels before 5.14 its calls fail and nothing happens. */
#ifndef FASTCT_CONNTRACK_POPULATE_H
#define FASTCT_CONNTRACK_POPULATE_H

#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/mman.h>
#include <unistd.h>

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

#define POPULATE_RANGES 8
#define POPULATE_STEP ((size_t)2 << 20) /* of one call: another range may be more urgent */

typedef struct {
    char *base;
    size_t present;        /* bytes that the thread has made present */
    atomic_size_t wanted;
} populate_range_t;

typedef struct {
    pthread_t thread;
    sem_t wake;
    pid_t owner;           /* the process that started the thread: a forked child has none; 0: not started */
    atomic_int stop;
    atomic_int n;
    populate_range_t *range[POPULATE_RANGES];
} populator_t;

/* One step of the range that is furthest behind; 0 if none is. */
static inline int populate_step(populator_t *p) {
    populate_range_t *most = NULL;
    size_t behind = 0;
    for (int i = 0; i < atomic_load(&p->n); i++) {
        size_t left = atomic_load(&p->range[i]->wanted) - p->range[i]->present;
        if (left > behind)
            most = p->range[i], behind = left;
    }
    if (most == NULL)
        return 0;
    size_t size = behind < POPULATE_STEP ? behind : POPULATE_STEP;
    madvise(most->base + most->present, size, MADV_POPULATE_WRITE);
    most->present += size;
    return 1;
}

static inline void *populate_main(void *argument) {
    populator_t *p = argument;
    while (!atomic_load(&p->stop))
        if (!populate_step(p))
            sem_wait(&p->wake);
    return NULL;
}

static inline int populator_start(populator_t *p) {
    sigset_t all, before;
    sem_init(&p->wake, 0, 0);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before); /* signals are for the program's own threads */
    int failed = pthread_create(&p->thread, NULL, populate_main, p);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    p->owner = failed ? -1 : getpid();
    return failed;
}

/* The range shall be present up to `wanted` bytes from `base` (which is the same at every call). Never waits. */
static inline void populator_want(populator_t *p, populate_range_t *range, char *base, size_t wanted) {
    if (range->base == NULL) {
        int n = atomic_load(&p->n);
        if (n == POPULATE_RANGES)
            return;
        range->base = base;
        range->present = POPULATE_STEP; /* the first stretch is in use already */
        atomic_store(&range->wanted, POPULATE_STEP);
        p->range[n] = range;
        atomic_store(&p->n, n + 1);
    }
    if (wanted <= atomic_load(&range->wanted))
        return;
    atomic_store(&range->wanted, wanted);
    if (p->owner == 0 && populator_start(p))
        return;
    if (p->owner > 0)
        sem_post(&p->wake);
}

/* End the thread, and wait for it. */
static inline void populator_stop(populator_t *p) {
    if (p->owner != getpid())
        return;
    atomic_store(&p->stop, 1);
    sem_post(&p->wake);
    pthread_join(p->thread, NULL);
    sem_destroy(&p->wake);
    p->owner = 0;
}

#endif
