"""Tables with Python's own values: no other library is needed for any of it."""

from __future__ import annotations

import datetime as dt
import math
import pickle
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

import sstore
from pets import FORMATS, ids, rows


def test_rows_are_found_in_memory_in_files_and_after_opening_again(pets: sstore.Table, db: sstore.DB, path: Path) -> None:
    assert pets.append(rows(3, 1, 2)) == 3
    assert pets.append([{"id": 1, "name": "second"}]) == 1, "a later row replaces an earlier one, missing columns are null"
    expected = [{"id": 1, "name": "second", "weight": None}, *rows(2, 3)]

    def check(table: sstore.Table) -> None:
        assert table.scan().to_pylist() == expected
        assert table.get(2) == rows(2)[0] and table.get(9) is None
        assert table.get_many([3, 9, 1]) == [expected[2], None, expected[0]]
        assert table.get({"id": 2}, columns=["name"]) == {"name": "n2"}
        assert len(table) == table.count() == 3 and table and 1 in table and 9 not in table

    check(pets)
    pets.flush()
    check(pets)
    pets.append(rows(7))
    assert pets.delete([7, 8]) == 2
    pets.compact()
    check(pets)
    assert [segment.entries for segment in pets.segments()] == [3]
    db.close()
    with sstore.open(path) as again:
        assert again.tables() == ["pets"]
        check(again.table("pets"))


def test_rows_past_their_time_go_with_a_merge(db: sstore.DB) -> None:
    options: dict[str, Any] = {"ttl_column": "at", "ttl_seconds": 3600}
    table = db.table("t", {"id": "int64", "at": "timestamp[s]"}, key=["id"], **options)
    table.append([{"id": 1, "at": dt.datetime(2001, 1, 1)}, {"id": 2, "at": dt.datetime(2201, 1, 1)}, {"id": 3}])
    table.flush()
    assert len(table) == 3, "readable until a merge takes them"
    table.compact()
    assert [row["id"] for row in table.scan().to_pylist()] == [2, 3]
    with pytest.raises(sstore.InvalidArgumentError, match='"id", which is Int64: neither a date nor a timestamp'):
        db.table("u", {"id": "int64"}, ttl_column="id", ttl_seconds=1)


def test_opening_and_creating(db: sstore.DB) -> None:
    with pytest.raises(sstore.NotFoundError):
        db.table("t")
    table = db.table("t", {"a": "int32 not null", "b": "decimal(10, 2)", "c": "timestamp[ns, UTC]"}, key=["a"])
    assert table.name == "t" and table.key == ("a",) and not table.dropped
    assert table.schema.names == ["a", "b", "c"]
    assert table.schema.nullable == [False, True, True]
    assert "Decimal128(10, 2)" in repr(table.schema) and len(table.schema) == 3
    same = db.table("t", table.schema, key=["a"])
    assert same.schema == table.schema
    for schema, key in (({"a": "int32"}, ["a"]), (table.schema, ["b"]), (table.schema, None)):
        with pytest.raises(sstore.InvalidArgumentError, match=r"other columns or another key: fingerprint [0-9a-f]{16}, not [0-9a-f]{16} as given"):
            db.table("t", schema, key=key)
    refused: list[tuple[Any, type[Exception]]] = [({"a": "int33"}, ValueError), ({"a": 3}, TypeError), (7, TypeError), ({"_seq": "int64"}, ValueError)]
    for schema, wrong in refused:
        with pytest.raises(wrong):
            db.table("u", schema)
    with pytest.raises(ValueError):
        db.table("u", {"a": "int32"}, format="csv")  # type: ignore[arg-type]
    with pytest.raises(ValueError):
        db.table("u", {"a": "double"}, key="a")
    floats = db.table("u", {"a": "double"}, key="a", float_keys=True)
    floats.append([{"a": math.inf}, {"a": -1.5}])
    assert [row["a"] for row in floats.scan().to_pylist()] == [-1.5, math.inf]
    assert db.tables() == ["t", "u"]
    db.drop_table("t")
    db.drop_table(floats)
    assert table.dropped and "dropped" in repr(table) and db.tables() == []
    with pytest.raises(sstore.DroppedError):
        table.append([{"a": 1}])
    for pickled in (table, table.schema):
        with pytest.raises(TypeError):
            pickle.dumps(pickled)


def test_append_only(db: sstore.DB) -> None:
    table = db.table("log", {"at": "int64", "text": "string"}, order_by="at")
    table.append([{"at": 2, "text": "x"}, {"at": 1, "text": "y"}])
    table.append([{"at": 2, "text": "x"}])
    assert len(table) == 3 and table.key == ()
    with pytest.raises(sstore.InvalidArgumentError, match="no order to be read in reverse"):
        table.scan(reverse=True)
    plain = db.table("plain", {"at": "int64"})
    plain.append([{"at": 2}, {"at": 1}])
    plain.flush()
    plain.append([{"at": 3}])
    assert [row["at"] for row in plain.scan(reverse=True).to_pylist()] == [3, 1, 2]
    for call in (lambda: table.get(1), lambda: table.delete([1]), lambda: table.scan(start=1)):
        with pytest.raises(sstore.InvalidArgumentError, match="append-only"):
            call()


def test_ranges_columns_limits_and_snapshots(db: sstore.DB) -> None:
    table = db.table("t", {"a": "string", "b": "int32", "v": "int64"}, key=["a", "b"])
    table.append({"a": a, "b": b, "v": b * 10} for a in "xyz" for b in range(4))
    assert [row["v"] for row in table.scan(prefix="y").to_pylist()] == [0, 10, 20, 30]
    assert len(table.scan(start=("y", 2), stop="z").to_pylist()) == 2
    assert len(table.scan(start={"a": "y", "b": 2}).to_pylist()) == 6
    assert table.scan("v", start=("z", 3)).to_pylist() == [{"v": 30}]
    assert table.scan(["b", "a"], limit=1).to_pylist() == [{"b": 0, "a": "x"}]
    assert table.scan(["b", "a"], limit=2, reverse=True).to_pylist() == [{"b": 3, "a": "z"}, {"b": 2, "a": "z"}]
    assert [row["v"] for row in table.scan(prefix="y", where="b < 3", reverse=True).to_pylist()] == [20, 10, 0]
    assert str(table.scan(reverse=True).explain()).startswith("scan in reverse")
    assert [len(batch) for batch in table.scan(batch_rows=5)] == [5, 5, 2]
    assert table.get(("y", 2)) == {"a": "y", "b": 2, "v": 20}
    with db.snapshot() as before:
        table.delete([("y", 2), {"a": "z", "b": 0}])
        assert table.get(("y", 2)) is None and table.get(("y", 2), as_of=before) is not None
        assert table.count() == 10 and table.count(as_of=before) == 12
        assert len(table.scan(prefix="z", as_of=before).to_pylist()) == 4
        assert table.get_many([("z", 0)], as_of=before)[0] == {"a": "z", "b": 0, "v": 0}
    for call in (
        lambda: table.scan(["nothing"]),
        lambda: table.scan(prefix=("x", 1, 2)),
        lambda: table.scan(batch_rows=0),
        lambda: table.get("x"),
        lambda: table.scan(as_of=before),
    ):
        with pytest.raises(sstore.Error):
            call()
    with pytest.raises(TypeError, match='column "a": str expected, not int'):
        table.scan(start=3)
    single: list[Any] = ["x", b"x", {"a": "x"}, 7]
    for keys in single:
        with pytest.raises(TypeError):
            table.delete(keys)


def test_what_does_not_fit_is_refused_with_its_place_and_nothing_is_applied(pets: sstore.Table) -> None:
    for bad, error, text in (
        ([*rows(1), {"id": "2"}], TypeError, 'row 1: column "id": int expected, not str'),
        ([*rows(1), {"id": True}], TypeError, 'row 1: column "id": int expected, not bool'),
        ([*rows(1), {"id": None}], ValueError, 'column "id" is null in row 1'),
        ([*rows(1), {"id": 1 << 63}], ValueError, "row 1.*out of range"),
        ([*rows(1), {"id": 2, "colour": 1}], ValueError, 'row 1: column "colour" is not in the table'),
        ([*rows(1), 7], TypeError, "not int"),
        ({"id": 1}, TypeError, "not dict"),
        ("text", TypeError, "not str"),
        (3, TypeError, "not int"),
    ):
        with pytest.raises(error, match=text):
            pets.append(bad)  # type: ignore[arg-type]
    assert not pets and len(pets) == 0


EXAMPLES: list[tuple[str, list[Any]]] = [
    ("bool", [True, False]),
    *[(f"int{bits}", [-(1 << (bits - 1)), (1 << (bits - 1)) - 1, 0]) for bits in (8, 16, 32, 64)],
    *[(f"uint{bits}", [(1 << bits) - 1, 0]) for bits in (8, 16, 32, 64)],
    ("float16", [1.5, -0.25]),
    ("float32", [0.5, math.inf]),
    ("float64", [0.1, -math.inf, 1e300]),
    *[(name, ["", "ü€😀", "x" * 40]) for name in ("string", "large_string", "string_view")],
    *[(name, [b"", b"\x00\xff", b"x" * 40]) for name in ("binary", "large_binary", "binary_view")],
    ("binary[3]", [b"abc", b"\x00\x01\x02"]),
    ("decimal32(9, 2)", [Decimal("-1234567.89"), Decimal("0.00")]),
    ("decimal64(18, 3)", [Decimal("123456789012345.678")]),
    ("decimal128(38, 10)", [Decimal("-1234567890123456789012345678.0123456789"), Decimal("5E+3").quantize(Decimal("1.0000000000"))]),
    ("decimal256(76, 2)", [Decimal("9" * 74 + ".99")]),
    ("date32", [dt.date(1, 1, 1), dt.date(9999, 12, 31), dt.date(1969, 12, 31)]),
    ("date64", [dt.date(2026, 2, 28), dt.date(1912, 4, 15)]),
    ("time32[s]", [dt.time(23, 59, 59)]),
    ("time32[ms]", [dt.time(1, 2, 3, 4000)]),
    ("time64[us]", [dt.time(23, 59, 59, 999_999)]),
    ("time64[ns]", [dt.time(0, 0, 0, 1)]),
    ("timestamp[s]", [dt.datetime(1960, 1, 1, 12)]),
    ("timestamp[ms]", [dt.datetime(2026, 1, 1, 0, 0, 0, 1000)]),
    ("timestamp[us]", [dt.datetime(1, 1, 1), dt.datetime(9999, 12, 31, 23, 59, 59, 999_999)]),
    ("timestamp[ns, UTC]", [dt.datetime(2026, 3, 4, 5, 6, 7, 8, tzinfo=dt.UTC)]),
    ("timestamp[us, Europe/Berlin]", [dt.datetime(2026, 7, 1, 10, tzinfo=dt.UTC)]),
    ("timestamp[us, +05:30]", [dt.datetime(2026, 7, 1, 10, tzinfo=dt.timezone(dt.timedelta(hours=5, minutes=30)))]),
    ("duration[us]", [dt.timedelta(days=-1, microseconds=3)]),
    ("duration[s]", [dt.timedelta(days=4000)]),
    ("month_day_nano_interval", [(1, -2, 3)]),
    ("list<int32>", [[1, None, 3], []]),
    ("large_list<list<string>>", [[["a"], [], None], []]),
    ("FixedSizeList(3 x Int16)", [[1, 2, None]]),
    ('Struct("a": Int8, "b": List(Utf8))', [{"a": 1, "b": ["x"]}, {"a": None, "b": None}]),
    ('Map("entries": non-null Struct("key": non-null Utf8, "value": Int32), unsorted)', [[("k", 1), ("l", None)], []]),
]


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize(("kind", "values"), EXAMPLES, ids=[kind for kind, _ in EXAMPLES])
def test_every_type_goes_in_and_comes_out(db: sstore.DB, kind: str, values: list[Any], format: Any) -> None:
    if kind == "month_day_nano_interval" and format == "parquet":
        with pytest.raises(sstore.NotSupportedError, match='"v".*Parquet'):
            db.table("t", {"v": kind})
        return
    table = db.table("t", {"n": "int64", "v": kind}, key="n", format=format)
    given = [{"n": n, "v": value} for n, value in enumerate([*values, None])]
    table.append(given)
    assert table.scan().to_pylist() == given
    table.compact()
    assert table.scan().to_pylist() == given
    assert table.get(0) == given[0]


def test_values_are_never_cut(db: sstore.DB) -> None:
    for kind, value in (
        ("decimal128(10, 2)", Decimal("0.001")),
        ("decimal128(4, 2)", Decimal("100")),
        ("decimal128(10, 2)", Decimal("NaN")),
        ("timestamp[s]", dt.datetime(2026, 1, 1, 0, 0, 0, 1)),
        ("timestamp[us]", dt.datetime(2026, 1, 1, tzinfo=dt.UTC)),
        ("timestamp[us, UTC]", dt.datetime(2026, 1, 1)),
        ("timestamp[ns]", dt.datetime(9999, 1, 1)),
        ("binary[2]", b"abc"),
        ("uint8", -1),
        ("date32", dt.datetime(2026, 1, 1)),
        ("list<int8>", [1, 300]),
        ("list<int8>", "12"),
        ("string", "\ud800"),
    ):
        table = db.table("t", {"v": kind})
        with pytest.raises((ValueError, TypeError)):
            table.append([{"v": value}])
        db.drop_table(table)
    table = db.table("t", {"v": "timestamp[ns]"})
    table.append([{"v": 1}])
    with pytest.raises(ValueError, match="nanoseconds"):
        table.scan().to_pylist()


def test_bytes_and_rows_in_one_batch(db: sstore.DB, pets: sstore.Table, path: Path) -> None:
    pets.append(rows(1))
    with pytest.raises(RuntimeError), db.write_batch() as batch:
        batch[b"k"] = b"v"
        batch.append(pets, rows(5))
        raise RuntimeError
    assert b"k" not in db and 5 not in pets
    with db.write_batch() as batch:
        batch[b"k"] = b"v"
        batch.append(pets, rows(2, 3))
        batch.delete_rows(pets, [1, 3])
        other = db.write_batch()
        other.append(pets, rows(4))
        batch.append(other)
        with pytest.raises(TypeError):
            batch.append(pets)  # type: ignore[call-overload]
        with pytest.raises(ValueError):
            batch.append(pets, [{"id": None}])
        assert len(batch) == 4
    assert db[b"k"] == b"v" and ids(pets.scan()) == [2, 4]
    stale = db.write_batch()
    stale.append(pets, rows(9))
    pets.alter(rename_column=("weight", "kg"))
    with pytest.raises(sstore.ConflictError):
        stale.write()
    with sstore.open(path.with_name("other")) as elsewhere, pytest.raises(ValueError, match="another database"):
        elsewhere.write_batch().append(pets, rows(1))


def test_alter(db: sstore.DB, pets: sstore.Table) -> None:
    pets.append(rows(1))
    pets.flush()
    pets.alter(add_column=("legs", "int16"), position=1)
    pets.alter(rename_column=("name", "title"), drop_column="weight")
    pets.append([{"id": 2, "legs": 4, "title": "t"}])
    pets.alter(widen=("legs", "int64"))
    pets.alter(reorder=["title", "legs", "id"])
    expected = [{"title": "n1", "legs": None, "id": 1}, {"title": "t", "legs": 4, "id": 2}]
    assert pets.scan().to_pylist() == expected and pets.schema.names == ["title", "legs", "id"]
    pets.compact()
    assert pets.scan(where="legs is null or legs > 3").to_pylist() == expected
    wrong: dict[str, Any]
    for wrong in (
        {},
        {"drop_column": "id"},
        {"drop_column": "nothing"},
        {"widen": ("legs", "int8")},
        {"add_column": ("x", "int8 not null")},
        {"position": 1},
    ):
        with pytest.raises(ValueError):
            pets.alter(**wrong)


def test_the_database_knows_its_tables(db: sstore.DB, pets: sstore.Table) -> None:
    db[b"a"] = b"1"
    pets.append(rows(1, 2))
    assert db.flush().entries == 3
    pets.append(rows(2))
    pets.flush()
    db.compact()
    assert {segment.column_family: segment.entries for segment in db.segments()} == {"default": 1, "pets": 2}
    assert pets.flush(wait=False).wait().files == ()
    db.verify()
    with pytest.raises(ValueError):
        db.create_column_family("pets")
    with pytest.raises(sstore.NotFoundError):
        db.column_family("pets")


def test_columns_by_classes_of_python_and_rows_one_by_one(db: sstore.DB) -> None:
    table = db.table("t", {"text": str, "raw": bytes, "count": int, "part": float, "flag": bool}, key="text")
    assert table.schema.types == ["Utf8", "Binary", "Int64", "Float64", "Boolean"]
    rows = [{"text": f"{number:03}", "raw": b"r", "count": number, "part": 0.5, "flag": True} for number in range(300)]
    table.append(rows)
    scan = table.scan(batch_rows=100)
    one_by_one = scan.rows()
    assert next(one_by_one) == rows[0] and sum(len(batch) for batch in scan) == 200, "it is the same pass"
    assert len(list(one_by_one)) == 99
    assert list(table.scan(limit=3).rows()) == rows[:3]
    table.alter(add_column=("more", int))
    assert table.schema.types[-1] == "Int64"
    for wrong in (list, dict[str, int], object, 5):
        with pytest.raises(TypeError, match="one of str, bytes, int, float and bool"):
            db.table("wrong", {"a": wrong})  # type: ignore[dict-item] # pyright: ignore[reportArgumentType]
