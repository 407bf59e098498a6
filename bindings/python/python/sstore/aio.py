"""sstore for asyncio: ``async with sstore.aio.open("mydb") as db``.

Every call runs on one of a few threads that the database has for itself, so that none holds up the event loop. An object belongs to the event
loop that it is used in.

Cancelling: a call that has not begun is never made. One that has begun goes on to its end behind the back of who cancelled it, so a write may
have happened or not; an iterator that was cancelled goes on with the entry that was due. ``close`` waits for the calls that have begun.

The mapping operators of ``sstore.DB`` cannot be awaited, so they are methods here: ``get``, ``put``, ``delete``. Whatever is missing here is reached by
``await db.run(function, ...)``, which calls ``function`` on one of the threads, and ``db.sstore``.
"""

from __future__ import annotations

import asyncio
import functools
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterable
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, Self, TypeVar

import sstore

from ._types import FlushResult

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = ["AsyncColumnFamily", "AsyncDB", "AsyncIteration", "AsyncSnapshot", "AsyncWriteBatch", "open"]

_P = ParamSpec("_P")
_R = TypeVar("_R")
_T = TypeVar("_T")

# Entries of one trip to a thread. An iteration begins with fewer, as most are short.
_FIRST_BATCH = 64
_BATCH = 1024


class _Runner:
    """The threads of a database."""

    def __init__(self, threads: int) -> None:
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix="sstore-aio")
        self._closed = False

    def start(self, function: Callable[_P, _R], *arguments: _P.args, **keywords: _P.kwargs) -> asyncio.Future[_R]:
        """Begins a call."""
        if self._closed:
            raise sstore.ClosedError("the database is closed")
        call = functools.partial(function, *arguments, **keywords)
        return asyncio.get_running_loop().run_in_executor(self._executor, call)

    async def run(self, function: Callable[_P, _R], *arguments: _P.args, **keywords: _P.kwargs) -> _R:
        """Makes a call and waits for it."""
        return await self.start(function, *arguments, **keywords)

    def end(self) -> None:
        """Takes no more calls. Those that wait for a thread are still made: they find the database closed."""
        self._closed = True
        self._executor.shutdown(wait=False)


class AsyncIteration(AsyncIterator[_T], Generic[_T]):
    """Entries in order, fetched many at a time. An asynchronous context manager; closing it releases what it holds."""

    def __init__(self, runner: _Runner, make: Callable[[], sstore.Iterator[_T]]) -> None:
        self._runner = runner
        self._make = make
        self._iterator: sstore.Iterator[_T] | None = None
        self._limit = _FIRST_BATCH
        # Fetched and not handed out yet, the next one last.
        self._waiting: list[_T] = []
        # What was begun to fetch; it stays when the wait for it is cancelled.
        self._fetching: asyncio.Future[list[_T]] | None = None
        self._ended = False

    def _fetch(self, limit: int) -> list[_T]:
        if self._iterator is None:
            self._iterator = self._make()
        return self._iterator.next_batch(limit)

    async def _more(self) -> list[_T]:
        """The next entries; none at the end."""
        if self._ended:
            return []
        if self._fetching is None:
            self._fetching = self._runner.start(self._fetch, self._limit)
            self._limit = _BATCH
        fetched = await asyncio.shield(self._fetching)
        self._fetching = None
        self._ended = not fetched
        return fetched

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> _T:
        if not self._waiting:
            try:
                self._waiting = await self._more()
            except asyncio.CancelledError:
                raise
            except BaseException:
                self._fetching = None
                raise
            if not self._waiting:
                await self.aclose()
                raise StopAsyncIteration
            self._waiting.reverse()
        return self._waiting.pop()

    async def next_batch(self, limit: int = 1024) -> list[_T]:
        """Up to ``limit`` entries as a list; shorter only at the end."""
        batch: list[_T] = []
        while len(batch) < limit:
            try:
                batch.append(await self.__anext__())
            except StopAsyncIteration:
                break
            except asyncio.CancelledError:
                self._waiting += reversed(batch)
                raise
        return batch

    async def aclose(self) -> None:
        """Ends the iteration. Closing twice is allowed."""
        self._ended = True
        self._waiting = []
        fetching, self._fetching = self._fetching, None
        if fetching is not None:
            await asyncio.wait([fetching])
        iterator, self._iterator = self._iterator, None
        if iterator is not None:
            # Closing takes memory back, and waits for nothing.
            iterator.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()


class AsyncColumnFamily:
    """A column family whose calls are awaited. ``sstore`` is the one underneath."""

    def __init__(self, runner: _Runner, family: sstore.ColumnFamily) -> None:
        self._runner = runner
        self._family = family

    @property
    def sstore(self) -> sstore.ColumnFamily:
        """The column family underneath; its calls are made at once, in the thread that calls."""
        return self._family

    async def run(self, function: Callable[_P, _R], *arguments: _P.args, **keywords: _P.kwargs) -> _R:
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
        super().__init__(_Runner(threads), db)
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

    def __init__(self, runner: _Runner, snapshot: sstore.Snapshot) -> None:
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

    def __init__(self, runner: _Runner, batch: sstore.WriteBatch) -> None:
        self._runner = runner
        self._batch = batch

    @property
    def sstore(self) -> sstore.WriteBatch:
        """The batch underneath, which takes rows of tables as well."""
        return self._batch

    def put(self, key: Buffer, value: Buffer, *, column_family: AsyncColumnFamily | None = None) -> None:
        """Sets ``key`` to ``value``."""
        self._batch.put(key, value, column_family=_family(column_family))

    def delete(self, key: Buffer, *, column_family: AsyncColumnFamily | None = None) -> None:
        """Removes ``key``; it need not exist."""
        self._batch.delete(key, column_family=_family(column_family))

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


class _Opening(Awaitable[AsyncDB]):
    """What ``open`` gives: to be awaited, or for ``async with``."""

    def __init__(self, make: Callable[[], sstore.DB], threads: int) -> None:
        self._make = make
        self._threads = threads
        self._db: AsyncDB | None = None

    async def _open(self) -> AsyncDB:
        opening = asyncio.get_running_loop().run_in_executor(None, self._make)
        try:
            self._db = AsyncDB(await asyncio.shield(opening), threads=self._threads)
        except asyncio.CancelledError:
            # Nobody gets it, so nobody else could close it.
            opening.add_done_callback(lambda done: None if done.cancelled() or done.exception() else done.result().close())
            raise
        return self._db

    def __await__(self) -> Generator[Any, None, AsyncDB]:
        return self._open().__await__()

    async def __aenter__(self) -> AsyncDB:
        return await self._open()

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._db is not None:
            await self._db.close()


def open(path: str | os.PathLike[str], *, threads: int = 4, **options: Any) -> _Opening:
    """Opens a database: ``db = await open(path)``, or ``async with open(path) as db``. Options are those of ``sstore.open``.

    ``threads`` is how many of its calls run at a time.
    """
    return _Opening(functools.partial(sstore.open, path, **options), threads)
