"""The errors fastct raises. They are for the caller's mistakes; a bad packet is never an exception."""


class Error(Exception):
    """Base of every error that fastct raises itself."""


class ConfigError(Error, ValueError):
    """An option or argument that cannot be used."""


class TextError(Error, ValueError):
    """A text that cannot be used; says where and which token."""

    def __init__(self, message, path=None, line=None, column=None, token=None):
        super().__init__(message)
        self.path, self.line, self.column, self.token = path, line, column, token

    def located(self):
        """The message behind the place: ``path:line:column: message (at 'token')``."""
        where = ":".join(str(part) for part in (self.path, self.line, self.column) if part is not None)
        return f"{where}: {self}" + (f" (at {self.token!r})" if self.token else "")


class RuleError(TextError):
    """A rule that cannot be used."""


class PacketError(TextError):
    """Words that describe no packet."""


class CaptureError(Error):
    """A capture that cannot be read, or not beyond a point.

    Attributes
    ----------
    path : str or None
        The file; ``-`` is standard input.
    packet : int or None
        Number of the last whole packet before the fault (0: none).
    offset : int or None
        Byte offset of the fault in the (decompressed) file.
    """

    def __init__(self, message, path=None, packet=None, offset=None):
        super().__init__(message)
        self.path, self.packet, self.offset = path, packet, offset


class UnsupportedLinkType(CaptureError):
    """A link type that fastct does not read; has its ``number`` and ``name``."""

    def __init__(self, message, path=None, packet=None, offset=None, number=None, name=None):
        super().__init__(message, path, packet, offset)
        self.number, self.name = number, name


class SnapshotError(Error):
    """A snapshot that cannot be written, or read: has its ``path`` and the ``reason``."""

    def __init__(self, path, reason):
        super().__init__(f"{path}: {reason}")
        self.path, self.reason = path, reason
