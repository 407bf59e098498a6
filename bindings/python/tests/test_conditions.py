"""Conditions of a scan: text and expressions, what they select, what is refused, and what a scan leaves out for them."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import pytest

import sstore
from pets import ids, rows
from sstore import col


def test_conditions(db: sstore.DB, pets: sstore.Table) -> None:
    pets.append(rows(1, 2, 3, 4, 5))
    pets.append([{"id": 6}])
    for step in ("in memory", "flushed", "merged"):
        for condition, expected in (
            ("id > 3 AND name LIKE 'n%'", [4, 5]),
            (col("id") > 3, [4, 5, 6]),
            ((col("id") >= 2) & (col("id") < 4) | (col("name") == "n5"), [2, 3, 5]),
            (~(col("weight") > 1), [1, 2]),
            (col("name").is_null(), [6]),
            (col("name").is_not_null() & (col("id") != 1), [2, 3, 4, 5]),
            (col("id").isin([2, 9, 4.0, 4.5]), [2, 4]),
            (~col("name").isin(["n1", None]), []),
            (col("weight").between(1, Decimal("2.0")), [2, 3, 4]),
            (col("name").starts_with("n"), [1, 2, 3, 4, 5]),
            (col("id").isin([]), []),
            (col("weight") == 1.5, [3]),
            (col("id") < 1 << 70, [1, 2, 3, 4, 5, 6]),
        ):
            assert ids(pets.scan(where=condition)) == expected, (step, condition)
            assert pets.count(condition) == len(expected)
        if step == "in memory":
            pets.flush()
        else:
            pets.compact()


def test_conditions_of_every_type_of_literal(db: sstore.DB) -> None:
    names = ("bool", "date32", "timestamp[ms]", "timestamp[us, UTC]", "time64[us]", "duration[ms]", "binary", "decimal128(10, 3)")
    row = {
        "bool": True,
        "date32": dt.date(2026, 1, 1),
        "timestamp[ms]": dt.datetime(2026, 1, 1),
        "timestamp[us, UTC]": dt.datetime(2026, 1, 1, tzinfo=dt.UTC),
        "time64[us]": dt.time(12),
        "duration[ms]": dt.timedelta(hours=1),
        "binary": b"\x00",
        "decimal128(10, 3)": Decimal("1.5"),
    }
    table = db.table("t", {name: name for name in names})
    table.append([row, {}])
    for name in names:
        assert table.count(col(name) == row[name]) == 1, name
        assert table.count(col(name) != row[name]) == 0, name
    assert table.count(col("bool")) == 1 and table.count(~col("bool")) == 0
    assert table.count(col("binary").starts_with(b"\x00")) == 1


def test_conditions_that_cannot_be_are_refused(pets: sstore.Table) -> None:
    for make in (
        lambda: bool(col("a") > 3),
        lambda: 1 < col("a") < 3,
        lambda: col("a") == None,  # noqa: E711
        lambda: col("a") == col("b"),
        lambda: (col("a") > 3) & True,  # type: ignore[operator]
        lambda: col("a").isin("abc"),
        lambda: col("a").starts_with(3),  # type: ignore[arg-type]
        lambda: col(3),  # type: ignore[arg-type]
        lambda: hash(col("a")),
        lambda: pets.scan(where=3),
        lambda: pets.scan(where=True),
        lambda: pets.scan(where=col("id") > object()),
    ):
        with pytest.raises(TypeError):
            make()
    for condition in ("id >", "nothing = 1", col("nothing") == 1, col("id") == "text", col("id").starts_with("a")):
        with pytest.raises(sstore.InvalidArgumentError):
            pets.scan(where=condition)
    deep = col("id") > 1
    for _ in range(1000):
        deep = ~deep
    with pytest.raises((TypeError, ValueError)):
        pets.scan(where=deep)
    assert "id >= 1 and id <= 2" in repr(col("id").between(1, 2))


def test_explain(pets: sstore.Table) -> None:
    pets.append(rows(1, 2, 3))
    pets.flush()
    scan = pets.scan(where="id > 100")
    explained = scan.explain()
    assert explained.files[0].skipped and explained.files[0].number == pets.segments()[0].number
    assert "skipped" in str(explained) and explained.sequence == scan.sequence
    assert scan.to_pylist() == []
    assert pets.scan(where="weight > 1").explain().files[0].whole_filter
