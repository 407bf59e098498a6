"""The exceptions of sstore: one class for each code of the engine, under one root.

Each class also derives from the built-in exception that Python programs expect in its place, so that ``except KeyError``
or ``except OSError`` catches what it should.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    import os
    from pathlib import Path
    from typing import ClassVar


class Error(Exception):
    """The root of all exceptions of sstore.

    Attributes:
        code: the number of the error, the same as in the C interface.
        retryable: whether the same call may succeed later without any other change.
        path: the file or directory concerned, or None.
        offset: the place in that file, or None.
        errno: the operating system's error number, or None.
    """

    code: ClassVar[int] = 0
    retryable: ClassVar[bool] = False
    path: Path | None
    offset: int | None
    errno: int | None

    def __init__(
        self,
        message: str = "",
        path: str | os.PathLike[str] | None = None,
        offset: int | None = None,
        errno: int | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.path = None
        if path is not None:
            # Most programs never come here, and the module takes long to import.
            from pathlib import Path

            self.path = Path(path)
        self.offset = offset
        self.errno = errno

    def __str__(self) -> str:
        return self.message

    def __reduce__(self) -> tuple[object, ...]:
        return (type(self), (self.message, self.path, self.offset, self.errno))


class NotFoundError(Error, KeyError):
    """The database or the column family does not exist. A missing key is a plain ``KeyError``."""

    code = 1


class InvalidArgumentError(Error, ValueError):
    """The call is wrong: the message names the argument."""

    code = 2


class CorruptionError(Error):
    """Bytes on disk are not what was written. ``path`` and ``offset`` say which."""

    code = 3


class IOFailure(Error, OSError):
    """The operating system refused or failed an operation."""

    code = 4


class NoSpaceError(IOFailure):
    """The disk, a quota or a file size limit is full. Free space, then call ``DB.resume()``."""

    code = 5
    retryable = True


class LockedError(Error, BlockingIOError):
    """Another process, or another handle of this process, has the database open."""

    code = 6
    retryable = True


class BusyError(Error, RuntimeError):
    """Something that belongs to the object is still in use."""

    code = 7
    retryable = True


class ClosedError(Error, RuntimeError):
    """The database, or the object itself, was closed."""

    code = 8


class ForkedError(Error, RuntimeError):
    """The database was opened before a fork, and this process is the child. Open it in the child, or use ``spawn``."""

    code = 9


class ReadOnlyError(Error):
    """The database is open for reading only, or turned read-only after a failure."""

    code = 10


class NotSupportedError(Error, NotImplementedError):
    """The format or the feature is newer than this library, or not offered here."""

    code = 11


class TimedOutError(Error, TimeoutError):
    """The time given ran out. The operation goes on."""

    code = 12
    retryable = True


class StalledError(Error):
    """The write would have had to wait for flushes."""

    code = 13
    retryable = True


class CancelledError(Error):
    """The operation was called off before it took effect."""

    code = 14
    retryable = True


class PoisonedError(Error):
    """An earlier failure left the outcome of a write unknown. Close the database and open it again."""

    code = 15


class DroppedError(Error):
    """The column family was dropped."""

    code = 16


class TooSmallError(Error, ValueError):
    """A buffer is too small."""

    code = 17


class NoMemoryError(Error, MemoryError):
    """Memory could not be had."""

    code = 18


class ConflictError(Error):
    """The condition of a conditional write did not hold: somebody else was first. Read again, then decide."""

    code = 19
    retryable = True


class GapError(Error):
    """A stretch of history that was asked for is gone."""

    code = 20


class FencedError(Error):
    """Another writer took the database over."""

    code = 21


class PanicError(Error):
    """A bug in sstore was caught. Please report it."""

    code = 22


def _subclasses(root: type[Error]) -> list[type[Error]]:
    found = [root]
    for child in root.__subclasses__():
        found.extend(_subclasses(child))
    return found


_BY_CODE = {error.code: error for error in _subclasses(Error)}


def from_code(
    code: int, message: str, path: str | None, offset: int | None, errno: int | None
) -> Error:
    """The exception for an error of the engine; called by the extension."""
    return _BY_CODE.get(code, Error)(message, path, offset, errno)
