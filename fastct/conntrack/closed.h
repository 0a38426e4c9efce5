/* Memory that is there but that nobody may touch now. AddressSanitizer is told; every other build knows nothing. */
#ifndef FASTCT_CONNTRACK_CLOSED_H
#define FASTCT_CONNTRACK_CLOSED_H

#include <stddef.h>

#ifdef __has_feature /* clang */
#if __has_feature(address_sanitizer)
#define FASTCT_CLOSES_MEMORY 1
#endif
#elif defined(__SANITIZE_ADDRESS__) /* gcc */
#define FASTCT_CLOSES_MEMORY 1
#endif

#ifdef FASTCT_CLOSES_MEMORY
#include <sanitizer/asan_interface.h>
static inline void memory_close(const void *p, size_t n) { ASAN_POISON_MEMORY_REGION(p, n); }
static inline void memory_open(const void *p, size_t n) { ASAN_UNPOISON_MEMORY_REGION(p, n); }
#else
static inline void memory_close(const void *p, size_t n) { (void)p, (void)n; }
static inline void memory_open(const void *p, size_t n) { (void)p, (void)n; }
#endif

#endif
