"""Expressions of pyarrow and Polars as conditions: they select what they select there, or are refused."""

from __future__ import annotations

import datetime as dt
import random
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.compute
import pytest

import sstore

# Its functions are made when it is imported: no checker sees them.
pc: Any = pyarrow.compute

NAN = float("nan")
MIXED = pa.table(
    {
        "id": range(12),
        "i": [None, -3, 0, 1, 2, 3, 1 << 20, None, 5, 6, 7, 8],
        "f": [None, -0.0, 0.0, NAN, 1.5, float("inf"), float("-inf"), 2.5, NAN, None, 3.0, -1.0],
        "s": ["", None, "a", "ab", "abc", "b", "ü", "a", None, "zz", "A", "aB"],
        "b": [True, False, None, True, False, None, True, False, True, None, False, True],
        "d": pa.array([None, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11], pa.date32()),
        "t": pa.array([None, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11], pa.timestamp("us", "UTC")),
    }
)


def literals(column: str) -> list[Any]:
    choices: dict[str, list[Any]] = {
        "i": [0, 2, 5, -3, 2.5, 1 << 20],
        # Polars stores infinity as null: refused.
        "f": [0.0, 1.5, 2, -0.0, 100.0],
        "s": ["", "a", "ab", "b", "zzz"],
        "d": [dt.date(1970, 1, 4), dt.date(1970, 1, 10), dt.date(2026, 1, 1)],
        "t": [dt.datetime(1970, 1, 1, 0, 0, 0, 4, dt.UTC), dt.datetime(2026, 1, 1, tzinfo=dt.UTC)],
    }
    return choices[column]


def random_condition(rng: random.Random, library: str, depth: int) -> Any:
    """A condition of a library at random, of what we promise to translate."""
    field: Any = pc.field if library == "pyarrow" else pl.col
    if depth and rng.random() < 0.7:
        left = random_condition(rng, library, depth - 1)
        match rng.randrange(3):
            case 0:
                return ~left
            case 1:
                return left & random_condition(rng, library, depth - 1)
            case _:
                return left | random_condition(rng, library, depth - 1)
    column = rng.choice("ifsdt")
    values = literals(column)
    match rng.randrange(9):
        case 0:
            return field(column).is_null()
        case 1:
            return field(column).is_valid() if library == "pyarrow" else field(column).is_not_null()
        case 2 if column in "is":
            chosen = [value for value in rng.sample(values, 2) if isinstance(value, (int, str))]
            given = [*chosen, *([None] if rng.random() < 0.3 and chosen else [])]
            return field(column).isin(given) if library == "pyarrow" else field(column).is_in(given)
        case 3:
            prefix = rng.choice(["a", "", "ab", "ü"])
            return pc.starts_with(field("s"), prefix) if library == "pyarrow" else field("s").str.starts_with(prefix)
        case 4:
            return field("b") & (field("i") > 1)
        case 5:
            return field("f").is_nan()
        case 6 if library == "polars":
            closed = rng.choice(["both", "left", "right", "none"])
            low, high = map(pl.lit, sorted(rng.sample(values, 2)))
            return field(column).is_between(low, high, closed=closed)
        case 7:
            value = rng.choice(values)
            return pc.scalar(value) < field(column) if library == "pyarrow" else pl.lit(value) < field(column)
        case _:
            value = rng.choice(values)
            operator = rng.choice(["__eq__", "__ne__", "__lt__", "__le__", "__gt__", "__ge__"])
            return getattr(field(column), operator)(value)


@pytest.mark.parametrize("library", ["pyarrow", "polars"])
def test_expressions_of_others_select_what_they_select_there(db: sstore.DB, library: str) -> None:
    table = db.table("t", MIXED.schema, key="id")
    table.append(MIXED)
    rng = random.Random(2026)
    frame = pl.DataFrame(MIXED)
    for number in range(600):
        condition = random_condition(rng, library, 3)
        if library == "pyarrow":
            expected = MIXED.filter(condition)["id"].to_pylist()
        else:
            expected = frame.filter(condition)["id"].to_list()
        found = [row["id"] for row in table.scan(["id"], where=condition).to_pylist()]
        assert found == expected, (number, str(condition))
        if number == 300:
            table.flush()


def test_expressions_of_others_that_cannot_be_translated_are_refused(db: sstore.DB) -> None:
    table = db.table("t", MIXED.schema, key="id")
    i, f, s = pc.field("i"), pc.field("f"), pc.field("s")
    known = i > 1
    for condition in (
        i + 1 > 2,
        known & (i > pc.field("id")),
        pc.match_substring(s, "a"),
        known | pc.starts_with(s, "a", ignore_case=True),
        i.is_null(nan_is_null=True),
        i.cast(pa.int8()) > 1,
        f > NAN,
        f.isin([0.0]),
        pc.field("s", "inner") == 1,
        known & pc.scalar(None),
        pc.xor(known, known),
        pc.is_in(s, pa.array(["a"]), skip_nulls=True),
        pc.and_(known, known),
    ):
        with pytest.raises(TypeError, match="cannot be translated"):
            table.scan(where=condition)
    a = pl.col("i")
    for other in (
        a + 1 > 2,
        pl.col("f") > float("inf"),
        pl.col("f") > NAN,
        (a > 1) & (a > pl.col("id")),
        pl.col("s").str.contains("a"),
        a.ne_missing(3),
        a.cast(pl.Int8) > 1,
        a.is_in([1], nulls_equal=True),
        (a > 1) ^ (a < 3),
        a.is_between(pl.col("id"), 3),
        a.is_in(pl.col("id")),
        a.max() > 3,
        a > pl.lit([1]),
        a > pl.lit(pl.Series([1, 2])),
        (a > 1) & pl.lit(None),
        pl.col("i", "id") > 1,
        pl.all() > 1,
        (a > 1).alias("x"),
        a.map_elements(lambda each: True, return_dtype=pl.Boolean),
        pl.when(a > 1).then(True).otherwise(False),
    ):
        with pytest.raises(TypeError):
            table.scan(where=other)
