"""Tables and the Arrow libraries of Python: each hands rows over, each reads a scan."""

from __future__ import annotations

import ctypes
import datetime as dt
import gc
import threading
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import arro3.core as arro3
import duckdb
import nanoarrow as na
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import sstore

# By its stubs it may give None, which it does for statements without rows only.
sql: Any = duckdb.sql

SCHEMA = pa.schema([("id", pa.int64()), ("name", pa.string()), ("value", pa.float64())])
ROWS = [{"id": each, "name": None if each % 7 == 0 else f"name {each}", "value": each / 4} for each in range(1000)]
TABLE = pa.Table.from_pylist(ROWS, schema=SCHEMA)


@pytest.fixture
def table(db: sstore.DB) -> sstore.Table:
    return db.table("t", SCHEMA, key="id")


PRODUCERS: dict[str, Callable[[], Any]] = {
    "pyarrow.Table": lambda: TABLE,
    "pyarrow.Table of many chunks": lambda: pa.concat_tables(TABLE.slice(start, 10) for start in range(0, 1000, 10)),
    "pyarrow.RecordBatch": lambda: TABLE.to_batches()[0],
    "pyarrow.RecordBatchReader": lambda: TABLE.to_reader(max_chunksize=33),
    "polars.DataFrame": lambda: pl.DataFrame(TABLE),
    "polars.DataFrame, sliced": lambda: pl.concat([pl.DataFrame(TABLE)[:501], pl.DataFrame(TABLE)[501:]], rechunk=False),
    "pandas.DataFrame": lambda: pd.DataFrame(
        {"id": [row["id"] for row in ROWS], "name": [row["name"] for row in ROWS], "value": [row["value"] for row in ROWS]}
    ),
    "duckdb relation": lambda: duckdb.from_arrow(TABLE),
    "duckdb result": lambda: duckdb.connect().execute(
        "select i as id, case when i % 7 = 0 then null else 'name ' || i end as name, i / 4.0::double as value from range(1000) t(i)"
    ).to_arrow_reader(100),
    "nanoarrow.ArrayStream": lambda: na.ArrayStream(TABLE),
    "nanoarrow.Array": lambda: na.c_array(TABLE.to_batches()[0]),
    "arro3.core.Table": lambda: arro3.Table.from_arrow(TABLE),
    "arro3.core.RecordBatch": lambda: arro3.RecordBatch.from_arrow(TABLE.to_batches()[0]),
    "list of dicts": lambda: ROWS,
}


@pytest.mark.parametrize("producer", PRODUCERS)
def test_rows_of_every_producer(table: sstore.Table, producer: str) -> None:
    assert table.append(PRODUCERS[producer]()) == 1000
    assert table.scan().to_pylist() == ROWS
    table.flush()
    assert table.scan().to_pylist() == ROWS


def through_duckdb(scan: Any) -> list[dict[str, Any]]:
    found = sql("select * from scan").to_arrow_table()
    return list(found.to_pylist())


CONSUMERS: dict[str, Callable[[Any], Any]] = {
    "pyarrow": lambda scan: pa.table(scan).to_pylist(),
    "pyarrow reader": lambda scan: pa.RecordBatchReader.from_stream(scan).read_all().to_pylist(),
    "polars": lambda scan: pl.DataFrame(scan).to_dicts(),
    "duckdb": through_duckdb,
    "pandas": lambda scan: pd.DataFrame.from_arrow(scan).astype(object).replace({np.nan: None}).to_dict("records"),
    "nanoarrow": lambda scan: list(na.ArrayStream(scan).read_all().to_pylist()),
    "arro3": lambda scan: pa.table(arro3.Table.from_arrow(scan)).to_pylist(),
    "arro3 reader": lambda scan: pa.table(arro3.RecordBatchReader.from_arrow(scan).read_all()).to_pylist(),
    "to_arrow": lambda scan: scan.to_arrow().to_pylist(),
    "to_polars": lambda scan: scan.to_polars().to_dicts(),
}


@pytest.mark.parametrize("consumer", CONSUMERS)
def test_a_scan_for_every_consumer(table: sstore.Table, consumer: str) -> None:
    table.append(TABLE)
    read = CONSUMERS[consumer]
    assert read(table.scan(batch_rows=100)) == ROWS
    table.flush()
    assert read(table.scan()) == ROWS
    assert read(table.scan(where="id < 0")) == []
    assert read(table.scan(["name", "id"], where="id = 8")) == [{"name": "name 8", "id": 8}]
    used = table.scan()
    read(used)
    with pytest.raises(Exception):  # noqa: B017 - each library wraps it in its own
        read(used)


def test_record_batches_and_tables_are_arrow_data_themselves(table: sstore.Table, db: sstore.DB) -> None:
    table.append(TABLE)
    batch = next(table.scan(batch_rows=10))
    assert batch.num_rows == 10 and batch.num_columns == 3 and batch.schema.names == SCHEMA.names
    assert pa.record_batch(batch).to_pylist() == pl.DataFrame(batch).to_dicts() == batch.to_pylist() == ROWS[:10]
    assert batch.to_arrow().num_rows == batch.to_polars().height == len(batch.to_pandas()) == len(batch)
    assert pa.table(table).equals(pl.DataFrame(table).to_arrow().cast(pa.schema(table.schema)))
    assert sql("select count(*) from table_").fetchall() == [(1000,)] if (table_ := table) else None
    assert table.to_arrow().num_rows == table.to_polars().height == len(table.to_pandas()) == 1000
    copy = db.table("copy", table, key="id")
    assert copy.append(table.scan()) == 1000 and copy.append(batch) == 10
    assert copy.scan().to_pylist() == ROWS


def test_schemas_of_other_libraries(db: sstore.DB) -> None:
    for name, schema in {
        "pyarrow": SCHEMA,
        "arro3": arro3.Schema.from_arrow(SCHEMA),
        "nanoarrow": na.Schema(SCHEMA),
        "polars": pl.DataFrame(TABLE).clear(),
        "pandas": pd.DataFrame({"id": [1], "name": ["a"], "value": [1.5]}),
        "table": TABLE,
        "types": {"id": pa.int64(), "name": "string", "value": na.float64()},
    }.items():
        table = db.table(name, schema, key="id")
        assert table.schema.names == ["id", "name", "value"], name
        table.append(TABLE)
        assert len(table) == 1000
    with pytest.raises(TypeError):
        db.table("x", pa.array([1]))
    with pytest.raises(TypeError):
        db.table("x", {"a": list})  # type: ignore[dict-item] # pyright: ignore[reportArgumentType]


def test_a_requested_schema(table: sstore.Table) -> None:
    table.append(TABLE)
    large = pa.schema([pa.field("id", pa.int64(), False), ("name", pa.large_string()), ("value", pa.float64())])
    assert pa.RecordBatchReader.from_stream(table.scan(), schema=large).read_all().schema.field("name").type == pa.large_string()
    view = pa.schema([pa.field("id", pa.int64(), False), ("name", pa.string_view()), ("value", pa.float64())])
    assert pa.RecordBatchReader.from_stream(table.scan(), schema=view).read_all().to_pylist() == ROWS
    assert pa.record_batch(next(table.scan()), schema=large).schema == large
    # What cannot be made is not made: the consumer sees the scan's own schema.
    other = pa.schema([("id", pa.date32())])
    capsule = table.scan().__arrow_c_stream__(other.__arrow_c_schema__())
    assert pa.RecordBatchReader._import_from_c_capsule(capsule).schema.names == SCHEMA.names


ALL_TYPES = pa.table(
    {
        "key": pa.array([3, 1, 2, 4], pa.int32()),
        "bool": pa.array([True, None, False, True]),
        "uint64": pa.array([(1 << 64) - 1, None, 0, 1], pa.uint64()),
        "half": pa.array(np.array([1.5, -2, 0, 4], dtype=np.float16)),
        "string": ["a", None, "ü", ""],
        "large_string": pa.array(["a", None, "", "b"], pa.large_string()),
        "view": pa.array(["a" * 30, None, "b", ""], pa.string_view()),
        "binary": pa.array([b"\xff", None, b"", b"x"]),
        "fixed": pa.array([b"abc", None, b"def", b"ghi"], pa.binary(3)),
        "date": pa.array([dt.date(2026, 1, 1), None, dt.date(1960, 1, 1), dt.date(1, 1, 1)]),
        "ns": pa.array([1, None, -1, 1 << 60], pa.timestamp("ns", "UTC")),
        "zoned": pa.array([1, None, -1, 1 << 40], pa.timestamp("ms", "Europe/Berlin")),
        "time": pa.array([dt.time(1), None, dt.time(23, 59, 59, 999999), dt.time(0)], pa.time64("us")),
        "duration": pa.array([dt.timedelta(1), None, dt.timedelta(-1), dt.timedelta(0)], pa.duration("us")),
        "decimal": pa.array([Decimal("1.25"), None, Decimal("-99999999.99"), Decimal("0.01")], pa.decimal128(10, 2)),
        "decimal256": pa.array([Decimal("1.25"), None, Decimal("-1.00"), Decimal("0.01")], pa.decimal256(60, 2)),
        "list": pa.array([[1, None], None, [], [2]], pa.list_(pa.int16())),
        "fixed_list": pa.array([[1, 2], None, [3, None], [4, 5]], pa.list_(pa.float32(), 2)),
        "struct": pa.array([{"a": 1, "b": ["x"]}, None, {"a": None, "b": None}, {"a": 2, "b": []}]),
        "map": pa.array([[("k", 1)], None, [], [("a", None)]], pa.map_(pa.string(), pa.int32())),
    }
)


@pytest.mark.parametrize("format", ["parquet", "arrow"])
def test_all_types_there_and_back(db: sstore.DB, format: Any) -> None:
    table = db.table("t", ALL_TYPES.schema, key="key", format=format)
    sliced = pa.concat_tables([ALL_TYPES.slice(1, 2), ALL_TYPES.slice(3), ALL_TYPES.slice(0, 1)])
    table.append(sliced)
    expected = pa.concat_tables([ALL_TYPES.slice(1, 2), ALL_TYPES.slice(0, 1), ALL_TYPES.slice(3)])
    for _ in range(2):
        found = table.to_arrow()
        assert found.cast(expected.schema).equals(expected)
        table.compact()
    assert table.get(1) == dict.fromkeys(ALL_TYPES.column_names, None) | {"key": 1, "half": -2.0}


def test_slices_with_offsets_that_are_no_whole_bytes(db: sstore.DB) -> None:
    whole = pa.table({"id": range(100), "flag": [each % 3 == 0 for each in range(100)], "text": [str(each) if each % 5 else None for each in range(100)]})
    for number, start in enumerate((1, 3, 7, 8, 9, 63)):
        table = db.table(f"t{number}", whole.schema, key="id")
        part = whole.slice(start, 29)
        struct = pa.StructArray.from_arrays([column.combine_chunks() for column in whole.columns], names=whole.column_names)
        for data in (part, pl.DataFrame(whole)[start : start + 29], struct.slice(start, 29), na.Array(struct.slice(start, 29))):
            table.append(data)
            assert table.scan().to_pylist() == part.to_pylist()


def test_dictionaries_become_their_values(db: sstore.DB) -> None:
    encoded = pa.table({"id": [1, 2, 3], "name": pa.array(["a", None, "a"]).dictionary_encode()})
    table = db.table("t", encoded.schema, key="id")
    table.append(encoded)
    assert table.schema.types == ["Int64", "Utf8"]
    table.append(pl.DataFrame({"id": [4], "name": pl.Series(["z"], dtype=pl.Categorical)}))
    assert [row["name"] for row in table.scan().to_pylist()] == ["a", None, "a", "z"]


def test_what_is_written_does_not_change_with_its_source(table: sstore.Table) -> None:
    ids, values = np.arange(100_000), np.zeros(100_000)
    data = pa.table({"id": pa.array(ids), "name": pa.nulls(100_000, pa.string()), "value": pa.array(values)})
    table.append(data)
    ids[:], values[:] = -1, 9.0
    assert table.count("id < 0") == 0 and table.count("value > 0") == 0
    released = pa.total_allocated_bytes()
    del data
    gc.collect()
    assert pa.total_allocated_bytes() <= released


def test_a_batch_that_breaks_its_promises_is_refused(table: sstore.Table) -> None:
    broken = pa.Array.from_buffers(pa.string(), 2, [None, pa.py_buffer(np.array([0, 3, 1], dtype=np.int32)), pa.py_buffer(b"abc")])
    for column, text in (
        (broken, "not valid Arrow"),
        (pa.Array.from_buffers(pa.string(), 1, [None, pa.py_buffer(np.array([0, 2], dtype=np.int32)), pa.py_buffer(b"\xff\xfe")]), "not valid Arrow"),
    ):
        batch = pa.table({"id": list(range(len(column))), "name": column, "value": [1.0] * len(column)})
        with pytest.raises(sstore.InvalidArgumentError, match=f'"name".*{text}'):
            table.append(batch)
    for wrong, text in (
        (TABLE.drop(["id"]), '"id" is missing'),
        (TABLE.append_column("more", TABLE["id"]), '"more" is not in the table'),
        (TABLE.set_column(2, "value", TABLE["name"]), '"value" has the type Utf8, not Float64'),
        (TABLE.set_column(0, "id", pa.array([None] + [1] * 999)), '"id" is null in row 0'),
        (TABLE["id"], "named columns"),
        (pl.Series([1]), "named columns"),
    ):
        with pytest.raises(sstore.InvalidArgumentError, match=text):
            table.append(wrong)
    assert not table


def test_misaligned_buffers(db: sstore.DB) -> None:
    numbers = np.array([1, 2, 3], dtype=np.int64).tobytes()
    shifted = pa.py_buffer(b"x" + numbers).slice(1)
    decimals = pa.py_buffer(b"x" + b"".join(each.to_bytes(16, "little") for each in (10, 20, 30))).slice(1)
    columns = [
        pa.Array.from_buffers(pa.int64(), 3, [None, shifted]),
        pa.Array.from_buffers(pa.decimal128(10, 1), 3, [None, decimals]),
    ]
    table = db.table("t", pa.schema([("id", pa.int64()), ("d", pa.decimal128(10, 1))]), key="id")
    table.append(pa.table(columns, names=["id", "d"]))
    assert [row["d"] for row in table.scan().to_pylist()] == [1, 2, 3]


def test_a_stream_that_fails_in_the_middle(table: sstore.Table) -> None:
    def broken(batches: int) -> pa.RecordBatchReader:
        def each() -> Any:
            for start in range(batches):
                yield TABLE.slice(start * 10, 10).to_batches()[0]
            raise OSError("the wire was cut")

        return pa.RecordBatchReader.from_batches(SCHEMA, each())

    with pytest.raises(sstore.InvalidArgumentError, match="the wire was cut"):
        table.append(broken(3))
    assert not table, "all or nothing"
    big = pa.concat_tables([TABLE] * 70).set_column(0, "id", pa.array(range(70_000)))

    def large() -> Any:
        yield big.to_batches()[0]
        yield from big.to_batches()
        raise OSError("the wire was cut")

    with pytest.raises(sstore.InvalidArgumentError, match="the wire was cut"):
        table.append(pa.RecordBatchReader.from_batches(SCHEMA, large()), atomic=False)
    assert len(table) > 0, "what came before stays, as was asked"
    used = TABLE.to_reader()
    used.read_all()
    assert table.append(used) == 0
    capsule = TABLE.__arrow_c_stream__()

    class Twice:
        def __arrow_c_stream__(self, requested_schema: object = None) -> object:
            return capsule

    assert table.append(Twice()) == 1000
    with pytest.raises(TypeError, match="consumed"):
        table.append(Twice())


def test_wrong_capsules_are_refused(table: sstore.Table) -> None:
    class Wrong:
        def __init__(self, value: object) -> None:
            self.value = value

        def __arrow_c_stream__(self, requested_schema: object = None) -> object:
            return self.value

    make = ctypes.pythonapi.PyCapsule_New
    make.restype, make.argtypes = ctypes.py_object, [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
    name = b"something_else"
    for value in (None, 7, TABLE.schema.__arrow_c_schema__(), make(ctypes.addressof(ctypes.c_int(3)), name, None)):
        with pytest.raises((TypeError, ValueError)):
            table.append(Wrong(value))


def test_streams_outlive_everything(path: Path) -> None:
    db = sstore.open(path)
    table = db.table("t", SCHEMA, key="id")
    table.append(TABLE)
    table.flush()
    reader = pa.RecordBatchReader.from_stream(table.scan(batch_rows=100))
    first = reader.read_next_batch()
    arrays = pa.table(table.scan())
    table.compact()
    db.drop_table(table)
    del db, table
    gc.collect()
    assert pa.concat_tables([pa.Table.from_batches([first]), reader.read_all()]).to_pylist() == ROWS
    del reader
    gc.collect()
    with sstore.open(path) as again:
        assert again.tables() == []
    sstore.destroy(path)
    assert arrays.to_pylist() == ROWS, "what was handed out belongs to who has it"


def test_a_stream_ends_with_an_error_when_the_database_is_closed(path: Path) -> None:
    db = sstore.open(path)
    table = db.table("t", SCHEMA, key="id")
    table.append(TABLE)
    reader = pa.RecordBatchReader.from_stream(table.scan(batch_rows=100))
    reader.read_next_batch()
    db.close()
    with pytest.raises(Exception, match="closed"):
        reader.read_all()
    del reader
    sstore.open(path).close()


def test_a_stream_may_be_read_and_released_on_other_threads(table: sstore.Table) -> None:
    table.append(TABLE)
    table.flush()
    found: list[Any] = []

    def read(reader: pa.RecordBatchReader) -> None:
        found.append(reader.read_all())
        del reader

    threads = [threading.Thread(target=read, args=(pa.RecordBatchReader.from_stream(table.scan(batch_rows=10)),)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [each.num_rows for each in found] == [1000] * 8


def test_keys_as_arrow_data(db: sstore.DB) -> None:
    table = db.table("t", {"a": "string", "b": "int64", "v": "double"}, key=["a", "b"])
    table.append({"a": a, "b": b, "v": 0.5} for a in "xy" for b in range(3))
    keys = pl.DataFrame({"b": [1, 7], "a": ["x", "x"]})
    assert table.get_many(keys) == [{"a": "x", "b": 1, "v": 0.5}, None]
    assert table.delete(keys) == 2 and len(table) == 5
    with db.write_batch() as batch:
        batch.delete_rows(table, pa.table({"a": ["y"], "b": [0]}))
    assert len(table) == 4
    with pytest.raises(sstore.InvalidArgumentError, match='"v" is not in the key'):
        table.delete(table.scan())
    assert table.delete(table.scan(["a", "b"])) == 4 and not table


def test_numpy_and_pandas_scalars_in_dicts(db: sstore.DB) -> None:
    table = db.table("t", {"i": "int32", "f": "float32", "at": "timestamp[ns]", "b": "bool", "l": "list<double>"}, key="i")
    table.append([{"i": np.int64(3), "f": np.float64(1.5), "at": pd.Timestamp("2026-01-01 00:00:00.000000001"), "b": np.bool_(True), "l": np.array([1.0, 2.0])}])
    assert table.get(np.int8(3), columns=["f", "b", "l"]) == {"f": 1.5, "b": True, "l": [1.0, 2.0]}
    assert table.to_arrow()["at"].cast(pa.int64()).to_pylist() == [1_767_225_600_000_000_001]
    assert table.count(sstore.col("at") == pd.Timestamp("2026-01-01 00:00:00.000000001")) == 1
    assert table.count(sstore.col("i") == np.int16(3)) == table.count(sstore.col("i") == pa.scalar(3)) == 1
    assert table.count(sstore.col("i").isin(np.array([1, 3]))) == table.count(sstore.col("i").isin(pa.array([1, 3]))) == 1
    assert table.count(sstore.col("i").isin(pl.Series([1, 3]))) == 1
