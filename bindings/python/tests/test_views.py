"""Views of a mapping, keys with a prefix, snapshots as mappings, and values without a copy."""

from __future__ import annotations

import array
import collections.abc
import gc
import pickle
import threading
from pathlib import Path
from typing import Any

import pytest

import sstore

KEYS = [b"%03d" % i for i in range(0, 100, 2)]


@pytest.fixture
def filled(db: sstore.DB) -> sstore.DB:
    db.put_many((key, b"v" + key) for key in KEYS)
    return db


def test_views_are_lazy_sorted_and_sets(filled: sstore.DB) -> None:
    keys, values, items = filled.keys(), filled.values(), filled.items()
    assert isinstance(keys, collections.abc.KeysView) and isinstance(items, collections.abc.ItemsView)
    assert (len(keys), len(values), len(items)) == (50, 50, 50)
    filled[b"zz"] = b"new"
    assert list(keys)[-1] == b"zz" and list(values)[-1] == b"new" and list(items)[-1] == (b"zz", b"new")
    assert next(reversed(keys)) == b"zz" and next(reversed(values)) == b"new" and next(reversed(items)) == (b"zz", b"new")
    assert keys & {b"000", b"001"} == {b"000"}
    assert keys - set(KEYS) == {b"zz"}
    assert {b"000"} <= keys and not keys <= {b"000"}
    assert keys.isdisjoint([b"001"]) and keys | {b"1"} == {*KEYS, b"zz", b"1"}
    everything: object = {*KEYS, b"zz"}
    assert keys == everything
    assert b"new" in values and b"none" not in values
    assert (b"zz", b"new") in items and (b"zz", b"old") not in items and (b"y", b"") not in items
    assert "SortedKeys" in repr(keys)
    with pytest.raises(TypeError, match="encode"):
        keys.__contains__("000")


def test_ranges_of_views(filled: sstore.DB) -> None:
    part = filled.keys().range(b"010", b"020")
    assert list(part) == [b"010", b"012", b"014", b"016", b"018"]
    assert list(reversed(part)) == list(part)[::-1]
    assert len(part) == 5
    assert b"010" in part and b"020" not in part and b"008" not in part and b"011" not in part
    assert list(part.range(b"000", b"014")) == [b"010", b"012"]
    assert list(part.range(stop=b"9")) == list(part)
    assert list(filled.values().range(bytearray(b"096"))) == [b"v096", b"v098"]
    assert list(filled.items().range(stop=b"002")) == [(b"000", b"v000")]
    assert (b"002", b"v002") not in filled.items().range(stop=b"002")
    assert list(filled.keys().range(b"5", b"4")) == []
    with pytest.raises(TypeError, match="encode"):
        filled.keys().range("0")  # type: ignore[arg-type]
    assert filled.count(b"010", b"020") == 5
    assert filled.count(prefix=b"01") == 5


def test_or_in_place(filled: sstore.DB) -> None:
    same = filled
    filled |= {b"000": b"changed"}
    filled |= [(b"a", b"1")]
    assert filled is same and filled[b"000"] == b"changed" and filled[b"a"] == b"1"
    family = filled.create_column_family("f")
    family |= filled
    assert family == filled


def test_pop_gives_each_value_to_one_thread(db: sstore.DB) -> None:
    db.put_many((b"%04d" % i, b"%d" % i) for i in range(500))
    taken: list[list[bytes]] = [[], [], []]

    def work(mine: list[bytes]) -> None:
        try:
            while True:
                mine.append(db.popitem()[1])
        except KeyError:
            pass

    threads = [threading.Thread(target=work, args=(mine,)) for mine in taken]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(int(value) for mine in taken for value in mine) == list(range(500))


def test_prefixed(db: sstore.DB) -> None:
    db.update({b"a": b"", b"user:": b"root", b"user:1": b"one", b"user:2": b"two", b"user;": b""})
    users = db.prefixed(b"user:")
    assert isinstance(users, collections.abc.MutableMapping)
    assert dict(users) == {b"": b"root", b"1": b"one", b"2": b"two"}
    assert list(reversed(users)) == [b"2", b"1", b""]
    assert (len(users), users[b"1"], users.get(b"3"), b"2" in users, bool(users)) == (3, b"one", None, True, True)
    assert users == {b"": b"root", b"1": b"one", b"2": b"two"}
    assert users.multi_get([b"2", b"9"], b"-") == [b"two", b"-"]
    assert list(users.iter(b"1", reverse=True)) == [(b"2", b"two"), (b"1", b"one")]
    assert list(users.iter(b"1", include_start=False, values=False)) == [b"2"]
    assert list(users.keys().range(b"1", b"2")) == [b"1"] and len(users.items().range(b"1")) == 2
    cursor = users.cursor()
    assert cursor.seek(b"1") and cursor.item() == (b"1", b"one")
    assert cursor.next() and cursor.key() == b"2" and not cursor.next()
    assert cursor.last() and cursor.key() == b"2"
    assert cursor.seek_for_prev(b"0") and cursor.key() == b""
    assert users.scan_arrow().to_pylist()[1] == {"key": b"1", "value": b"one"}
    users[bytearray(b"3")] = b"three"
    users.put_many({b"4": b"four"})
    assert users.pop(b"4") == b"four" and users.pop(b"4", None) is None
    assert users.setdefault(b"5", b"five") == b"five"
    del users[b"5"]
    users |= {b"1:x": b"nested"}
    assert dict(users.prefixed(b"1:")) == {b"x": b"nested"}
    assert bytes(users.get_view(b"3") or b"") == b"three"
    with pytest.raises(KeyError) as caught:
        users[b"5"]
    assert caught.value.args == (b"5",)
    with pytest.raises(TypeError, match="encode"):
        users["1"]  # type: ignore[index]
    with pytest.raises(TypeError, match="prefix"):
        users.iter(prefix=b"x")
    with db.snapshot() as snapshot:
        users.clear()
        assert not users and list(db) == [b"a", b"user;"]
        old = snapshot.prefixed(b"user:")
        assert not isinstance(old, collections.abc.MutableMapping)
        assert list(old) == [b"", b"1", b"1:x", b"2", b"3"] and old.count(b"2") == 2
    with pytest.raises(TypeError, match="pickle"):
        pickle.dumps(users)


def test_a_prefix_that_ends_in_ff(db: sstore.DB) -> None:
    db.update({b"\xff": b"", b"\xff\xff": b"1", b"\xff\xff\xff": b"2"})
    assert dict(db.prefixed(b"\xff\xff")) == {b"": b"1", b"\xff": b"2"}


def test_a_snapshot_is_a_mapping(filled: sstore.DB) -> None:
    family = filled.create_column_family("f")
    family[b"a"] = b"1"
    with filled.snapshot() as snapshot:
        filled.clear()
        family.clear()
        assert isinstance(snapshot, collections.abc.Mapping)
        assert list(snapshot.keys()) == KEYS == list(snapshot) and len(snapshot) == 50 and snapshot
        assert list(reversed(snapshot)) == KEYS[::-1]
        assert snapshot == {key: b"v" + key for key in KEYS} and dict(snapshot) != {}
        assert list(snapshot.values().range(b"096")) == [b"v096", b"v098"]
        assert snapshot.scan_arrow(b"096", keys=False).to_pylist() == [{"value": b"v096"}, {"value": b"v098"}]
        cursor = snapshot.cursor()
        assert cursor.last() and cursor.key() == b"098"
        assert bytes(snapshot.get_view(b"000") or b"") == b"v000"
        assert snapshot.get_into(b"000", bytearray(4)) == 4
        assert bytes(snapshot.get_view(b"a", column_family=family) or b"") == b"1"
        assert dict(snapshot.prefixed(b"", column_family=family)) == {b"a": b"1"}
        assert snapshot.count(column_family=family) == 1
    with filled.snapshot() as snapshot:
        assert not snapshot and len(snapshot) == 0


@pytest.mark.parametrize("flushed", [False, True])
def test_a_view_of_a_value_outlives_everything(path: Path, flushed: bool) -> None:
    db = sstore.open(path)
    value = bytes(range(256)) * 40
    db[b"k"], db[b"empty"] = value, b""
    if flushed:
        db.flush()
    view, empty = db.get_view(b"k"), db.get_view(b"empty")
    assert view is not None and empty is not None and db.get_view(b"none") is None
    assert view.readonly and view.format == "B" and view.nbytes == len(value) and len(empty) == 0
    with pytest.raises(TypeError):
        view[0] = 1
    db[b"k"] = b"other"
    db.delete(b"k")
    db.flush()
    db.compact()
    db.close()
    del db
    gc.collect()
    assert view == value and bytes(view[-3:]) == value[-3:]


def test_get_into(filled: sstore.DB) -> None:
    buffer = bytearray(b"-" * 6)
    assert filled.get_into(b"010", buffer) == 4
    assert buffer == b"v010--"
    assert filled.get_into(b"none", buffer) is None
    assert filled.get_into(b"010", memoryview(buffer)[2:]) == 4
    assert buffer == b"v0v010"
    numbers = array.array("I", [0])
    assert filled.get_into(b"010", numbers) == 4
    assert numbers.tobytes() == b"v010"
    with pytest.raises(sstore.TooSmallError, match="4 bytes, the buffer room for 3"):
        filled.get_into(b"010", bytearray(3))
    wrong: Any
    for wrong in (bytes(6), memoryview(buffer)[::2], 5):
        with pytest.raises((TypeError, BufferError)):
            filled.get_into(b"010", wrong)
