"""Growing memory of ``arena.h``: address space reserved once, elements that never move."""

cdef extern from "conntrack/closed.h" nogil:
    void memory_close(const void* p, size_t n) noexcept
    void memory_open(const void* p, size_t n) noexcept

cdef extern from "conntrack/populate.h" nogil:
    ctypedef struct populator_t:
        pass
    void populator_stop(populator_t* p) noexcept

cdef extern from "conntrack/arena.h" nogil:
    ctypedef struct arena_t:
        char* base
        size_t reserved
        size_t usable
    int arena_init(arena_t* a, size_t bytes, size_t ahead, populator_t* populator) noexcept
    int arena_grow(arena_t* a, size_t bytes) noexcept
    void arena_free(arena_t* a) noexcept
