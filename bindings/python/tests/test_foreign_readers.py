"""Other engines open the files of tables: pyarrow, Polars, DuckDB and DataFusion are the judges of both formats.

What they read must be what we read, and what the files say of themselves must be true by their reading. A file holds what was written,
not what is visible: the recipes at the top make our snapshot out of the live files of a table.
"""

from __future__ import annotations

import datetime as dt
import random
import shutil
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import datafusion
import duckdb
import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

import sstore

# By its stubs it may give None, which it does for statements without rows only.
sql: Any = duckdb.sql

ROWS = 5000


def with_duckdb(paths: list[str]) -> pa.Table:
    newest = f"select * from read_parquet({paths}) qualify row_number() over (partition by id order by _seq desc) = 1"
    return sql(f"select * exclude (_seq, _op) from ({newest}) where _op = 0 order by id").to_arrow_table()


def with_polars(paths: list[str]) -> pa.Table:
    newest = pl.scan_parquet(paths).sort("_seq").unique("id", keep="last")
    return newest.filter(_op=0).drop("_seq", "_op").sort("id").collect().to_arrow()


def with_polars_ipc(paths: list[str]) -> pa.Table:
    newest = pl.scan_ipc(paths).sort("_seq").unique("id", keep="last")
    return newest.filter(_op=0).drop("_seq", "_op").sort("id").collect().to_arrow()


def with_datafusion(paths: list[str]) -> pa.Table:
    context = datafusion.SessionContext()
    for number, path in enumerate(paths):
        context.register_parquet(f"file{number}", path)
    files = " union all ".join(f"select * from file{number}" for number in range(len(paths)))
    ranked = f"select *, row_number() over (partition by id order by _seq desc) as rank from ({files})"
    found = context.sql(f"select * from ({ranked}) where rank = 1 and _op = 0 order by id")
    return found.to_arrow_table().drop(["_seq", "_op", "rank"])


def with_pyarrow(paths: list[str], format: str = "parquet") -> pa.Table:
    rows = ds.dataset(paths, format=format).to_table().sort_by([("id", "ascending"), ("_seq", "descending")])
    first = rows.take([at for at in range(len(rows)) if at == 0 or rows["id"][at] != rows["id"][at - 1]])
    return first.filter(ds.field("_op") == 0).drop(["_seq", "_op"])


def with_duckdb_over_ipc(paths: list[str]) -> pa.Table:
    files = ds.dataset(paths, format="ipc")  # noqa: F841 - DuckDB finds it by name
    newest = "select * from files qualify row_number() over (partition by id order by _seq desc) = 1"
    return sql(f"select * exclude (_seq, _op) from ({newest}) where _op = 0 order by id").to_arrow_table()


RECIPES: dict[str, dict[str, Callable[[list[str]], pa.Table]]] = {
    "parquet": {"duckdb": with_duckdb, "polars": with_polars, "datafusion": with_datafusion, "pyarrow": with_pyarrow},
    "arrow": {
        "polars": with_polars_ipc,
        "duckdb": with_duckdb_over_ipc,
        "pyarrow": lambda paths: with_pyarrow(paths, "ipc"),
    },
}

SIMPLE = pa.schema([("id", pa.int64()), ("name", pa.string()), ("value", pa.float64())])


def paths_of(table: sstore.Table) -> list[str]:
    return [str(segment.path) for segment in table.segments()]


def same(found: pa.Table, expected: pa.Table) -> None:
    """The same rows, whatever shapes of the same types a library prefers."""
    assert found.column_names == expected.column_names
    found = found.cast(pa.schema([field.remove_metadata() for field in expected.schema]))
    # Cheap first; NaN and nulls under structs are told apart by the slow way only.
    assert found.equals(expected.cast(found.schema)) or found.to_pylist() == expected.to_pylist()


@pytest.mark.parametrize("format", RECIPES)
def test_the_recipes_give_our_snapshot(db: sstore.DB, format: Any) -> None:
    table = db.table("t", SIMPLE, key="id", format=format, row_group_rows=1024, page_rows=256, auto_compaction=False)
    rng = random.Random(7)
    for number in range(6):
        ids = rng.sample(range(3000), 1200)
        table.append({"id": each, "name": rng.choice([None, "a", f"round {number}"]), "value": float(number)} for each in ids)
        table.append({"id": each, "name": "again", "value": None} for each in ids[:50])
        table.delete(rng.sample(range(3000), 300))
        table.flush()
    for step in ("six files that overlap", "merged", "one more"):
        expected = table.to_arrow()
        for name, recipe in RECIPES[format].items():
            found = recipe(paths_of(table))
            same(found, expected)
            assert len(found) == len(table), (step, name)
        if step == "merged":
            table.delete(range(0, 3000, 3))
            table.flush()
        else:
            table.compact()
            assert len(table.segments()) == 1


def many_types(rows: int) -> pa.Table:
    rng = np.random.default_rng(11)
    null = rng.random(rows) < 0.1

    def column(values: Any, kind: Any = None) -> pa.Array:
        if kind is not None and pa.types.is_temporal(kind):
            width = np.int32 if kind == pa.date32() else np.int64
            return pa.array(values.astype(width), mask=null).cast(kind)
        return pa.array(values, kind, mask=null)

    numbers = rng.integers(-(1 << 40), 1 << 40, rows)
    words = [f"word {each % 97} {'ü' * (each % 5)}" for each in range(rows)]
    return pa.table(
        {
            "id": pa.array(rng.permutation(rows)),
            "flag": column(numbers % 2 == 0),
            "int8": column(numbers % 100, pa.int8()),
            "uint8": column(numbers % 200, pa.uint8()),
            "int16": column(numbers % 30_000, pa.int16()),
            "uint16": column(numbers % 60_000, pa.uint16()),
            "int32": column(numbers % 1_000_000, pa.int32()),
            "uint32": column(numbers % 4_000_000_000, pa.uint32()),
            "int64": column(numbers),
            "uint64": column((numbers % (1 << 40)).astype(np.uint64) + np.uint64(1 << 63)),
            "float32": column(rng.random(rows).astype(np.float32)),
            "float64": column(rng.standard_normal(rows)),
            "string": column(words),
            "large_string": column(words, pa.large_string()),
            "binary": column([word.encode() for word in words]),
            "fixed": column([bytes([each % 256] * 4) for each in range(rows)], pa.binary(4)),
            "date": column(numbers % 20_000, pa.date32()),
            "time": column(numbers % 86_400_000_000, pa.time64("us")),
            "at_ms": column(numbers, pa.timestamp("ms")),
            "at_us": column(numbers * 1000, pa.timestamp("us", "UTC")),
            "at_ns": column(numbers * 1000, pa.timestamp("ns")),
            "decimal": column([Decimal(int(each)).scaleb(-3) for each in numbers], pa.decimal128(20, 3)),
            "small_decimal": column([Decimal(int(each) % 10_000).scaleb(-2) for each in numbers], pa.decimal128(8, 2)),
            "list": column([[each, None] if each % 3 else [] for each in range(rows)], pa.list_(pa.int32())),
            "struct": column([{"a": each, "b": str(each)} for each in range(rows)]),
        }
    )


TYPES = many_types(ROWS)
CODECS = {"none": "UNCOMPRESSED", "lz4": "LZ4", "zstd": "ZSTD"}


@pytest.fixture(scope="module", params=[(format, codec) for format in RECIPES for codec in CODECS], ids="-".join)
def written(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Any:
    """A table in one format and codec: what is in it, and its files, flushed and then merged."""
    format, codec = request.param
    with sstore.open(tmp_path_factory.mktemp("readers") / "db", auto_compaction=False) as db:
        table = db.table("t", TYPES.schema, key="id", format=format, compression=codec, row_group_rows=1024, page_rows=256)
        table.append(TYPES)
        table.flush()
        content = table.to_arrow()
        # A merge removes what it merged.
        flushed = db.path.with_name(Path(paths_of(table)[0]).name)
        shutil.copy(paths_of(table)[0], flushed)
        table.append(TYPES.slice(0, 100))
        table.compact()
        yield format, codec, content, {"flushed": str(flushed), "merged": paths_of(table)[0]}


READERS: dict[str, dict[str, Callable[[str], pa.Table]]] = {
    "parquet": {
        "pyarrow": lambda path: pq.read_table(path),
        "polars": lambda path: pl.read_parquet(path).to_arrow(),
        "polars scan": lambda path: pl.scan_parquet(path).collect().to_arrow(),
        "duckdb": lambda path: sql(f"select * from read_parquet('{path}')").to_arrow_table(),
        "datafusion": lambda path: datafusion.SessionContext().read_parquet(path).to_arrow_table(),
    },
    "arrow": {
        "pyarrow": lambda path: pa.ipc.open_file(path).read_all(),
        "pyarrow mapped": lambda path: pa.ipc.open_file(pa.memory_map(path)).read_all(),
        "polars": lambda path: pl.read_ipc(path).to_arrow(),
        "datafusion": lambda path: datafusion.SessionContext().from_arrow(pa.ipc.open_file(path).read_all()).to_arrow_table(),
    },
}


def test_readers_find_every_row_and_value(written: Any) -> None:
    format, _, content, paths = written
    for step, path in paths.items():
        for name, read in READERS[format].items():
            found = read(path)
            assert found.num_rows == ROWS, (step, name)
            assert found.column_names[-2:] == ["_seq", "_op"]
            assert found["_op"].to_pylist() == [0] * ROWS
            assert len(set(found["_seq"].to_pylist())) == (1 if step == "flushed" else 2)
            found = found.drop(["_seq", "_op"])
            if name == "duckdb":
                # DuckDB has no time of another unit and no fixed width; the values are the same.
                found = found.set_column(found.column_names.index("fixed"), "fixed", found["fixed"].cast(pa.binary(4)))
            same(found, content)


@pytest.mark.parametrize("written", [("parquet", codec) for codec in CODECS], indirect=True, ids="-".join)
def test_parquet_says_true_things_of_itself(written: Any) -> None:
    _, codec, content, paths = written
    for path in paths.values():
        file = pq.ParquetFile(path)
        ids = [int(file.schema_arrow.field(at).metadata[b"PARQUET:field_id"]) for at in range(len(file.schema_arrow))]
        assert ids == [*range(1, len(content.column_names) + 1), 1_000_000, 1_000_001]
        by_duckdb = sql(f"select name, field_id from parquet_schema('{path}') where field_id is not null").fetchall()
        assert [field_id for _, field_id in by_duckdb if field_id] == ids
        columns = {name: at for at, name in enumerate(file.metadata.schema.to_arrow_schema().names)}
        codecs = sql(f"select distinct compression from parquet_metadata('{path}')").fetchall()
        assert codecs == [({"LZ4": "LZ4_RAW"}.get(CODECS[codec], CODECS[codec]),)]
        sequence = file.metadata.num_columns - 2
        start = 0
        for number in range(file.num_row_groups):
            group, rows = file.metadata.row_group(number), file.read_row_group(number)
            assert [(each.column_index, each.descending) for each in group.sorting_columns] == [(0, False), (sequence, True)]
            assert rows["id"].to_pylist() == sorted(rows["id"].to_pylist())
            same(rows.drop(["_seq", "_op"]), content.slice(start, len(rows)))
            start += len(rows)
            for at in range(group.num_columns):
                chunk = group.column(at)
                assert chunk.compression in (CODECS[codec], "LZ4_RAW")
                name = chunk.path_in_schema
                if name not in columns or name == "list":
                    continue
                statistics, values = chunk.statistics, rows[name]
                assert statistics.null_count == values.null_count, name
                present = [value for value in values.to_pylist() if value is not None]
                if not statistics.has_min_max:
                    assert name not in ("id", "int64", "string", "_seq", "at_us"), f"{name} lacks bounds"
                elif name in ("at_ns", "fixed", "decimal", "small_decimal"):
                    assert name == "fixed" or statistics.min is not None
                else:
                    assert statistics.min <= min(present) and statistics.max >= max(present), name
                    assert name in ("string", "large_string", "binary") or (statistics.min, statistics.max) == (min(present), max(present))
        assert start == ROWS and file.metadata.created_by.startswith("sstore version ")


def test_blooms_exclude_what_is_not_there_and_nothing_else(db: sstore.DB) -> None:
    for name, kind, make in (("numbers", "int64", lambda n: n * 3), ("words", "string", lambda n: f"'key {n * 3}'")):
        table = db.table(name, {"id": kind}, key="id", row_group_rows=1024)
        table.append({"id": n * 3 if kind == "int64" else f"key {n * 3}"} for n in range(3000))
        table.compact()
        (path,) = paths_of(table)

        def excluded(value: Any, path: str = path) -> list[bool]:
            probe = f"select bloom_filter_excludes from parquet_bloom_probe('{path}', 'id', {value}) order by row_group_id"
            return [answer for (answer,) in sql(probe).fetchall()]

        for n in range(0, 3000, 37):
            assert not all(excluded(make(n))), f"{make(n)} is there"
        absent = [excluded(f"'none {n}'" if kind == "string" else n * 3 + 1) for n in range(60)]
        assert sum(map(sum, absent)) > 0.9 * sum(map(len, absent)), "blooms exclude too little"
    plain = db.table("plain", {"id": "int64"}, key="id", bloom_bits_per_key=0)
    plain.append({"id": n} for n in range(100))
    plain.flush()
    assert pq.ParquetFile(paths_of(plain)[0]).metadata.row_group(0).column(0).bloom_filter_offset is None


def test_append_only_files(db: sstore.DB) -> None:
    table = db.table("log", {"at": "timestamp[us]", "text": "string"}, order_by="at", auto_compaction=False)
    lines: list[dict[str, Any]] = [{"at": dt.datetime(2026, 1, 1) + dt.timedelta(minutes=n * 7 % 1000), "text": f"line {n}"} for n in range(1000)]
    table.append(lines[:500])
    table.flush()
    table.append(lines[500:])
    table.flush()
    files = paths_of(table)
    assert sql(f'select count(*), min("at"), max("text") from read_parquet({files})').fetchall() == [
        (1000, min(line["at"] for line in lines), max(line["text"] for line in lines))
    ]
    assert pl.scan_parquet(files).select(pl.len()).collect().item() == 1000
    assert pq.ParquetFile(files[0]).schema_arrow.names == ["at", "text", "_seq"]
    assert pl.read_parquet(files).drop("_seq").sort("text").equals(table.to_polars().sort("text"))


@pytest.mark.parametrize("writer", ["pyarrow", "polars", "duckdb", "pyarrow ipc", "polars ipc"])
def test_files_that_others_wrote_can_be_ingested(db: sstore.DB, tmp_path: Path, writer: str) -> None:
    # Not every library keeps these types; what it makes of them is refused by a table that has them.
    source = TYPES.drop(["fixed", "at_ms", "time"])
    path = str(tmp_path / "file")
    match writer:
        case "pyarrow":
            pq.write_table(source, path, compression="snappy", row_group_size=700)
            readers = [pq.ParquetFile(path).read(), ds.dataset(path).scanner().to_reader(), duckdb.read_parquet(path), pl.read_parquet(path)]
        case "polars":
            pl.DataFrame(source).write_parquet(path, compression="zstd", row_group_size=999)
            readers = [pl.read_parquet(path), pl.scan_parquet(path).collect(), pq.read_table(path), duckdb.read_parquet(path)]
        case "duckdb":
            sql(f"copy (select * from source) to '{path}' (format parquet)")
            readers = [sql(f"select * from read_parquet('{path}')"), pq.read_table(path), pl.read_parquet(path)]
        case "pyarrow ipc":
            with pa.ipc.new_file(path, source.schema) as sink:
                sink.write_table(source, max_chunksize=333)
            readers = [pa.ipc.open_file(path).read_all(), ds.dataset(path, format="ipc"), pl.read_ipc(path)]
            readers[1] = readers[1].scanner().to_reader()
        case _:
            pl.DataFrame(source).write_ipc(path, compression="lz4")
            readers = [pl.read_ipc(path), pa.ipc.open_file(path).read_all()]
    for number, reader in enumerate(readers):
        table = db.table(f"t{number}", source.schema, key="id")
        assert table.append(reader) == ROWS
        same(table.to_arrow(), source.take(np.argsort(source["id"])))
