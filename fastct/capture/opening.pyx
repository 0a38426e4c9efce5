"""From a path to a source: open the file, see what it is by its first bytes, and put the reader on it."""
import os

from fastct.capture.pcap cimport PcapSource
from fastct.capture.pcapng cimport PcapngSource
from fastct.capture.window cimport MappedWindow, StreamWindow, Window

from fastct.capture.files import STDIN, open_file
from fastct.capture.pcap import MAGICS
from fastct.capture.pcapng import MAGIC
from fastct.capture.streams import PlainStream, decompressed, is_compressed
from fastct.errors import CaptureError


def open_source(str path, list interfaces, Py_ssize_t span):
    """The source that reads a capture file.

    Parameters
    ----------
    path : str
        The file; ``-`` is standard input.
    interfaces : list of str
        Gets the names of the file's interfaces, as they are found.
    span : int
        Bytes of an uncompressed file to have mapped at a time, at least 1 MiB.

    Raises
    ------
    CaptureError
        If the file cannot be opened, is empty, or is not a capture.
    UnsupportedLinkType
        If its header names a link type that is not read.
    """
    file, size = open_file(path)
    cdef Window window = None
    try:
        window = open_window(file, size, span)
        return source_on(window, path, interfaces)
    except CaptureError as error:
        if window is not None:
            window.close()
        if path != STDIN:
            file.close()
        error.path, error.packet, error.offset = path, error.packet or 0, error.offset or 0
        raise


cdef Window open_window(object file, object size, Py_ssize_t span):
    cdef bytes magic = b""
    if size is not None:
        magic = os.pread(file.fileno(), 4, 0)
        if size and not is_compressed(magic):
            try:
                return MappedWindow(file, span)
            except OSError:  # some file systems cannot map
                pass
        raw = PlainStream(file)
    else:
        raw = PlainStream(file)
        while len(magic) < 4:
            more = raw.read(4 - len(magic))
            if not more:
                break
            magic += more
        raw = PlainStream(file, magic)
    return StreamWindow(decompressed(raw, magic))


cdef object source_on(Window window, str path, list interfaces):
    window.require(4)
    cdef bytes magic = window.base[:min(window.size, 4)]
    if not magic:
        raise CaptureError(window.fault or "empty file")
    if magic in MAGICS:
        return PcapSource(window, path, interfaces)
    if magic == MAGIC:
        return PcapngSource(window, path, interfaces)
    raise CaptureError(f"not a capture file (begins with {magic.hex()})")
