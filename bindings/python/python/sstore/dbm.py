"""The interface of the standard library's ``dbm``: ``sstore.dbm.open(file, flag, mode)``.

Keys and values may be ``str``, which is encoded as UTF-8; what comes back is bytes. ``file`` is a directory. Everything else is as with
``dbm.gnu``, its ``firstkey``, ``nextkey``, ``reorganize`` and ``sync`` among it; but the keys are in order.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator, MutableMapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, ParamSpec, Self, TypeVar, cast

import sstore

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = ["Database", "error", "library", "open", "whichdb"]

library = "sstore"

_P = ParamSpec("_P")
_R = TypeVar("_R")


class error(OSError):
    """Whatever goes wrong with a database, besides a missing key."""


def _translated(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """A method that raises ``error`` where sstore raises something of its own."""

    def call(*arguments: _P.args, **keywords: _P.kwargs) -> _R:
        try:
            return function(*arguments, **keywords)
        except sstore.Error as caught:
            raise error(_errno(caught), str(caught)) from caught

    call.__doc__ = function.__doc__
    call.__name__ = function.__name__
    return call


def _errno(caught: sstore.Error) -> int:
    """The number of the operating system's error, or of the one that fits."""
    if caught.errno is not None:
        return caught.errno
    kinds = {
        sstore.NotFoundError: errno.ENOENT,
        sstore.LockedError: errno.EAGAIN,
        sstore.ReadOnlyError: errno.EROFS,
        sstore.ClosedError: errno.EBADF,
        sstore.InvalidArgumentError: errno.EINVAL,
    }
    return next((number for kind, number in kinds.items() if isinstance(caught, kind)), errno.EIO)


def _bytes(part: Buffer | str) -> Buffer:
    return part.encode() if isinstance(part, str) else part


class Database(MutableMapping[Any, Any]):
    """An open database. A context manager that closes it. ``sstore`` is the database with all that it can do."""

    def __init__(self, store: sstore.DB) -> None:
        self._store = store

    @property
    def sstore(self) -> sstore.DB:
        """The database as sstore knows it."""
        return self._store

    @_translated
    def __getitem__(self, key: Buffer | str) -> bytes:
        return self._store[_bytes(key)]

    @_translated
    def __setitem__(self, key: Buffer | str, value: Buffer | str) -> None:
        self._store[_bytes(key)] = _bytes(value)

    @_translated
    def __delitem__(self, key: Buffer | str) -> None:
        del self._store[_bytes(key)]

    @_translated
    def __contains__(self, key: object) -> bool:
        return _bytes(cast("Buffer | str", key)) in self._store

    @_translated
    def __len__(self) -> int:
        """Counts the keys by walking over them."""
        return len(self._store)

    @_translated
    def __bool__(self) -> bool:
        return bool(self._store)

    @_translated
    def __iter__(self) -> Iterator[bytes]:
        return iter(self._store)

    @_translated
    def get(self, key: Buffer | str, default: Any = None) -> Any:
        """The value of ``key``, or ``default``."""
        return self._store.get(_bytes(key), default)

    @_translated
    def setdefault(self, key: Buffer | str, default: Buffer | str = b"") -> bytes:  # type: ignore[override]
        """The value of ``key``; if it is missing, sets it to ``default`` first."""
        return self._store.setdefault(_bytes(key), _bytes(default))

    @_translated
    def keys(self) -> list[bytes]:  # type: ignore[override]
        """All keys, in order, as a list; to iterate over the database itself needs less memory."""
        return list(self._store)

    @_translated
    def firstkey(self) -> bytes | None:
        """The first key, or None."""
        return next(iter(self._store), None)

    @_translated
    def nextkey(self, key: Buffer | str) -> bytes | None:
        """The key that comes after ``key``, which need not exist; or None."""
        with self._store.iter(_bytes(key), include_start=False, values=False) as after:
            return next(after, None)

    @_translated
    def clear(self) -> None:
        """Removes all keys."""
        self._store.clear()

    @_translated
    def reorganize(self) -> None:
        """Gives back the room of what was deleted or replaced."""
        self._store.flush()
        self._store.compact()

    @_translated
    def sync(self) -> None:
        """Waits until the disk has every write so far."""
        self._store.sync()

    @_translated
    def close(self) -> None:
        """Closes the database; every later use raises ``error``. Closing twice is allowed."""
        self._store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<sstore.dbm.Database of {str(self._store.path)!r}{' closed' if self._store.closed else ''}>"


@_translated
def open(file: str | bytes | os.PathLike[Any], flag: str = "r", mode: int = 0o666) -> Database:
    """Opens the database in the directory ``file``.

    ``flag`` is ``'r'`` to read what exists (also beside a writer), ``'w'`` to write too, ``'c'`` to create it if need be, ``'n'`` for a new, empty one in
    the place of whatever database or file is there. A following ``'s'`` makes every write wait for the disk; ``'f'`` means nothing here. ``mode``
    is that of a new directory, less the umask; who may read it may also enter it.
    """
    path = os.fsdecode(os.fspath(file))
    first, rest = flag[:1], set(flag[1:])
    if first not in ("r", "w", "c", "n") or rest - {"s", "f"}:
        raise ValueError(f"the flag is 'r', 'w', 'c' or 'n', and perhaps 's' after it, not {flag!r}")
    durability = "sync" if "s" in rest else "buffered"
    if first == "n":
        if os.path.isdir(path):
            try:
                sstore.destroy(path)
            except sstore.NotFoundError:
                pass
        elif os.path.lexists(path):
            os.unlink(path)
    if first in ("c", "n") and not os.path.isdir(path):
        os.mkdir(path, mode | (mode & (stat.S_IRUSR | stat.S_IRGRP | stat.S_IROTH)) >> 2)
    creates = first in ("c", "n")
    return Database(sstore.open(path, read_only=first == "r", create_if_missing=creates, durability=durability))


def whichdb(file: str | bytes | os.PathLike[Any]) -> str | None:
    """As ``dbm.whichdb``, which does not know this module: ``'sstore.dbm'`` for a database of sstore."""
    if os.path.isfile(os.path.join(os.fsdecode(os.fspath(file)), "CURRENT")):
        return "sstore.dbm"
    import dbm

    return dbm.whichdb(os.fsdecode(os.fspath(file)))
