"""Many keys and values at once: from lists, pairs, Arrow columns of several libraries and NumPy arrays, and out again as Arrow."""

from __future__ import annotations

import array
from collections.abc import Iterator
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pytest

import sstore

KEYS = [b"%05d" % i for i in range(300)]
VALUES = [b"v" * (i % 7) + b"%d" % i for i in range(300)]


def columns(items: list[bytes]) -> dict[str, Any]:
    """The same bytes, all of one length, in every form that is taken."""
    fixed = np.array(items)
    return {
        "list": items,
        "tuple": tuple(items),
        "generator": (item for item in items),
        "arrow": pa.array(items, pa.binary()),
        "large": pa.array(items, pa.large_binary()),
        "view": pa.array(items, pa.binary_view()),
        "fixed": pa.array(items, pa.binary(len(items[0]))),
        "chunked": pa.chunked_array([pa.array(items[:7], pa.binary()), pa.array(items[7:], pa.binary())]),
        "sliced": pa.array([b"x", *items, b"y"], pa.binary()).slice(1, len(items)),
        "polars": pl.Series(items, dtype=pl.Binary),
        "numpy S": fixed,
        "numpy V": fixed.view(f"V{fixed.itemsize}"),
        "numpy uint8": fixed.view(np.uint8).reshape(len(items), -1),
        "numpy strided": np.repeat(fixed, 2)[::2],
        "numpy object": np.array(items, dtype=object),
    }


@pytest.mark.parametrize("form", list(columns([b"12345"])))
def test_columns_in(db: sstore.DB, form: str) -> None:
    values = [key[::-1] for key in KEYS]
    assert db.put_many(columns(KEYS)[form], columns(values)[form]) == 300
    assert list(db.items()) == list(zip(KEYS, values, strict=True))
    assert db.multi_get(columns(KEYS)[form]) == values
    assert db.multi_get_arrow(columns(KEYS[::-1])[form]).to_pylist() == values[::-1]
    assert db.delete_many(columns(KEYS[:299])[form], atomic=False) == 299
    assert list(db) == KEYS[299:]
    with db.write_batch() as batch:
        assert batch.put_many(columns(KEYS[:2])[form], columns(values[:2])[form]) == 2
        assert batch.delete_many(columns(KEYS[299:])[form]) == 1
    assert list(db) == KEYS[:2]


def test_shorter_strings_of_numpy_lose_their_padding(db: sstore.DB) -> None:
    db.put_many(np.array([b"a", b"abc", b""]), np.array([b"1", b"", b"333"]))
    assert dict(db) == {b"": b"333", b"a": b"1", b"abc": b""}
    assert db.multi_get(np.array([b"abc", b"a", b"abcd"])) == [b"", b"1", None]
    # What has a fixed width keeps it.
    db.put_many(np.array([[0, 0]], dtype=np.uint8), pa.array([b"\0"], pa.binary(1)))
    assert db[b"\0\0"] == b"\0"


def test_pairs_in(db: sstore.DB) -> None:
    want = dict(zip(KEYS, VALUES, strict=True))
    table = pa.table({"key": pa.array(KEYS, pa.binary()), "other": list(range(300)), "value": pa.array(VALUES, pa.binary())})
    unnamed = table.drop_columns(["other"]).rename_columns(["a", "b"])
    other = db.create_column_family("other")
    other.update(want)
    for data in (
        want,
        want.items(),
        list(want.items()),
        iter(want.items()),
        [list(pair) for pair in want.items()],
        other,
        other.items(),
        other.iter(),
        other.scan_arrow(),
        table,
        table.to_batches()[0],
        unnamed,
        pl.DataFrame(unnamed),
    ):
        db.clear()
        assert db.put_many(data) == 300  # type: ignore[arg-type]
        assert db == want, data
    db.clear()
    db |= table
    assert db == want
    db.update()
    assert len(db) == 300


def test_what_is_refused(db: sstore.DB) -> None:
    def check(error: type[Exception], match: str, keys: Any, values: Any = None) -> None:
        with pytest.raises(error, match=match):
            db.put_many(keys, values)
        if values is not None:
            with pytest.raises(error, match=match):
                db.multi_get(keys)

    some: Any = [b"a", b"b"]
    check(TypeError, "encode", ["a", "b"], some)
    check(TypeError, "not one bytes", b"ab", some)
    check(TypeError, "not one str", "ab", some)
    check(TypeError, "rows of bytes", bytearray(b"ab"), some)
    check(TypeError, "rows of bytes", array.array("i", [1, 2]), some)
    check(TypeError, "dtype S", np.array(["a", "b"]), some)
    check(ValueError, "text", pa.array(["a", "b"]), some)
    check(ValueError, "row 1", pa.array([b"a", None]), some)
    check(ValueError, "Int64", pa.array([1, 2]), some)
    check(TypeError, "buffer", [b"a", 5], some)
    check(ValueError, "key and value", pa.table({"a": [b"a"]}))
    check(ValueError, "text", pa.table({"key": ["a"], "value": [b"a"]}))
    with pytest.raises(ValueError, match="2 keys were given, and 1 values"):
        db.put_many(some, [b"1"])
    with pytest.raises(TypeError, match="encode"):
        db.put_many({"a": b""})
    with pytest.raises(TypeError):
        db.multi_get(5)  # type: ignore[call-overload]
    assert not db


def test_arrow_out(db: sstore.DB) -> None:
    db.put_many(KEYS, VALUES)
    found = db.multi_get_arrow([KEYS[5], b"none", KEYS[2], KEYS[2]])
    assert (len(found), found.null_count) == (4, 1)
    assert found[0] == VALUES[5] and found[1] is None and found[-1] == VALUES[2]
    with pytest.raises(IndexError):
        found[4]
    want = pa.array([VALUES[5], None, VALUES[2], VALUES[2]], pa.binary())
    assert pa.array(found) == found.to_arrow() == want
    assert pl.Series(found).to_list() == want.to_pylist()
    assert db.multi_get_arrow([]).to_pylist() == []
    # It does not need the database.
    db.close()
    assert found.to_pylist() == want.to_pylist()


def test_an_array_that_is_written_to_later(db: sstore.DB) -> None:
    keys = np.array([[1, 2], [3, 4]], dtype=np.uint8)
    batch = db.write_batch()
    batch.put_many(keys, keys)
    keys[:] = 0
    batch.write()
    assert list(db) == [b"\1\2", b"\3\4"]


def test_more_keys_than_one_slice_see_one_moment(db: sstore.DB) -> None:
    keys = [b"%06d" % i for i in range(70_000)]
    db.put_many(keys, keys)
    assert db.multi_get(keys) == keys
    with db.snapshot() as snapshot:
        db.delete_many(keys, atomic=False)
        assert snapshot.multi_get(keys) == keys
        assert snapshot.multi_get_arrow(keys).to_pylist() == keys


def test_a_failing_producer_leaves_nothing(db: sstore.DB) -> None:
    def batches() -> Iterator[pa.RecordBatch]:
        yield pa.record_batch({"key": [b"a"], "value": [b"1"]})
        raise RuntimeError("midway")

    schema = pa.schema({"key": pa.binary(), "value": pa.binary()})
    with pytest.raises(ValueError, match="midway"):
        db.put_many(pa.RecordBatchReader.from_batches(schema, batches()))
    assert not db
    with pytest.raises(RuntimeError), db.write_batch() as batch:
        batch.put_many([(b"a", b"1")])
        raise RuntimeError
    assert not db and len(batch) == 0
