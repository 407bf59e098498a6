"""The life of a scan: one pass, what it keeps, and how it ends with its database, its process, its interpreter."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import sstore
from pets import PETS, rows


def test_a_scan_is_read_once(pets: sstore.Table) -> None:
    pets.append(rows(1, 2, 3))
    scan = pets.scan(batch_rows=2)
    assert len(next(scan)) == 2
    assert scan.to_pylist() == rows(3), "the rest"
    assert next(scan, None) is None
    for call in (lambda: scan.to_pylist(), lambda: scan.__arrow_c_stream__()):
        with pytest.raises(sstore.ClosedError, match="another one"):
            call()
    taken = pets.scan()
    capsule = taken.__arrow_c_stream__()
    with pytest.raises(RuntimeError):
        next(taken)
    del capsule
    with pets.scan() as closed:
        pass
    with pytest.raises(sstore.ClosedError):
        next(closed)


def test_a_scan_keeps_what_it_needs(path: Path) -> None:
    db = sstore.open(path, write_buffer_bytes="64KiB")
    table = db.table("t", PETS, key="id")
    table.append(rows(*range(5000)))
    scan = table.scan(batch_rows=100)
    next(scan)
    table.append({"id": each, "name": "new"} for each in range(5000))
    table.delete(range(2000, 3000))
    table.compact()
    db.drop_table(table)
    del db, table
    gc.collect()
    rest = scan.to_pylist()
    assert rest == rows(*range(100, 5000))
    del scan
    gc.collect()
    # Nothing holds it any more: it can be opened again.
    sstore.open(path).close()


def test_closing_ends_scans(db: sstore.DB, pets: sstore.Table) -> None:
    pets.append(rows(*range(1000)))
    scan = pets.scan(batch_rows=10)
    next(scan)
    db.close()
    with pytest.raises(sstore.ClosedError):
        next(scan)
    for call in (
        lambda: pets.append(rows(1)),
        lambda: pets.delete([1]),
        lambda: pets.get(1),
        lambda: pets.scan(),
        lambda: pets.count(),
        lambda: pets.flush(),
        lambda: pets.compact(),
        lambda: pets.segments(),
        lambda: pets.alter(drop_column="name"),
        lambda: db.tables(),
        lambda: db.table("pets"),
        lambda: db.table("new", PETS),
        lambda: db.drop_table(pets),
    ):
        with pytest.raises(sstore.ClosedError):
            call()
    assert "closed" in repr(pets)


def test_an_open_stream_does_not_hold_up_the_end_of_the_interpreter(path: Path) -> None:
    program = """
import sys, sstore
db = sstore.open(sys.argv[1])
table = db.table("t", {"a": "int64"}, key="a")
table.append({"a": each} for each in range(10000))
scan = table.scan(batch_rows=10)
next(scan)
capsule = table.scan().__arrow_c_stream__()
print("done", flush=True)
"""
    ended = subprocess.run([sys.executable, "-c", program, str(path)], capture_output=True, timeout=60, check=True)
    assert ended.stdout == b"done\n" and ended.stderr == b""
    with sstore.open(path) as db:
        assert len(db.table("t")) == 10_000


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_cannot_use_scans(pets: sstore.Table) -> None:
    pets.append(rows(*range(100)))
    scan = pets.scan(batch_rows=10)
    next(scan)
    child = os.fork()
    if child == 0:
        try:
            next(scan)
        except sstore.ForkedError:
            os._exit(0)
        os._exit(1)
    assert os.waitpid(child, 0)[1] == 0
    assert len(scan.to_pylist()) == 90


def test_threads_write_and_scan(db: sstore.DB) -> None:
    table = db.table("t", {"id": "int64", "group": "int64"}, key="id", write_buffer_bytes="64KiB")
    failures: list[BaseException] = []

    def write(group: int) -> None:
        try:
            for start in range(0, 5000, 500):
                table.append({"id": group * 10_000 + start + each, "group": group} for each in range(500))
        except BaseException as error:
            failures.append(error)

    def read() -> None:
        try:
            for _ in range(20):
                counts = [0] * 4
                for batch in table.scan():
                    for row in batch.to_pylist():
                        counts[row["group"]] += 1
                assert all(count % 500 == 0 for count in counts), counts
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=write, args=(group,)) for group in range(4)] + [threading.Thread(target=read)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures and len(table) == 20_000
