"""Byte streams behind a ``StreamWindow``: pipes as they are, gzip and zstd decompressed on the fly.

A stream has ``readinto(view)``, which returns 0 at the end only; ``raw_bytes``, the bytes read of the
stored file; and ``fault``, why the end came too early, or None. Bad data never raises: it ends the stream.
"""
import zlib

from fastct.errors import CaptureError

GZIP_MAGIC = b"\x1f\x8b"
ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
CHUNK = 128 * 1024


class PlainStream:
    """A file object, with the bytes that were read from it to see what it is."""

    def __init__(self, file, prefix=b""):
        # A buffered file's readinto() waits until the view is full, its readinto1() does not.
        self._readinto = getattr(file, "readinto1", file.readinto)
        self._prefix = prefix
        self.raw_bytes = 0
        self.fault = None

    def readinto(self, view):
        if self._prefix:
            n = min(len(self._prefix), len(view))
            view[:n] = self._prefix[:n]
            self._prefix = self._prefix[n:]
        else:
            try:
                n = self._readinto(view) or 0
            except OSError as error:
                self.fault = f"read error: {error.strerror}"
                n = 0
        self.raw_bytes += n
        return n

    def read(self, n):
        """Up to ``n`` bytes as a bytes object."""
        buffer = bytearray(n)
        return bytes(buffer[:self.readinto(memoryview(buffer))])


class GzipStream:
    """gzip, also of several members."""

    def __init__(self, raw):
        self._raw = raw
        self._member = zlib.decompressobj(wbits=31)
        self._input = b""
        self.fault = None

    @property
    def raw_bytes(self):
        return self._raw.raw_bytes - len(self._input)

    def readinto(self, view):
        while self.fault is None:
            if not self._input:
                self._input = self._raw.read(CHUNK)
            if self._member.eof and not self._next_member():
                break
            # Even without input there may be output that did not fit the last view.
            ended = not self._input
            try:
                data = self._member.decompress(self._input, len(view))
            except zlib.error as error:
                self.fault = f"damaged gzip data ({error})"
                break
            self._input = self._member.unused_data if self._member.eof else self._member.unconsumed_tail
            if data:
                view[:len(data)] = data
                return len(data)
            if ended and not self._member.eof:
                self.fault = self._raw.fault or "truncated gzip data"
        return 0

    def _next_member(self):
        """Begin the next member; false at the end of the file."""
        while self._input and not self._input.strip(b"\0"):
            self._input = self._raw.read(CHUNK)  # zeros pad the last member on tapes and block devices
        if not self._input:
            self.fault = self._raw.fault
            return False
        self._input = self._input.lstrip(b"\0")
        if self._input[:1] != GZIP_MAGIC[:1]:
            self.fault = "garbage behind the gzip data"
            return False
        self._member = zlib.decompressobj(wbits=31)
        return True


class ZstdStream:
    """zstd, also of several frames. The decoder's own window is as large as the file asks, up to 128 MiB."""

    def __init__(self, raw):
        try:
            import zstandard
        except ImportError:
            raise CaptureError("zstd-compressed; reading it needs the extra fastct[zstd]") from None
        self._raw = raw
        self._error = zstandard.ZstdError
        self._frames = FrameWalk()
        self._reader = zstandard.ZstdDecompressor().stream_reader(self, read_size=CHUNK, read_across_frames=True)
        self.fault = None

    @property
    def raw_bytes(self):
        return self._raw.raw_bytes

    def read(self, n):
        """The stored bytes, for the decoder."""
        data = self._raw.read(n)
        self._frames.feed(data)
        return data

    def readinto(self, view):
        try:
            n = self._reader.readinto(view)
        except self._error as error:
            self.fault = f"damaged zstd data ({error})"
            return 0
        if n == 0:
            self.fault = self._raw.fault or (None if self._frames.whole else "truncated zstd data")
        return n


class FrameWalk:
    """Follows the frames and blocks of zstd data, because the decoder takes a cut file for a whole one."""

    def __init__(self):
        self._steps = self._walk()
        self._need = next(self._steps)
        self._have = b""
        self._skip = 0

    @property
    def whole(self):
        """The data so far end where a frame ends."""
        return self._between and not self._have and not self._skip

    def feed(self, data):
        """Take the next bytes of the stored file."""
        at = 0
        while at < len(data):
            if self._skip:
                step = min(self._skip, len(data) - at)
                self._skip -= step
                at += step
                continue
            step = self._need - len(self._have)
            self._have += data[at:at + step]
            at += step
            if len(self._have) == self._need:
                field, self._have = self._have, b""
                self._need = self._steps.send(field)

    def _walk(self):
        """Yields the size of each field that matters, is sent the field, and leaves gaps in ``_skip``."""
        while True:
            self._between = True
            magic = yield 4
            self._between = False
            if magic != ZSTD_MAGIC:
                self._skip = int.from_bytes((yield 4), "little")  # a skippable frame; else the decoder objects
                continue
            descriptor = (yield 1)[0]
            single = descriptor >> 5 & 1
            content_size = (single, 2, 4, 8)[descriptor >> 6]
            self._skip = (1 - single) + (0, 1, 2, 4)[descriptor & 3] + content_size
            last = False
            while not last:
                header = int.from_bytes((yield 3), "little")
                last = header & 1
                self._skip = 1 if header >> 1 & 3 == 1 else header >> 3
            if descriptor & 4:
                yield 4


def is_compressed(magic):
    """Whether the first bytes of a file are those of a compressed one."""
    return magic[:2] == GZIP_MAGIC or _is_zstd(magic)


def _is_zstd(magic):
    return magic[:4] == ZSTD_MAGIC or (magic[1:4] == b"\x2a\x4d\x18" and magic[:1] and magic[0] >> 4 == 5)


def decompressed(raw, magic):
    """The stream to read: ``raw`` itself, or its contents when ``magic`` says that it is compressed."""
    if magic[:2] == GZIP_MAGIC:
        return GzipStream(raw)
    return ZstdStream(raw) if _is_zstd(magic) else raw
