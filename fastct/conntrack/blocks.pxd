"""Memory in blocks of a few sizes, for what has no size of its own: taken and given back without asking anyone.

A block's size is the next power of two; one that is given back waits for the next of its size. Blocks are never
split or joined, so what is held at most is, for each size, the most that was ever in use of it: bounded whenever
the use is.
"""
from libc.stdint cimport uint8_t

from fastct.conntrack.arena cimport arena_t

cdef enum:
    BLOCK_SIZES = 12
    BLOCK_SMALLEST = 256
    BLOCK_LARGEST = BLOCK_SMALLEST << (BLOCK_SIZES - 1)

cdef struct block_t:
    block_t* next

cdef struct blocks_t:
    arena_t mem
    size_t used                    # bytes of ``mem`` that were ever handed out
    block_t* spare[BLOCK_SIZES]    # given back, by size

cdef int blocks_init(blocks_t* b, size_t bytes) except -1
cdef void blocks_free(blocks_t* b) noexcept
cdef void* block_take(blocks_t* b, size_t bytes) noexcept nogil
cdef void block_give(blocks_t* b, void* block, size_t bytes) noexcept nogil
