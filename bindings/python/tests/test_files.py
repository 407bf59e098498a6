"""The files of families and tables: told, exported, repaired; and the options that they are written with."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest

import sstore

FORMATS = ["parquet", "arrow"]


def rows(*ids: int) -> list[dict[str, Any]]:
    return [{"id": each, "name": f"n{each}"} for each in ids]


@pytest.fixture(params=FORMATS)
def table(db: sstore.DB, request: pytest.FixtureRequest) -> sstore.Table:
    return db.table("t", {"id": "int64", "name": "string"}, key="id", format=request.param)


def test_live_files_of_a_family(db: sstore.DB) -> None:
    first = db.put(b"a", b"1")
    with db.live_files() as files:
        assert len(files) == 0 and files.sequence == first and files.complete_through < first and files.schema is None
    with db.snapshot() as snapshot:
        db.flush()
        db.put(b"b", b"2")
        second = db.delete(b"a")
        db.flush()
        for moment in (snapshot, first):
            assert [file.rows for file in db.live_files(as_of=moment)] == [1]
    files = db.live_files()
    old, new = files
    assert files.complete_through == files.sequence == second and files[1:] == (new,) and files[-1] is new
    assert (old.format, old.level, old.rows, old.schema_id, old.smallest) == ("blocks", 0, 1, 0, b"a")
    assert (new.rows, new.tombstones, new.smallest, new.largest) == (2, 1, b"a", b"b")
    assert (new.smallest_sequence, new.largest_sequence) == (second - 1, second)
    assert [(file.number, file.path) for file in files] == [(each.number, each.path) for each in db.segments()]
    db.compact()
    assert old.path.exists() and old.path.stat().st_size == old.size_bytes
    with pytest.raises(TypeError, match="send list"):
        pickle.dumps(files)
    assert pickle.loads(pickle.dumps(list(files))) == [old, new]
    files.close()
    files.close()
    assert not old.path.exists() and len(files) == 2
    with pytest.raises(sstore.GapError):
        db.live_files(as_of=first)


def test_files_of_a_table_are_read_by_others_as_a_scan_reads_them(table: sstore.Table, tmp_path: Path) -> None:
    duckdb = pytest.importorskip("duckdb")
    arrow = pytest.importorskip("pyarrow")
    table.append(rows(1, 2, 3))
    table.flush()
    table.append([{"id": 2, "name": "again"}])
    table.delete([3])
    table.flush()
    with table.live_files() as files:
        assert len(files) == 2 and files.schema == table.schema
        table.append(rows(9))
        table.compact()
        parts = [read(arrow, file.path, file.format) for file in files]
        shown = arrow.concat_tables(parts)
        query = (
            f"select id, name from shown where _seq <= {files.sequence} "
            "qualify row_number() over (partition by id order by _seq desc) = 1 and _op <> 1 order by id"
        )
        assert duckdb.sql(query).fetchall() == [(1, "n1"), (2, "again")]
    assert not any(file.path.exists() for file in files)
    export = table.export(tmp_path / "exported")
    (only,) = export.files
    assert (only.file.rows, export.copied) == (3, 0) and only.file.path == table.live_files()[0].path
    assert [each.name for each in (tmp_path / "exported").iterdir()] == [only.name]
    assert read(arrow, tmp_path / "exported" / only.name, only.file.format)["id"].to_pylist() == [1, 2, 9]


def read(arrow: Any, path: Path, format: str) -> Any:
    if format == "parquet":
        return pytest.importorskip("pyarrow.parquet").read_table(path)
    return arrow.ipc.open_file(path).read_all()


def test_an_export_is_there_whole_or_not_at_all(db: sstore.DB, table: sstore.Table, tmp_path: Path) -> None:
    sequence = db.put(b"k", b"v")
    export = db.export(tmp_path / "bytes")
    assert (export.sequence, [file.file.format for file in export.files]) == (sequence, ["blocks"])
    assert [path.name for path in (tmp_path / "bytes").iterdir()] == [file.name for file in export.files]
    assert db.export(str(tmp_path / "again")).files[0].file.number == export.files[0].file.number
    assert table.export(tmp_path / "empty").files == ()
    with pytest.raises(sstore.InvalidArgumentError, match="does not exist yet"):
        table.export(tmp_path / "bytes")
    with pytest.raises(sstore.NotFoundError):
        db.export(tmp_path / "nowhere" / "bytes")


def test_repair(db: sstore.DB, table: sstore.Table, path: Path, tmp_path: Path) -> None:
    db.put_many({b"k%d" % each: b"v" for each in range(10)})
    db.flush()
    table.append(rows(1, 2))
    table.flush()
    family = db.create_column_family("f")
    family[b"logged"] = b"only"
    table.append(rows(3))
    damaged = db.live_files()[0].path
    with pytest.raises(sstore.LockedError):
        sstore.repair(path, tmp_path / "new")
    db.close(flush=False)
    damaged.write_bytes(b"damaged" + damaged.read_bytes()[7:])
    report = sstore.repair(path, tmp_path / "new", link=True, compression="zstd")
    assert report.manifest_error is None and report.log_operations == 2 and report.log_operations_lost == 0
    assert sorted(report.collections) == ["default", "f", "t"]
    assert all(segment.stopped is None for segment in report.log) and sum(each.records for each in report.log) > 0
    (skipped,) = [file for file in report.files if file.skipped]
    assert skipped.path == damaged and skipped.collection == "default"
    assert [(file.collection, file.rows) for file in report.files if not file.skipped] == [("t", 2)]
    with pytest.raises(sstore.InvalidArgumentError, match="new or empty"):
        sstore.repair(path, tmp_path / "new")
    with pytest.raises(sstore.NotFoundError):
        sstore.repair(tmp_path / "nothing", tmp_path / "new2")
    with pytest.raises(sstore.InvalidArgumentError, match="compresion"):
        sstore.repair(path, tmp_path / "new2", compresion="zstd")
    with sstore.open(tmp_path / "new") as new:
        assert len(new) == 0 and new.column_family("f")[b"logged"] == b"only"
        assert new.table("t").scan().to_pylist() == rows(1, 2, 3)


def test_what_was_created_with_options_tells_them(db: sstore.DB, path: Path) -> None:
    given: dict[str, Any] = {"page_rows": 2048, "compression": "zstd", "auto_compaction": False}
    table = db.table("t", {"a": "int64", "b": "string"}, order_by=["b", "a"], format="arrow", **given)
    family = db.create_column_family("f", **given)
    expected = {**family.options, "table_format": "arrow"}
    assert given.items() <= family.options.items() and "background_threads" not in family.options
    assert table.options == expected and table.order_by == ("b", "a") and table.key == ()
    twin = db.table("twin", table.schema, order_by=table.order_by, **table.options)
    assert twin.options == expected and twin.order_by == table.order_by
    db.close()
    with sstore.open(path, page_rows=4096) as again:
        assert again.table("twin").options == {**expected, "page_rows": 4096}, "what an opening says counts more"
        assert again.options["page_rows"] == 4096
