"""The pcapng format: any number of sections of either byte order, each with its own interfaces.

    block           type, total length, body, total length again; a multiple of 4 bytes
    section header  byte order magic, version, length of the section (not used), options
    interface       link type, 16 unused bits, snaplen, options
    enhanced packet interface, time stamp (high, low), captured length, length on the wire, data, options
    (old) packet    as enhanced, but the interface has 16 bits, before a count of drops
    simple packet   length on the wire, data; of the section's first interface

Other blocks are stepped over unread.
"""
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport free, realloc

from fastct.capture.frames cimport frame_t
from fastct.capture.order cimport load16, load32
from fastct.capture.source cimport (
    FETCH_AHEAD,
    MAX_CAP_LEN,
    NS,
    SCAN_BAD,
    SCAN_BLOCK,
    SCAN_BYTES,
    SCAN_FULL,
    SCAN_SHORT,
    SCAN_SKIP,
    Source,
    fetch,
)
from fastct.capture.window cimport MAX_BLOCK, Window

from fastct.capture.linktypes import SUPPORTED, unsupported
from fastct.errors import CaptureError

cdef extern from *:
    ctypedef unsigned long long uint128_t "unsigned __int128"

cdef enum:
    BLOCK_SECTION = 0x0A0D0D0A
    BLOCK_INTERFACE = 1
    BLOCK_PACKET = 2
    BLOCK_SIMPLE = 3
    BLOCK_ENHANCED = 6
    BYTE_ORDER = 0x1A2B3C4D
    BYTE_ORDER_SWAPPED = 0x4D3C2B1A

cdef enum:
    OPTION_END = 0
    OPTION_IF_NAME = 2
    OPTION_IF_TSRESOL = 9
    OPTION_IF_TSOFFSET = 14

cdef enum:
    MIN_BLOCK = 12
    MIN_SECTION = 28
    MIN_INTERFACE = 20
    MIN_SIMPLE = 16
    MIN_ENHANCED = 32
    DATA_SIMPLE = 12        # where the packet starts in its block
    DATA_ENHANCED = 28

MAGIC = b"\x0a\x0d\x0d\x0a"


cdef inline uint64_t timestamp(const interface_t* interface, uint64_t ticks) noexcept nogil:
    if interface.multiply:
        return ticks * interface.multiply + interface.offset_ns
    if interface.binary:
        return <uint64_t>(<uint128_t>ticks * NS >> interface.shift) + interface.offset_ns
    return ticks // interface.divide + interface.offset_ns


cdef class PcapngSource(Source):
    """A pcapng file being read.

    Raises
    ------
    CaptureError
        If the first section header is cut or makes no sense.
    """

    def __init__(self, Window window, str path, list interfaces):
        super().__init__(window, path, interfaces)
        window.require(MIN_SECTION)
        if window.size < MIN_SECTION:
            why = window.fault or f"truncated: the section header needs {MIN_SECTION} bytes, {window.size} are left"
            raise CaptureError(why, path=path, packet=0, offset=0)
        if load32(window.base + 8, False) not in (BYTE_ORDER, BYTE_ORDER_SWAPPED):
            raise CaptureError(f"not a capture file (begins with {window.base[:12].hex()})",
                               path=path, packet=0, offset=8)

    def __dealloc__(self):
        free(self.table)

    cdef Py_ssize_t scan(self, const uint8_t* base, Py_ssize_t size, frame_t* out, Py_ssize_t room) noexcept nogil:
        cdef Py_ssize_t n = 0, left, stop = self.at + SCAN_BYTES
        cdef uint32_t kind, total
        cdef const uint8_t* block
        self.end = SCAN_FULL
        while n < room and (n == 0 or self.at < stop):
            block = base + self.at
            left = size - self.at
            self.need = MIN_BLOCK
            if left < MIN_BLOCK:
                self.end = SCAN_SHORT
                break
            kind = load32(block, self.swapped)
            if kind == BLOCK_SECTION:
                # Its length can only be read in its own byte order.
                self.swapped = load32(block + 8, False) == BYTE_ORDER_SWAPPED
            total = load32(block + 4, self.swapped)
            self.need = total
            if total < MIN_BLOCK or total & 3:
                self.end = SCAN_BAD
                break
            if kind not in (BLOCK_ENHANCED, BLOCK_PACKET, BLOCK_SIMPLE, BLOCK_SECTION, BLOCK_INTERFACE):
                self.end = SCAN_SKIP
                if left < <Py_ssize_t>total:
                    break
                self.at += <Py_ssize_t>total
                continue
            if total > MAX_BLOCK:
                self.end = SCAN_BAD
                break
            if left < <Py_ssize_t>total:
                self.end = SCAN_SHORT
                break
            if load32(block + total - 4, self.swapped) != total:
                self.end = SCAN_BAD
                break
            if kind == BLOCK_SECTION or kind == BLOCK_INTERFACE:
                self.end = SCAN_BLOCK
                break
            fetch(block + FETCH_AHEAD, <Py_ssize_t>total)
            if not self.emit(block, kind, total, out + n):
                self.end = SCAN_BAD
                break
            self.at += <Py_ssize_t>total
            n += 1
        return n

    cdef bint emit(self, const uint8_t* block, uint32_t kind, uint32_t total, frame_t* frame) noexcept nogil:
        """The frame of a packet block; false if there is none, ``complain`` says why."""
        cdef uint32_t number = 0, cap_len, wire_len, most, start = DATA_ENHANCED
        cdef interface_t* interface
        if total < (<uint32_t>MIN_SIMPLE if kind == BLOCK_SIMPLE else <uint32_t>MIN_ENHANCED):
            return False
        if kind == BLOCK_ENHANCED:
            number = load32(block + 8, self.swapped)
        elif kind == BLOCK_PACKET:
            number = load16(block + 8, self.swapped)
        if number >= <uint64_t>self.n_interfaces:
            return False
        interface = self.table + number
        if kind == BLOCK_SIMPLE:
            start = DATA_SIMPLE
            cap_len = wire_len = load32(block + 8, self.swapped)
            if interface.snaplen and cap_len > interface.snaplen:
                cap_len = interface.snaplen
        else:
            cap_len = load32(block + 20, self.swapped)
            wire_len = load32(block + 24, self.swapped)
            self.last_ts = timestamp(interface, <uint64_t>load32(block + 12, self.swapped) << 32
                                     | load32(block + 16, self.swapped))
        most = total - start - 4
        if cap_len > most or cap_len > MAX_CAP_LEN or not interface.supported:
            return False
        frame.data = block + start
        frame.ts_ns = self.last_ts
        frame.cap_len = cap_len
        frame.wire_len = wire_len if wire_len >= cap_len else cap_len
        frame.linktype = interface.linktype
        frame.iface = interface.number
        frame.reserved = 0
        return True

    cdef str item(self):
        cdef uint32_t kind
        if self.window.size - self.at < MIN_BLOCK:
            return f"the block after packet {self.packets}"
        kind = load32(self.window.base + self.at, self.swapped)
        if kind in (BLOCK_ENHANCED, BLOCK_PACKET, BLOCK_SIMPLE):
            return f"packet {self.packets + 1}"
        return f"the block after packet {self.packets}"

    cdef object complain(self):
        cdef const uint8_t* block = self.window.base + self.at
        cdef uint32_t kind = load32(block, self.swapped)
        cdef uint32_t total = load32(block + 4, self.swapped)
        cdef uint32_t number = 0
        cdef bint short_block = total < (<uint32_t>MIN_SIMPLE if kind == BLOCK_SIMPLE else <uint32_t>MIN_ENHANCED)
        item = self.item()
        if total < MIN_BLOCK or total & 3:
            return self.damage(f"{item} has a block length of {total}")
        if total > MAX_BLOCK:
            return self.damage(f"{item} claims {total} bytes, more than the {MAX_BLOCK} that are allowed")
        if load32(block + total - 4, self.swapped) != total:
            return self.damage(f"{item} has two different block lengths")
        if short_block:
            return self.damage(f"{item} is in a block of {total} bytes, too short for a packet")
        if kind != BLOCK_SIMPLE:
            number = load32(block + 8, self.swapped) if kind == BLOCK_ENHANCED else load16(block + 8, self.swapped)
        if number >= <uint64_t>self.n_interfaces:
            return self.damage(f"{item} is from interface {number}, the section has {self.n_interfaces}")
        if not self.table[number].supported:
            return unsupported(self.table[number].linktype, path=self.path, packet=self.packets,
                               offset=self.window.offset + <uint64_t>self.at)
        number = load32(block + (8 if kind == BLOCK_SIMPLE else 20), self.swapped)
        return self.damage(f"{item} claims {number} captured bytes, more than its block has or is allowed")

    cdef int block(self) except -1:
        cdef const uint8_t* block = self.window.base + self.at
        if load32(block, self.swapped) == BLOCK_SECTION:
            self.section(block)
        else:
            self.interface(block, <uint32_t>self.need)
        self.at += <Py_ssize_t>self.need
        return 0

    cdef int section(self, const uint8_t* block) except -1:
        cdef uint16_t major = load16(block + 12, self.swapped)
        if self.need < MIN_SECTION or load32(block + 8, self.swapped) != BYTE_ORDER:
            self.fault = self.damage("a section header without byte order")
        elif major != 1:
            self.fault = self.damage(f"pcapng version {major} is not supported")
        self.n_interfaces = 0
        return 0

    cdef int interface(self, const uint8_t* block, uint32_t total) except -1:
        """Add an interface to the section's table."""
        cdef interface_t* table
        cdef interface_t* entry
        if total < MIN_INTERFACE:
            self.fault = self.damage(f"an interface block of {total} bytes")
            return 0
        if self.n_interfaces == self.capacity:
            table = <interface_t*>realloc(self.table, <size_t>(2 * self.capacity + 8) * sizeof(interface_t))
            if table == NULL:
                raise MemoryError
            self.table = table
            self.capacity = 2 * self.capacity + 8
        options = self.options(block + 16, block + total - 4)
        name = options.get(OPTION_IF_NAME, b"").rstrip(b"\0").decode("utf-8", "replace")
        resolution = options.get(OPTION_IF_TSRESOL, b"")
        offset = options.get(OPTION_IF_TSOFFSET, b"")
        entry = self.table + self.n_interfaces
        entry.linktype = load16(block + 8, self.swapped)
        entry.supported = entry.linktype in SUPPORTED
        entry.snaplen = load32(block + 12, self.swapped)
        set_resolution(entry, resolution[0] if resolution else 6)
        # Modulo 2^64 a negative offset needs no special care.
        entry.offset_ns = int.from_bytes(offset[:8], self.byte_order()) * NS & 0xFFFFFFFFFFFFFFFF
        entry.number = <uint16_t>self.add_interface(name)
        self.n_interfaces += 1
        return 0

    def byte_order(self):
        """The section's byte order, as ``int.from_bytes`` calls it."""
        return "little" if (load16(b"\x01\x00", self.swapped) == 1) else "big"

    cdef dict options(self, const uint8_t* at, const uint8_t* end):
        """The options from ``at`` on, the first of each code; ends quietly where they make no sense."""
        cdef uint16_t code, length
        found = {}
        while end - at >= 4:
            code = load16(at, self.swapped)
            length = load16(at + 2, self.swapped)
            if code == OPTION_END or length > end - at - 4:
                break
            found.setdefault(code, at[4:4 + length])
            at += 4 + (length + 3) // 4 * 4
        return found


cdef int set_resolution(interface_t* entry, uint8_t code) except -1:
    """Turn if_tsresol into integer arithmetic: the code is the exponent, of 2 if bit 7 is set, else of 10."""
    cdef uint8_t exponent = code & 0x7F
    entry.binary = code >> 7
    entry.shift = exponent
    entry.multiply = 0
    entry.divide = 1
    if not entry.binary:
        if exponent <= 9:
            entry.multiply = 10 ** (9 - <object>exponent)
        else:
            # From 10^29 on every 64-bit count of ticks is less than 1 ns.
            entry.divide = min(10 ** (<object>exponent - 9), 0xFFFFFFFFFFFFFFFF)
    return 0
