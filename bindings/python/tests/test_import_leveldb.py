"""Databases that plyvel wrote come in, entry by entry, and nothing of them changes."""

from __future__ import annotations

import hashlib
import importlib
import os
import random
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import sstore

# It has no types.
plyvel: Any = importlib.import_module("plyvel")

COUNT = 1_000_000 if os.environ.get("SSTORE_TEST_PROFILE") == "full" else 50_000


def fill(database: Any, count: int, seed: int) -> None:
    """Puts, overwrites and deletes in batches."""
    chance = random.Random(seed)
    for _ in range(0, 2 * count, 1000):
        with database.write_batch() as batch:
            for _ in range(1000):
                key = b"key%08d" % chance.randrange(count)
                if chance.random() < 0.15:
                    batch.delete(key)
                else:
                    batch.put(key, b"value %d " % chance.randrange(10**9) * chance.randrange(1, 9))


def make(path: Path, count: int = 5_000, compression: str | None = "snappy") -> None:
    database = plyvel.DB(
        str(path), create_if_missing=True, compression=compression, write_buffer_size=1 << 19, max_file_size=1 << 20
    )
    fill(database, count, 7)
    database.close()


def sums(path: Path) -> dict[str, str]:
    """A checksum of each file."""
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in path.iterdir()}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    make(tmp_path / "leveldb")
    return tmp_path / "leveldb"


def same(db: sstore.DB | sstore.ColumnFamily, source: Path) -> int:
    """Compares with what LevelDB reads; it is opened last, because that changes it."""
    database = plyvel.DB(str(source), paranoid_checks=True)
    try:
        count = 0
        for found, expected in zip(db.items(), database, strict=True):
            assert found == expected
            count += 1
    finally:
        database.close()
    return count


@pytest.mark.parametrize("compression", ["snappy", None])
def test_what_plyvel_wrote_comes_in(db: sstore.DB, tmp_path: Path, compression: str | None) -> None:
    source = tmp_path / "leveldb"
    make(source, COUNT, compression)
    before = sums(source)
    done = db.import_leveldb(source)
    assert sums(source) == before
    assert isinstance(done, sstore.LevelDBImport)
    assert done.entries == same(db, source) > COUNT // 2
    assert (done.skipped, done.skipped_bytes, done.damage, done.torn_bytes) == (0, 0, (), 0)
    assert done.payload_bytes == sum(len(key) + len(value) for key, value in db.items())


def test_a_killed_writer(db: sstore.DB, tmp_path: Path) -> None:
    source = tmp_path / "leveldb"
    program = (
        "import plyvel, sys, test_import_leveldb as here\n"
        f"database = plyvel.DB({str(source)!r}, create_if_missing=True, write_buffer_size=1 << 19)\n"
        "while True:\n    here.fill(database, 3000, 1)\n    print(flush=True)\n"
    )
    environment = os.environ | {"PYTHONPATH": os.path.dirname(__file__)}
    writer = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, env=environment)
    assert writer.stdout
    for _ in range(4):
        writer.stdout.readline()
    with pytest.raises(sstore.LockedError, match=f"process {writer.pid} has the LevelDB database open"):
        db.import_leveldb(source)
    writer.send_signal(signal.SIGKILL)
    writer.communicate()
    db.import_leveldb(source)
    assert same(db, source) > 1000


def test_a_database_that_is_open_here_is_refused_and_keeps_its_lock(db: sstore.DB, source: Path) -> None:
    database = plyvel.DB(str(source))
    for _ in range(2):
        with pytest.raises(sstore.LockedError, match=f"process {os.getpid()} has the LevelDB database open"):
            db.import_leveldb(source)
    # To close a descriptor of LOCK in this process would have given the lock up.
    other = [sys.executable, "-c", f"import plyvel; plyvel.DB({str(source)!r})"]
    assert b"lock" in subprocess.run(other, capture_output=True).stderr
    database.close()
    assert db.import_leveldb(source).entries > 1000


def test_into_a_family_with_progress(db: sstore.DB, source: Path) -> None:
    family = db.create_column_family("from")
    family[b"key00000001"], family[b"mine"] = b"old", b"1"
    told: list[sstore.Progress] = []
    family.import_leveldb(source, progress=told.append)
    assert (told[-1].done, told[-1].unit, told[-1].phase) == (told[-1].total, "bytes", "import")
    assert family.pop(b"mine") == b"1"
    assert same(family, source) > 1000
    assert len(db) == 0
    with pytest.raises(TypeError, match="callable"):
        family.import_leveldb(source, progress=1)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]


def test_damage(db: sstore.DB, source: Path) -> None:
    # What a merge replaced may still lie there after a close: now all that is there counts.
    database = plyvel.DB(str(source))
    database.compact_range()
    database.close()
    (table, *_) = sorted(source.glob("*.ldb"))
    sound = table.read_bytes()
    table.write_bytes(sound[:1000] + bytes([sound[1000] ^ 1]) + sound[1001:])
    with pytest.raises(sstore.CorruptionError, match="checksum mismatch") as caught:
        db.import_leveldb(source)
    assert caught.value.path == table and caught.value.offset is not None
    done = db.import_leveldb(source, skip_damaged=True)
    assert done.skipped == 1 and str(table) in done.damage[0] and done.skipped_bytes > 0
    table.write_bytes(sound)
    with pytest.raises(sstore.NotFoundError, match="no LevelDB database"):
        db.import_leveldb(source / "nowhere")
    path = source / "other"

    def backwards(a: bytes, b: bytes) -> int:
        return (a < b) - (a > b)

    plyvel.DB(str(path), create_if_missing=True, comparator=backwards, comparator_name=b"test.Backwards").close()
    with pytest.raises(sstore.NotSupportedError, match=r"test\.Backwards"):
        db.import_leveldb(path)
