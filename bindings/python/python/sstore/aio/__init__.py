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
from collections.abc import Awaitable, Callable, Generator
from types import TracebackType
from typing import Any

import sstore

from ._calls import AsyncIteration
from ._database import AsyncColumnFamily, AsyncDB, AsyncSnapshot, AsyncWriteBatch
from ._tables import AsyncScan, AsyncTable

__all__ = ["AsyncColumnFamily", "AsyncDB", "AsyncIteration", "AsyncScan", "AsyncSnapshot", "AsyncTable", "AsyncWriteBatch", "open"]


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
