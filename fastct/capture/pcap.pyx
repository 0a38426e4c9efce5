"""The classic pcap format: micro- and nanosecond files of both byte orders, and the modified format
(magic a1b2cd34) whose record headers are longer.

    file header     magic, version (2 x 16 bit), two unused words, snaplen, link type
    record header   seconds, fraction, captured length, length on the wire; modified format: 8 bytes more
"""
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

from fastct.capture.frames cimport frame_t
from fastct.capture.order cimport load16, load32
from fastct.capture.source cimport (
    FETCH_AHEAD,
    MAX_CAP_LEN,
    NS,
    SCAN_BAD,
    SCAN_BYTES,
    SCAN_FULL,
    SCAN_SHORT,
    Source,
    fetch,
)
from fastct.capture.window cimport Window

from fastct.capture.linktypes import checked
from fastct.errors import CaptureError

cdef enum:
    FILE_HEADER = 24
    RECORD_HEADER = 16
    MODIFIED_HEADER = 24

# What a magic says: ns per unit of the fraction, length of a record header.
FORMATS = {
    0xA1B2C3D4: (1000, RECORD_HEADER),
    0xA1B23C4D: (1, RECORD_HEADER),
    0xA1B2CD34: (1000, MODIFIED_HEADER),
}
MAGICS = frozenset(magic.to_bytes(4, order) for magic in FORMATS for order in ("little", "big"))


cdef class PcapSource(Source):
    """A pcap file being read.

    Raises
    ------
    UnsupportedLinkType
        If the file's link type is not one that fastct reads.
    CaptureError
        If the file header is cut or of a version that is not 2.x.
    """

    def __init__(self, Window window, str path, list interfaces):
        super().__init__(window, path, interfaces)
        cdef uint16_t major, minor
        cdef const uint8_t* header
        cdef uint32_t magic
        window.require(FILE_HEADER)
        if window.size < FILE_HEADER:
            why = window.fault or f"truncated: the file header needs {FILE_HEADER} bytes, {window.size} are left"
            raise CaptureError(why, path=path, packet=0, offset=0)
        header = window.base
        magic = load32(header, False)
        self.swapped = magic not in FORMATS
        self.fraction_ns, self.header_len = FORMATS[load32(header, self.swapped)]
        major = load16(header + 4, self.swapped)
        minor = load16(header + 6, self.swapped)
        if major != 2:
            raise CaptureError(f"pcap version {major}.{minor} is not supported", path=path, packet=0, offset=4)
        # The upper half has the length of the frame check sequence, which stays part of the frame.
        self.linktype = <uint16_t>(load32(header + 20, self.swapped) & 0xFFFF)
        checked(self.linktype, path=path, packet=0, offset=20)
        self.iface = <uint16_t>self.add_interface("")
        self.at = FILE_HEADER

    cdef Py_ssize_t scan(self, const uint8_t* base, Py_ssize_t size, frame_t* out, Py_ssize_t room) noexcept nogil:
        cdef Py_ssize_t n = 0, at = self.at, stop = self.at + SCAN_BYTES, header_len = self.header_len
        cdef bint swapped = self.swapped
        cdef uint32_t fraction_ns = self.fraction_ns, cap_len, wire_len
        cdef const uint8_t* record
        cdef frame_t* frame
        self.end = SCAN_FULL
        while n < room and at < stop:
            self.need = <uint64_t>header_len
            if size - at < header_len:
                self.end = SCAN_SHORT
                break
            record = base + at
            cap_len = load32(record + 8, swapped)
            if cap_len > MAX_CAP_LEN:
                self.end = SCAN_BAD
                break
            if size - at - header_len < <Py_ssize_t>cap_len:
                self.need += cap_len
                self.end = SCAN_SHORT
                break
            fetch(record + FETCH_AHEAD, header_len + <Py_ssize_t>cap_len)
            wire_len = load32(record + 12, swapped)
            frame = out + n
            frame.data = record + header_len
            frame.ts_ns = <uint64_t>load32(record, swapped) * NS + <uint64_t>load32(record + 4, swapped) * fraction_ns
            frame.cap_len = cap_len
            frame.wire_len = wire_len if wire_len >= cap_len else cap_len
            frame.linktype = self.linktype
            frame.iface = self.iface
            frame.reserved = 0
            n += 1
            at += header_len + <Py_ssize_t>cap_len
        self.at = at
        return n

    cdef object complain(self):
        cdef uint32_t cap_len = load32(self.window.base + self.at + 8, self.swapped)
        return self.damage(f"packet {self.packets + 1} claims {cap_len} captured bytes, "
                           f"more than the {MAX_CAP_LEN} that are allowed")
