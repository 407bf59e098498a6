"""Forks, the end of the interpreter, Ctrl-C: each in a process of its own."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import sstore


def run(script: str, path: Path, *arguments: str) -> str:
    """Runs `script` with the database's path as first argument; it must end well and in silence."""
    done = subprocess.run(
        [sys.executable, "-X", "faulthandler", "-c", textwrap.dedent(script), str(path), *arguments],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


def test_the_interpreter_ends_with_an_open_database(path: Path) -> None:
    run(
        """
        import sys, threading, sstore
        db = sstore.open(sys.argv[1], on_event=lambda event: str(event))
        family, iterator, snapshot = db.create_column_family("f"), iter(db), db.snapshot()
        db[b"a"] = b"1"
        token = db.flush(wait=False)
        def work():
            try:
                while True:
                    db[b"b"] = b"2"
                    db.flush()
            except sstore.ClosedError:
                pass
        threading.Thread(target=work, daemon=True).start()
        """,
        path,
    )
    with sstore.open(path) as db:
        assert db[b"a"] == b"1"


def test_the_interpreter_ends_while_lines_are_logged(path: Path) -> None:
    run(
        """
        import logging, os, sys, threading, sstore
        logging.basicConfig(level=logging.DEBUG, stream=open(os.devnull, "w"))
        db = sstore.open(sys.argv[1])
        begun = threading.Event()
        def work():
            try:
                while True:
                    db[b"a"] = b"1"
                    db.flush()
                    begun.set()
            except sstore.ClosedError:
                pass
        for _ in range(2):
            threading.Thread(target=work, daemon=True).start()
        begun.wait()
        """,
        path,
    )
    with sstore.open(path) as db:
        assert db[b"a"] == b"1"


def test_without_handlers_nothing_is_written(path: Path) -> None:
    # `run` looks at standard error. A file that is gone is told as an error.
    run(
        """
        import logging, sys, sstore
        from pathlib import Path
        with sstore.open(sys.argv[1]) as db:
            db[b"a"] = b"1"
            db.flush()
            (segment,) = db.segments()
        segment.path.write_bytes(b"damaged" * (segment.size_bytes // 7 + 1))
        with sstore.open(sys.argv[1]) as db:
            assert db.background_error is not None
        lines = []
        handler = logging.Handler()
        handler.emit = lambda record: lines.append((record.levelno, record.getMessage()))
        logging.getLogger().addHandler(handler)
        sstore.open(sys.argv[1]).close()
        assert [level for level, line in lines] == [logging.ERROR] and "file_broken" in lines[0][1], lines
        """,
        path,
    )


@pytest.mark.parametrize("read_only", ["", "read_only"])
def test_a_cycle_through_the_callback_is_collected(path: Path, read_only: str) -> None:
    run(
        """
        import gc, sys, time, weakref, sstore
        sstore.open(sys.argv[1]).close()
        class Owner:
            def __init__(self):
                self.db = sstore.open(sys.argv[1], on_event=self.seen, read_only=bool(sys.argv[2]))
            def seen(self, event):
                pass
        owner = Owner()
        gone = weakref.ref(owner)
        del owner
        # An event that is being delivered at this moment, as those of the opening may be, still holds the callable.
        until = time.monotonic() + 10
        while gone() is not None and time.monotonic() < until:
            gc.collect()
            time.sleep(0.01)
        assert gone() is None
        sstore.open(sys.argv[1]).close()
        """,
        path,
        read_only,
    )


@pytest.mark.parametrize("last", ["db", "family", "token", "iterator", "snapshot", "batch", "cursor", "scan", "prefixed"])
def test_the_last_object_closes_without_the_interpreter_lock(path: Path, last: str) -> None:
    # Closing flushes, and waits until the flush's events were delivered, for which their thread needs the lock.
    run(
        """
        import gc, sys, sstore
        seen = []
        def listen(event):
            seen.append(event.kind)
        db = sstore.open(sys.argv[1], on_event=listen, flush_on_close=True)
        db[b"a"] = b"1"
        token = db.flush(wait=False)
        token.wait()
        objects = {"db": db, "token": token, "family": db.create_column_family("f"), "iterator": iter(db),
                   "snapshot": db.snapshot(), "batch": db.write_batch(),
                   "cursor": db.cursor(), "scan": db.scan_arrow(), "prefixed": db.prefixed(b"a")}
        next(objects["iterator"])
        db[b"b"] = b"2"
        del db, token
        kept = objects.pop(sys.argv[2])
        objects.clear()
        gc.collect()
        seen.clear()
        del kept
        gc.collect()
        assert "flush_done" in seen, seen
        with sstore.open(sys.argv[1]) as db:
            assert db[b"b"] == b"2"
        """,
        path,
        last,
    )


def test_a_forked_child_is_refused_and_harms_nothing(path: Path) -> None:
    out = run(
        """
        import gc, os, sys, sstore
        db = sstore.open(sys.argv[1])
        db[b"a"] = b"1"
        snapshot, iterator, batch, cursor, view = db.snapshot(), iter(db), db.write_batch(), db.cursor(), db.get_view(b"a")
        cursor.first()
        child = os.fork()
        if child == 0:
            calls = [lambda: db[b"a"], lambda: db.put(b"b", b""), lambda: db.put(b"b", b"", sync=True),
                     lambda: db.flush(), lambda: snapshot[b"a"], lambda: db.iter(), lambda: len(db),
                     lambda: db.snapshot(), lambda: db.close(), lambda: batch.write(), lambda: db.compact(), lambda: db.verify(),
                     lambda: db.put_many([(b"b", b"")]), lambda: db.multi_get([b"a"]), lambda: db.cursor(), lambda: cursor.last(),
                     lambda: db.scan_arrow(), lambda: db.get_view(b"a")]
            refused = 0
            for call in calls:
                try:
                    call()
                except sstore.ForkedError as error:
                    assert isinstance(error, RuntimeError)
                    refused += 1
            assert view == b"1"
            del call, db, snapshot, iterator, batch, cursor, view
            expected = len(calls)
            del calls
            gc.collect()
            assert refused == expected, refused
            sys.exit(0)
        _, status = os.waitpid(child, 0)
        assert status == 0, status
        db[b"c"] = b"3"
        assert db.flush().entries == 2
        assert list(db) == [b"a", b"c"]
        db.close()
        print("fine")
        """,
        path,
    )
    assert out == "fine\n"


def test_ctrl_c_ends_a_long_iteration(path: Path) -> None:
    run(
        """
        import os, signal, sys, threading, sstore
        db = sstore.open(sys.argv[1])
        db.put_many((b"%06d" % i, b"") for i in range(100_000))
        threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
        try:
            while True:
                len(db)
        except KeyboardInterrupt:
            db.close()
        """,
        path,
    )
