"""The index of a chain: which of its rules can match a packet, in order, whatever the number of rules.

    chain ──► conditions on fields ──► classifier_build ──► blocks of up to 16,384 rules (``block.pxd``)
    packet ──► packet_fields_t ──► classifier_open ──► cursor_t ──► classifier_next(start) ──► rule, or NO_RULE

``classifier_next`` gives the first rule from ``start`` on whose conditions on fields all hold; what else the rule asks
is the caller's to check, who goes on with the rule behind it. Fields that a packet lacks (ports of ICMP) may have any
value as long as the rule's other conditions say what the packet must be.

For packets that are known ahead, ``classifier_open_batch`` does the look-ups of many before any is asked for, so that
the waits for memory overlap. A cursor stays good until the classifier is freed; it refers to the packet's fields.
"""
from libc.stdint cimport uint8_t, uint32_t, uint64_t

from fastct.rules.block cimport BLOCK_SUMMARY, FIELDS, block_t, condition_t, packet_fields_t

cdef enum:
    NO_RULE = 0xFFFFFFFF
    CLASSIFIER_WORTH = 32    # rules from which on a chain is faster with an index than without
    CLASSIFIER_BATCH = 32    # packets that are worth opening at once

cdef struct classifier_t:
    uint32_t n_rules
    uint32_t n_blocks
    block_t* blocks

cdef struct cursor_t:
    const packet_fields_t* fields
    const block_t* block                        # that the rest is about
    uint64_t candidates[BLOCK_SUMMARY]          # words of rules in which all fields have some
    const uint8_t* rows[FIELDS]                 # by column

cdef int classifier_build(classifier_t* c, uint32_t n_rules, const condition_t* conditions, size_t n,
                          bint ipv6) except -1
cdef void classifier_free(classifier_t* c) noexcept
cdef size_t classifier_memory(const classifier_t* c) noexcept

cdef void classifier_open(const classifier_t* c, const packet_fields_t* fields, cursor_t* cursor) noexcept nogil
cdef void classifier_open_batch(const classifier_t* c, const packet_fields_t* fields, cursor_t* cursors,
                                size_t n) noexcept nogil
cdef uint32_t classifier_next(const classifier_t* c, cursor_t* cursor, uint32_t start) noexcept nogil

cdef class Classifier:
    cdef classifier_t c
