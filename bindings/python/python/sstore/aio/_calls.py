"""The threads of a database, and what is fetched by them bit by bit."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Any, Generic, ParamSpec, Self, TypeVar

import sstore

P = ParamSpec("P")
R = TypeVar("R")
_T = TypeVar("_T")

# Entries of one trip to a thread. An iteration begins with fewer, as most are short.
_FIRST_BATCH = 64
_BATCH = 1024


class Runner:
    """The threads of a database."""

    def __init__(self, threads: int) -> None:
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix="sstore-aio")
        self._closed = False

    def start(self, function: Callable[P, R], *arguments: P.args, **keywords: P.kwargs) -> asyncio.Future[R]:
        """Begins a call."""
        if self._closed:
            raise sstore.ClosedError("the database is closed")
        call = functools.partial(function, *arguments, **keywords)
        return asyncio.get_running_loop().run_in_executor(self._executor, call)

    async def run(self, function: Callable[P, R], *arguments: P.args, **keywords: P.kwargs) -> R:
        """Makes a call and waits for it."""
        return await self.start(function, *arguments, **keywords)

    def end(self) -> None:
        """Takes no more calls. Those that wait for a thread are still made: they find the database closed."""
        self._closed = True
        self._executor.shutdown(wait=False)


class Fetched(AsyncIterator[_T], Generic[_T]):
    """What is fetched on a thread, some at a time, and handed out singly. An asynchronous context manager; closing it releases what it holds."""

    def __init__(self, runner: Runner, make: Callable[[], Any]) -> None:
        self._runner = runner
        self._make = make
        # What it is fetched from, with a `close`; made by the first fetch.
        self._source: Any = None
        # Fetched and not handed out yet, the next one last.
        self._waiting: list[_T] = []
        # What was begun to fetch; it stays when the wait for it is cancelled.
        self._fetching: asyncio.Future[list[_T]] | None = None
        self._ended = False

    def _fetch(self) -> list[_T]:
        """The next of them, none at the end; runs on a thread."""
        raise NotImplementedError

    async def _more(self) -> list[_T]:
        """The next entries; none at the end."""
        if self._ended:
            return []
        if self._fetching is None:
            self._fetching = self._runner.start(self._fetch)
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

    async def aclose(self) -> None:
        """Ends the iteration. Closing twice is allowed."""
        self._ended = True
        self._waiting = []
        fetching, self._fetching = self._fetching, None
        if fetching is not None:
            await asyncio.wait([fetching])
        source, self._source = self._source, None
        if source is not None:
            # Closing takes memory back, and waits for nothing.
            source.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()


class AsyncIteration(Fetched[_T]):
    """Entries in order, fetched many at a time. An asynchronous context manager; closing it releases what it holds."""

    def __init__(self, runner: Runner, make: Callable[[], sstore.Iterator[_T]]) -> None:
        super().__init__(runner, make)
        self._limit = _FIRST_BATCH

    def _fetch(self) -> list[_T]:
        if self._source is None:
            self._source = self._make()
        limit, self._limit = self._limit, _BATCH
        entries: list[_T] = self._source.next_batch(limit)
        return entries

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
