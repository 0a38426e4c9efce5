"""Files that are replaced as a whole or not at all."""
import contextlib
import os
import tempfile


@contextlib.contextmanager
def replaced(path):
    """A file that takes the place of ``path`` when all went well, and is gone otherwise."""
    path = os.path.realpath(path)
    handle, temporary = tempfile.mkstemp(prefix=os.path.basename(path) + ".", suffix=".part",
                                         dir=os.path.dirname(path))
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.remove(temporary)
        raise
    folder = os.open(os.path.dirname(path), os.O_RDONLY)
    try:
        os.fsync(folder)        # the name, too, has to survive a loss of power
    finally:
        os.close(folder)
