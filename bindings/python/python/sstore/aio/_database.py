"""Databases, families, snapshots and batches whose calls are awaited."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self

import sstore

from ._calls import AsyncIteration, P, R, Runner
from ._tables import AsyncTable

if TYPE_CHECKING:
    from typing_extensions import Buffer

    from .._sstore import _Keys, _Rows
    from .._types import FlushResult


class AsyncColumnFamily:
    """A column family whose calls are awaited. ``sstore`` is the one underneath."""

    def __init__(self, runner: Runner, family: sstore.ColumnFamily) -> None:
        self._runner = runner
        self._family = family

    @property
    def sstore(self) -> sstore.ColumnFamily:
        """The column family underneath; its calls are made at once, in the thread that calls."""
        return self._family

    async def run(self, function: Callable[P, R], *arguments: P.args, **keywords: P.kwargs) -> R:
        """Calls ``function`` on one of the database's threads."""
        return await self._runner.run(function, *arguments, **keywords)

    async def get(self, key: Buffer, default: Any = None, *, snapshot: AsyncSnapshot | None = None) -> Any:
        """The value of ``key``, or ``default``."""
        return await self.run(self._family.get, key, default, snapshot=_under(snapshot))

    async def multi_get(
        self, keys: Iterable[Buffer], default: Any = None, *, snapshot: AsyncSnapshot | None = None
    ) -> list[Any]:
        """The values of ``keys``, ``default`` for the missing; all from the same moment."""
        return await self.run(self._family.multi_get, keys, default, snapshot=_under(snapshot))

    async def contains(self, key: Buffer) -> bool:
        """Whether ``key`` has a value."""
        return await self.run(self._family.contains, key)

    async def count(self, start: Buffer | None = None, stop: Buffer | None = None, *, prefix: Buffer | None = None) -> int:
        """How many keys there are in the range, by walking over them."""
        return await self.run(self._family.count, start, stop, prefix=prefix)

    async def put(self, key: Buffer, value: Buffer, *, sync: bool | None = None) -> int:
        """Sets ``key`` to ``value`` and returns the sequence of the write."""
        return await self.run(self._family.put, key, value, sync=sync)

    async def put_if_absent(self, key: Buffer, value: Buffer, *, sync: bool | None = None) -> int:
        """Sets ``key`` to ``value`` if it is missing, else raises ConflictError."""
        return await self.run(self._family.put_if_absent, key, value, sync=sync)

    async def delete(self, key: Buffer, *, sync: bool | None = None) -> int:
        """Removes ``key``, which need not exist, and returns the sequence of the write."""
        return await self.run(self._family.delete, key, sync=sync)

    async def put_many(self, pairs: Any, *, sync: bool | None = None, atomic: bool = True) -> int:
        """Sets the pairs of a mapping or of an iterable, together unless ``atomic=False``; returns how many."""
        return await self.run(self._family.put_many, pairs, sync=sync, atomic=atomic)

    async def delete_many(self, keys: Iterable[Buffer], *, sync: bool | None = None, atomic: bool = True) -> int:
        """Removes many keys, together unless ``atomic=False``; returns how many were given."""
        return await self.run(self._family.delete_many, keys, sync=sync, atomic=atomic)

    def write_batch(self, *, sync: bool | None = None) -> AsyncWriteBatch:
        """Operations that are applied together; use it as ``async with``."""
        return AsyncWriteBatch(self._runner, self._family.write_batch(sync=sync))

    def iter(
        self, start: Buffer | None = None, stop: Buffer | None = None, *, snapshot: AsyncSnapshot | None = None, **options: Any
    ) -> AsyncIteration[Any]:
        """Goes over keys in order, as ``DB.iter``, for ``async for``. It sees the database as it is when the first entry is asked for."""
        make = functools.partial(self._family.iter, start, stop, snapshot=_under(snapshot), **options)
        return AsyncIteration(self._runner, make)

    def __aiter__(self) -> AsyncIteration[bytes]:
        return self.iter(values=False)

    async def flush(self, timeout: float | None = None) -> FlushResult:
        """Writes memtables to files, and waits for it."""
        return await self.run(self._family.flush, timeout=timeout)

    async def compact(self) -> None:
        """Merges the files into one, and waits for it."""
        await self.run(self._family.compact)

    def __repr__(self) -> str:
        return f"<asynchronous {self._family!r}>"


class AsyncDB(AsyncColumnFamily):
    """A database whose calls are awaited, and its default family. An asynchronous context manager that closes it."""

    def __init__(self, db: sstore.DB, *, threads: int = 4) -> None:
        super().__init__(Runner(threads), db)
        self._db = db
        self._closing: asyncio.Future[None] | None = None

    @property
    def sstore(self) -> sstore.DB:
        """The database underneath; its calls are made at once, in the thread that calls."""
        return self._db

    @property
    def closed(self) -> bool:
        """Whether the database was closed."""
        return self._db.closed

    async def snapshot(self) -> AsyncSnapshot:
        """The present, of all column families and tables."""
        return AsyncSnapshot(self._runner, await self.run(self._db.snapshot))

    async def column_family(self, name: str) -> AsyncColumnFamily:
        """The column family with this name; NotFoundError if there is none."""
        return AsyncColumnFamily(self._runner, await self.run(self._db.column_family, name))

    async def create_column_family(self, name: str, **options: Any) -> AsyncColumnFamily:
        """Makes a column family."""
        return AsyncColumnFamily(self._runner, await self.run(self._db.create_column_family, name, **options))

    async def drop_column_family(self, family: AsyncColumnFamily | str) -> None:
        """Drops a column family with all it holds."""
        await self.run(self._db.drop_column_family, family if isinstance(family, str) else family.sstore)

    async def table(
        self,
        name: str,
        schema: Any = None,
        key: str | Iterable[str] | None = None,
        format: Literal["parquet", "arrow"] | None = None,
        **options: Any,
    ) -> AsyncTable:
        """The table with this name, made if ``schema`` is given and there is none; as ``DB.table``."""
        return AsyncTable(self._runner, await self.run(self._db.table, name, schema, key, format, **options))

    async def tables(self) -> list[str]:
        """The names of all tables, sorted."""
        return await self.run(self._db.tables)

    async def drop_table(self, table: AsyncTable | str) -> None:
        """Drops a table with all its rows. Scans that run go on."""
        await self.run(self._db.drop_table, table if isinstance(table, str) else table.sstore)

    async def sync(self) -> None:
        """Waits until the disk has every write so far."""
        await self.run(self._db.sync)

    async def verify(self) -> None:
        """Reads every live file and checks it."""
        await self.run(self._db.verify)

    async def stats(self) -> dict[str, Any]:
        """Figures of the database, as ``DB.stats``."""
        return await self.run(self._db.stats)

    async def close(self, *, flush: bool | None = None, timeout: float | None = None) -> None:
        """Closes the database, also if the wait for it is cancelled; every later call raises ClosedError.

        Closing again waits for the first one.
        """
        if self._closing is None:
            self._closing = self._runner.start(self._db.close, flush=flush, timeout=timeout)
            self._runner.end()
        await asyncio.shield(self._closing)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()


class AsyncSnapshot:
    """A database as it was at one moment. An asynchronous context manager."""

    def __init__(self, runner: Runner, snapshot: sstore.Snapshot) -> None:
        self._runner = runner
        self._snapshot = snapshot

    @property
    def sstore(self) -> sstore.Snapshot:
        """The snapshot underneath."""
        return self._snapshot

    async def get(self, key: Buffer, default: Any = None, *, column_family: AsyncColumnFamily | None = None) -> Any:
        """The value of ``key``, or ``default``."""
        return await self._runner.run(self._snapshot.get, key, default, column_family=_family(column_family))

    async def multi_get(
        self, keys: Iterable[Buffer], default: Any = None, *, column_family: AsyncColumnFamily | None = None
    ) -> list[Any]:
        """The values of ``keys``, ``default`` for the missing."""
        return await self._runner.run(self._snapshot.multi_get, keys, default, column_family=_family(column_family))

    def iter(
        self,
        start: Buffer | None = None,
        stop: Buffer | None = None,
        *,
        column_family: AsyncColumnFamily | None = None,
        **options: Any,
    ) -> AsyncIteration[Any]:
        """Goes over keys in order, as ``DB.iter``, for ``async for``."""
        make = functools.partial(self._snapshot.iter, start, stop, column_family=_family(column_family), **options)
        return AsyncIteration(self._runner, make)

    async def close(self) -> None:
        """Lets go of the moment. Closing twice is allowed."""
        self._snapshot.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()


class AsyncWriteBatch:
    """Operations that are applied together, or not at all.

    Adding to it only takes memory, and is not awaited. As ``async with`` it writes at the end of the block, and discards everything if the block
    raises or is cancelled.
    """

    def __init__(self, runner: Runner, batch: sstore.WriteBatch) -> None:
        self._runner = runner
        self._batch = batch

    @property
    def sstore(self) -> sstore.WriteBatch:
        """The batch underneath."""
        return self._batch

    def put(self, key: Buffer, value: Buffer, *, column_family: AsyncColumnFamily | None = None) -> None:
        """Sets ``key`` to ``value``."""
        self._batch.put(key, value, column_family=_family(column_family))

    def delete(self, key: Buffer, *, column_family: AsyncColumnFamily | None = None) -> None:
        """Removes ``key``; it need not exist."""
        self._batch.delete(key, column_family=_family(column_family))

    def append(self, table: AsyncTable, data: _Rows) -> None:
        """Writes rows to a table, as ``AsyncTable.append``."""
        self._batch.append(table.sstore, data)

    def delete_rows(self, table: AsyncTable, keys: _Keys) -> None:
        """Deletes the rows with these keys from a table, as ``AsyncTable.delete``."""
        self._batch.delete_rows(table.sstore, keys)

    async def write(self, *, sync: bool | None = None) -> int:
        """Applies the operations, empties the batch and returns the sequence of the last of them."""
        return await self._runner.run(self._batch.write, sync=sync)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if kind is None:
            await self.write()
        else:
            self._batch.clear()


def _under(snapshot: AsyncSnapshot | None) -> sstore.Snapshot | None:
    return None if snapshot is None else snapshot.sstore


def _family(family: AsyncColumnFamily | None) -> sstore.ColumnFamily | None:
    return None if family is None else family.sstore
