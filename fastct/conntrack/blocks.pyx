"""Blocks of memory; see ``blocks.pxd``."""
from fastct.conntrack.arena cimport arena_free, arena_grow, arena_init, memory_close, memory_open


cdef int blocks_init(blocks_t* b, size_t bytes) except -1:
    """Reserve address space. => ``b`` is zeroed."""
    if arena_init(&b.mem, bytes, 0, NULL):
        raise MemoryError("no address space for blocks")
    return 0


cdef void blocks_free(blocks_t* b) noexcept:
    arena_free(&b.mem)


cdef int size_of(size_t bytes) noexcept nogil:
    """Number of the smallest size that has room, or BLOCK_SIZES."""
    cdef int size = 0
    while size < BLOCK_SIZES and (<size_t>BLOCK_SMALLEST << size) < bytes:
        size += 1
    return size


cdef void* block_take(blocks_t* b, size_t bytes) noexcept nogil:
    """A block with room for so many bytes, their content left over; NULL if there is no more memory."""
    cdef int size = size_of(bytes)
    cdef block_t* block
    if size == BLOCK_SIZES:
        return NULL
    block = b.spare[size]
    if block != NULL:
        b.spare[size] = block.next
    elif arena_grow(&b.mem, b.used + (<size_t>BLOCK_SMALLEST << size)):
        return NULL
    else:
        block = <block_t*>(b.mem.base + b.used)
        b.used += <size_t>BLOCK_SMALLEST << size
    memory_close(block, <size_t>BLOCK_SMALLEST << size)
    memory_open(block, bytes)
    return block


cdef void block_give(blocks_t* b, void* block, size_t bytes) noexcept nogil:
    """Give back what was taken with the same number of bytes."""
    cdef int size = size_of(bytes)
    memory_close(block, <size_t>BLOCK_SMALLEST << size)
    memory_open(block, sizeof(block_t))
    (<block_t*>block).next = b.spare[size]
    b.spare[size] = <block_t*>block
