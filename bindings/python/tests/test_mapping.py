"""A database, and each of its families, is a MutableMapping over bytes, in key order."""

from __future__ import annotations

import array
import random
from collections.abc import Mapping, MutableMapping

import pytest

import sstore


def test_is_a_mutable_mapping(db: sstore.DB) -> None:
    assert isinstance(db, MutableMapping)
    match db:
        case {}:
            pass
        case _:
            pytest.fail("not a mapping to the match statement")


def test_against_a_dict(db: sstore.DB) -> None:
    rng = random.Random(7)
    family = db.create_column_family("other")
    for mapping in (db, family):
        model: dict[bytes, bytes] = {}
        for _ in range(2000):
            key = b"k%d" % rng.randrange(200)
            match rng.randrange(8):
                case 0 | 1 | 2:
                    mapping[key] = model[key] = rng.randbytes(rng.randrange(40))
                case 3:
                    assert mapping.pop(key, None) == model.pop(key, None)
                case 4:
                    assert mapping.setdefault(key, b"d") == model.setdefault(key, b"d")
                case 5:
                    assert (key in mapping) == (key in model)
                case 6:
                    assert mapping.get(key, 5) == model.get(key, 5)
                case 7:
                    try:
                        del model[key]
                    except KeyError:
                        with pytest.raises(KeyError):
                            del mapping[key]
                    else:
                        del mapping[key]
        assert list(mapping.items()) == sorted(model.items())
        assert list(mapping) == list(mapping.keys()) == sorted(model)
        assert list(mapping.values()) == [model[key] for key in sorted(model)]
        assert list(reversed(mapping)) == sorted(model, reverse=True)
        assert len(mapping) == len(model)
        assert mapping == model
        assert mapping != {b"x": b"y"}


def test_whole_mapping_operations(db: sstore.DB) -> None:
    assert not db
    db.update({b"a": b"1", b"b": b"2"})
    db.update([(b"c", b"3"), [b"d", b"4"]])  # type: ignore[list-item]
    assert db
    assert dict(db) == {b"a": b"1", b"b": b"2", b"c": b"3", b"d": b"4"}
    assert db.keys() & {b"a", b"z"} == {b"a"}
    assert b"3" in db.values()
    assert (b"a", b"1") in db.items()
    assert (b"a", b"2") not in db.items()
    assert db.popitem() == (b"a", b"1")
    assert len(db.keys()) == 3
    db.clear()
    assert not db and len(db) == 0
    with pytest.raises(KeyError):
        db.popitem()


def test_a_missing_key(db: sstore.DB) -> None:
    with pytest.raises(KeyError) as caught:
        db[b"nothing"]
    assert caught.value.args == (b"nothing",)
    assert db.get(b"nothing") is None
    with pytest.raises(KeyError):
        db.pop(b"nothing")
    db.delete(b"nothing")


@pytest.mark.parametrize(
    "key",
    [
        bytearray(b"abcd"),
        memoryview(b"abcd"),
        memoryview(b"a_b_c_d_")[::2],
        array.array("i", [1684234849]),
    ],
)
def test_buffers_are_keys_and_values(db: sstore.DB, key: bytes) -> None:
    db[key] = key
    assert db[b"abcd"] == b"abcd"
    assert type(db[key]) is bytes
    assert key in db
    assert db.multi_get([key, b"none"]) == [b"abcd", None]


@pytest.mark.parametrize("key", ["text", 5, None, [1, 2]])
def test_what_is_not_bytes_is_refused(db: sstore.DB, key: object) -> None:
    for call in (
        lambda: db.put(key, b""),  # type: ignore[arg-type]
        lambda: db.put(b"", key),  # type: ignore[arg-type]
        lambda: db.get(key),  # type: ignore[call-overload]
        lambda: key in db,
        lambda: db.put_many([(key, b"")]),  # type: ignore[list-item]
    ):
        with pytest.raises(TypeError, match="encode" if isinstance(key, str) else "buffer"):
            call()


def test_sizes(db: sstore.DB) -> None:
    db[b""] = b""
    assert db[b""] == b""
    large = bytes(range(256)) * 8192
    db[b"k" * sstore.MAX_KEY_BYTES] = large
    assert db[b"k" * sstore.MAX_KEY_BYTES] == large
    with pytest.raises(sstore.InvalidArgumentError, match="65537"):
        db[b"k" * (sstore.MAX_KEY_BYTES + 1)] = b""


def test_many_at_once(db: sstore.DB) -> None:
    pairs = [(b"%06d" % i, b"v%d" % i) for i in range(20_000)]
    assert db.put_many(pairs) == 20_000
    assert list(db.items()) == pairs
    assert db.multi_get([b"000001", b"x", b"000003"], b"?") == [b"v1", b"?", b"v3"]
    assert db.delete_many(key for key, _ in pairs[1:]) == 19_999
    assert list(db) == [b"000000"]
    assert db.put_many(dict(pairs), atomic=False) == 20_000
    assert len(db) == 20_000


def test_put_many_is_all_or_nothing(db: sstore.DB) -> None:
    def pairs() -> object:
        yield b"a", b"1"
        raise LookupError("midway")

    with pytest.raises(LookupError):
        db.put_many(pairs())  # type: ignore[call-overload]
    assert not db


def test_conditional_writes(db: sstore.DB) -> None:
    first = db.put_if_absent(b"k", b"1")
    with pytest.raises(sstore.ConflictError) as caught:
        db.put_if_absent(b"k", b"2")
    assert caught.value.retryable
    assert db.get_with_sequence(b"k") == (b"1", first)
    second = db.replace(b"k", b"2", first)
    assert second > first
    with pytest.raises(sstore.ConflictError):
        db.replace(b"k", b"3", first)
    assert db[b"k"] == b"2"
    assert db.get_with_sequence(b"none") is None


def test_a_batch_under_a_condition(db: sstore.DB) -> None:
    family = db.create_column_family("f")
    batch = db.write_batch()
    batch.put(b"a", b"1")
    batch.put(b"b", b"1", column_family=family)
    sequence = db.write_if(b"lock", None, batch)
    assert db[b"a"] == family[b"b"] == b"1" and len(batch) == 0 and sequence == db.stats()["sequence"]
    found = db.get_with_sequence(b"a")
    assert found is not None
    batch.put(b"a", b"2")
    with pytest.raises(sstore.ConflictError):
        db.write_if(b"a", None, batch)
    with pytest.raises(sstore.ConflictError):
        db.write_if(b"a", found[1] + 1, batch)
    assert db[b"a"] == b"1" and len(batch) == 1
    db.write_if(b"a", found[1], batch, sync=True)
    assert db[b"a"] == b"2"
    with pytest.raises(sstore.InvalidArgumentError):
        db.write_if(b"a", None, batch)


def test_durability_of_one_write(db: sstore.DB) -> None:
    sequence = db.put(b"a", b"1", sync=True)
    assert db.stats()["durable_sequence"] >= sequence
    db.put(b"b", b"2", sync=False)
    db.delete(b"b", sync=True)
    db.sync()
    assert isinstance(db, Mapping) and dict(db) == {b"a": b"1"}
