"""Opening, closing, families, snapshots, batches, flushes, options, errors, events."""

from __future__ import annotations

import copy
import pickle
import re
import threading
import time
from pathlib import Path
from xml.etree import ElementTree

import pytest

import sstore
from sstore import _errors


def test_what_is_written_is_there_after_opening_again(path: Path) -> None:
    with sstore.open(path) as db:
        db[b"a"] = b"1"
        db.create_column_family("f", write_buffer_bytes="1MiB", compression="lz4")[b"b"] = b"2"
    with sstore.open(str(path), create_if_missing=False) as db:
        assert dict(db) == {b"a": b"1"}
        assert dict(db.column_family("f")) == {b"b": b"2"}
        assert db.column_families() == ["default", "f"]
        assert db.path == path


def test_every_use_after_close_raises(path: Path) -> None:
    db = sstore.open(path)
    family, snapshot, batch = db.create_column_family("f"), db.snapshot(), db.write_batch()
    cursor = db.cursor()
    batch.put(b"a", b"1")
    db.close()
    db.close()
    assert db.closed and "closed" in repr(db) and "closed" in repr(family)
    for call in (
        lambda: db[b"a"],
        lambda: db.put(b"a", b""),
        lambda: db.put(b"a", b"", sync=True),
        lambda: db.delete(b"a"),
        lambda: b"a" in db,
        lambda: db.multi_get([b"a"]),
        lambda: db.put_many([(b"a", b"")]),
        lambda: db.delete_many([b"a"]),
        lambda: db.get_view(b"a"),
        lambda: db.get_into(b"a", bytearray(1)),
        lambda: db.multi_get_arrow([b"a"]),
        lambda: db.iter(),
        lambda: db.cursor(),
        lambda: cursor.first(),
        lambda: cursor.valid(),
        lambda: db.scan_arrow(),
        lambda: list(db.keys()),
        lambda: db.prefixed(b"a").get(b""),
        lambda: db.pop(b"a", None),
        lambda: db.popitem(),
        lambda: db.write_if(b"a", None, batch),
        lambda: len(db),
        lambda: db.snapshot(),
        lambda: db.flush(),
        lambda: db.sync(),
        lambda: db.stats(),
        lambda: db.metrics_text(),
        lambda: db.segments(),
        lambda: db.compact(),
        lambda: family.compact(),
        lambda: db.verify(),
        lambda: db.column_family("f"),
        lambda: db.create_column_family("g"),
        lambda: family[b"a"],
        lambda: family.put(b"a", b""),
        lambda: snapshot.get(b"a"),
        lambda: snapshot.iter(),
        lambda: batch.write(),
    ):
        with pytest.raises(sstore.ClosedError):
            call()
    snapshot.close()
    db._repr_html_()


def test_two_opens_do_not_share_a_database(db: sstore.DB, path: Path) -> None:
    with pytest.raises(sstore.LockedError) as caught:
        sstore.open(path)
    assert isinstance(caught.value, BlockingIOError)
    with pytest.raises(sstore.LockedError):
        sstore.destroy(path)


def test_destroy(path: Path) -> None:
    sstore.open(path).close()
    sstore.destroy(path)
    with pytest.raises(sstore.NotFoundError):
        sstore.open(path, create_if_missing=False)


def test_the_last_reference_closes(path: Path) -> None:
    db = sstore.open(path)
    db[b"a"] = b"1"
    iterator = iter(db)
    del db
    assert next(iterator) == b"a"
    del iterator
    with sstore.open(path) as db:
        assert db[b"a"] == b"1"


def test_families(db: sstore.DB) -> None:
    family = db.create_column_family("f")
    with pytest.raises(ValueError):
        db.create_column_family("f")
    family[b"a"] = b"1"
    assert b"a" not in db
    assert (family.name, db.name, family.dropped) == ("f", "default", False)
    db.drop_column_family("f")
    assert family.dropped
    with pytest.raises(sstore.DroppedError):
        family[b"a"]
    with pytest.raises(sstore.NotFoundError) as caught:
        db.column_family("f")
    assert isinstance(caught.value, KeyError) and '"' in str(caught.value)
    with pytest.raises(ValueError):
        db.drop_column_family("default")


def test_snapshot(db: sstore.DB) -> None:
    family = db.create_column_family("f")
    db[b"a"], family[b"a"] = b"1", b"f1"
    with db.snapshot() as snapshot:
        db[b"a"], family[b"a"], db[b"b"] = b"2", b"f2", b"new"
        assert snapshot[b"a"] == b"1"
        assert snapshot.get(b"a", column_family=family) == b"f1"
        assert db.get(b"a", snapshot=snapshot) == b"1"
        assert family.get(b"a", snapshot=snapshot) == b"f1"
        assert b"b" not in snapshot
        assert list(snapshot) == [b"a"]
        assert list(snapshot.iter(column_family=family)) == [(b"a", b"f1")]
        assert list(db.iter(snapshot=snapshot)) == [(b"a", b"1")]
        assert snapshot.multi_get([b"b", b"a"]) == [None, b"1"]
        assert db.multi_get([b"b", b"a"], snapshot=snapshot) == [None, b"1"]
        with pytest.raises(KeyError):
            snapshot[b"b"]
    with pytest.raises(sstore.ClosedError):
        snapshot[b"a"]
    assert db[b"a"] == b"2"


def test_write_batch(db: sstore.DB) -> None:
    family = db.create_column_family("f")
    with db.write_batch() as batch:
        batch.put(b"a", b"1")
        batch.put(b"a", b"f1", column_family=family)
        batch[b"b"] = b"2"
        del batch[b"b"]
        batch.put_many({b"c": b"3"})
        assert len(batch) == 5 and b"a" not in db
    assert dict(db) == {b"a": b"1", b"c": b"3"} and dict(family) == {b"a": b"f1"}
    with pytest.raises(LookupError), db.write_batch() as batch:
        batch.delete(b"a")
        raise LookupError
    assert db[b"a"] == b"1" and len(batch) == 0
    with family.write_batch(sync=True) as batch:
        batch.put(b"own", b"")
    assert b"own" in family
    batch.put(b"x", b"")
    batch.append(batch)
    assert len(batch) == 2
    batch.clear()
    assert batch.write() >= 0


def test_things_of_another_database_are_refused(db: sstore.DB, tmp_path: Path) -> None:
    with sstore.open(tmp_path / "other") as other:
        family, snapshot = other.create_column_family("f"), other.snapshot()
        for call in (
            lambda: db.multi_get([b"a"], snapshot=snapshot),
            lambda: db.write_batch().put(b"a", b"", column_family=family),
            lambda: db.write_batch().append(other.write_batch()),
            lambda: db.drop_column_family(family),
        ):
            with pytest.raises(ValueError, match="another database"):
                call()


def test_flush(db: sstore.DB) -> None:
    sequence = db.put(b"a", b"1")
    result = db.flush()
    assert result.entries == 1 and len(result.files) == 1 and result.bytes > 0
    assert result.reason == "manual" and result.durable_sequence >= sequence
    db[b"b"] = b"2"
    token = db.flush(wait=False)
    assert token.wait(timeout=10).entries == 1
    polled = token.poll()
    assert polled is not None and polled.entries == 1
    assert db.flush().entries == 0
    assert dict(db) == {b"a": b"1", b"b": b"2"}
    with pytest.raises(ValueError):
        token.wait(timeout=-1)


def test_flush_atomic(path: Path) -> None:
    with sstore.open(path, flush_on_close=False) as db, sstore.open(path.with_name("other")) as other:
        family = db.create_column_family("f", logged=False)
        table = db.table("t", {"id": "int64"}, key="id", logged=False)
        family[b"a"] = b"1"
        table.append([{"id": 1}])
        result = db.flush_atomic([family, table])
        assert len(result.files) == 2 and result.entries == 2
        db[b"b"] = family[b"b"] = b"2"
        token = db.flush_atomic(wait=False)
        assert token.wait(timeout=10).entries == 2
        assert db.flush_atomic((db, family)).entries == 0
        for wrong in ([], [other], [other.table("t", {"id": "int64"})]):
            with pytest.raises(ValueError):
                db.flush_atomic(wrong)
        with pytest.raises(TypeError):
            db.flush_atomic(["f"])  # type: ignore[list-item]
        db.drop_column_family(family)
        with pytest.raises(sstore.DroppedError):
            db.flush_atomic([table, family])


def test_segments_and_compaction(db: sstore.DB) -> None:
    family = db.create_column_family("f")
    for key in (b"a", b"z"):
        db[key] = b"1"
        db.flush()
    family[b"<m>"] = b""
    family.flush()
    assert [segment.column_family for segment in db.segments()] == ["default", "default", "f"]
    db.compact()
    (segment,) = family.segments()
    assert (segment.smallest, segment.largest, segment.entries) == (b"<m>", b"<m>", 1)
    assert segment.path.exists() and segment.size_bytes > 0
    (merged,) = (segment for segment in db.segments() if segment.column_family == "default")
    assert (merged.smallest, merged.largest, merged.entries) == (b"a", b"z", 2)
    html = db._repr_html_()
    assert "&lt;m&gt;" in html and "<m>" not in html
    # The picture is one that a parser takes, with a bar for each file.
    for picture in re.findall(r"<svg.*?</svg>", html):
        bars = ElementTree.fromstring(picture).findall("{http://www.w3.org/2000/svg}rect")
        assert len(bars) == 1 and float(bars[0].get("width", "0")) > 1
    assert html.count("<svg") == 2
    stats = db.stats()
    assert stats["files"] == 2 and stats["file_bytes"] > 0
    assert isinstance(stats["counters"], dict) and isinstance(stats["histograms"], dict)


def test_options(path: Path, tmp_path: Path) -> None:
    infos = {info.name: info for info in sstore.options()}
    assert infos["compression"].choices == ("auto", "none", "lz4", "zstd")
    assert infos["write_buffer_bytes"].type == "bytes" and infos["write_buffer_bytes"].scope == "collection"
    assert all(info.help for info in infos.values())
    with pytest.raises(sstore.InvalidArgumentError, match="write_buffer_bytes"):
        sstore.open(path, write_bufer_bytes=1)
    with pytest.raises(sstore.InvalidArgumentError, match="whole number|true or false|number"):
        sstore.open(path, write_buffer_bytes=-1)
    with pytest.raises(sstore.InvalidArgumentError):
        sstore.open(path, compression="gzip")
    with pytest.raises(TypeError):
        sstore.open(path, background_threads=1.5)  # type: ignore[call-overload]
    with pytest.raises(TypeError):
        sstore.open(path, on_event=5)  # type: ignore[call-overload]
    assert not path.exists()
    sstore.open(path, wal_dir=tmp_path / "wal", flush_on_close=False, background_threads=1, compression=None).close()


def test_read_only(path: Path) -> None:
    with sstore.open(path) as db:
        db[b"a"] = b"1"
    with sstore.open(path, read_only=True) as db:
        assert db[b"a"] == b"1" and list(db.items()) == [(b"a", b"1")]
        for call in (lambda: db.put(b"b", b""), lambda: db.delete(b"a"), lambda: db.put(b"b", b"", sync=True)):
            with pytest.raises(sstore.ReadOnlyError):
                call()  # type: ignore[no-untyped-call]


def test_errors() -> None:
    classes = {error.code: error for error in vars(sstore).values() if isinstance(error, type) and issubclass(error, sstore.Error)}
    assert sorted(classes) == list(range(23))
    for code, error in classes.items():
        made = _errors.from_code(code, "what", "/p", 7, 2)
        assert type(made) is error and str(made) == "what"
        assert (made.path, made.offset, made.errno) == (Path("/p"), 7, 2)
        again = pickle.loads(pickle.dumps(made))
        assert (type(again), str(again), again.path, again.errno) == (error, "what", Path("/p"), 2)
    assert issubclass(sstore.TimedOutError, TimeoutError) and issubclass(sstore.IOFailure, OSError)


def test_an_error_says_where(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"")
    with pytest.raises(sstore.Error) as caught:
        sstore.open(file)
    assert str(file) in str(caught.value)


def test_damage_is_reported_with_its_place(path: Path) -> None:
    with sstore.open(path) as db:
        db.put_many((b"%04d" % i, b"value") for i in range(1000))
        db.flush()
        (segment,) = db.segments()
    content = bytearray(segment.path.read_bytes())
    content[100] ^= 0xFF
    segment.path.write_bytes(content)
    with pytest.raises(sstore.CorruptionError) as caught, sstore.open(path) as db:
        len(db)
    assert caught.value.path == segment.path and caught.value.offset is not None


def test_nothing_is_pickled(db: sstore.DB) -> None:
    for thing in (db, db.snapshot(), db.iter(), db.cursor(), db.scan_arrow(), db.multi_get_arrow([]), db.write_batch(), db.flush(wait=False), db.create_column_family("f")):
        with pytest.raises(TypeError, match="cannot pickle"):
            pickle.dumps(thing)
        with pytest.raises(TypeError):
            copy.copy(thing)


def test_threads_write_and_read_while_one_closes(path: Path) -> None:
    db = sstore.open(path, write_buffer_bytes="64KiB")
    failures: list[BaseException] = []

    def work(number: int) -> None:
        try:
            for i in range(1_000_000):
                db[b"%d-%d" % (number, i % 1000)] = b"x" * 100
                db.get(b"0-5")
                if i % 500 == 0:
                    for _ in db.iter(prefix=b"1-"):
                        pass
        except sstore.ClosedError:
            pass
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    time.sleep(0.5)
    db.close()
    for thread in threads:
        thread.join(timeout=30)
        assert not thread.is_alive()
    assert failures == []
    with sstore.open(path) as db:
        assert len(db) > 0
