"""Several files as one, by time: a stable merge by the time of each file's next packet.

Files are not sorted in themselves, and at equal times the file that was named first goes first. A file
is opened when its first packet is due and closed after its last, so that a long row of rotated files
needs the memory and the descriptors of a few.
"""
from libc.stdint cimport UINT64_MAX, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy

from fastct.capture.frames cimport frame_t
from fastct.capture.source cimport Source

from fastct.capture.files import stored_size
from fastct.capture.opening import open_source
from fastct.errors import CaptureError

cdef enum:
    # Many files may be open at once, so each gets less than a single one would.
    LANE_SPAN = 1024 * 1024
    LANE_FRAMES = 1024


cdef Py_ssize_t run_length(const frame_t* frames, Py_ssize_t n, uint64_t until) noexcept nogil:
    """How many frames come before the first that is later than ``until``."""
    cdef Py_ssize_t i
    for i in range(n):
        if frames[i].ts_ns > until:
            return i
    return n


cdef class Lane:
    """A file of the merge."""

    def __init__(self, str path, list interfaces):
        """Check the file, and learn when it begins."""
        cdef bint keep = stored_size(path) is None
        cdef Source source = open_source(path, interfaces if keep else [], LANE_SPAN)
        cdef frame_t first
        self.path = path
        if keep:
            # What cannot be opened again stays open. Its time is not known yet: it goes first.
            self.source = source
            return
        if source.fill(&first, 1):
            self.head = first.ts_ns
        source.close()

    def __dealloc__(self):
        free(self.frames)

    cdef Py_ssize_t refill(self, Py_ssize_t room, list interfaces) except -1:
        """Read the next frames; returns 0 at the file's end."""
        if self.frames == NULL:
            self.frames = <frame_t*>malloc(<size_t>room * sizeof(frame_t))
            if self.frames == NULL:
                raise MemoryError
        if self.source is None:
            self.source = open_source(self.path, interfaces, LANE_SPAN)
        self.at = 0
        self.n = self.source.fill(self.frames, room)
        if self.n:
            self.head = self.frames[0].ts_ns
        return self.n

    cdef void close(self) noexcept:
        if self.source is not None:
            self.source.close()
        free(self.frames)
        self.frames = NULL


cdef class Merge:
    """All files of a capture that has several."""

    def __init__(self, list paths, list interfaces):
        self.interfaces = interfaces
        self.faults = []
        self.lanes = [Lane(path, interfaces) for path in paths]
        self.dry = -1

    cdef Py_ssize_t fill(self, frame_t* out, Py_ssize_t room) except -1:
        """As ``Source.fill``. A block ends early where a file's frames are used up."""
        cdef Py_ssize_t count = 0, first, run, i
        cdef uint64_t until
        cdef Lane lane
        if self.dry >= 0:
            self.wet(self.dry)
        while count < room and self.lanes:
            first = 0
            for i in range(1, len(self.lanes)):
                if (<Lane>self.lanes[i]).head < (<Lane>self.lanes[first]).head:
                    first = i
            lane = <Lane>self.lanes[first]
            if lane.frames == NULL:
                self.wet(first)
                continue
            until = self.limit(first)
            run = 1 + run_length(lane.frames + lane.at + 1, min(lane.n - lane.at, room - count) - 1, until)
            memcpy(out + count, lane.frames + lane.at, <size_t>run * sizeof(frame_t))
            count += run
            lane.at += run
            if lane.at == lane.n:
                self.dry = first
                break
            lane.head = lane.frames[lane.at].ts_ns
        return count

    cdef uint64_t limit(self, Py_ssize_t first):
        """The time up to which the lane ``first`` goes before all others."""
        cdef uint64_t until = UINT64_MAX, head
        cdef Py_ssize_t i
        for i in range(len(self.lanes)):
            head = (<Lane>self.lanes[i]).head
            if i < first and head:
                head -= 1  # at equal times the earlier file goes first
            if i != first and head < until:
                until = head
        return until

    cdef int wet(self, Py_ssize_t number) except -1:
        """Read on in a lane, or end it."""
        cdef Lane lane = <Lane>self.lanes[number]
        cdef Py_ssize_t n = 0
        self.dry = -1
        try:
            n = lane.refill(LANE_FRAMES, self.interfaces)
        except CaptureError as error:  # the file has changed since it was checked
            self.faults.append(error)
        if n == 0:
            if lane.source is not None:
                if lane.source.fault is not None:
                    self.faults.append(lane.source.fault)
                self.finished_bytes += lane.source.consumed()
            lane.close()
            del self.lanes[number]
        return 0

    cdef uint64_t consumed(self) except? 0:
        """Bytes of the stored files that have been used up."""
        cdef uint64_t total = self.finished_bytes
        for lane in self.lanes:
            if (<Lane>lane).source is not None:
                total += (<Lane>lane).source.consumed()
        return total

    cdef void close(self) noexcept:
        for lane in self.lanes:
            (<Lane>lane).close()
        self.lanes = []
