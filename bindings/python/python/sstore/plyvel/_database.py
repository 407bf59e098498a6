"""plyvel's database, its part under a prefix, snapshots and write batches, each over its counterpart of sstore."""

from __future__ import annotations

import os
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import sstore

from . import _properties
from ._errors import translate, translated
from ._iterators import Iterator, Range, RawIterator

if TYPE_CHECKING:
    from typing_extensions import Buffer


def directory_of(name: object) -> str:
    """The path that a program gives as the name of its database."""
    if not isinstance(name, str | bytes | os.PathLike):
        raise TypeError("'name' arg must be a byte string or a unicode string")
    return os.fsdecode(name)


def _options(
    write_buffer_size: int | None,
    lru_cache_size: int | None,
    block_size: int | None,
    compression: str | None,
    bloom_filter_bits: int,
) -> dict[str, Any]:
    """The options of sstore that stand for plyvel's, within the limits of sstore."""
    if compression is not None and not isinstance(compression, str):
        raise TypeError("'compression' must be None or a string")
    if compression not in (None, "snappy"):
        raise ValueError("'compression' must be None or 'snappy'")
    options: dict[str, Any] = {"compression": "none" if compression is None else "lz4"}
    if write_buffer_size is not None:
        options["write_buffer_bytes"] = min(max(write_buffer_size, 4 << 10), 4 << 30)
    if lru_cache_size is not None:
        # The default budget has more than the caches of most; who asks for a large one gets it beside the memtables.
        options["memory_budget_bytes"] = max(512 << 20, 2 * lru_cache_size)
    if block_size is not None:
        options["block_bytes"] = min(max(block_size, 512), 48 << 10)
    if bloom_filter_bits > 0:
        options["bloom_bits_per_key"] = min(bloom_filter_bits, 32)
    return options


class _Readable:
    """Gets and iterators, of a database, a part of it, or a snapshot."""

    __slots__ = ()

    # What all keys begin with; None: anything.
    _prefix: bytes | None

    def _snapshot_of(self) -> sstore.Snapshot:
        """A snapshot for an iterator of its own."""
        raise NotImplementedError

    def _source_get(self) -> Callable[[Any, Any], Any]:
        raise NotImplementedError

    def get(
        self, key: Buffer, default: Any = None, *, verify_checksums: bool = False, fill_cache: bool = True
    ) -> Any:
        """The value of ``key``, or ``default``."""
        try:
            return self._source_get()(key if self._prefix is None else self._prefix + bytes(key), default)
        except sstore.Error as error:
            raise translate(error) from error

    @translated
    def iterator(
        self,
        *,
        reverse: bool = False,
        start: bytes | None = None,
        stop: bytes | None = None,
        include_start: bool = True,
        include_stop: bool = False,
        prefix: bytes | None = None,
        include_key: bool = True,
        include_value: bool = True,
        verify_checksums: bool = False,
        fill_cache: bool = True,
    ) -> Iterator:
        """An iterator over the entries in a range, or with a prefix, as of now."""
        range = Range(self._prefix, start, stop, include_start, include_stop, prefix)
        return Iterator(self._snapshot_of(), range, reverse, include_key, include_value)

    def __iter__(self) -> Iterator:
        return self.iterator()

    @translated
    def _raw_iterator(self) -> RawIterator:
        return RawIterator(self._snapshot_of(), Range(self._prefix, None, None, True, False, None))


class _Writable(_Readable):
    """Puts and deletes too, of a database or a part of it."""

    __slots__ = ()

    _store: sstore.DB

    def _snapshot_of(self) -> sstore.Snapshot:
        return self._store.snapshot()

    def _source_get(self) -> Callable[[Any, Any], Any]:
        return self._store.get

    def put(self, key: Buffer, value: Buffer, *, sync: bool = False) -> None:
        """Sets ``key`` to ``value``; with ``sync`` waits until the disk has it."""
        try:
            self._store.put(key if self._prefix is None else self._prefix + bytes(key), value, sync=bool(sync))
        except sstore.Error as error:
            raise translate(error) from error

    def delete(self, key: Buffer, *, sync: bool = False) -> None:
        """Removes ``key``; it need not exist."""
        try:
            self._store.delete(key if self._prefix is None else self._prefix + bytes(key), sync=bool(sync))
        except sstore.Error as error:
            raise translate(error) from error

    @translated
    def write_batch(self, *, transaction: bool = False, sync: bool = False) -> WriteBatch:
        """A batch of operations. In a ``with`` block that raises they are written all the same, unless ``transaction``."""
        _open(self._store)
        return WriteBatch(self._store, self._prefix, transaction, sync)

    @translated
    def snapshot(self) -> Snapshot:
        """The present, to be read later."""
        return Snapshot(self._store.snapshot(), self._store, self._prefix)


class DB(_Writable):
    """A database."""

    __slots__ = ("_name", "_prefix", "_store")

    def __init__(
        self,
        name: str | bytes | os.PathLike[str],
        create_if_missing: bool = False,
        *,
        error_if_exists: bool = False,
        paranoid_checks: bool | None = None,
        write_buffer_size: int | None = None,
        max_open_files: int | None = None,
        lru_cache_size: int | None = None,
        block_size: int | None = None,
        block_restart_interval: int | None = None,
        max_file_size: int | None = None,
        compression: str | None = "snappy",
        bloom_filter_bits: int = 0,
        comparator: Callable[[bytes, bytes], int] | None = None,
        comparator_name: bytes | None = None,
    ) -> None:
        directory = directory_of(name)
        if (comparator is None) != (comparator_name is None):
            raise ValueError("'comparator' and 'comparator_name' must be specified together")
        if comparator is not None:
            raise NotImplementedError(
                "sstore keeps keys in the order of their bytes, so there are no custom comparators: "
                "encode the keys so that their bytes have the order wanted"
            )
        options = _options(write_buffer_size, lru_cache_size, block_size, compression, bloom_filter_bits)
        self._name = name
        self._prefix = None
        self._store = _open_store(directory, bool(create_if_missing), bool(error_if_exists), options)

    @property
    def name(self) -> str | bytes | os.PathLike[str]:
        """The name that it was opened with."""
        return self._name

    @property
    def closed(self) -> bool:
        """Whether it was closed."""
        return self._store.closed

    @property
    def sstore(self) -> sstore.DB:
        """The database as sstore knows it."""
        return self._store

    @translated
    def close(self) -> None:
        """Closes it; iterators, snapshots and batches of it raise RuntimeError from then on. Closing twice is allowed."""
        self._store.close()

    def prefixed_db(self, prefix: bytes) -> PrefixedDB:
        """The part of it whose keys begin with ``prefix``."""
        return PrefixedDB(self, prefix=prefix)

    def raw_iterator(self, *, verify_checksums: bool = False, fill_cache: bool = True) -> RawIterator:
        """An iterator as LevelDB has it."""
        return self._raw_iterator()

    @translated
    def compact_range(self, *, start: bytes | None = None, stop: bytes | None = None) -> None:
        """Writes all memtables to files and merges these into one, whatever the range."""
        self._store.flush()
        self._store.compact()

    @translated
    def approximate_size(self, start: bytes, stop: bytes) -> int:
        """About how many bytes the keys from ``start`` to ``stop`` take in files; what is only in memory and log does not count."""
        return _properties.approximate_size(self._store.column_family("default").segments(), start, stop)

    @translated
    def approximate_sizes(self, *ranges: tuple[bytes, bytes]) -> list[int]:
        """The same of several ranges, each a pair of start and stop."""
        sizes = []
        segments = self._store.column_family("default").segments()
        for start, stop in ranges:
            if not isinstance(start, bytes) or not isinstance(stop, bytes):
                raise TypeError("Start and stop of range must be byte strings")
            sizes.append(_properties.approximate_size(segments, start, stop))
        return sizes

    @translated
    def get_property(self, name: bytes) -> bytes | None:
        """What LevelDB tells under ``leveldb.stats``, ``leveldb.sstables``, ``leveldb.num-files-at-level0`` and so on, and
        ``leveldb.approximate-memory-usage``; None for another name. A level is how often data was merged."""
        if not isinstance(name, bytes):
            raise TypeError("'name' must be a byte string")
        _open(self._store)
        return _properties.tell(self._store, name)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<sstore.plyvel.DB with name {self._name!r}{' (closed)' if self.closed else ''}>"


@translated
def _open_store(directory: str, create: bool, error_if_exists: bool, options: dict[str, Any]) -> sstore.DB:
    opened: sstore.DB = sstore.open(directory, create_if_missing=create, error_if_exists=error_if_exists, **options)
    return opened


class PrefixedDB(_Writable):
    """The part of a database whose keys begin with a prefix, which it puts before each key and takes off again."""

    __slots__ = ("_db", "_prefix", "_store")

    def __init__(self, db: DB, *, prefix: bytes) -> None:
        if not isinstance(prefix, bytes):
            raise TypeError("'prefix' must be a byte string")
        self._db = db
        self._store = db.sstore
        self._prefix = prefix

    @property
    def db(self) -> DB:
        """The whole database."""
        return self._db

    @property
    def prefix(self) -> bytes:
        """What its keys begin with."""
        assert self._prefix is not None
        return self._prefix

    def prefixed_db(self, prefix: bytes) -> PrefixedDB:
        """The part of it whose keys begin with ``prefix``, after its own."""
        return PrefixedDB(self._db, prefix=self.prefix + prefix)

    def __repr__(self) -> str:
        return f"<sstore.plyvel.PrefixedDB with prefix {self._prefix!r}>"


class Snapshot(_Readable):
    """A database, or the part under a prefix, as it was at one moment."""

    __slots__ = ("_open", "_prefix", "_store")

    def __init__(self, snapshot: sstore.Snapshot, store: sstore.DB, prefix: bytes | None) -> None:
        # None when closed.
        self._open: sstore.Snapshot | None = snapshot
        self._store = store
        self._prefix = prefix

    def _here(self) -> sstore.Snapshot:
        if self._open is None or self._store.closed:
            raise RuntimeError("Database or snapshot is closed")
        return self._open

    def _snapshot_of(self) -> sstore.Snapshot:
        # One of its own, so that the iterator outlives this one.
        return self._store.snapshot(self._here().sequence)

    def _source_get(self) -> Callable[[Any, Any], Any]:
        return self._here().get

    def raw_iterator(self, *, verify_checksums: bool = False, fill_cache: bool = True) -> RawIterator:
        """An iterator as LevelDB has it."""
        return self._raw_iterator()

    def close(self) -> None:
        """Lets go of the moment. Closing twice is allowed."""
        held, self._open = self._open, None
        if held is not None:
            held.close()

    release = close

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


class WriteBatch:
    """Operations that are written together."""

    __slots__ = ("_batch", "_prefix", "_store", "_sync", "_transaction")

    def __init__(self, store: sstore.DB, prefix: bytes | None, transaction: bool, sync: bool) -> None:
        self._store = store
        self._prefix = prefix
        self._transaction = bool(transaction)
        self._sync = bool(sync)
        self._batch = store.write_batch(sync=self._sync)

    @translated
    def put(self, key: Buffer, value: Buffer) -> None:
        """Sets ``key`` to ``value``."""
        _open(self._store)
        self._batch.put(key if self._prefix is None else self._prefix + bytes(key), value)

    @translated
    def delete(self, key: Buffer) -> None:
        """Removes ``key``; it need not exist."""
        _open(self._store)
        self._batch.delete(key if self._prefix is None else self._prefix + bytes(key))

    @translated
    def clear(self) -> None:
        """Forgets all operations."""
        _open(self._store)
        self._batch.clear()

    @translated
    def append(self, source: WriteBatch) -> None:
        """Adds the operations of another batch of the same database, as they are there."""
        if not isinstance(source, WriteBatch):
            raise TypeError(f"'source' must be a WriteBatch, not {type(source).__name__}")
        self._batch.append(source._batch)

    @translated
    def approximate_size(self) -> int:
        """Its encoded size in bytes."""
        _open(self._store)
        return self._batch.size_bytes

    @translated
    def write(self) -> None:
        """Writes the operations. They stay in the batch: writing twice applies them twice."""
        _open(self._store)
        copy = self._store.write_batch(sync=self._sync)
        copy.append(self._batch)
        copy.write()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if kind is None or not self._transaction:
            self.write()


def _open(store: sstore.DB) -> None:
    if store.closed:
        raise RuntimeError("Database is closed")
