"""Cursors, and scans of a family as Arrow data."""

from __future__ import annotations

import random
from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest

import sstore

KEYS = [b"%04d" % i for i in range(0, 2000, 2)]


@pytest.fixture
def filled(db: sstore.DB) -> sstore.DB:
    db.put_many((key, b"v" + key) for key in KEYS)
    return db


def test_moves_against_a_list(filled: sstore.DB) -> None:
    rng = random.Random(11)
    low, high = 40, 900
    cursor = filled.cursor(KEYS[low], KEYS[high])
    inside = KEYS[low:high]
    at: int | None = None
    for _ in range(3000):
        probe = b"%04d" % rng.randrange(0, 2100)
        move = rng.randrange(10)
        if move == 0:
            found, at = cursor.first(), 0
        elif move == 1:
            found, at = cursor.last(), len(inside) - 1
        elif move == 2:
            found = cursor.seek(probe)
            at = next((i for i, key in enumerate(inside) if key >= probe), None)
        elif move == 3:
            found = cursor.seek_for_prev(probe)
            at = next((i for i in range(len(inside) - 1, -1, -1) if inside[i] <= probe), None)
        elif at is None:
            with pytest.raises(sstore.InvalidArgumentError, match="no entry"):
                cursor.next()
            continue
        else:
            # Runs, so that batches of both directions end on the way.
            step = 1 if move < 7 else -1
            found = True
            for _ in range(rng.choice([1, 3, 40])):
                found = cursor.next() if step > 0 else cursor.prev()
                at += step
                if not 0 <= at < len(inside):
                    at = None
                    break
        assert found == cursor.valid() == (at is not None)
        if at is not None:
            assert cursor.key() == inside[at]
            assert cursor.value() == b"v" + inside[at]
            assert cursor.item() == (inside[at], b"v" + inside[at])


def test_on_no_entry(filled: sstore.DB) -> None:
    with filled.cursor() as cursor:
        assert not cursor.valid() and "no entry" in repr(cursor)
        for call in (cursor.key, cursor.value, cursor.item, cursor.next, cursor.prev):
            with pytest.raises(sstore.InvalidArgumentError):
                call()
        assert cursor.next_batch() == []
        assert not cursor.seek(b"9999")
        assert cursor.last() and "1998" in repr(cursor)
    cursor.close()
    with pytest.raises(sstore.ClosedError):
        cursor.first()
    assert "closed" in repr(cursor)


def test_batches_of_a_cursor(filled: sstore.DB) -> None:
    cursor = filled.cursor(prefix=b"00")
    cursor.first()
    assert [key for key, _ in cursor.next_batch(3)] == KEYS[:3]
    assert cursor.key() == KEYS[3]
    assert cursor.prev() and cursor.key() == KEYS[2]
    assert [key for key, _ in cursor.next_batch()] == KEYS[2:50]
    assert not cursor.valid()


def test_a_cursor_sees_one_moment(path: Path) -> None:
    db = sstore.open(path)
    db.update({b"a": b"1", b"b": b"2"})
    cursor = db.cursor()
    db.clear()
    assert cursor.first() and cursor.next() and cursor.item() == (b"b", b"2")
    db.close()
    with pytest.raises(sstore.ClosedError):
        cursor.key()
    cursor.close()


def test_scan_arrow(filled: sstore.DB) -> None:
    schema = pa.schema([pa.field("key", pa.binary(), nullable=False), pa.field("value", pa.binary(), nullable=False)])
    want = pa.table({"key": KEYS, "value": [b"v" + key for key in KEYS]}, schema=schema)
    assert pa.table(filled.scan_arrow()) == want
    assert filled.scan_arrow().to_arrow() == want
    assert pa.table(filled.scan_arrow(reverse=True))["key"].to_pylist() == KEYS[::-1]
    assert pl.DataFrame(filled.scan_arrow(b"0100", b"0110", include_stop=True))["key"].to_list() == KEYS[50:56]
    assert pa.table(filled.scan_arrow(prefix=b"01", strip_prefix=True, values=False)) == pa.table(
        {"key": [key[2:] for key in KEYS[50:100]]}, schema=schema.remove(1)
    )
    scan = filled.scan_arrow(batch_rows=300)
    assert [len(batch) for batch in scan] == [300, 300, 300, 100]
    assert scan.sequence > 0
    assert pa.table(filled.scan_arrow(prefix=b"none")) == want.slice(0, 0)
    with pytest.raises(sstore.InvalidArgumentError):
        filled.scan_arrow(keys=False, values=False)
    with pytest.raises(sstore.NotSupportedError):
        filled.scan_arrow().explain()
    with pytest.raises(sstore.ClosedError):
        scan = filled.scan_arrow()
        pa.table(scan)
        pa.table(scan)


def test_an_arrow_scan_sees_one_moment_and_ends_with_the_database(path: Path) -> None:
    db = sstore.open(path)
    db.put_many((key, bytes(1000)) for key in KEYS)
    scan = db.scan_arrow(batch_rows=10)
    first = next(scan)
    db.clear()
    assert len(first) == 10 and sum(len(batch) for batch in scan) == 990
    db[b"a"] = b"1"
    scan = db.scan_arrow()
    reader = pa.RecordBatchReader.from_stream(db.scan_arrow())
    db.close()
    with pytest.raises(sstore.ClosedError):
        next(scan)
    with pytest.raises(pa.ArrowInvalid, match="closed"):
        reader.read_all()


def test_large_values_make_short_batches(db: sstore.DB) -> None:
    value = bytes(9 << 20)
    db.put_many((b"%02d" % i, value) for i in range(10))
    rows = [len(batch) for batch in db.scan_arrow()]
    assert sum(rows) == 10 and max(rows) <= 8
