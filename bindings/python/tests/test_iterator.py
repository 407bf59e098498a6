"""Iteration: bounds, directions, what is yielded, seeking, and what an iterator does not see."""

from __future__ import annotations

import itertools
import threading
from pathlib import Path

import pytest

import sstore

KEYS = [b"%03d" % i for i in range(0, 200, 2)]


@pytest.fixture
def filled(db: sstore.DB) -> sstore.DB:
    db.put_many((key, b"v" + key) for key in KEYS)
    return db


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("include_start", [False, True])
@pytest.mark.parametrize("include_stop", [False, True])
def test_bounds(filled: sstore.DB, reverse: bool, include_start: bool, include_stop: bool) -> None:
    bounds = [None, b"", b"010", b"011", b"198", b"3"]
    for start, stop in itertools.product(bounds, bounds):
        want = [
            key
            for key in KEYS
            if (start is None or key > start or (include_start and key == start))
            and (stop is None or key < stop or (include_stop and key == stop))
        ]
        got = list(
            filled.iter(
                start,
                stop,
                reverse=reverse,
                values=False,
                include_start=include_start,
                include_stop=include_stop,
            )
        )
        assert got == want[:: -1 if reverse else 1], (start, stop)


def test_prefix(filled: sstore.DB) -> None:
    assert list(filled.iter(prefix=b"01", values=False)) == [b"010", b"012", b"014", b"016", b"018"]
    assert list(filled.iter(b"014", prefix=b"01", values=False)) == [b"014", b"016", b"018"]
    filled[b"\xff\xff\x01"] = b""
    assert list(filled.iter(prefix=b"\xff\xff", values=False)) == [b"\xff\xff\x01"]
    assert list(filled.iter(prefix=b"nothing")) == []


def test_what_is_yielded(filled: sstore.DB) -> None:
    assert next(filled.iter()) == (b"000", b"v000")
    assert next(filled.iter(keys=False)) == b"v000"
    assert next(filled.iter(values=False)) == b"000"
    assert next(filled.iter(keys=False, values=False)) is None


def test_many_batches_both_ways(db: sstore.DB) -> None:
    pairs = [(b"%08d" % i, bytes(i % 50)) for i in range(12_345)]
    db.put_many(pairs)
    assert list(db.iter()) == pairs
    assert list(db.iter(reverse=True)) == pairs[::-1]
    assert list(db.iter(scan=True)) == pairs


def test_next_batch_and_seek(filled: sstore.DB) -> None:
    with filled.iter(values=False) as iterator:
        assert iterator.next_batch(3) == KEYS[:3]
        iterator.seek(b"101")
        assert next(iterator) == b"102"
        iterator.seek(b"9")
        assert next(iterator, None) is None
        iterator.seek(b"")
        assert iterator.next_batch(1000) == KEYS
        assert iterator.next_batch() == []
    backward = filled.iter(values=False, reverse=True)
    backward.seek(b"101")
    assert next(backward) == b"100"


def test_an_iterator_does_not_see_later_writes(filled: sstore.DB) -> None:
    iterator = filled.iter(values=False)
    filled.clear()
    filled[b"zzz"] = b""
    assert list(iterator) == KEYS
    assert list(filled) == [b"zzz"]


def test_threads_share_an_iterator(db: sstore.DB) -> None:
    keys = [b"%06d" % i for i in range(20_000)]
    db.put_many((key, b"") for key in keys)
    iterator = db.iter(values=False)
    parts: list[list[bytes]] = [[], [], []]
    threads = [threading.Thread(target=part.extend, args=(iterator,)) for part in parts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(itertools.chain(*parts)) == keys
    assert all(part == sorted(part) for part in parts)


def test_ends_with_the_database(path: Path) -> None:
    db = sstore.open(path)
    db.put_many((key, b"") for key in KEYS)
    iterator = iter(db)
    next(iterator)
    with pytest.raises(sstore.BusyError):
        db.close(force=False)
    assert next(iterator) == KEYS[1]
    db.close()
    with pytest.raises(sstore.ClosedError):
        next(iterator)
    iterator.close()
    iterator.close()
