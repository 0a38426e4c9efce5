"""What the capture formats share: the loop that fills a block of frames from a window.

A format's ``scan`` turns the bytes in the window into frames, without the GIL, and stops at whatever it
cannot do itself; ``fill`` then does that and scans on. The window moves only while the block is empty,
so that the frames of a block stay where they are. Damage ends a source: it becomes its ``fault``.
"""
from libc.stdint cimport uint8_t, uint64_t

from fastct.errors import CaptureError

cdef enum:
    MAX_INTERFACES = 65536


cdef class Source:
    """A capture file being read."""

    def __init__(self, Window window, str path, list interfaces):
        self.window = window
        self.path = path
        self.interfaces = interfaces

    cdef Py_ssize_t fill(self, frame_t* out, Py_ssize_t room) except -1:
        """Write up to ``room`` frames to ``out``, in file order.

        => The frames of earlier calls become invalid.
        => Returns their number; 0 at the end, when ``fault`` says whether the file was damaged.
        """
        cdef Py_ssize_t n
        cdef const uint8_t* base
        cdef Py_ssize_t size
        while self.fault is None:
            base = self.window.base
            size = self.window.size
            with nogil:
                n = self.scan(base, size, out, room)
            self.packets += <uint64_t>n
            if n > 0:
                return n
            if self.end == SCAN_BAD:
                self.fault = self.complain()
            elif self.end == SCAN_BLOCK:
                self.block()
            elif not self.proceed():
                break
        return 0

    cdef int proceed(self) except -1:
        """Bring in the bytes that the scan is missing. Returns 0 at the end of the file."""
        cdef uint64_t left
        cdef Py_ssize_t at = self.at
        if self.end == SCAN_SKIP:
            self.at = 0
            self.window.advance(at)
            left = self.window.skip(self.need)
            if left == self.need:
                return 1
            self.window.offset -= left  # the fault is where the block starts, not where the file ends
        elif not self.window.at_end:
            self.at = 0
            self.window.advance(at)
            return 1
        else:
            left = <uint64_t>(self.window.size - at)
        if self.window.fault is not None:
            self.fault = self.damage(self.window.fault)
        elif left:
            self.fault = self.damage(f"truncated: {self.item()} needs {self.need} bytes, {left} are left")
        return 0

    cdef Py_ssize_t scan(self, const uint8_t* base, Py_ssize_t size, frame_t* out, Py_ssize_t room) noexcept nogil:
        """Turn ``size`` bytes at ``base``, from ``at`` on, into frames; sets ``end`` and moves ``at``."""
        return 0

    cdef int block(self) except -1:
        """Take in the block at ``at`` that is not a packet, and step over it; may set ``fault``."""
        return 0

    cdef object complain(self):
        """The error for what is at ``at``."""
        raise NotImplementedError

    cdef str item(self):
        """What is at ``at``, for a message."""
        return f"packet {self.packets + 1}"

    cdef object damage(self, str message):
        return CaptureError(message, path=self.path, packet=self.packets,
                            offset=self.window.offset + <uint64_t>self.at)

    cdef int add_interface(self, str name) except -1:
        """Number of a new interface; sets ``fault`` when there are too many."""
        if len(self.interfaces) == MAX_INTERFACES:
            self.fault = self.damage(f"more than {MAX_INTERFACES} interfaces")
            return 0
        self.interfaces.append(name)
        return len(self.interfaces) - 1

    cdef uint64_t consumed(self) except? 0:
        """Bytes of the stored file that have been used up."""
        return self.window.consumed(self.at)

    cdef void close(self) noexcept:
        """Give memory and file back."""
        self.window.close()
