"""sstore.plyvel beside the real plyvel: the same calls on both, and the same answers.

Where the two differ on purpose, a test says so. plyvel's iterators can leave their range: after a seek to a place outside of it, and after
any seek with ``include_start=False`` or ``include_stop=True``; and in reverse one finds nothing in a range that holds its start alone. So ours are also held
against a list.
"""

from __future__ import annotations

import bisect
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import sstore
import sstore.plyvel as ours

theirs = pytest.importorskip("plyvel", reason="NOT RUN: plyvel has no wheel for this Python")

KEYS = [b"", b"a", b"ab", b"b", b"ba", b"bb", b"bb\x00", b"c", b"d\xff", b"d\xff\xff", b"e", b"\xff", b"\xff\xff"]


def fill(db: Any) -> Any:
    for key in KEYS:
        db.put(key, b"of " + key)
    return db


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Any]]:
    directory = tmp_path_factory.mktemp("filled")
    both = [fill(module.DB(str(directory / name), create_if_missing=True)) for name, module in MODULES]
    yield both
    for db in both:
        db.close()


MODULES: list[tuple[str, Any]] = [("theirs", theirs), ("ours", ours)]


@pytest.fixture
def both(tmp_path: Path) -> Iterator[list[Any]]:
    opened = [module.DB(str(tmp_path / name), create_if_missing=True) for name, module in MODULES]
    yield opened
    for db in opened:
        db.close()


# The names by which a program may catch what a call raises.
CAUGHT_BY_NAME = {"Error", "IOError", "CorruptionError", "IteratorInvalidError"}
CAUGHT = (TypeError, ValueError, RuntimeError, OSError, StopIteration)


def outcome(call: Callable[[], Any]) -> object:
    """What a call gives; of an exception what both share: how it can be caught."""
    try:
        return call()
    except Exception as error:
        names = {kind.__name__ for kind in type(error).__mro__ if not issubclass(kind, sstore.Error)}
        return sorted(names & CAUGHT_BY_NAME | {kind.__name__ for kind in CAUGHT if isinstance(error, kind)})


def same(both: list[Any], *calls: Callable[[Any], Any]) -> None:
    for number, call in enumerate(calls):
        theirs_, ours_ = (outcome(lambda db=db: call(db)) for db in both)  # type: ignore[misc]
        assert ours_ == theirs_, f"call {number}: {ours_!r}, but plyvel: {theirs_!r}"


def batch(db: Any, raises: bool = False, **options: bool) -> list[Any]:
    try:
        with db.write_batch(**options) as batch:
            batch.put(b"in", b"batch")
            batch.delete(b"a")
            if raises:
                raise ZeroDivisionError
    except ZeroDivisionError:
        pass
    return list(db)


def written_twice(db: Any) -> list[Any]:
    batch = db.write_batch()
    batch.put(b"again", b"1")
    batch.write()
    db.delete(b"again")
    batch.write()
    found = list(db)
    batch.clear()
    other = db.write_batch(sync=True)
    other.put(b"other", b"2")
    batch.append(other)
    batch.append(batch)
    batch.write()
    return [found, list(db)]


def under_a_prefix(db: Any) -> list[Any]:
    part = db.prefixed_db(b"p\xff")
    inner = part.prefixed_db(b"\xff")
    part.put(b"", b"empty")
    part.put(b"one", b"1")
    inner.put(b"two", b"2")
    db.put(b"q", b"outside")
    with part.write_batch() as batch:
        batch.put(b"three", b"3")
        batch.delete(b"one")
    snapshot = part.snapshot()
    part.put(b"later", b"4")
    part.delete(b"three")
    backwards = part.iterator(reverse=True, include_value=False)
    return [
        list(part), list(inner), list(snapshot), snapshot.get(b"three"), part.get(b"three"), part.get(b"three", 5),
        list(part.iterator(prefix=b"\xff")), list(part.iterator(start=b"m")), list(part.iterator(stop=b"m", include_stop=True)),
        next(backwards), next(backwards), backwards.prev(), backwards.seek(b"t"), next(backwards),
        list(snapshot.iterator(prefix=b"th")), (part.prefix, inner.prefix, inner.db is db), list(db),
    ]  # fmt: skip


def a_snapshot_outlived(db: Any) -> list[Any]:
    with db.snapshot() as snapshot:
        db.put(b"later", b"1")
        iterator = snapshot.iterator()
        raw = snapshot.raw_iterator()
    raw.seek_to_last()
    found = [list(iterator), raw.item(), outcome(lambda: snapshot.get(b"a")), outcome(snapshot.iterator)]
    snapshot.close()
    snapshot.release()
    return found


def closed(db: Any) -> list[object]:
    iterator, raw, snapshot = db.iterator(), db.raw_iterator(), db.snapshot()
    batch, part = db.write_batch(), db.prefixed_db(b"p")
    batch.put(b"a", b"a")
    db.close()
    db.close()
    calls: list[Callable[[], Any]] = [
        lambda: db.get(b"a"), lambda: db.put(b"a", b"a"), lambda: db.delete(b"a"), lambda: next(iterator), lambda: iterator.seek(b"a"),
        iterator.prev, raw.valid, raw.seek_to_first, lambda: snapshot.get(b"a"), snapshot.iterator, batch.write, batch.clear,
        lambda: batch.put(b"a", b"a"), batch.approximate_size, lambda: part.get(b"a"), lambda: list(part), db.iterator, db.raw_iterator,
        db.snapshot, db.write_batch, db.compact_range, lambda: db.get_property(b"leveldb.stats"), lambda: db.get_property(b"no"),
        lambda: db.approximate_size(b"a", b"b"), snapshot.close, iterator.close, raw.close,
    ]  # fmt: skip
    return [db.closed, *(outcome(call) for call in calls)]


# Each runs on a database of either, filled with KEYS.
SEQUENCES: dict[str, list[Callable[[Any], Any]]] = {
    "gets": [lambda db: db.get(b"a"), lambda db: db.get(b"no"), lambda db: db.get(b"no", b"default"), lambda db: db.get(b"no", default=5),
             lambda db: db.get(b"a", verify_checksums=True, fill_cache=False)],
    "puts": [lambda db: db.put(b"new", bytearray(b"1")), lambda db: db.put(b"new2", memoryview(b"2"), sync=True), lambda db: db.put(b"a", b""),
             lambda db: db.delete(b"no"), lambda db: db.delete(b"b", sync=True), list],
    "wrong arguments": [
        lambda db: db.put("a", b""), lambda db: db.put(b"a", "b"), lambda db: db.put(b"a", None), lambda db: db.put(None, b""),
        lambda db: db.get("a"), lambda db: db.get(None), lambda db: db.get(b"a", b"", True), lambda db: db.put(b"a", b"b", True),
        lambda db: db.iterator(True), lambda db: db.iterator(start="a"), lambda db: db.iterator(prefix=b"a", start=b"b"),
        lambda db: db.iterator(prefix=b"a", stop=b"b"), lambda db: db.raw_iterator().seek("a"), lambda db: db.prefixed_db("a"),
        lambda db: db.prefixed_db(None), lambda db: db.write_batch().append(5), lambda db: db.approximate_sizes((b"a", None)),
        lambda db: db.approximate_sizes(b"a"), lambda db: db.get_property("leveldb.stats"), len, lambda db: db[b"a"],
    ],
    "membership is of pairs": [lambda db: (b"a", b"of a") in db, lambda db: b"a" in db],
    "iterators": [list, lambda db: list(db.iterator(reverse=True)), lambda db: list(db.iterator(include_value=False)),
                  lambda db: list(db.iterator(include_key=False)), lambda db: list(db.iterator(include_key=False, include_value=False)),
                  lambda db: list(db.iterator(prefix=b"b")), lambda db: list(db.iterator(prefix=b"")),
                  lambda db: list(db.iterator(prefix=b"\xff")), lambda db: list(db.iterator(prefix=b"d\xff", reverse=True)),
                  lambda db: list(db.iterator(start=b"c", stop=b"a")), lambda db: list(db.iterator(start=b"a", stop=b"a", include_stop=True))],
    "an iterator in a with block": [lambda db: [next(iterator) for iterator in [db.iterator().__enter__()]]],
    "a batch": [batch], "a batch, synced": [lambda db: batch(db, sync=True)],
    "a batch whose block raises is written": [lambda db: batch(db, raises=True)],
    "a transaction whose block raises is not": [lambda db: batch(db, raises=True, transaction=True)],
    "a transaction": [lambda db: batch(db, transaction=True)],
    "a batch is not empty when written": [written_twice],
    "prefixes": [under_a_prefix], "a snapshot": [a_snapshot_outlived], "closing": [closed],
    "properties": [lambda db: db.compact_range(), lambda db: db.compact_range(start=b"a", stop=b"c"), lambda db: db.get_property(b"no"),
                   lambda db: isinstance(db.get_property(b"leveldb.stats"), bytes), lambda db: db.approximate_sizes(),
                   lambda db: db.get_property(b"leveldb.num-files-at-level6"),
                   lambda db: db.get_property(b"leveldb.approximate-memory-usage").isdigit()],
}  # fmt: skip


@pytest.mark.parametrize("name", SEQUENCES)
def test_a_sequence_gives_the_same(both: list[Any], name: str) -> None:
    for db in both:
        fill(db)
    same(both, *SEQUENCES[name])


def opening(module: Any, directory: Path) -> list[object]:
    path = str(directory / "db")
    found = [outcome(lambda: module.DB(path))]
    sizes = {"write_buffer_size": 1, "block_size": 1, "lru_cache_size": 1 << 20, "bloom_filter_bits": 10}
    db = module.DB(path, create_if_missing=True, compression=None, **sizes)
    found += [db.name == path, db.closed, outcome(lambda: module.DB(path)), outcome(lambda: module.destroy_db(path))]
    db.put(b"a", b"b")
    db.close()
    found += [outcome(lambda: module.DB(path, error_if_exists=True)), outcome(lambda: module.DB(5)), outcome(lambda: module.DB(None))]
    found += [outcome(lambda: module.DB(path, compression="zlib")), outcome(lambda: module.DB(path, compression=5))]
    found += [outcome(lambda: module.DB(path, comparator=lambda one, other: 0))]
    with module.DB(path.encode(), paranoid_checks=True, max_open_files=50, block_restart_interval=8, max_file_size=1 << 21) as db:
        found += [db.name == path.encode(), list(db)]
    module.repair_db(path)
    with module.DB(path) as db:
        found += [list(db)]
    module.destroy_db(path)
    found += [outcome(lambda: module.DB(path)), outcome(lambda: module.destroy_db(path))]
    return found


def test_opening_repairing_and_destroying_are_the_same(tmp_path: Path) -> None:
    found = []
    for name, module in MODULES:
        (tmp_path / name).mkdir()
        found.append(opening(module, tmp_path / name))
    assert found[1] == found[0]


def test_the_errors_are_caught_by_the_same_names() -> None:
    for name in ("Error", "IOError", "CorruptionError", "IteratorInvalidError"):
        bases = [[kind.__name__ for kind in getattr(module, name).__mro__] for _, module in MODULES]
        assert bases[0] == bases[1]


def test_what_is_public_is_there() -> None:
    public = {name for name in dir(theirs) if not name.startswith("_")}
    assert public <= set(ours.__all__)
    for kind in ("DB", "PrefixedDB", "Iterator", "RawIterator", "Snapshot", "WriteBatch"):
        methods = {name for name in dir(getattr(theirs._plyvel, kind)) if not name.startswith("_")}
        assert methods <= set(dir(getattr(ours, kind))), kind


def test_a_comparator_is_refused_with_the_reason(tmp_path: Path) -> None:
    with pytest.raises(NotImplementedError, match="order of their bytes"):
        ours.DB(str(tmp_path), comparator=lambda one, other: 0, comparator_name=b"mine")
    with pytest.raises(NotImplementedError, match="order of their bytes"):
        ours.repair_db(str(tmp_path), comparator=lambda one, other: 0, comparator_name=b"mine")


def test_a_repair_keeps_the_damaged_database(tmp_path: Path) -> None:
    path = tmp_path / "db"
    with ours.DB(path, create_if_missing=True) as db:
        db.put(b"a", b"b")
    for kept in ("db.damaged", "db.damaged.1"):
        ours.repair_db(path)
        assert (tmp_path / kept).is_dir()
    with ours.DB(path) as db:
        assert list(db) == [(b"a", b"b")]
        assert db.sstore[b"a"] == b"b"


def test_sizes_are_about_right(tmp_path: Path) -> None:
    sizes = []
    for name, module in MODULES:
        with module.DB(str(tmp_path / name), create_if_missing=True, compression=None) as db:
            for number in range(4000):
                db.put(b"key %06d" % number, b"%d" % number * 40)
            db.compact_range()
            sizes.append(db.approximate_sizes((b"", b"\xff"), (b"key 001000", b"key 003000"), (b"x", b"y"), (b"b", b"a")))
            assert sizes[-1][0] == db.approximate_size(b"", b"\xff")
            files = [int(db.get_property(b"leveldb.num-files-at-level%d" % level) or 0) for level in range(7)]
            assert sum(files) >= 1
            assert b"key 000000" in db.get_property(b"leveldb.sstables")
    for one, other in zip(*sizes, strict=True):
        assert abs(one - other) <= 0.25 * max(sizes[0]), sizes


# A step of an iterator: a method and its arguments.
bounds = st.sampled_from([*KEYS, b"aa", b"d", b"\xfe"])
moves = st.sampled_from([("__next__", ()), ("prev", ())])
ends = st.sampled_from([("seek_to_start", ()), ("seek_to_stop", ())])
seeks = bounds.map(lambda key: ("seek", (key,)))
ranges = st.fixed_dictionaries({"reverse": st.booleans()}, optional={"start": bounds, "stop": bounds})
shapes = st.fixed_dictionaries({"include_key": st.booleans(), "include_value": st.booleans()})


def play(iterator: Any, steps: list[Any]) -> list[object]:
    return [outcome(lambda step=step: getattr(iterator, step[0])(*step[1])) for step in steps]  # type: ignore[misc]


@settings(max_examples=150, deadline=None)
@given(options=ranges, shape=shapes, steps=st.lists(st.one_of(moves, moves, ends, seeks), max_size=12))
def test_an_iterator_gives_the_same_as_plyvels(
    filled: list[Any], options: dict[str, Any], shape: dict[str, Any], steps: list[Any]
) -> None:
    within = [
        step for step in steps
        if step[0] != "seek" or options.get("start", b"") <= step[1][0] and ("stop" not in options or step[1][0] < options["stop"])
    ]  # fmt: skip
    if "start" in options and "stop" in options and options["start"] > options["stop"]:
        del options["stop"]
        within = [step for step in within if step[0] != "seek"]
    start, stop = options.get("start"), options.get("stop")
    inside = [key for key in KEYS if (start is None or start <= key) and (stop is None or key < stop)]
    # plyvel finds nothing there, although the range includes its start.
    assume(not (options["reverse"] and inside == [start]))
    found = [play(db.iterator(**options, **shape), within) for db in filled]
    assert found[1] == found[0]


@settings(max_examples=150, deadline=None)
@given(
    options=ranges, include=st.fixed_dictionaries({"include_start": st.booleans(), "include_stop": st.booleans()}),
    steps=st.lists(st.one_of(moves, moves, ends, seeks), max_size=12),
)  # fmt: skip
def test_an_iterator_never_leaves_its_range(
    filled: list[Any], options: dict[str, Any], include: dict[str, Any], steps: list[Any]
) -> None:
    start, stop = options.get("start"), options.get("stop")
    keys = [
        key for key in sorted(KEYS)
        if (start is None or key > start or include["include_start"] and key == start)
        and (stop is None or key < stop or include["include_stop"] and key == stop)
    ]  # fmt: skip
    gap = len(keys) if options["reverse"] else 0
    expected: list[object] = []
    for name, arguments in steps:
        if name in ("__next__", "prev"):
            right = (name == "__next__") != options["reverse"]
            at = gap if right else gap - 1
            inside = 0 <= at < len(keys)
            expected.append(keys[at] if inside else ["StopIteration"])
            gap += (1 if right else -1) if inside else 0
        else:
            gap = {"seek_to_start": 0, "seek_to_stop": len(keys)}[name] if not arguments else bisect.bisect_left(keys, arguments[0])
            expected.append(None)
    assert play(filled[1].iterator(**options, **include, include_value=False), steps) == expected


raw_steps = st.sampled_from([(name, ()) for name in ("seek_to_first", "seek_to_last", "next", "prev", "key", "value", "item", "valid")])


@settings(max_examples=150, deadline=None)
@given(steps=st.lists(st.one_of(raw_steps, seeks), max_size=12))
def test_a_raw_iterator_gives_the_same_as_plyvels(filled: list[Any], steps: list[Any]) -> None:
    found = [play(db.raw_iterator(), steps) for db in filled]
    assert found[1] == found[0]


def test_an_iterator_sees_what_was_there(both: list[Any]) -> None:
    def changed(db: Any) -> list[Any]:
        fill(db)
        iterator = db.iterator(include_value=False)
        found = [next(iterator), next(iterator)]
        db.put(b"aa", b"new")
        db.delete(b"ab")
        return [*found, *iterator, iterator.prev(), iterator.seek(b"aa"), next(iterator)]

    same(both, changed)
