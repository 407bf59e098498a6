"""Databases that are open for reading: refreshed beside a writer of another process, and handed to workers."""

from __future__ import annotations

import copy
import multiprocessing
import os
import pickle
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

import sstore

# Writes a counter into two families at once, as fast as it can, with files that come and go; tells what was acknowledged.
WRITER = textwrap.dedent(
    """
    import os, sys, sstore
    small = dict(write_buffer_bytes=65536, wal_segment_bytes=65536, manifest_bytes=4096, memory_budget_bytes=1 << 20)
    told = os.open(sys.argv[2], os.O_RDWR | os.O_CREAT)
    parent = os.getppid()
    with sstore.open(sys.argv[1], **small) as db:
        other = db.create_column_family("other", **small)
        count = 0
        while os.getppid() == parent:
            count += 1
            with db.write_batch() as batch:
                batch.put(b"counter", b"%d" % count)
                batch.put(b"counter", b"%d" % count, column_family=other)
                batch.put(b"k%d" % (count % 50), b"%0200d" % count)
            os.pwrite(told, b"%020d" % count, 0)
    """
)


def test_refreshes_beside_a_writer_of_another_process(path: Path, tmp_path: Path) -> None:
    told = tmp_path / "told"
    with subprocess.Popen([sys.executable, "-c", WRITER, str(path), str(told)]) as writer:
        try:
            while not (told.exists() and told.stat().st_size == 20):
                assert writer.poll() is None
            with open(told, "rb") as acknowledged, sstore.ReadOnlyDB(path) as db:
                other, last, changes = db.column_family("other"), int(db[b"counter"]), 0
                iterator = db.iter()
                patience = time.monotonic() + 60
                while changes < 30:
                    assert time.monotonic() < patience
                    before = int(os.pread(acknowledged.fileno(), 20, 0))
                    changed = db.refresh()
                    count = int(db[b"counter"])
                    assert count >= max(before, last) and int(other[b"counter"]) == count
                    assert int(db[b"k%d" % (count % 50)]) == count
                    assert changed or count == last
                    changes += changed
                    last = count
                assert len(list(iterator)) <= 51
        finally:
            writer.kill()
    with sstore.ReadOnlyDB(path) as db:
        assert int(db[b"counter"]) >= last


def test_opening_for_reading_gives_a_read_only_database(db: sstore.DB, path: Path) -> None:
    db[b"a"] = b"1"
    with sstore.open(path, read_only=True) as reader:
        assert type(reader) is sstore.ReadOnlyDB and isinstance(reader, sstore.DB)
        assert repr(reader).startswith("<sstore.ReadOnlyDB") and dict(reader) == {b"a": b"1"}
        db[b"b"] = b"2"
        assert b"b" not in reader
        with reader.snapshot() as snapshot:
            assert reader.refresh() is True and reader.refresh() is False
            assert reader[b"b"] == b"2"
            assert reader.get(b"b", snapshot=snapshot) is None
        with pytest.raises(sstore.ReadOnlyError):
            reader[b"c"] = b"3"
    with pytest.raises(sstore.ClosedError):
        reader.refresh()
    assert not hasattr(db, "refresh")
    with sstore.open(path, read_only="true") as other:
        assert type(other) is sstore.ReadOnlyDB
    with sstore.ReadOnlyDB(path, read_only=False) as reader, pytest.raises(sstore.ReadOnlyError):
        reader[b"c"] = b"3"


def test_a_dropped_family_says_so_after_a_refresh(db: sstore.DB, path: Path) -> None:
    family = db.create_column_family("f")
    family[b"a"] = b"1"
    with sstore.ReadOnlyDB(path) as reader:
        held = reader.column_family("f")
        db.drop_column_family(family)
        assert held[b"a"] == b"1"
        reader.refresh()
        with pytest.raises(sstore.DroppedError):
            held[b"a"]
        assert reader.column_families() == ["default"]


def test_tables_are_refreshed(db: sstore.DB, path: Path) -> None:
    table = db.table("t", {"id": "int64", "name": "string"}, key=["id"])
    table.append([{"id": 1, "name": "a"}])
    with sstore.ReadOnlyDB(path) as reader:
        seen = reader.table("t")
        scan = seen.scan()
        table.append([{"id": 2, "name": "b"}])
        db.flush()
        table.append([{"id": 3, "name": "c"}])
        reader.refresh()
        assert [row["id"] for row in seen.scan().to_pylist()] == [1, 2, 3]
        assert [row["id"] for row in scan.to_pylist()] == [1], "a scan shows what was there when it was made"


def test_it_is_pickled_as_path_and_options(db: sstore.DB, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    db[b"a"] = b"1"
    monkeypatch.chdir(path.parent)
    with sstore.ReadOnlyDB(path.name, memory_budget_bytes=8 << 20) as reader:
        monkeypatch.chdir("/")
        db[b"b"] = b"2"
        with pickle.loads(pickle.dumps(reader)) as again:
            assert type(again) is sstore.ReadOnlyDB and again.path == path
            assert dict(again) == {b"a": b"1", b"b": b"2"}, "it opens the database as it is by then"
            assert dict(reader) == {b"a": b"1"}
        with copy.copy(reader) as twin:
            assert twin is not reader and b"b" in twin
        for thing in (reader.snapshot(), reader.iter(), reader.column_family("default")):
            with pytest.raises(TypeError, match="cannot pickle"):
                pickle.dumps(thing)


def _work(job: tuple[sstore.ReadOnlyDB, int]) -> tuple[int, bytes | None]:
    reader, key = job
    reader.refresh()
    return os.getpid(), reader.get(b"%d" % key)


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_workers_open_it_for_themselves(db: sstore.DB, path: Path, method: str) -> None:
    for key in range(8):
        db[b"%d" % key] = b"value %d" % key
    with sstore.ReadOnlyDB(path) as reader, multiprocessing.get_context(method).Pool(2) as pool:
        found = pool.map(_work, [(reader, key) for key in range(8)], chunksize=1)
        assert [value for _, value in found] == [b"value %d" % key for key in range(8)]
        assert os.getpid() not in {process for process, _ in found}
