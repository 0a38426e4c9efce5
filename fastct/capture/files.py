"""Files of a capture: which ones the caller means, and opening them with errors that say what is wrong."""
import builtins
import errno
import glob
import os
import stat
import sys

from fastct.errors import CaptureError, ConfigError

STDIN = "-"

_REASONS = {
    errno.ENOENT: "no such file",
    errno.EISDIR: "is a directory",
    errno.EACCES: "permission denied",
    errno.EPERM: "permission denied",
}


def expand(paths):
    """The files that ``paths`` names, as a list of str.

    Parameters
    ----------
    paths : str, path-like or sequence of them
        A name that no file has is taken as a glob pattern, and its matches are sorted.

    Raises
    ------
    CaptureError
        If a name is neither a file nor a pattern that matches.
    ConfigError
        If there is nothing to open, or standard input is to be read twice.
    """
    if isinstance(paths, str | os.PathLike):
        paths = [paths]
    files = []
    for path in map(os.fsdecode, paths):
        if not path:
            raise ConfigError("a capture's name is empty")
        if path == STDIN or os.path.lexists(path):
            files.append(path)
        else:
            found = sorted(glob.glob(path))
            if not found:
                raise CaptureError("no such file", path=path, packet=0, offset=0)
            files += found
    if not files:
        raise ConfigError("no capture file is given")
    if files.count(STDIN) > 1:
        raise ConfigError("standard input can be read only once")
    return files


def open_file(path):
    """Open a file for reading, unbuffered.

    Returns
    -------
    file : file object
    size : int or None
        Bytes of a regular file, None for anything else.

    Raises
    ------
    CaptureError
        If it cannot be opened.
    """
    if path == STDIN:
        if sys.stdin is None:
            raise CaptureError("closed", path=path, packet=0, offset=0)
        # Unbuffered: what a live pipe holds must not wait for its next bytes.
        return getattr(sys.stdin.buffer, "raw", sys.stdin.buffer), None
    try:
        file = builtins.open(path, "rb", buffering=0)
    except OSError as error:
        reason = _REASONS.get(error.errno) or error.strerror.lower()
        raise CaptureError(reason, path=path, packet=0, offset=0) from None
    status = os.fstat(file.fileno())
    return file, status.st_size if stat.S_ISREG(status.st_mode) else None


def stored_size(path):
    """Bytes of a regular file; None for anything else, or what is no longer there."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_size if path != STDIN and stat.S_ISREG(status.st_mode) else None
