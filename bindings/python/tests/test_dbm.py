"""sstore.dbm, sstore.shelve and sstore.codecs: what CPython's tests (test_cpython.py) do not look at."""

from __future__ import annotations

import dbm as standard
import dbm.dumb
import errno
import os
import pickle
import stat
from pathlib import Path
from typing import Any

import pytest

import sstore
import sstore.codecs
import sstore.dbm
import sstore.shelve


def test_text_is_encoded_and_bytes_come_back(path: Path) -> None:
    with sstore.dbm.open(path, "c") as db:
        db["grün"] = "blau"
        assert db["grün"] == db["grün".encode()] == "blau".encode()
        assert "grün" in db
        assert db.get("rot") is None
        assert db.setdefault("rot", "x") == b"x"
        assert db.keys() == sorted(["rot".encode(), "grün".encode()])
        del db["rot"]
        with pytest.raises(KeyError):
            db["rot"]
        assert db.pop("grün") == b"blau"
        assert not db


def test_the_keys_one_after_the_other(path: Path) -> None:
    with sstore.dbm.open(path, "n") as db:
        assert db.firstkey() is None
        db.update({b"b": b"2", b"a": b"1", b"c": b"3"})
        found, key = [], db.firstkey()
        while key is not None:
            found.append(key)
            key = db.nextkey(key)
        assert found == list(db) == [b"a", b"b", b"c"]
        assert db.nextkey("aa") == b"b"
        db.reorganize()
        db.sync()
        db.clear()
        assert len(db) == 0


def test_flags(path: Path) -> None:
    for flag in ("r", "w"):
        with pytest.raises(sstore.dbm.error) as caught:
            sstore.dbm.open(path, flag)
        assert caught.value.errno == errno.ENOENT
    assert not path.exists()
    with sstore.dbm.open(path, "c") as db:
        db[b"a"] = b"1"
        with pytest.raises(sstore.dbm.error):
            sstore.dbm.open(path, "w")
        with sstore.dbm.open(path) as reader:
            assert reader[b"a"] == b"1"
            with pytest.raises(sstore.dbm.error) as caught:
                reader[b"a"] = b"2"
            assert caught.value.errno == errno.EROFS
    with sstore.dbm.open(path, "ws") as db:
        assert db[b"a"] == b"1"
        before = db.sstore.stats()
        db[b"b"] = b"2"
        after = db.sstore.stats()
        assert after["durable_sequence"] == after["sequence"] > before["sequence"]
    with sstore.dbm.open(path, "nf") as db:
        assert db.keys() == []
    for flag in ("", "x", "rx", "cu"):
        with pytest.raises(ValueError, match="flag"):
            sstore.dbm.open(path, flag)


def test_a_new_database_takes_the_place_of_a_file_and_leaves_foreign_files(path: Path) -> None:
    path.write_text("not a database")
    with sstore.dbm.open(path, "n") as db:
        db[b"a"] = b"1"
    (path / "foreign").write_text("stays")
    with sstore.dbm.open(path, "n") as db:
        assert not db
    assert (path / "foreign").read_text() == "stays"


def test_the_mode_of_a_new_directory(path: Path) -> None:
    before = os.umask(0o022)
    try:
        sstore.dbm.open(path, "c", 0o640).close()
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o750


def test_closing(path: Path) -> None:
    db = sstore.dbm.open(path, "c")
    db.close()
    db.close()
    with pytest.raises(sstore.dbm.error) as caught:
        db[b"a"]
    assert caught.value.errno == errno.EBADF
    assert isinstance(caught.value.__cause__, sstore.ClosedError)


def test_which_database_it_is(path: Path, tmp_path: Path) -> None:
    assert sstore.dbm.whichdb(path) is None
    sstore.dbm.open(path, "c").close()
    for name in (path, str(path), os.fsencode(path)):
        assert sstore.dbm.whichdb(name) == "sstore.dbm"
    dbm.dumb.open(str(tmp_path / "other"), "c").close()
    assert sstore.dbm.whichdb(tmp_path / "other") == "dbm.dumb"
    assert issubclass(sstore.dbm.error, standard.error)


def test_a_shelf_is_in_order_and_comes_back(path: Path) -> None:
    values: dict[str, Any] = {"b": [1, 2.5, None, True], "a": {"x": {"y": "ü"}}, "ä": "text"}
    with sstore.shelve.open(path, codec="json") as shelf:
        shelf.update(values)
        assert list(shelf) == ["a", "b", "ä"]
    with sstore.shelve.open(path, "r", codec="json") as shelf:
        assert dict(shelf) == values
        with pytest.raises(sstore.ReadOnlyError):
            shelf["c"] = 1
    with pytest.raises(ValueError, match="closed shelf"):
        shelf["a"]
    shelf.close()


def test_a_shelf_of_a_part_leaves_the_rest_alone(db: sstore.DB) -> None:
    db[b"other"] = b"not JSON"
    with sstore.shelve.Shelf(db.prefixed(b"shelf/"), "json") as shelf:
        shelf["a"] = 1
        assert dict(shelf) == {"a": 1}
    assert db[b"shelf/a"] == b"1"
    assert db[b"other"] == b"not JSON"


def test_writeback_writes_what_was_changed(path: Path) -> None:
    for writeback, expected in ((False, [1]), (True, [1, 2])):
        with sstore.shelve.open(path, "n", codec="json", writeback=writeback) as shelf:
            shelf["a"] = [1]
            shelf["gone"] = [1]
            shelf["a"].append(2)
            del shelf["gone"]
            assert shelf["a"] == expected
        with sstore.shelve.open(path, codec="json") as shelf:
            assert dict(shelf) == {"a": expected}


def test_a_codec_must_be_chosen(path: Path) -> None:
    with pytest.raises(TypeError, match="codec"):
        sstore.shelve.open(path)  # type: ignore[call-arg]
    with pytest.raises(ValueError, match="PickleUNSAFE"):
        sstore.shelve.open(path, codec="pickle")
    with pytest.raises(ValueError, match="bytes, json, text"):
        sstore.shelve.open(path, codec="jsno")
    assert not path.exists()


@pytest.mark.parametrize("value", [(1, 2), {"a": (1,)}, {1: 2}, [{"a": {None: 1}}], float("nan"), b"bytes", {1, 2}, object()])
def test_json_refuses_what_would_come_back_as_something_else(value: object, path: Path) -> None:
    with sstore.shelve.open(path, codec="json") as shelf:
        with pytest.raises((TypeError, ValueError)):
            shelf["a"] = value
        assert not shelf


def test_the_other_codecs(path: Path) -> None:
    class Doubled:
        def encode(self, value: Any, /) -> bytes:
            return bytes([value * 2])

        def decode(self, data: bytes, /) -> int:
            return data[0] // 2

    cases: list[tuple[sstore.codecs.Codec | str, Any, bytes]] = [
        ("text", "ü", "ü".encode()), ("bytes", b"\xff", b"\xff"), (Doubled(), 21, b"\x2a"),
        (sstore.codecs.PickleUNSAFE, (1, {2}), pickle.dumps((1, {2}), protocol=5)),
    ]  # fmt: skip
    for codec, value, data in cases:
        with sstore.shelve.open(path, "n", codec=codec) as shelf:
            shelf["a"] = value
            assert shelf["a"] == value
        with sstore.open(path) as db:
            assert db[b"a"] == data
    with sstore.shelve.open(path, "n", codec="text") as shelf, pytest.raises(TypeError, match="text"):
        shelf["a"] = 5
