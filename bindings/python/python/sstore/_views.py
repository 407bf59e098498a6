"""What stands over the keys of a mapping: sorted views of it, and those of its keys that have a prefix.

They hold no data: each call reads the mapping as it is then.
"""

from __future__ import annotations

from collections.abc import ItemsView, Iterator, KeysView, Mapping, MutableMapping, ValuesView
from typing import TYPE_CHECKING, Any, Self, TypeVar, cast, overload

if TYPE_CHECKING:
    from typing_extensions import Buffer

    from . import _sstore
    from ._sstore import ColumnFamily, Cursor, Scan, Snapshot

_T = TypeVar("_T")


def rows_of(scan: Scan) -> Iterator[dict[str, Any]]:
    """The rows of a scan, one by one; called by the native module."""
    for batch in scan:
        yield from batch.to_pylist()


def _later(one: bytes | None, other: bytes | None) -> bytes | None:
    return other if one is None else one if other is None else max(one, other)


def _earlier(one: bytes | None, other: bytes | None) -> bytes | None:
    return other if one is None else one if other is None else min(one, other)


def _bytes(key: object) -> bytes:
    if type(key) is bytes:
        return key
    if isinstance(key, str):
        raise TypeError("keys and values are bytes, not str; encode the text first: text.encode()")
    return memoryview(cast("Buffer", key)).tobytes()


class _Range:
    """The part of a sorted mapping that a view shows."""

    # What has `iter` and `count`: a family, a snapshot, or one of the classes below.
    _mapping: Any
    _start: bytes | None
    _stop: bytes | None

    def __init__(self, mapping: object, start: bytes | None = None, stop: bytes | None = None) -> None:
        self._mapping = mapping
        self._start = start
        self._stop = stop

    def range(self, start: Buffer | None = None, stop: Buffer | None = None) -> Self:
        """The part of this view whose keys are at or after ``start`` and before ``stop``."""
        first = None if start is None else _bytes(start)
        last = None if stop is None else _bytes(stop)
        return type(self)(self._mapping, _later(self._start, first), _earlier(self._stop, last))

    def _holds(self, key: object) -> bool:
        if self._start is None and self._stop is None:
            return True
        key = _bytes(key)
        return (self._start is None or self._start <= key) and (self._stop is None or key < self._stop)

    def _iter(self, **what: bool) -> Iterator[Any]:
        return cast("Iterator[Any]", self._mapping.iter(self._start, self._stop, **what))

    def __len__(self) -> int:
        return cast("int", self._mapping.count(self._start, self._stop))

    def __repr__(self) -> str:
        bounds = "" if self._start is self._stop is None else f", {self._start!r}, {self._stop!r}"
        return f"{type(self).__name__}({self._mapping!r}{bounds})"


class SortedKeys(_Range, KeysView[bytes]):
    """The keys of a mapping, in order. A set: ``&``, ``|``, ``-`` and ``^`` make one of Python."""

    def __contains__(self, key: object) -> bool:
        return self._holds(key) and key in self._mapping

    def __iter__(self) -> Iterator[bytes]:
        return self._iter(values=False)

    def __reversed__(self) -> Iterator[bytes]:
        return self._iter(values=False, reverse=True)


class SortedValues(_Range, ValuesView[bytes]):
    """The values of a mapping, in the order of their keys."""

    def __contains__(self, value: object) -> bool:
        return any(value == each for each in self)

    def __iter__(self) -> Iterator[bytes]:
        return self._iter(keys=False)

    def __reversed__(self) -> Iterator[bytes]:
        return self._iter(keys=False, reverse=True)


class SortedItems(_Range, ItemsView[bytes, bytes]):
    """The pairs of a mapping, in the order of their keys."""

    def __contains__(self, item: object) -> bool:
        key, value = cast("tuple[bytes, object]", item)
        return self._holds(key) and self._mapping.get(key) == value

    def __iter__(self) -> Iterator[tuple[bytes, bytes]]:
        return self._iter()

    def __reversed__(self) -> Iterator[tuple[bytes, bytes]]:
        return self._iter(reverse=True)


class PrefixedSnapshot(Mapping[bytes, bytes]):
    """The keys of a snapshot that begin with a prefix, as a mapping that knows them without it."""

    __slots__ = ("_others", "_prefix", "_whole")

    def __init__(self, snapshot: Snapshot, prefix: bytes, column_family: ColumnFamily | None = None) -> None:
        self._whole: Any = snapshot
        self._prefix = prefix
        # Arguments of each call.
        self._others: dict[str, Any] = {} if column_family is None else {"column_family": column_family}

    @property
    def prefix(self) -> bytes:
        """What its keys begin with in the snapshot or family."""
        return self._prefix

    def _key(self, key: Buffer) -> bytes:
        return self._prefix + _bytes(key)

    def _keys(self, keys: Any) -> list[bytes]:
        return [self._key(key) for key in keys]

    @overload
    def get(self, key: Buffer, default: None = None) -> bytes | None: ...
    @overload
    def get(self, key: Buffer, default: _T) -> bytes | _T: ...
    def get(self, key: Buffer, default: object = None) -> object:
        """The value of ``key``, or ``default``."""
        return self._whole.get(self._key(key), default, **self._others)

    def get_view(self, key: Buffer) -> memoryview | None:
        """As ``DB.get_view``."""
        return cast("memoryview | None", self._whole.get_view(self._key(key), **self._others))

    def get_into(self, key: Buffer, buffer: Buffer) -> int | None:
        """As ``DB.get_into``."""
        return cast("int | None", self._whole.get_into(self._key(key), buffer, **self._others))

    def multi_get(self, keys: Any, default: object = None) -> list[Any]:
        """The values of an iterable of keys, ``default`` for the missing; all from the same moment."""
        return cast("list[Any]", self._whole.multi_get(self._keys(keys), default, **self._others))

    def iter(self, start: Buffer | None = None, stop: Buffer | None = None, **options: Any) -> _sstore.Iterator[Any]:
        """As ``DB.iter``; ``prefix`` narrows further."""
        return cast("_sstore.Iterator[Any]", self._whole.iter(start, stop, **self._narrowed(options)))

    def cursor(self, start: Buffer | None = None, stop: Buffer | None = None, **options: Any) -> Cursor:
        """As ``DB.cursor``."""
        return cast("Cursor", self._whole.cursor(start, stop, **self._narrowed(options)))

    def scan_arrow(self, start: Buffer | None = None, stop: Buffer | None = None, **options: Any) -> Scan:
        """As ``DB.scan_arrow``."""
        return cast("Scan", self._whole.scan_arrow(start, stop, **self._narrowed(options)))

    def _narrowed(self, options: dict[str, Any]) -> dict[str, Any]:
        if options.pop("prefix", None) is not None or "strip_prefix" in options:
            raise TypeError("the keys have a prefix already: call prefixed() again for a longer one")
        return {"prefix": self._prefix, "strip_prefix": True, **self._others, **options}

    def count(self, start: Buffer | None = None, stop: Buffer | None = None) -> int:
        """How many keys there are from ``start`` to ``stop``, by walking over them."""
        first = None if start is None else self._key(start)
        last = None if stop is None else self._key(stop)
        return cast("int", self._whole.count(first, last, prefix=self._prefix, **self._others))

    def prefixed(self, prefix: Buffer) -> Self:
        """The keys that begin with ``prefix`` after this prefix."""
        return type(self)(self._whole, self._key(prefix), **self._others)

    def keys(self) -> SortedKeys:
        """The keys, in order."""
        return SortedKeys(self)

    def values(self) -> SortedValues:
        """The values, in the order of their keys."""
        return SortedValues(self)

    def items(self) -> SortedItems:
        """The pairs of key and value, in order."""
        return SortedItems(self)

    def __getitem__(self, key: Buffer) -> bytes:
        found = self.get(key)
        if found is None:
            raise KeyError(key)
        return found

    def __contains__(self, key: object) -> bool:
        return self.get(cast("Buffer", key)) is not None

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.keys())

    def __reversed__(self) -> Iterator[bytes]:
        return reversed(self.keys())

    def __len__(self) -> int:
        return self.count()

    def __bool__(self) -> bool:
        return next(iter(self), None) is not None

    def __repr__(self) -> str:
        return f"<keys with the prefix {self._prefix!r} of {self._whole!r}>"


class Prefixed(PrefixedSnapshot, MutableMapping[bytes, bytes]):
    """The keys of a column family that begin with a prefix, as a mapping that knows them without it."""

    __slots__ = ()

    def __init__(self, column_family: ColumnFamily, prefix: bytes) -> None:
        self._whole = column_family
        self._prefix = prefix
        self._others = {}

    @property
    def column_family(self) -> ColumnFamily:
        """The family whose keys they are."""
        return cast("ColumnFamily", self._whole)

    def put(self, key: Buffer, value: Buffer, *, sync: bool | None = None) -> int:
        """As ``DB.put``."""
        return cast("int", self._whole.put(self._key(key), value, sync=sync))

    def delete(self, key: Buffer, *, sync: bool | None = None) -> int:
        """As ``DB.delete``."""
        return cast("int", self._whole.delete(self._key(key), sync=sync))

    def put_many(self, pairs: Any, *, sync: bool | None = None, atomic: bool = True) -> int:
        """Sets the pairs of a mapping or of an iterable, together unless ``atomic=False``; returns how many."""
        items = pairs
        if hasattr(pairs, "keys"):
            items = pairs.items() if hasattr(pairs, "items") else ((key, pairs[key]) for key in pairs.keys())
        whole = ((self._key(key), value) for key, value in items)
        return cast("int", self._whole.put_many(whole, sync=sync, atomic=atomic))

    def delete_many(self, keys: Any, *, sync: bool | None = None, atomic: bool = True) -> int:
        """Removes many keys, together unless ``atomic=False``; returns how many were given."""
        whole = (self._key(key) for key in keys)
        return cast("int", self._whole.delete_many(whole, sync=sync, atomic=atomic))

    def pop(self, key: Buffer, *default: Any) -> Any:
        """Removes ``key`` and returns its value; without it returns the default, or raises KeyError."""
        return self._whole.pop(self._key(key), *default)

    def setdefault(self, key: Buffer, default: Buffer) -> bytes:
        """The value of ``key``; if it is missing, sets it to ``default`` first."""
        return cast("bytes", self._whole.setdefault(self._key(key), default))

    def update(self, pairs: Any = (), /) -> None:
        """Sets all pairs in one atomic batch."""
        self.put_many(pairs)

    def clear(self) -> None:
        """Removes all keys that are there now, in several batches."""
        self.delete_many(self.iter(values=False), atomic=False)

    def __ior__(self, pairs: Any) -> Self:
        self.update(pairs)
        return self

    def __setitem__(self, key: Buffer, value: Buffer) -> None:
        self._whole[self._key(key)] = value

    def __delitem__(self, key: Buffer) -> None:
        del self._whole[self._key(key)]
