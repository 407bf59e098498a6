"""plyvel's iterators: the one that stands between two entries, and the raw one that stands on one. Made by ``DB`` and ``Snapshot``.

Promise: an iterator sees the database as it was when the iterator was made, and never leaves its range.
"""

from __future__ import annotations

from types import TracebackType
from typing import Any, Self

import sstore

from ._errors import IteratorInvalidError, translate, translated


class Range:
    """Which entries an iterator goes over: all in terms of the keys without ``strip``, the prefix of a ``PrefixedDB``."""

    __slots__ = ("include_start", "include_stop", "start", "stop", "strip")

    def __init__(
        self,
        strip: bytes | None,
        start: bytes | None,
        stop: bytes | None,
        include_start: bool,
        include_stop: bool,
        prefix: bytes | None,
    ) -> None:
        if prefix is not None:
            if start is not None or stop is not None:
                raise TypeError("'prefix' cannot be used together with 'start' or 'stop'")
            start, stop, include_start, include_stop = prefix, _after_prefix(prefix), True, False
        self.strip, self.start, self.stop = strip, start, stop
        self.include_start, self.include_stop = bool(include_start), bool(include_stop)

    def keywords(self) -> dict[str, Any]:
        """As arguments of ``Snapshot.iter`` and ``Snapshot.cursor``."""
        keywords: dict[str, Any] = {
            "start": self.start,
            "stop": self.stop,
            "include_start": self.include_start,
            "include_stop": self.include_stop,
        }
        if self.strip is not None:
            keywords |= {"prefix": self.strip, "strip_prefix": True}
        return keywords


def _after_prefix(prefix: bytes) -> bytes | None:
    """The least key behind all that begin with ``prefix``; None if there is none."""
    head = bytes(prefix).rstrip(b"\xff")
    return head[:-1] + bytes([head[-1] + 1]) if head else None


class _Base:
    """What both iterators share: what they hold, and closing."""

    __slots__ = ("_snapshot",)

    # None when closed.
    _snapshot: sstore.Snapshot | None

    def _open_snapshot(self) -> sstore.Snapshot:
        if self._snapshot is None:
            raise RuntimeError("Database or iterator is closed")
        return self._snapshot

    def _release(self) -> None:
        raise NotImplementedError

    def close(self) -> None:
        """Releases what the iterator holds. Closing twice is allowed."""
        snapshot, self._snapshot = self._snapshot, None
        if snapshot is not None:
            self._release()
            snapshot.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


class Iterator(_Base):
    """Stands between two entries, or before the first, or after the last: ``next`` gives the one ahead, ``prev`` the one behind.

    With ``reverse`` ahead is towards the lesser keys.
    """

    # While it only goes ahead, the engine's iterator does all the work. The first call that turns or seeks gives its place to a cursor,
    # which then stands on the entry to the right of the gap, or on none if the gap is the last.
    __slots__ = ("_ahead", "_cursor", "_keys", "_last", "_range", "_reverse", "_values")

    def __init__(
        self, snapshot: sstore.Snapshot, range: Range, reverse: bool, include_key: bool, include_value: bool
    ) -> None:
        self._snapshot = snapshot
        self._range = range
        self._reverse = bool(reverse)
        self._last: Any = None
        self._cursor: sstore.Cursor | None = None
        self._keys, self._values = bool(include_key), bool(include_value)
        # The engine gives the keys always: they tell where the cursor has to go.
        options: dict[str, Any] = range.keywords() | {"reverse": self._reverse, "values": self._values}
        self._ahead: sstore.Iterator[Any] | None = snapshot.iter(**options)

    def _release(self) -> None:
        ahead, cursor = self._ahead, self._cursor
        self._ahead = self._cursor = None
        for held in (ahead, cursor):
            if held is not None:
                held.close()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Any:
        ahead = self._ahead
        if ahead is None:
            return self._left() if self._reverse else self._right()
        try:
            entry = next(ahead)
        except sstore.Error as error:
            raise translate(error) from error
        self._last = entry
        if self._keys:
            return entry
        return entry[1] if self._values else None

    def prev(self) -> Any:
        """The entry behind, and goes there. StopIteration at the beginning."""
        return self._right() if self._reverse else self._left()

    @translated
    def seek(self, target: bytes) -> None:
        """Goes to the gap before the first entry at or after ``target``, also with ``reverse``."""
        self._at().seek(target)

    @translated
    def seek_to_start(self) -> None:
        """Goes before the entry with the least key, also with ``reverse``."""
        self._at().first()

    @translated
    def seek_to_stop(self) -> None:
        """Goes behind the entry with the greatest key, also with ``reverse``."""
        cursor = self._at()
        if cursor.last():
            cursor.next()

    def _at(self) -> sstore.Cursor:
        """The cursor, put where the iteration ahead has come to."""
        snapshot = self._open_snapshot()
        if self._cursor is None:
            cursor = self._cursor = snapshot.cursor(**self._range.keywords())
            ahead, self._ahead = self._ahead, None
            if ahead is not None:
                ahead.close()
            last, self._last = self._last, None
            if last is not None:
                key: bytes = last[0] if isinstance(last, tuple) else last
                # The least key after k is k with a zero byte behind.
                cursor.seek(key if self._reverse else key + b"\0")
            elif not self._reverse:
                cursor.first()
        return self._cursor

    def _entry(self, cursor: sstore.Cursor) -> Any:
        if self._keys:
            return cursor.item() if self._values else cursor.key()
        return cursor.value() if self._values else None

    @translated
    def _right(self) -> Any:
        cursor = self._at()
        if not cursor.valid():
            raise StopIteration
        entry = self._entry(cursor)
        cursor.next()
        return entry

    @translated
    def _left(self) -> Any:
        cursor = self._at()
        if not (cursor.prev() if cursor.valid() else cursor.last()):
            cursor.first()
            raise StopIteration
        return self._entry(cursor)


class RawIterator(_Base):
    """As LevelDB's own: stands on an entry, or on none. A new one stands on none."""

    __slots__ = ("_cursor",)

    def __init__(self, snapshot: sstore.Snapshot, range: Range) -> None:
        self._snapshot = snapshot
        self._cursor = snapshot.cursor(**range.keywords())

    def _release(self) -> None:
        self._cursor.close()

    def _on(self) -> sstore.Cursor:
        if not self.valid():
            raise IteratorInvalidError
        return self._cursor

    @translated
    def valid(self) -> bool:
        """Whether it stands on an entry."""
        self._open_snapshot()
        return self._cursor.valid()

    @translated
    def seek_to_first(self) -> None:
        """Goes to the first entry."""
        self._open_snapshot()
        self._cursor.first()

    @translated
    def seek_to_last(self) -> None:
        """Goes to the last entry."""
        self._open_snapshot()
        self._cursor.last()

    @translated
    def seek(self, target: bytes) -> None:
        """Goes to the first entry at or after ``target``."""
        self._open_snapshot()
        self._cursor.seek(target)

    @translated
    def next(self) -> None:
        """Goes to the next entry, or behind the last."""
        self._on().next()

    @translated
    def prev(self) -> None:
        """Goes to the entry before, or before the first."""
        self._on().prev()

    @translated
    def key(self) -> bytes:
        """The key that it stands on."""
        return self._on().key()

    @translated
    def value(self) -> bytes:
        """The value that it stands on."""
        return self._on().value()

    @translated
    def item(self) -> tuple[bytes, bytes]:
        """Key and value that it stands on."""
        return self._on().item()
