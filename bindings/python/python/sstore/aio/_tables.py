"""Tables whose calls are awaited, and scans that come batch by batch."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import sstore

from ._calls import Fetched, P, R, Runner

if TYPE_CHECKING:
    from .._sstore import Schema, _Condition, _Keys, _Names, _Rows
    from .._types import FlushResult
    from ._database import AsyncSnapshot


class AsyncScan(Fetched[sstore.RecordBatch]):
    """The rows of a scan: ``async for`` gives Arrow batches, and ``await`` of one of the methods gives all rows at once.

    One pass. An asynchronous context manager; closing it releases what it holds.
    """

    def _begun(self) -> sstore.Scan:
        if self._source is None:
            self._source = self._make()
        scan: sstore.Scan = self._source
        return scan

    def _fetch(self) -> list[sstore.RecordBatch]:
        batch = next(self._begun(), None)
        return [] if batch is None else [batch]

    async def _all(self, rows: Callable[[sstore.Scan], R]) -> R:
        if self._source is not None or self._fetching is not None or self._ended:
            raise sstore.ClosedError("the scan was begun already, or closed: a scan is one pass over the table; make another one")
        try:
            return await self._runner.run(lambda: rows(self._begun()))
        finally:
            self._ended = True

    async def to_pylist(self) -> list[dict[str, Any]]:
        """All rows as dicts."""
        return await self._all(sstore.Scan.to_pylist)

    async def to_arrow(self) -> Any:
        """A ``pyarrow.Table`` of all rows."""
        return await self._all(sstore.Scan.to_arrow)

    async def to_polars(self) -> Any:
        """A ``polars.DataFrame`` of all rows."""
        return await self._all(sstore.Scan.to_polars)

    async def to_pandas(self) -> Any:
        """A ``pandas.DataFrame`` of all rows; needs pyarrow too."""
        return await self._all(sstore.Scan.to_pandas)


class AsyncTable:
    """A table whose calls are awaited. ``sstore`` is the one underneath; moments (``as_of``) are snapshots, or the sequence of one that is open."""

    def __init__(self, runner: Runner, table: sstore.Table) -> None:
        self._runner = runner
        self._table = table

    @property
    def sstore(self) -> sstore.Table:
        """The table underneath; its calls are made at once, in the thread that calls."""
        return self._table

    @property
    def name(self) -> str:
        """The table's name."""
        return self._table.name

    @property
    def schema(self) -> Schema:
        """The columns in force."""
        return self._table.schema

    @property
    def key(self) -> tuple[str, ...]:
        """The names of the key's columns, in key order; empty in an append-only table."""
        return self._table.key

    async def run(self, function: Callable[P, R], *arguments: P.args, **keywords: P.kwargs) -> R:
        """Calls ``function`` on one of the database's threads."""
        return await self._runner.run(function, *arguments, **keywords)

    async def append(self, data: _Rows, *, sync: bool | None = None, atomic: bool = True) -> int:
        """Writes rows, Arrow data or dicts, and returns how many were given; as ``Table.append``."""
        return await self.run(self._table.append, data, sync=sync, atomic=atomic)

    async def delete(self, keys: _Keys, *, sync: bool | None = None, atomic: bool = True) -> int:
        """Deletes the rows with these keys, and returns how many keys were given."""
        return await self.run(self._table.delete, keys, sync=sync, atomic=atomic)

    async def get(self, key: Any, *, columns: _Names | None = None, as_of: AsyncSnapshot | int | None = None) -> dict[str, Any] | None:
        """The row with this key as a dict, or None."""
        return await self.run(self._table.get, key, columns=columns, as_of=_moment(as_of))

    async def get_many(
        self, keys: _Keys, *, columns: _Names | None = None, as_of: AsyncSnapshot | int | None = None
    ) -> list[dict[str, Any] | None]:
        """The rows with these keys, None for the missing, all as of the same moment."""
        return await self.run(self._table.get_many, keys, columns=columns, as_of=_moment(as_of))

    def scan(
        self,
        columns: _Names | None = None,
        where: _Condition | None = None,
        *,
        as_of: AsyncSnapshot | int | None = None,
        **options: Any,
    ) -> AsyncScan:
        """Reads rows, as ``Table.scan``, whose other options it takes. It sees the table as it is when the first batch is asked for."""
        return AsyncScan(self._runner, functools.partial(self._table.scan, columns, where, as_of=_moment(as_of), **options))

    def __aiter__(self) -> AsyncScan:
        return self.scan()

    async def count(self, where: _Condition | None = None, *, as_of: AsyncSnapshot | int | None = None) -> int:
        """How many rows there are, or how many fulfil ``where``. Reads them."""
        return await self.run(self._table.count, where, as_of=_moment(as_of))

    async def flush(self, timeout: float | None = None) -> FlushResult:
        """Writes what the table holds in memory to files, and waits for it."""
        return await self.run(self._table.flush, timeout=timeout)

    async def compact(self) -> None:
        """Merges the files into one, and waits for it."""
        await self.run(self._table.compact)

    def __repr__(self) -> str:
        return f"<asynchronous {self._table!r}>"


def _moment(moment: AsyncSnapshot | int | None) -> sstore.Snapshot | int | None:
    return moment if moment is None or isinstance(moment, int) else moment.sstore
