"""Long calls: progress, calling off, Ctrl-C; and short ones beside a thread that wants the interpreter for itself."""

from __future__ import annotations

import fcntl
import itertools
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import sstore
from test_process import run


@pytest.fixture
def filled(db: sstore.DB) -> sstore.DB:
    for part in range(4):
        db.put_many((b"%d-%05d" % (part, i), b"v" * 50) for i in range(1000))
        db.flush()
    return db


def test_progress_of_verify(filled: sstore.DB) -> None:
    # Nothing is left to merge meanwhile.
    filled.compact()
    heard: list[sstore.Progress] = []
    filled.verify(progress=heard.append)
    last = heard[-1]
    total = sum(segment.size_bytes for segment in filled.segments())
    assert (last.phase, last.unit, last.done, last.total) == ("verify", "bytes", total, total)


def test_progress_of_compact(filled: sstore.DB) -> None:
    filled.create_column_family("f")
    heard: list[sstore.Progress] = []
    filled.compact(progress=heard.append)
    assert (heard[-1].phase, heard[-1].unit, heard[-1].done, heard[-1].total) == ("compact", "collections", 2, 2)
    assert len(filled.segments()) == 1


def test_progress_is_told_ten_times_a_second_at_most_and_calls_off(path: Path) -> None:
    # A check of many small files takes longer than the first slice.
    with sstore.open(path) as db:
        for part in range(30):
            db.put_many((b"%d-%06d" % (part, i), b"v" * 100) for i in range(4000))
            db.flush()
        begun, told = time.monotonic(), []

        def hear(progress: sstore.Progress) -> None:
            told.append(progress.done)

        while len(told) < 3 and time.monotonic() - begun < 20:
            db.verify(progress=hear)
        assert len(told) <= (time.monotonic() - begun) * 10 + 20
        assert told[0] <= told[-1]

        def fail(progress: sstore.Progress) -> None:
            raise LookupError("enough")

        with pytest.raises(LookupError, match="enough"):
            db.verify(progress=fail)
        with pytest.raises(TypeError, match="callable"):
            db.verify(progress=5)  # type: ignore[arg-type]
        # Called off at the end, when nothing is left to call off, or before: never anything else.
        try:
            db.verify(progress=lambda progress: False)
        except sstore.CancelledError as error:
            assert error.retryable
        assert len(db) == 120_000


@pytest.fixture
def logged(path: Path) -> Iterator[sstore.DB]:
    """A database with much in memory and in the log: what writes it to files, or reads the log, takes several slices."""
    with sstore.open(path, write_buffer_bytes="512MiB", memory_budget_bytes="2GiB", flush_on_close=False) as db:
        value = bytes(1000)
        db.put_many(((b"%06d" % i, value) for i in range(50_000)), atomic=False)
        yield db


def call_off(how: str) -> Callable[[sstore.Progress], bool | None]:
    """A callable that calls off what is in the middle."""

    def hear(progress: sstore.Progress) -> bool | None:
        if progress.total and progress.done >= progress.total:
            return None
        if how == "raise":
            raise LookupError("enough")
        if how == "ctrl-c":
            signal.raise_signal(signal.SIGINT)
        return False

    return hear


ENDS = {"raise": LookupError, "ctrl-c": KeyboardInterrupt, "false": sstore.CancelledError}


@pytest.mark.parametrize("how", ENDS)
def test_an_export_that_is_called_off_leaves_nothing(logged: sstore.DB, tmp_path: Path, how: str) -> None:
    with pytest.raises(ENDS[how]):
        logged.export(tmp_path / "export", progress=call_off(how))
    assert [each.name for each in tmp_path.iterdir()] == ["db"], "nothing goes on behind the program's back"
    heard: list[sstore.Progress] = []
    export = logged.export(tmp_path / "export", progress=heard.append)
    assert (heard[-1].phase, heard[-1].unit, heard[-1].done) == ("export", "bytes", sum(file.file.size_bytes for file in export.files))
    assert all(one.done <= other.done for one, other in itertools.pairwise(heard))


@pytest.mark.parametrize("how", ENDS)
def test_a_repair_that_is_called_off_leaves_nothing(logged: sstore.DB, path: Path, tmp_path: Path, how: str) -> None:
    logged.close()
    with pytest.raises(ENDS[how]):
        sstore.repair(path, tmp_path / "new", progress=call_off(how))
    with open(path / "LOCK") as lock:
        # A repair that still went on would hold it.
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    assert [each.name for each in tmp_path.iterdir()] == ["db"], "nothing goes on behind the program's back"
    if how == "raise":
        heard: list[sstore.Progress] = []
        report = sstore.repair(path, tmp_path / "new", progress=heard.append)
        assert report.log_operations == 50_000
        assert (heard[-1].phase, heard[-1].unit) == ("repair", "bytes") and heard[-1].done == heard[-1].total > 100_000_000
        with pytest.raises(TypeError, match="progress must be callable"):
            sstore.repair(path, tmp_path / "new2", progress=5)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]


def slowly(count: int) -> Iterator[int]:
    for number in range(count):
        if number % 10_000 == 0:
            time.sleep(0.05)
        yield number


def test_progress_of_put_many(db: sstore.DB) -> None:
    heard: list[sstore.Progress] = []
    assert db.put_many(((b"%06d" % i, b"v") for i in slowly(50_000)), progress=heard.append) == 50_000
    assert len(heard) > 1 and heard[-1] == sstore.Progress(50_000, 50_000, "pairs", "put_many")
    assert all(0 < told.done < 50_000 and told.total == 0 for told in heard[:-1]), "nobody knows how many an iterator has"
    heard.clear()
    db.put_many([b"a", b"b"], [b"1", b"2"], progress=heard.append)
    assert heard == [sstore.Progress(2, 2, "pairs", "put_many")]
    db.clear()
    for atomic in (True, False):
        with pytest.raises(sstore.CancelledError):
            db.put_many(((b"%06d" % i, bytes(1000)) for i in slowly(50_000)), atomic=atomic, progress=lambda progress: False)
        assert (len(db) == 0) == atomic, "of what is to be atomic nothing is there"
    with pytest.raises(TypeError, match="progress must be callable"):
        db.put_many({}, progress=1)  # type: ignore[call-overload] # pyright: ignore[reportArgumentType, reportCallIssue]


def test_progress_of_append(db: sstore.DB) -> None:
    pa = pytest.importorskip("pyarrow")
    table = db.table("t", {"id": "int64"}, key="id")

    def batches(count: int) -> Any:
        schema = pa.schema({"id": pa.int64()})

        def made() -> Iterator[Any]:
            for number in range(count):
                time.sleep(0.06)
                yield pa.record_batch({"id": range(number * 100_000, (number + 1) * 100_000)}, schema)

        return pa.RecordBatchReader.from_batches(schema, made())

    heard: list[sstore.Progress] = []
    assert table.append(batches(4), progress=heard.append) == 400_000
    assert len(heard) > 1 and heard[-1] == sstore.Progress(400_000, 400_000, "rows", "append")
    for atomic in (True, False):
        table = db.table(f"t{atomic}", {"id": "int64"}, key="id")
        with pytest.raises(sstore.CancelledError):
            table.append(batches(8), atomic=atomic, progress=lambda progress: False)
        assert (len(table) == 0) == atomic, "of what is to be atomic nothing is there"


CTRL_C = """
import itertools, os, signal, sys, threading, time, sstore
db = sstore.open(sys.argv[1])
keys = [b"%06d" % i for i in range(20_000)]
db.put_many(keys, keys)
db.flush()

def forever(call):
    while True:
        call()

if sys.argv[2] in ("append", "put_many, a stream"):
    # For these alone: the first batch imports pandas too, which takes longer than all the rest.
    import pyarrow as pa
    batch = pa.record_batch({"key": [b"a"] * 1000, "value": [b"1"] * 1000})
places = (sys.argv[1] + str(number) for number in itertools.count())
source = next(places)
with sstore.open(source) as other:
    other.put_many(keys, keys)
calls = {
    "compact": lambda: forever(db.compact),
    "verify": lambda: forever(db.verify),
    "flush": lambda: forever(db.flush),
    "export": lambda: forever(lambda: db.export(next(places))),
    "repair": lambda: forever(lambda: sstore.repair(source, next(places))),
    "count": lambda: forever(db.count),
    "multi_get": lambda: forever(lambda: db.multi_get(keys)),
    "scan_arrow": lambda: forever(lambda: sum(len(batch) for batch in db.scan_arrow())),
    "put_many, an iterator": lambda: db.put_many(((b"a", b"1") for _ in itertools.count()), atomic=False),
    "put_many, a stream": lambda: db.put_many(pa.RecordBatchReader.from_batches(batch.schema, itertools.repeat(batch)), atomic=False),
    "delete_many": lambda: db.delete_many((b"a" for _ in itertools.count()), atomic=False),
    "append": lambda: db.table("t", batch.schema).append(
        pa.RecordBatchReader.from_batches(batch.schema, itertools.repeat(batch)), atomic=False),
    "cursor": lambda: forever(lambda: [cursor.first() and cursor.next_batch(10**6) for cursor in [db.cursor()]]),
}
threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
begun = time.monotonic()
try:
    calls[sys.argv[2]]()
except KeyboardInterrupt:
    assert time.monotonic() - begun < 20
    db.close()
    assert not [name for name in os.listdir(os.path.dirname(sys.argv[1])) if name.endswith(".tmp")]
    print("ended")
"""


@pytest.mark.parametrize(
    "call",
    [
        "compact",
        "verify",
        "flush",
        "export",
        "repair",
        "count",
        "multi_get",
        "scan_arrow",
        "put_many, an iterator",
        "put_many, a stream",
        "delete_many",
        "append",
        "cursor",
    ],
)
def test_ctrl_c(path: Path, call: str) -> None:
    assert run(CTRL_C, path, call) == "ended\n"


def test_what_is_in_memory_does_not_wait_for_a_spinning_thread(path: Path) -> None:
    # A call that let go of the interpreter would get it back after the switch interval: 100 calls would take 10 seconds.
    with sstore.open(path, durability="buffered") as db:
        db.put_many((b"%04d" % i, b"v" * 100) for i in range(1000))
        ended = threading.Event()

        def spin() -> None:
            while not ended.is_set():
                pass

        calls: dict[str, Callable[[bytes], object]] = {
            "get": db.get,
            "item": lambda key: db[key],
            "in": lambda key: key in db,
            "view": db.get_view,
            "put": lambda key: db.put(key, b"w"),
            "delete": db.delete,
        }
        interval = sys.getswitchinterval()
        thread = threading.Thread(target=spin)
        sys.setswitchinterval(0.1)
        try:
            thread.start()
            for name, call in calls.items():
                begun = time.monotonic()
                for i in range(100):
                    call(b"%04d" % i)
                assert time.monotonic() - begun < 3, name
        finally:
            sys.setswitchinterval(interval)
            ended.set()
            thread.join()


def wait_and_tell(gate: threading.Lock, reached: threading.Event) -> None:
    gate.acquire()
    reached.set()


def test_what_takes_long_lets_other_threads_run(path: Path) -> None:
    with sstore.open(path) as db:
        keys = [b"%06d" % i for i in range(50_000)]
        db.put_many(keys, keys)
        interval = sys.getswitchinterval()
        # Without letting go on its own a call would keep the others waiting for longer than any of these takes.
        sys.setswitchinterval(60)
        try:
            calls: list[Callable[[], object]] = [
                lambda: db.multi_get(keys),
                lambda: db.multi_get_arrow(keys),
                lambda: db.put_many(keys, keys),
                lambda: len(db),
                lambda: db.flush(),
                lambda: db.verify(),
                lambda: db.compact(),
                lambda: next(db.scan_arrow()),
            ]
            for call in calls:
                # Starting a thread waits for it; so it is held up until just before the call.
                gate, reached = threading.Lock(), threading.Event()
                gate.acquire()
                thread = threading.Thread(target=wait_and_tell, args=(gate, reached))
                thread.start()
                gate.release()
                begun = time.monotonic()
                while not reached.is_set():
                    call()
                    assert time.monotonic() - begun < 20, "it keeps the interpreter for itself"
                thread.join()
        finally:
            sys.setswitchinterval(interval)


def test_a_sub_interpreter_is_refused_politely(path: Path) -> None:
    out = run(
        """
        import sys, textwrap, sstore
        try:
            import _interpreters as interpreters
        except ImportError:
            import _xxsubinterpreters as interpreters
        other = interpreters.create()
        code = textwrap.dedent('''
            try:
                import sstore
            except ImportError as error:
                assert "interpreter" in str(error), error
            else:
                raise AssertionError("imported")
        ''')
        failed = interpreters.run_string(other, code)
        assert failed is None, failed
        interpreters.destroy(other)
        with sstore.open(sys.argv[1]) as db:
            db[b"a"] = b"1"
        print("fine")
        """,
        path,
    )
    assert out == "fine\n"


def test_the_interpreter_ends_with_everything_open(path: Path) -> None:
    run(
        """
        import sys, threading, pyarrow as pa, sstore
        db = sstore.open(sys.argv[1])
        db.put_many((b"%06d" % i, bytes(100)) for i in range(20_000))
        db.flush()
        cursor, view, scan, array = db.cursor(), db.get_view(b"000001"), db.scan_arrow(), db.multi_get_arrow([b"000001"])
        cursor.first()
        reader = pa.RecordBatchReader.from_stream(db.scan_arrow(batch_rows=100))
        reader.read_next_batch()
        users = db.prefixed(b"0")
        def work():
            try:
                while True:
                    db.compact()
                    db.verify()
            except sstore.ClosedError:
                pass
        threading.Thread(target=work, daemon=True).start()
        """,
        path,
    )
    with sstore.open(path) as db:
        assert len(db) == 20_000
