"""sstore.aio: calls that are awaited, iteration in batches, cancelling, closing."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

import sstore
import sstore.aio

PAIRS = [(b"%05d" % number, b"value %d" % number) for number in range(3000)]


def run(main: Coroutine[Any, Any, None]) -> None:
    """Runs `main`; nothing may be left that was never awaited or retrieved."""
    complaints: list[dict[str, Any]] = []

    async def watched() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: complaints.append(context))
        await asyncio.wait_for(main, 60)

    asyncio.run(watched())
    assert not complaints


def test_reads_and_writes(path: Path) -> None:
    async def main() -> None:
        async with sstore.aio.open(path, write_buffer_bytes="1MiB") as db:
            await db.put(b"a", b"1", sync=True)
            assert await db.get(b"a") == b"1"
            assert await db.get(b"b", 5) == 5
            await db.put_many({b"b": b"2", b"c": b"3"})
            assert await db.multi_get([b"c", b"no"]) == [b"3", None]
            await db.delete(b"a")
            assert not await db.contains(b"a")
            with pytest.raises(sstore.ConflictError):
                await db.put_if_absent(b"b", b"x")
            assert await db.count() == await db.count(b"b", b"z") == 2
            family = await db.create_column_family("other")
            async with db.write_batch() as batch:
                batch.put(b"x", b"default")
                batch.put(b"x", b"other", column_family=family)
                batch.delete(b"b")
            with pytest.raises(ZeroDivisionError):
                async with db.write_batch() as batch:
                    batch.put(b"never", b"")
                    raise ZeroDivisionError
            assert [key async for key in db] == [b"c", b"x"]
            assert await (await db.column_family("other")).get(b"x") == b"other"
            async with await db.snapshot() as snapshot:
                await db.delete_many([b"c", b"x"])
                assert await snapshot.get(b"x") == await db.get(b"x", snapshot=snapshot) == b"default"
                assert await snapshot.get(b"x", column_family=family) == b"other"
                assert [key async for key, _ in snapshot.iter()] == [b"c", b"x"]
            assert (await db.flush()).files
            await db.compact()
            await db.verify()
            await db.sync()
            assert (await db.stats())["families"] == 2
            assert await db.run(len, db.sstore) == 0
            await db.drop_column_family(family)

    run(main())


def test_iteration(path: Path) -> None:
    async def main() -> None:
        async with sstore.aio.open(path) as db:
            await db.put_many(PAIRS)
            assert [pair async for pair in db.iter()] == PAIRS
            assert [value async for value in db.iter(b"00010", b"00020", keys=False, reverse=True)] == [v for _, v in PAIRS[19:9:-1]]
            async with db.iter(prefix=b"02") as entries:
                assert await entries.next_batch(3) == PAIRS[2000:2003]
                assert await anext(entries) == PAIRS[2003]
                assert len(await entries.next_batch(5000)) == 996
                assert await entries.next_batch() == []
                with pytest.raises(StopAsyncIteration):
                    await anext(entries)
            # Left in the middle, it holds nothing any more.
            async with db.iter() as entries:
                await anext(entries)
            assert (await db.stats())["open_iterators"] == 0

    run(main())


def test_the_loop_goes_on_while_calls_run(path: Path) -> None:
    async def main() -> None:
        async with sstore.aio.open(path, threads=2) as db:
            release = threading.Event()
            blocked = asyncio.create_task(db.run(release.wait))
            assert await db.get(b"a") is None
            assert not blocked.done()
            release.set()
            assert await blocked

    run(main())


def blocked(db: sstore.aio.AsyncDB) -> tuple[asyncio.Task[bool], threading.Event]:
    """Takes the only thread of a database until the event is set."""
    release = threading.Event()
    return asyncio.create_task(db.run(release.wait, 30)), release


def test_a_call_that_is_cancelled_before_it_began_is_never_made(path: Path) -> None:
    async def main() -> None:
        async with sstore.aio.open(path, threads=1) as db:
            holding, release = blocked(db)
            await asyncio.sleep(0)
            put = asyncio.create_task(db.put(b"a", b"1"))
            await asyncio.sleep(0)
            put.cancel()
            with pytest.raises(asyncio.CancelledError):
                await put
            release.set()
            await holding
            assert await db.get(b"a") is None

    run(main())


def test_an_iteration_that_is_cancelled_loses_no_entry(path: Path) -> None:
    async def main() -> None:
        async with sstore.aio.open(path, threads=1) as db:
            await db.put_many(PAIRS)
            entries = db.iter()
            found = []
            while True:
                holding, release = blocked(db)
                await asyncio.sleep(0)
                batch = asyncio.create_task(entries.next_batch(700))
                await asyncio.sleep(0.001)
                batch.cancel()
                release.set()
                await holding
                try:
                    part = await batch
                except asyncio.CancelledError:
                    part = await entries.next_batch(700)
                if not part:
                    break
                found += part
            assert found == PAIRS

    run(main())


@pytest.mark.parametrize("how", ["close", "cancelled close"])
def test_closing_waits_for_what_runs_and_refuses_the_rest(path: Path, how: str) -> None:
    async def main() -> None:
        db = await sstore.aio.open(path, threads=1)
        entries = db.iter()
        await db.put(b"a", b"1")
        assert await anext(entries) == (b"a", b"1")
        holding, release = blocked(db)
        await asyncio.sleep(0)
        late = asyncio.create_task(db.put(b"b", b"2"))
        await asyncio.sleep(0)
        closing = asyncio.create_task(db.close())
        await asyncio.sleep(0)
        calls: list[Callable[[], Coroutine[Any, Any, Any]]] = [lambda: db.get(b"a"), lambda: db.iter().next_batch()]
        for call in calls:
            with pytest.raises(sstore.ClosedError):
                await call()
        if how != "close":
            closing.cancel()
        release.set()
        assert await holding
        # It came before.
        await late
        if how == "close":
            await closing
        else:
            with pytest.raises(asyncio.CancelledError):
                await closing
        await db.close()
        assert db.closed
        await entries.aclose()
        with sstore.open(path) as again:
            assert dict(again) == {b"a": b"1", b"b": b"2"}

    run(main())


def test_an_opening_that_is_cancelled_leaves_nothing_open(path: Path) -> None:
    async def main() -> None:
        opening = asyncio.ensure_future(sstore.aio.open(path).__aenter__())
        await asyncio.sleep(0)
        opening.cancel()
        with pytest.raises(asyncio.CancelledError):
            await opening
        for _ in range(1000):
            try:
                async with sstore.aio.open(path):
                    return
            except sstore.LockedError:
                await asyncio.sleep(0.01)
        raise AssertionError("the database stays locked")

    run(main())


def test_errors_come_through(path: Path) -> None:
    async def main() -> None:
        with pytest.raises(sstore.NotFoundError):
            await sstore.aio.open(path, create_if_missing=False)
        async with sstore.aio.open(path) as db:
            with pytest.raises(TypeError):
                await db.put("text", b"")  # type: ignore[arg-type]
            with pytest.raises(TypeError):
                await db.iter(unknown=True).next_batch()
            with pytest.raises(sstore.NotFoundError):
                await db.column_family("none")

    run(main())


ROWS = [{"name": "%05d" % number, "age": number % 20} for number in range(3000)]


def test_tables(path: Path) -> None:
    async def main() -> None:
        async with sstore.aio.open(path) as db:
            with pytest.raises(sstore.NotFoundError):
                await db.table("pets")
            pets = await db.table("pets", {"name": "string", "age": "int64"}, key="name", page_rows=2048)
            assert (pets.name, pets.key, pets.schema.names, await db.tables()) == ("pets", ("name",), ["name", "age"], ["pets"])
            assert await pets.append(ROWS, sync=True) == 3000
            assert await pets.get("00007") == ROWS[7]
            assert await pets.get_many(["00001", "none"], columns=["age"]) == [{"age": 1}, None]
            assert await pets.count() == 3000 and await pets.count("age < 5") == 750
            async with await db.snapshot() as snapshot:
                async with db.write_batch() as batch:
                    batch.put(b"last", b"Tom")
                    batch.append(pets, [{"name": "Tom", "age": 9}])
                    batch.delete_rows(pets, ["00000"])
                assert await pets.get("Tom", as_of=snapshot) is None is await pets.get("00000")
                assert await pets.count(as_of=snapshot) == await pets.count(as_of=snapshot.sstore.sequence) == 3000
            assert await pets.delete(["00001", "00002"]) == 2
            assert (await pets.flush()).files
            await pets.compact()
            assert await pets.run(len, pets.sstore) == 2998
            again = await db.table("pets")
            assert await again.get("Tom") == {"name": "Tom", "age": 9}
            await db.drop_table(again)
            with pytest.raises(sstore.DroppedError):
                await pets.append(ROWS[:1])

    run(main())


def test_scans_come_batch_by_batch(path: Path) -> None:
    async def main() -> None:
        async with sstore.aio.open(path) as db:
            pets = await db.table("pets", {"name": "string", "age": "int64"}, key="name")
            await pets.append(ROWS)
            await pets.flush()
            batches = [batch async for batch in pets.scan(batch_rows=100)]
            assert len(batches) == 30 and [row for batch in batches for row in batch.to_pylist()] == ROWS
            assert sum([len(batch) async for batch in pets]) == 3000
            assert await pets.scan(where="age = 3", limit=2).to_pylist() == [ROWS[3], ROWS[23]]
            assert await pets.scan(["age"], sstore.col("name") == "00004").to_pylist() == [{"age": 4}]
            arrow = await pets.scan(start="02990", reverse=True).to_arrow()
            assert arrow.to_pylist() == ROWS[:2989:-1]
            # Left in the middle, it holds nothing any more; read to its end or not, it is one pass.
            async with pets.scan(batch_rows=100) as scan:
                assert len(await anext(scan)) == 100
                with pytest.raises(sstore.ClosedError, match="one pass"):
                    await scan.to_pylist()
            with pytest.raises(StopAsyncIteration):
                await anext(scan)
            whole = pets.scan()
            assert len(await whole.to_pylist()) == 3000
            with pytest.raises(sstore.ClosedError, match="one pass"):
                await whole.to_arrow()
            with pytest.raises(sstore.InvalidArgumentError):
                await anext(pets.scan(where="no = 1"))

    run(main())


def test_a_scan_that_is_cancelled_loses_no_batch(path: Path) -> None:
    async def main() -> None:
        async with sstore.aio.open(path, threads=1) as db:
            pets = await db.table("pets", {"name": "string", "age": "int64"}, key="name")
            await pets.append(ROWS)
            await pets.flush()
            scan, found = pets.scan(batch_rows=500), []
            for _ in range(6):
                holding, release = blocked(db)
                await asyncio.sleep(0)
                batch = asyncio.ensure_future(anext(scan))
                await asyncio.sleep(0)
                batch.cancel()
                release.set()
                await holding
                with pytest.raises(asyncio.CancelledError):
                    await batch
                found += (await anext(scan)).to_pylist()
            assert found == ROWS

    run(main())
