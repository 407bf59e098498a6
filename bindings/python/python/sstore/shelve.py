"""As the standard library's ``shelve``: a mapping of text to values, kept in a database.

    >>> with sstore.shelve.open("mydb", codec="json") as shelf:
    ...     shelf["cat"] = {"sound": "meow", "lives": 9}

How a value becomes bytes must be said: ``codec="json"``, ``"text"``, ``"bytes"``, or any object with ``encode`` and ``decode``. Nothing is pickled unless
``codec=sstore.codecs.PickleUNSAFE``.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, MutableMapping
from types import TracebackType
from typing import Any, Self, cast

import sstore

from . import dbm
from .codecs import Codec, named

__all__ = ["Shelf", "open"]


class Shelf(MutableMapping[str, Any]):
    """A mapping of text to values over a mapping of bytes to bytes: a column family, a database, or the part of one under a prefix.

    A value that is taken out and changed is not changed in the database, unless it is put again, or the shelf was made with ``writeback``: then
    it keeps whatever was read or put, and writes all of it at ``sync`` and ``close``. Keys are in the order of their UTF-8.
    """

    def __init__(
        self,
        mapping: MutableMapping[bytes, bytes],
        codec: Codec | str,
        *,
        writeback: bool = False,
        keyencoding: str = "utf-8",
    ) -> None:
        # None when closed.
        self._mapping: MutableMapping[bytes, bytes] | None = mapping
        self._codec = named(codec)
        self._encoding = keyencoding
        self._kept: dict[str, Any] | None = {} if writeback else None
        # Whether there is anything to wait for when it is closed.
        self._written = False
        # What `open` opened, and `close` closes.
        self._owned: sstore.DB | None = None

    def _open(self) -> MutableMapping[bytes, bytes]:
        if self._mapping is None:
            raise ValueError("invalid operation on closed shelf")
        return self._mapping

    def __getitem__(self, key: str) -> Any:
        mapping = self._open()
        if self._kept is not None and key in self._kept:
            return self._kept[key]
        try:
            data = mapping[key.encode(self._encoding)]
        except KeyError:
            raise KeyError(key) from None
        value = self._codec.decode(data)
        if self._kept is not None:
            self._kept[key] = value
        return value

    def __setitem__(self, key: str, value: Any) -> None:
        self._open()[key.encode(self._encoding)] = self._codec.encode(value)
        self._written = True
        if self._kept is not None:
            self._kept[key] = value

    def __delitem__(self, key: str) -> None:
        try:
            del self._open()[key.encode(self._encoding)]
        except KeyError:
            raise KeyError(key) from None
        self._written = True
        if self._kept is not None:
            self._kept.pop(key, None)

    def __contains__(self, key: object) -> bool:
        return cast("str", key).encode(self._encoding) in self._open()

    def __iter__(self) -> Iterator[str]:
        for key in self._open():
            yield key.decode(self._encoding)

    def __len__(self) -> int:
        """Counts the keys by walking over them."""
        return len(self._open())

    def __bool__(self) -> bool:
        return bool(self._open())

    def clear(self) -> None:
        """Removes all keys."""
        self._open().clear()
        self._written = True
        if self._kept is not None:
            self._kept.clear()

    def sync(self) -> None:
        """Writes what ``writeback`` keeps, in one batch where the mapping can, and waits until the disk has every write so far."""
        mapping = self._open()
        if self._kept:
            mapping.update({key.encode(self._encoding): self._codec.encode(value) for key, value in self._kept.items()})
            self._kept.clear()
        self._written = False
        sync = getattr(mapping, "sync", None)
        if sync is not None:
            sync()

    def close(self) -> None:
        """Writes what ``writeback`` keeps, and closes the database if ``open`` opened it. Closing twice is allowed."""
        if self._mapping is None:
            return
        try:
            if self._written or self._kept:
                self.sync()
        finally:
            self._mapping = None
            if self._owned is not None:
                self._owned.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<sstore.shelve.Shelf of {'nothing: closed' if self._mapping is None else repr(self._mapping)}>"


def open(
    filename: str | bytes | os.PathLike[Any], flag: str = "c", *, codec: Codec | str, writeback: bool = False
) -> Shelf:
    """A shelf in the database in the directory ``filename``. ``flag`` is as for ``sstore.dbm.open``."""
    # An unknown codec is told before anything is created.
    codec = named(codec)
    store = dbm.open(filename, flag).sstore
    shelf = Shelf(store, codec, writeback=writeback)
    shelf._owned = store
    return shelf
