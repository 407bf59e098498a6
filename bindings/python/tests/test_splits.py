"""Splits: pieces of a scan that other processes read, and reading as of a sequence."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import sstore
from sstore import col

ROWS = 6000


@pytest.fixture(params=["parquet", "arrow"])
def table(db: sstore.DB, request: pytest.FixtureRequest) -> sstore.Table:
    small: dict[str, Any] = {"row_group_rows": 1024, "page_rows": 1024, "auto_compaction": False}
    table = db.table("t", {"id": "int64", "name": "string"}, key="id", format=request.param, **small)
    for first in range(3):
        table.append([{"id": each, "name": f"name {first}"} for each in range(first, ROWS, 2)])
        table.flush()
    table.delete([5, 7])
    return table


def work(split: sstore.Split) -> tuple[int, list[dict[str, Any]]]:
    return os.getpid(), split.scan().to_pylist()


@pytest.mark.parametrize("start", ["spawn", "fork"])
def test_processes_read_a_scan_in_splits(table: sstore.Table, start: str) -> None:
    expected = table.scan(["name", "id"], where=col("id") >= 100, stop=5000).to_pylist()
    with table.splits(["name", "id"], where=col("id") >= 100, stop=5000, target_bytes=1) as splits:
        assert len(splits) >= 1 and splits.sequence == splits[0].sequence > 0
        # Nothing that happens now is seen.
        table.delete(list(range(ROWS)))
        table.compact()
        with multiprocessing.get_context(start).Pool(2) as pool:
            told = pool.map(work, splits, chunksize=1)
    assert os.getpid() not in {pid for pid, _ in told}
    assert [row for _, rows in told for row in rows] == expected
    assert table.scan().to_pylist() == []


def test_splits_in_reverse(table: sstore.Table) -> None:
    expected = table.scan("id", reverse=True).to_pylist()
    assert expected[0]["id"] > expected[-1]["id"]
    with table.splits("id", reverse=True, target_bytes=1) as splits:
        assert [row for split in splits for row in split.scan().to_pylist()] == expected


def test_a_program_reads_a_split_from_bytes(table: sstore.Table, path: Path, tmp_path: Path) -> None:
    splits = table.splits(target_bytes=1 << 40)
    (split,) = splits
    del splits
    table.compact()
    shutil.copytree(path, tmp_path / "copy", ignore=shutil.ignore_patterns("LOCK"))
    program = (
        "import sys, sstore; split = sstore.Split(sys.stdin.buffer.read());"
        "print(split.table, *(sum(len(batch) for batch in split.scan(database=place)) for place in [None, *sys.argv[1:]]))"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program, tmp_path / "copy"], input=bytes(split), capture_output=True, check=True
    )
    assert ran.stdout.split() == [b"t", b"%d" % (ROWS - 2), b"%d" % (ROWS - 2)]


def test_what_a_split_is(table: sstore.Table, path: Path) -> None:
    splits = table.splits(target_bytes=1)
    first = splits[0]
    assert first == pickle.loads(pickle.dumps(first)) == sstore.Split(bytes(first)) and first != "first"
    assert hash(first) == hash(sstore.Split(bytes(first))) and list(splits)[-1] == splits[-1]
    assert first.table == "t" and first.database == path
    assert first.estimated_rows > 0 and first.estimated_bytes > 0 and "Split of \"t\"" in repr(first)
    scan = first.scan()
    assert scan.schema.names == ["id", "name"] and scan.sequence == splits.sequence and "t" in str(scan.explain())
    with pytest.raises(TypeError, match="send its splits"):
        pickle.dumps(splits)
    with pytest.raises(sstore.InvalidArgumentError, match="column"):
        table.splits(["nothing"])
    with pytest.raises(sstore.CorruptionError, match="checksum"):
        sstore.Split(bytes(first)[:-1] + b"?")
    with pytest.raises(sstore.CorruptionError, match="ends early"):
        sstore.Split(b"")
    pyarrow = pytest.importorskip("pyarrow")
    assert sum(pyarrow.table(split).num_rows for split in splits) == table.count()


def test_the_files_stay_as_long_as_a_split_or_the_splits(table: sstore.Table) -> None:
    splits = table.splits()
    split = splits[0]
    del splits
    before = {segment.path for segment in table.segments()}
    table.compact()
    assert all(path.exists() for path in before)
    split.scan().close()
    copy = sstore.Split(bytes(split))
    del split
    assert not any(path.exists() for path in before)
    with pytest.raises(sstore.CorruptionError, match="was not kept"):
        copy.scan()
    splits = table.splits()
    before = {segment.path for segment in table.segments()}
    table.append([{"id": 1}])
    table.flush()
    table.compact()
    assert all(path.exists() for path in before)
    splits.close()
    splits.close()
    assert not any(path.exists() for path in before)


def test_splits_outlive_the_database(table: sstore.Table, db: sstore.DB) -> None:
    rows = table.count()
    splits = table.splits()
    db.close()
    assert sum(len(split.scan().to_pylist()) for split in splits) == rows


def test_reading_as_of_a_sequence(db: sstore.DB, table: sstore.Table) -> None:
    snapshot = db.snapshot()
    then = snapshot.sequence
    db[b"k"] = b"v"
    table.append([{"id": 5, "name": "again"}])
    table.compact()
    for moment in (snapshot, then):
        assert table.get(5, as_of=moment) is None and table.get_many([5, 9], as_of=moment)[0] is None
        assert table.count(as_of=moment) == ROWS - 2
        assert table.scan(start=5, stop=6, as_of=moment).to_pylist() == []
        assert sum(len(split.scan().to_pylist()) for split in table.splits(as_of=moment)) == ROWS - 2
    assert table.get(5) == {"id": 5, "name": "again"}
    with db.snapshot(then) as twin:
        snapshot.close()
        assert twin.sequence == then and table.get(5, as_of=then) is None and twin.get(b"k") is None
    for read in (table.scan, table.count, table.splits):
        with pytest.raises(sstore.GapError, match=f"nothing pins sequence {then}"):
            read(as_of=then)
    with pytest.raises(sstore.GapError, match=f"sequence {then}"):
        db.snapshot(then)
    with pytest.raises(sstore.InvalidArgumentError, match="still to come"):
        table.scan(as_of=1 << 40)
    with pytest.raises(TypeError, match="as_of is a snapshot or the sequence"):
        table.scan(as_of="yesterday")  # type: ignore[arg-type]
    with pytest.raises(OverflowError):
        table.scan(as_of=-1)
