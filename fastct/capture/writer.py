"""Writing captures. A file appears under its name when it is complete, not before."""
import builtins
import os
import struct
import sys

from fastct.capture.gather import write_pcap, write_pcapng
from fastct.errors import ConfigError

_PCAPNG_OPTION_IF_TSRESOL = struct.pack("<HHB3xHH", 9, 1, 9, 0, 0)


class _Writer:
    """The file behind a writer: a temporary one renamed on close, or one that the caller has open."""

    def __init__(self, path_or_file, linktype, snaplen):
        if linktype is not None and not 0 <= linktype <= 0xFFFF:
            raise ConfigError(f"link type {linktype} is out of range")
        if not 1 <= snaplen <= 262144:
            raise ConfigError(f"snaplen must be from 1 to 262144 bytes, not {snaplen}")
        self.linktype, self.snaplen = linktype, snaplen
        self._path = self._temporary = None
        self._owned = False
        if hasattr(path_or_file, "write"):
            self._file = path_or_file
        elif os.fspath(path_or_file) == "-":
            self._file = sys.stdout.buffer
        else:
            self._open(os.fsdecode(path_or_file))
        self._begin()
        if linktype is not None:
            self._interface(linktype)

    def _open(self, path):
        self._owned = True
        if os.path.exists(path) and not os.path.isfile(path):
            self._file = builtins.open(path, "wb")  # a pipe or device cannot be replaced
            return
        self._path = os.path.realpath(path)
        self._temporary = f"{self._path}.{os.getpid()}.tmp"
        self._file = builtins.open(self._temporary, "wb", buffering=1 << 18)

    def _begin(self):
        """Write what comes before everything else."""
        raise NotImplementedError

    def _interface(self, linktype):
        """Write what comes before packets of a link type."""
        raise NotImplementedError

    def _put(self, frames):
        raise NotImplementedError

    def write_frames(self, frames):
        """Add a block of frames, without copying them.

        Parameters
        ----------
        frames : Frames

        Raises
        ------
        ConfigError
            If a time or a link type does not fit the format.
        """
        for linktype in frames.linktypes_met():
            self._interface(linktype)
        self._put(frames)

    def _cut(self, data, wire_len):
        """The bytes to store, and the length on the wire."""
        wire_len = max(len(data), wire_len or 0)
        if wire_len > 0xFFFFFFFF:
            raise ConfigError(f"a packet of {wire_len} bytes cannot be written")
        return data[:self.snaplen], wire_len

    def close(self):
        """Finish the file and give it its name."""
        file, self._file = self._file, None
        if file is None:
            return
        if not self._owned:
            file.flush()
            return
        file.close()
        if self._temporary:
            os.replace(self._temporary, self._path)

    def abort(self):
        """Drop what has been written; a file that had the name before stays as it was."""
        file, self._file = self._file, None
        if file is None or not self._owned:
            return
        file.close()
        if self._temporary:
            os.unlink(self._temporary)

    def __enter__(self):
        return self

    def __exit__(self, kind, value, traceback):
        if kind is None:
            self.close()
        else:
            self.abort()


class PcapWriter(_Writer):
    """Writes a pcap file.

    Parameters
    ----------
    path_or_file : path or binary file
        ``-`` is standard output. A file object is flushed on close, but left open.
    linktype : int or None
        LINKTYPE_* number of all packets; None: that of the first block of frames.
    snaplen : int
        Bytes of a packet to keep, up to 262144.
    ns : bool
        Time stamps in nanoseconds; else microseconds, rounded down.

    Raises
    ------
    ConfigError
        If ``linktype`` or ``snaplen`` is out of range.
    OSError
        If the file cannot be written.
    """

    def __init__(self, path_or_file, linktype=1, snaplen=262144, ns=True):
        self._unit = 1 if ns else 1000
        self._begun = False
        super().__init__(path_or_file, linktype, snaplen)

    def _begin(self):
        """The header says the link type, which is not always known yet."""

    def _interface(self, linktype):
        if self._begun and linktype != self.linktype:
            raise ConfigError(f"a pcap file has one link type, and this is {self.linktype}, not {linktype}; "
                              "a pcapng file takes both")
        if not self._begun:
            magic = 0xA1B23C4D if self._unit == 1 else 0xA1B2C3D4
            self._file.write(struct.pack("<IHHIIII", magic, 2, 4, 0, 0, self.snaplen, linktype))
            self.linktype, self._begun = linktype, True

    def _put(self, frames):
        write_pcap(self._file, frames, self._unit, self.snaplen)

    def close(self):
        """Finish the file and give it its name."""
        if self._file is not None and not self._begun:
            self._interface(1)      # no packets: of Ethernet, as good as any
        super().close()

    def write(self, ts_ns, data, wire_len=None):
        """Add a packet.

        Parameters
        ----------
        ts_ns : int
            Nanoseconds since the epoch, less than 2^32 seconds.
        data : bytes-like
            The packet from its link-layer header on.
        wire_len : int, optional
            Bytes it had on the wire, if more than ``data``.

        Raises
        ------
        ConfigError
            If the time or the length does not fit the format.
        """
        seconds, fraction = divmod(ts_ns, 10**9)
        if not 0 <= seconds < 1 << 32:
            raise ConfigError(f"the time {ts_ns} ns does not fit a pcap file")
        data, wire_len = self._cut(data, wire_len)
        self._file.write(struct.pack("<IIII", seconds, fraction // self._unit, len(data), wire_len))
        self._file.write(data)


class PcapngWriter(_Writer):
    """Writes a pcapng file, with time stamps in nanoseconds and an interface for every link type.

    Parameters
    ----------
    path_or_file : path or binary file
        ``-`` is standard output. A file object is flushed on close, but left open.
    linktype : int or None
        LINKTYPE_* number of packets given to ``write``; None: there are only blocks of frames.
    snaplen : int
        Bytes of a packet to keep, up to 262144.

    Raises
    ------
    ConfigError
        If ``linktype`` or ``snaplen`` is out of range.
    OSError
        If the file cannot be written.
    """

    def __init__(self, path_or_file, linktype=1, snaplen=262144):
        self._interfaces = {}
        super().__init__(path_or_file, linktype, snaplen)

    def _begin(self):
        self._block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1))

    def _interface(self, linktype):
        if linktype not in self._interfaces:
            self._interfaces[linktype] = len(self._interfaces)
            self._block(1, struct.pack("<HHI", linktype, 0, self.snaplen) + _PCAPNG_OPTION_IF_TSRESOL)

    def _put(self, frames):
        write_pcapng(self._file, frames, self._interfaces, self.snaplen)

    def _block(self, kind, body):
        length = 12 + len(body)
        self._file.write(struct.pack("<II", kind, length) + body + struct.pack("<I", length))

    def write(self, ts_ns, data, wire_len=None):
        """Add a packet.

        Parameters
        ----------
        ts_ns : int
            Nanoseconds since the epoch, less than 2^64.
        data : bytes-like
            The packet from its link-layer header on.
        wire_len : int, optional
            Bytes it had on the wire, if more than ``data``.

        Raises
        ------
        ConfigError
            If the time or the length does not fit the format.
        """
        if not 0 <= ts_ns < 1 << 64:
            raise ConfigError(f"the time {ts_ns} ns does not fit a pcapng file")
        data, wire_len = self._cut(data, wire_len)
        head = struct.pack("<IIIII", 0, ts_ns >> 32, ts_ns & 0xFFFFFFFF, len(data), wire_len)
        self._block(6, head + bytes(data) + bytes(-len(data) % 4))


def open_writer(path, linktype=1):
    """A writer for ``path``: pcapng if its name ends in ``.pcapng``, else pcap with nanoseconds.

    ``linktype`` None: blocks of frames bring theirs.
    """
    writer = PcapngWriter if os.fsdecode(path).endswith(".pcapng") else PcapWriter
    return writer(path, linktype)
