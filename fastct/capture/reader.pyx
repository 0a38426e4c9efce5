"""``open``: captures of one or many files, as blocks of frames."""
from libc.stdint cimport uint64_t
from libc.stdlib cimport free, malloc

from fastct.capture.frames cimport Frames, frame_t
from fastct.capture.merge cimport Merge
from fastct.capture.source cimport Source

from fastct.capture.files import expand, stored_size
from fastct.capture.opening import open_source
from fastct.errors import ConfigError, UnsupportedLinkType

cdef enum:
    SINGLE_SPAN = 4 * 1024 * 1024
    MAX_ROOM = 1 << 20


cdef class Capture:
    """An open capture: iterate over it for blocks of frames. See ``open``.

    A block is valid until the next one is asked for; the capture invalidates it then. Iteration ends
    with the last file. It raises ``UnsupportedLinkType`` where a pcapng packet comes from an interface
    that fastct does not read; that ends the file, and asking again goes on with the next.

    Attributes
    ----------
    packets : int
        Packets handed out so far.
    bytes_done, bytes_total : int
        Bytes of the files as they are stored; the total is None when it is not known.
    damage : list of CaptureError
        One for each file that could not be read to its end, with path, packet and offset.
    interfaces : list of str
        Names of the interfaces found so far, "" where the file does not say.
    """
    cdef Source source
    cdef Merge merge
    cdef Frames current
    cdef frame_t* frames
    cdef Py_ssize_t block
    cdef bint ended
    cdef uint64_t done
    cdef list pending             # errors to raise
    cdef readonly uint64_t packets
    cdef readonly object bytes_total
    cdef readonly list damage
    cdef readonly list interfaces

    def __init__(self, paths, Py_ssize_t block):
        if not 1 <= block <= MAX_ROOM:
            raise ConfigError(f"block must be from 1 to {MAX_ROOM} frames, not {block}")
        self.damage = []
        self.interfaces = []
        self.pending = []
        self.block = block
        files = expand(paths)
        sizes = [stored_size(path) for path in files]
        self.bytes_total = None if None in sizes else sum(sizes)
        if len(files) == 1:
            self.source = open_source(files[0], self.interfaces, SINGLE_SPAN)
        else:
            self.merge = Merge(files, self.interfaces)
        self.frames = <frame_t*>malloc(<size_t>block * sizeof(frame_t))
        if self.frames == NULL:
            raise MemoryError

    def __dealloc__(self):
        free(self.frames)

    def __iter__(self):
        return self

    def __next__(self):
        self.forget()
        if self.pending:
            raise self.pending.pop(0)
        if self.ended:
            raise StopIteration
        cdef Py_ssize_t n
        if self.source is not None:
            n = self.source.fill(self.frames, self.block)
            if n == 0 and self.source.fault is not None:
                self.take([self.source.fault])
        else:
            n = self.merge.fill(self.frames, self.block)
            self.take(self.merge.faults)
            self.merge.faults.clear()
        if n == 0:
            self.close()
            if self.pending:
                raise self.pending.pop(0)
            raise StopIteration
        cdef Frames frames = Frames.__new__(Frames)
        frames.owner = self
        frames.frames = self.frames
        frames.n = n
        frames.first = self.packets + 1
        self.packets += <uint64_t>n
        self.current = frames
        return frames

    cdef take(self, list faults):
        """Sort errors into damage and what is to be raised."""
        for fault in faults:
            (self.pending if isinstance(fault, UnsupportedLinkType) else self.damage).append(fault)

    cdef forget(self):
        if self.current is not None:
            self.current.invalidate()
            self.current = None

    @property
    def bytes_done(self):
        if self.ended:
            return self.done
        return self.source.consumed() if self.source is not None else self.merge.consumed()

    def close(self):
        """Invalidate the last block and give memory and files back. Closing twice is fine."""
        self.forget()
        if self.ended:
            return
        self.done = self.bytes_done
        self.ended = True
        if self.source is not None:
            self.source.close()
        else:
            self.merge.close()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()


def open(paths, *, block=4096):
    """Open a capture of one or several files.

    pcap and pcapng, also compressed with gzip or zstd, are told apart by their first bytes. Several
    files are merged by time; a single one keeps its order.

    Parameters
    ----------
    paths : str, path-like or sequence of them
        The files. ``-`` is standard input; a name that no file has is a glob pattern.
    block : int
        The most frames that a block has.

    Returns
    -------
    Capture

    Raises
    ------
    CaptureError
        If a file cannot be opened, is empty, or is not a capture. What is wrong behind the file header
        is never raised: it is in ``Capture.damage``, and all whole packets before it are read.
    UnsupportedLinkType
        If a pcap file has a link type that fastct does not read.
    ConfigError
        If there is nothing to open, or ``block`` is out of range.
    """
    return Capture(paths, block)
