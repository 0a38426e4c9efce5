"""Rows as CSV or JSON Lines, by the table of columns.

A row is walked once; each cell is one step of a small program made from the table: where the value lies, its form,
and when it is empty. No text in the outputs needs quoting: words, numbers and addresses have no comma, quote or
backslash.
"""
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy

from cpython.bytes cimport PyBytes_FromStringAndSize
from cpython.mem cimport PyMem_Free, PyMem_Malloc

import numpy as np

from fastct.columns import (
    ALWAYS_THERE,
    IF_ZERO,
    KINDS,
    WITH_ICMP,
    WITH_PORTS,
    WITHOUT_ENTRY,
    WITHOUT_ICMP,
    WITHOUT_PORTS,
    columns_of,
    offset_of,
)
from fastct.export.text cimport HEX_DIGITS, put_address, put_hex, put_number, put_text

cdef enum:
    CELLS_MAX = 48
    CELL_MAX = 192      # longest cell with its JSON key
    WORD_MAX = 64
    BLOCK = 2048        # rows formatted at a time
    BYTES_16 = 16

cdef enum form_t:
    FORM_NUMBER
    FORM_HEX
    FORM_WORD
    FORM_ADDRESS
    FORM_LABELS

_FORMS = {"number": FORM_NUMBER, "time": FORM_NUMBER, "hex": FORM_HEX, "word": FORM_WORD, "address": FORM_ADDRESS,
          "labels": FORM_LABELS}

# What a row has, as bits; a cell that needs a bit is empty without it.
cdef enum:
    HAS_PORTS = 1
    HAS_ICMP = 2
    HAS_ENTRY = 4

_NEEDS = {ALWAYS_THERE: 0, IF_ZERO: 0, WITHOUT_PORTS: HAS_PORTS, WITHOUT_ICMP: HAS_ICMP, WITHOUT_ENTRY: HAS_ENTRY}

cdef struct word_t:
    uint8_t length
    char[WORD_MAX] text

cdef struct cell_t:
    uint32_t offset         # of the value in the row
    uint8_t size            # bytes of the value
    uint8_t form            # form_t
    uint8_t needs           # HAS_* bit
    bint if_zero            # empty when zero
    uint32_t n_words
    word_t* words
    uint8_t key_len         # JSON: what stands before the value, `"name":` with its comma
    char[WORD_MAX] key

cdef uint8_t[256] _has

for _number in range(256):
    _has[_number] = (HAS_PORTS if _number in WITH_PORTS else 0) | (HAS_ICMP if _number in WITH_ICMP else 0)


cdef inline uint64_t value_at(const uint8_t* p, uint8_t size) noexcept nogil:
    cdef uint64_t v8 = 0
    cdef uint32_t v4
    cdef uint16_t v2
    if size == 1:
        return p[0]
    if size == 8:
        memcpy(&v8, p, 8)
        return v8
    if size == 4:
        memcpy(&v4, p, 4)
        return v4
    memcpy(&v2, p, 2)
    return v2


cdef inline char* put_quoted(char* out, const char* text, size_t n, bint json) noexcept nogil:
    if json:
        out = put_text(put_text(out, b'"', 1), text, n)
        return put_text(out, b'"', 1)
    return put_text(out, text, n)


cdef inline bint all_zero(const uint8_t* p) noexcept nogil:
    cdef uint64_t[2] halves
    memcpy(halves, p, BYTES_16)
    return (halves[0] | halves[1]) == 0


cdef char* put_bytes(char* out, const cell_t* c, const uint8_t* p, uint8_t l3proto, bint json) noexcept nogil:
    """An address or labels; nothing if empty."""
    cdef int i
    if c.if_zero and all_zero(p):
        return out
    if json:
        out = put_text(out, b'"', 1)
    if c.form == FORM_ADDRESS:
        out = put_address(out, p, l3proto)
    else:
        out = put_text(out, b"0x", 2)
        for i in range(BYTES_16):
            out[0] = HEX_DIGITS[p[i] >> 4]
            out[1] = HEX_DIGITS[p[i] & 15]
            out += 2
    return put_text(out, b'"', 1) if json else out


cdef char* put_cell(char* out, const cell_t* c, const uint8_t* row, uint8_t l3proto, bint json) noexcept nogil:
    """The value of a cell; nothing if empty."""
    cdef const uint8_t* p = row + c.offset
    cdef uint64_t value
    if c.form >= FORM_ADDRESS:
        return put_bytes(out, c, p, l3proto, json)
    value = value_at(p, c.size)
    if c.if_zero and value == 0:
        return out
    if c.form == FORM_NUMBER:
        return put_number(out, value)
    if c.form == FORM_WORD:
        if value >= c.n_words or c.words[value].length == 0:
            return out
        return put_quoted(out, c.words[value].text, c.words[value].length, json)
    if json:
        out = put_text(put_hex(put_text(out, b'"', 1), value), b'"', 1)
        return out
    return put_hex(out, value)


cdef class CellFormat:
    """Formats rows of one kind.

    Parameters
    ----------
    kind : str
        connections, packets or events.
    json : bool
        JSON Lines instead of CSV; empty values are null.
    deciders : sequence of str, optional
        The words behind the column ``decided``.
    """
    cdef cell_t[CELLS_MAX] cells
    cdef int n
    cdef bint json
    cdef Py_ssize_t l3_at, l4_at, conn_at      # of what decides emptiness; -1: the kind has none
    cdef readonly object dtype
    cdef readonly bytes header
    """The first line of the file; empty for JSON Lines."""

    def __cinit__(self, str kind not None, bint json=False, deciders=None):
        self.dtype, columns = KINDS[kind][0], columns_of(kind, deciders)
        assert len(columns) <= CELLS_MAX
        self.json = json
        self.l3_at = self.l4_at = self.conn_at = -1
        for column in columns:
            self._add(column)
        self.header = b"" if json else ",".join(column.name for column in columns).encode() + b"\n"

    cdef void _add(self, column) except *:
        cdef cell_t* c = &self.cells[self.n]
        offset, size = offset_of(self.dtype, column)
        key = (("," if self.n else "{") + f'"{column.name}":').encode() if self.json else (b"," if self.n else b"")
        assert len(key) <= WORD_MAX
        c.offset, c.size, c.form = offset, size, _FORMS[column.form]
        c.needs, c.if_zero = _NEEDS[column.empty], column.empty == IF_ZERO
        c.key_len = len(key)
        memcpy(c.key, <const char*>key, len(key))
        self.n += 1
        c.words = <word_t*>PyMem_Malloc(sizeof(word_t) * max(1, len(column.words)))
        if c.words == NULL:
            raise MemoryError
        for word in column.words:
            text = word.encode()
            assert len(text) <= WORD_MAX
            c.words[c.n_words].length = len(text)
            memcpy(c.words[c.n_words].text, <const char*>text, len(text))
            c.n_words += 1
        if column.name == "l3proto":
            self.l3_at = offset
        elif column.name == "l4proto":
            self.l4_at = offset
        elif column.name == "conn":
            self.conn_at = offset

    def __dealloc__(self):
        cdef int i
        for i in range(self.n):
            PyMem_Free(self.cells[i].words)

    cdef char* _put_row(self, char* out, const uint8_t* row) noexcept nogil:
        cdef uint8_t l3proto = row[self.l3_at] if self.l3_at >= 0 else 0
        cdef uint8_t has = _has[row[self.l4_at]] if self.l4_at >= 0 else 0
        cdef const cell_t* c
        cdef char* begin
        cdef int i
        if value_at(row + self.conn_at, 8):
            has |= HAS_ENTRY
        for i in range(self.n):
            c = &self.cells[i]
            out = put_text(out, c.key, c.key_len)
            begin = out
            if c.needs & has == c.needs:
                out = put_cell(out, c, row, l3proto, self.json)
            if self.json and out == begin:
                out = put_text(out, b"null", 4)
        if self.json:
            out = put_text(out, b"}", 1)
        return put_text(out, b"\n", 1)

    def format(self, rows):
        """Lines of rows, without the header: an iterator of bytes, a bounded number of rows each."""
        if rows.dtype != self.dtype:
            raise TypeError("rows are of another kind")
        rows = np.ascontiguousarray(rows)
        for begin in range(0, len(rows), BLOCK):
            yield self._format_block(rows[begin:begin + BLOCK])

    cdef bytes _format_block(self, rows):
        cdef const uint8_t* base = <const uint8_t*><size_t>rows.ctypes.data
        cdef Py_ssize_t n = len(rows), size = rows.dtype.itemsize, i
        cdef char* buffer = <char*>PyMem_Malloc(n * self.n * CELL_MAX)
        cdef char* out = buffer
        if buffer == NULL:
            raise MemoryError
        try:
            with nogil:
                for i in range(n):
                    out = self._put_row(out, base + i * size)
            return PyBytes_FromStringAndSize(buffer, out - buffer)
        finally:
            PyMem_Free(buffer)


def address_buffers(addresses, l3protos):
    """Addresses as the two buffers of an Arrow string column.

    Parameters
    ----------
    addresses : numpy.ndarray
        uint8 of shape (n, 16).
    l3protos : numpy.ndarray
        uint8 of shape (n,): 4 or 6.

    Returns
    -------
    offsets : numpy.ndarray
        int32 of shape (n + 1,).
    text : numpy.ndarray
        uint8.
    """
    cdef const uint8_t[:, ::1] addr = np.ascontiguousarray(addresses)
    cdef const uint8_t[::1] l3 = np.ascontiguousarray(l3protos)
    cdef Py_ssize_t n = addr.shape[0], i
    made = np.empty(n + 1, dtype=np.int32)
    text = np.empty(n * 46 + 1, dtype=np.uint8)
    cdef int[::1] offsets = made
    cdef uint8_t[::1] room = text
    cdef char* begin = <char*>&room[0]
    cdef char* out = begin
    offsets[0] = 0
    with nogil:
        for i in range(n):
            out = put_address(out, &addr[i, 0], l3[i])
            offsets[i + 1] = <int>(out - begin)
    return made, text[:out - begin].copy()
